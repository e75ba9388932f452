package openaigo

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/openai/openai-go/v3/option"
)

type timeoutKey struct{}

// WithRequestTimeout bounds each attempt to d, from the moment the limiter lets
// it start until its response has been read. It is option.WithRequestTimeout
// without the wait: for a client with [WithLimiter], or for one of its
// requests; on any other client it does nothing. The option given last holds;
// 0 is no timeout.
//
// An attempt that gets no response in time is tried again, as the SDK does with
// every request that fails so, and each attempt is charged. What expires later
// ends the call or the stream with context.DeadlineExceeded.
func WithRequestTimeout(d time.Duration) option.RequestOption {
	return option.WithMiddleware(func(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		return next(req.WithContext(context.WithValue(req.Context(), timeoutKey{}, d)))
	})
}

// timeouts stands below the limiter and applies WithRequestTimeout.
type timeouts struct {
	base http.RoundTripper
}

func (t timeouts) RoundTrip(req *http.Request) (*http.Response, error) {
	d, _ := req.Context().Value(timeoutKey{}).(time.Duration)
	if d <= 0 {
		return t.base.RoundTrip(req)
	}
	ctx, cancel := context.WithTimeout(req.Context(), d)
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil || resp.StatusCode == http.StatusSwitchingProtocols {
		cancel() // a connection that was switched over no longer minds
		return resp, err
	}
	resp.Body = &timedBody{resp.Body, cancel}
	return resp, nil
}

func (t timeouts) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// A timedBody stops the clock when it is closed.
type timedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *timedBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel()
	return err
}
