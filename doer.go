package ratelimiter

import (
	"errors"
	"net/http"
)

// A Doer sends requests as the client of [Limiter.Client] does, for client libraries that take
// anything with a Do method, such as langchaingo's openai.WithHTTPClient, openai-go's
// option.WithHTTPClient and go-openai's ClientConfig. What differs is how it returns a
// rejection. The error is the [*Error] itself, not a *url.Error around it, which some
// libraries take for a failure of the network. Beside it there is the response of
// [WithRejectionResponses] with an empty body, which tells openai-go not to try again. A Doer
// is safe for concurrent use.
type Doer struct {
	client *http.Client
}

// Doer returns a [Doer] over [Limiter.Transport].
func (l *Limiter) Doer(base http.RoundTripper) *Doer { return &Doer{l.Client(base)} }

// Do sends a request as http.Client.Do does. Like that, it may return a response beside an
// error; there is no need to close the body of that one.
func (d *Doer) Do(req *http.Request) (*http.Response, error) {
	resp, err := d.client.Do(req)
	var e *Error
	if !errors.As(err, &e) || e.Code() == "" {
		return resp, err
	}
	resp = rejectionResponse(req, e)
	resp.Body = http.NoBody
	return resp, e
}

// CloseIdleConnections closes those of the base.
func (d *Doer) CloseIdleConnections() { d.client.CloseIdleConnections() }

// WebSocketHTTPClient returns the client that the Doer sends with. openai-go calls it to open
// WebSockets.
func (d *Doer) WebSocketHTTPClient() *http.Client { return d.client }
