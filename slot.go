package ratelimiter

import (
	"io"
	"net/http"
)

// A slotBody is a response's body whose end is that of the call in flight.
type slotBody struct {
	io.ReadCloser
	r *Reservation
}

// hold keeps the call's slot until the response has ended. One that has no body has, and
// one that hands over its connection.
func (r *Reservation) hold(resp *http.Response) {
	if r.shadow == nil && !r.engine.Holds() {
		return
	}
	if resp.Body == nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols {
		r.release()
		return
	}
	resp.Body = &slotBody{resp.Body, r}
}

func (b *slotBody) Read(p []byte) (n int, err error) {
	over := true // also if a counter or a hook of the user's panics: the body is closed then
	defer func() {
		if over {
			b.r.release()
		}
	}()
	n, err = b.ReadCloser.Read(p)
	over = err != nil
	return n, err
}

func (b *slotBody) Close() error {
	defer b.r.release()
	return b.ReadCloser.Close()
}
