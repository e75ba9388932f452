// Package goopenai puts a [ratelimiter.Limiter] under
// github.com/sashabaranov/go-openai.
//
// One line is all that most programs need:
//
//	config := openai.DefaultConfig(key)
//	config = goopenai.WithLimiter(config, limiter)
//	client := openai.NewClientWithConfig(config)
//
// Programs that call the limiter themselves use [Chat] and its siblings, which turn
// the SDK's requests into a [ratelimiter.Call], and [Usage], which turns the usage
// in a response into a [ratelimiter.Usage].
package goopenai

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
)

// WithLimiter returns config with an HTTPClient that lets every request, stream
// or not, wait until its budget is available, and then sends it through the client
// that config had. Whatever that one is, it stays as it was: its transport, its
// redirects, and its Timeout, which begins when the limiter lets the request
// start. Where config has none, limiter.Client(nil) is used.
//
// On the client that is returned, or on limiter.Client, a Timeout would include
// the wait: under load, calls would fail without ever being sent. Bound the
// wait itself with [ratelimiter.WithMaxWait] or the context.
//
// A call that the limiter rejects (it is larger than a limit, or can't start
// before its deadline or within its longest wait, or the budget's store does not
// answer) is not sent. In the SDK's error, errors.As finds a [*ratelimiter.Error],
// and errors.Is finds its reason, such as [ratelimiter.ErrTooLarge].
func WithLimiter(config openai.ClientConfig, limiter *ratelimiter.Limiter) openai.ClientConfig {
	var base http.RoundTripper
	if config.HTTPClient != nil {
		base = transport{config.HTTPClient}
	}
	config.HTTPClient = limiter.Client(base)
	return config
}

// A transport sends through a whole client, whose own timeout so counts from
// here.
type transport struct {
	client openai.HTTPDoer
}

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.client.Do(req.Clone(req.Context())) // a cookie jar would change req
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the client above says the same again
		}
		return nil, err // a redirect that fails has a response too
	}
	return resp, nil
}

func (t transport) CloseIdleConnections() {
	if c, ok := t.client.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
