package ratelimiter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// bodyCap is the most of a request's body that is kept in memory, from before its
// wait until it is sent: more than the 50 MB, in base64, that the API takes in JSON, and
// than its 25 MB of audio. SDKs write the model after the messages and after the
// file, so what is cut off may lack it. What is beyond the cap is sent unread.
const bodyCap = 64 << 20

// A requestBody is a request's body, read ahead as far as the cap.
type requestBody struct {
	prefix []byte
	rest   io.ReadCloser // nil if prefix is all
	length int64
	none   bool // the request has no body
}

// readBody takes the body out of the request and reads so much of it. It reads Body
// itself and never calls GetBody, which openai-go may have set to a function that
// rewinds the very reader that is Body (v3.96 with WithRequestBody over a
// bytes.Reader).
func readBody(req *http.Request, most int64) (*requestBody, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return &requestBody{none: true}, nil
	}
	b := &requestBody{length: req.ContentLength}
	var buf bytes.Buffer
	if n := req.ContentLength; n > 0 {
		buf.Grow(int(min(n, most)) + bytes.MinRead)
	}
	ctx := req.Context()
	stop := context.AfterFunc(ctx, func() { req.Body.Close() }) // ends a Read that hangs
	n, err := buf.ReadFrom(io.LimitReader(req.Body, most))
	b.prefix = buf.Bytes()
	if len(b.prefix) < buf.Cap()*3/4 { // of unknown length: the buffer has doubled
		b.prefix = bytes.Clone(b.prefix)
	}
	switch {
	case !stop():
		return nil, ctx.Err()
	case err != nil:
		req.Body.Close()
		return nil, err
	case n == most:
		b.rest = req.Body
	default:
		req.Body.Close() // all of it has been read; what Close says is of no use
	}
	return b, nil
}

// attach gives the body to the request that is sent.
func (b *requestBody) attach(req *http.Request) {
	switch {
	case b.none:
	case b.rest != nil:
		req.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(b.prefix), b.rest), b.rest}
		req.GetBody = nil
	default:
		req.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(b.prefix)), nil
		}
		req.Body, _ = req.GetBody()
		req.ContentLength = b.length
	}
}

// Close releases what a request that is not sent has left.
func (b *requestBody) Close() {
	if b.rest != nil {
		b.rest.Close()
	}
}

// askForUsage asks for the usage of a stream, unless the body says whether it wants that.
func (b *requestBody) askForUsage(e wire.Endpoint) {
	if e != wire.Chat && e != wire.Completions {
		return
	}
	asking, ok := costing.AskForUsage(b.prefix)
	if !ok {
		return
	}
	b.prefix = asking
	if b.length > 0 {
		b.length = int64(len(b.prefix))
	}
}

// A writeWatch tells whether a request has been written, and when.
type writeWatch struct {
	connected, wrote atomic.Bool
	begun            time.Time
	after            atomic.Int64 // how long after begun all of it was, in nanoseconds; 0 for never
}

// watchWrite returns the request to send: the caller's, with hooks of our own.
func watchWrite(req *http.Request) (*http.Request, *writeWatch) {
	w := &writeWatch{begun: time.Now()}
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn:      func(string) { w.connected.Store(true) },
		WroteHeaders: func() { w.wrote.Store(true) },
		WroteRequest: func(httptrace.WroteRequestInfo) { w.after.Store(max(1, int64(time.Since(w.begun)))) },
	})
	return req.WithContext(ctx), w
}

// time is when the request had been written. It is zero for a base that runs no hooks, or
// where the response came first.
func (w *writeWatch) time() time.Time {
	after := w.after.Load()
	if after == 0 {
		return time.Time{}
	}
	return w.begun.Add(time.Duration(after))
}

// never reports whether the request that failed with err never left. A base
// that runs no hooks is only believed where it failed to dial.
func (w *writeWatch) never(err error) bool {
	if w.connected.Load() {
		return !w.wrote.Load()
	}
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
