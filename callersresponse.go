package ratelimiter

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync/atomic"
)

// A callersResponse is a response as its caller has it, and its Body.
//
// The Response is a copy. The one that the base has made is known to others until its body
// ends: over HTTP/1.1 to the body, over HTTP/2 to the connection. So nobody could tell
// whether the caller still has it.
type callersResponse struct {
	http.Response
	made *http.Response
	body *callersBody
}

func newCallersResponse(made *http.Response, req *http.Request) *callersResponse {
	resp := &callersResponse{Response: *made, made: made}
	resp.Request = req
	return resp
}

// Read implements io.Reader.
func (c *callersResponse) Read(p []byte) (n int, err error) {
	n, err = c.body.Read(p)
	if err == io.EOF {
		c.Response.Trailer = c.made.Trailer // which has come with the end
	}
	return n, err
}

// Close implements io.Closer.
func (c *callersResponse) Close() error { return c.body.Close() }

// Format implements fmt.Formatter. A program that logs a response's Body in place of what it
// reads shows nothing, as without us: the Response has the request's credentials.
func (c *callersResponse) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "{response body}") }

// A callersBody is a response's body while its caller has it. With its end, or when the
// caller has lost it without closing it, the call is over and gives back its slot.
//
// A finalizer notices what is lost: that costs no allocation, a cleanup would cost two. So
// nothing that it refers to, and nothing that lives until the body is closed, may refer to
// it. The context of the request is such a thing: the connection refers to it.
type callersBody struct {
	io.ReadCloser
	r    *Reservation
	over atomic.Bool
}

// hand makes the body the caller's.
func (r *Reservation) hand(resp *callersResponse) {
	if resp.Body == nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols {
		r.release()
		return
	}
	resp.body = &callersBody{ReadCloser: resp.Body, r: r}
	resp.Body = resp
	runtime.SetFinalizer(resp.body, (*callersBody).lost)
}

// Read implements io.Reader.
func (b *callersBody) Read(p []byte) (n int, err error) {
	returns := false
	defer func() {
		if !returns { // the base's body, a counter or a hook has panicked, which goes on to the caller
			_ = b.Close()
		}
	}()
	n, err = b.ReadCloser.Read(p)
	if returns = true; err != nil {
		b.end()
	}
	return n, err
}

// Close implements io.Closer.
func (b *callersBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

func (b *callersBody) end() {
	if b.over.CompareAndSwap(false, true) {
		runtime.SetFinalizer(b, nil)
		b.r.release()
	}
}

// lost closes the body that nobody has any more, on a goroutine of its own: hooks run, which
// may take their time.
func (b *callersBody) lost() {
	go func() {
		defer func() { _ = recover() }() // there is no caller whom a hook's panic could reach
		defer b.Close()
		b.r.limiter.warnOfLost(b.r.engine.Call.Model)
	}()
}
