// Package openaigo puts a [ratelimiter.Limiter] under OpenAI's own SDK,
// github.com/openai/openai-go/v3.
//
// One option is all that most programs need:
//
//	client := openai.NewClient(openaigo.WithLimiter(limiter, nil))
//
// Programs that call the limiter themselves use [Chat] and its siblings, which turn
// the SDK's parameters into a [ratelimiter.Call], and [Usage] and its siblings,
// which turn the usage in a response into a [ratelimiter.Usage].
package openaigo

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/openai/openai-go/v3/option"

	"github.com/openai-ratelimiter/ratelimiter"
)

// WithLimiter lets every request of a client, stream or not, wait until its
// budget is available. It sets the client's HTTP client to one that sends through
// base; a later option.WithHTTPClient would take the limiter out again. A nil
// base is a clone of http.DefaultTransport that waits at most ten minutes for a
// response's headers, as the SDK's own client does.
//
// # Rejections
//
// A call that the limiter rejects (it is larger than a limit, or can't start
// before its deadline or within its longest wait, or the budget's store does not
// answer) is not sent and not retried.
// In the error that the SDK returns, from a stream's Err too, errors.As finds a
// [*ratelimiter.Error], and errors.Is finds its reason, such as
// [ratelimiter.ErrTooLarge]. Middlewares see a rejection as a response of status
// 429 whose body fails with that error, since nothing else keeps the SDK from
// retrying. If the context ends by itself while a call waits, the error is
// the context's.
//
// # Timeouts
//
// option.WithRequestTimeout includes the wait, and the SDK does not retry
// when it has expired: under load, calls would fail without ever being sent.
// Use this package's [WithRequestTimeout], whose time begins when the limiter
// lets the call start, or a base with a ResponseHeaderTimeout. Bound the wait
// itself with [ratelimiter.WithMaxWait] or the context.
//
// # Azure
//
// It works with azure.WithEndpoint, azure.WithAPIKey and azure.WithTokenCredential. The
// model whose limits hold is the deployment. azure.WithUnsafeAllowHTTP
// makes the SDK send plain HTTP to this machine past every RoundTripper, and so
// past the limiter.
func WithLimiter(limiter *ratelimiter.Limiter, base http.RoundTripper) option.RequestOption {
	if base == nil {
		base = defaultBase()
	}
	return option.WithHTTPClient(&http.Client{
		Transport: &transport{limiter.Transport(timeouts{base})},
	})
}

// defaultBase is one for all clients, so that they share connections.
var defaultBase = sync.OnceValue(func() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // the program has put in its own
	}
	t = t.Clone()
	t.ResponseHeaderTimeout = 10 * time.Minute
	return t
})

// A transport returns a rejection in a way that the SDK does not retry. An error it
// would retry twice.
type transport struct {
	*ratelimiter.Transport
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(req)
	var rejection *ratelimiter.Error
	if !errors.As(err, &rejection) {
		return resp, err
	}
	if rejection.Reason == ratelimiter.ErrDeadline && req.Header.Get("X-Stainless-Timeout") != "" {
		err = fmt.Errorf("%w (option.WithRequestTimeout includes the wait, openaigo.WithRequestTimeout does not)", err)
	}
	return &http.Response{
		Status:     "429 Too Many Requests",
		StatusCode: http.StatusTooManyRequests,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"X-Should-Retry": {"false"}},
		Body:          rejectedBody{err},
		ContentLength: -1,
		Request:       req,
	}, nil
}

// rejectedBody hands the rejection to the SDK, which returns what it meets while
// it reads the body of a failure.
type rejectedBody struct{ err error }

func (b rejectedBody) Read([]byte) (int, error) { return 0, b.err }
func (b rejectedBody) Close() error             { return nil }
