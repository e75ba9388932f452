package ratelimiter

import (
	"context"
	"io"
	"sync"
	"time"
)

// peekSize is how much of an error response is read ahead: all of what OpenAI writes into one.
const peekSize = 16 << 10

// patience is how long an error response is kept for its body to come.
const patience = 250 * time.Millisecond

// A peekedBody has the beginning of a body read ahead, by a goroutine that ends with the
// beginning or when the body is closed. Its caller gets each piece as it comes.
type peekedBody struct {
	io.ReadCloser
	ctx    context.Context
	peeked chan struct{} // closed once nothing more is read ahead

	mu     sync.Mutex
	come   sync.Cond // more has come, or peeked
	prefix []byte    // all that was read ahead
	read   int       // how much of it the caller has got
	over   bool      // nothing more is read ahead
	err    error     // that ended the body before peekSize
	panics any       // what its Read has panicked with, for the caller's
	closed bool

	decide func(prefix []byte) // once, with the beginning
	once   sync.Once
	enough bool // the headers say it all, should no beginning come
}

func newPeekedBody(ctx context.Context, body io.ReadCloser) *peekedBody {
	b := &peekedBody{ReadCloser: body, ctx: ctx, peeked: make(chan struct{})}
	b.come.L = &b.mu
	go b.peek()
	return b
}

// peek reads ahead, into the part of the buffer that others do not see yet.
func (b *peekedBody) peek() {
	defer close(b.peeked)
	defer b.broken()
	buf := make([]byte, 0, 1<<10)
	for {
		n, err := b.ReadCloser.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		over := err != nil || len(buf) == peekSize
		b.mu.Lock()
		b.prefix, b.err, b.over = buf, err, over
		b.mu.Unlock()
		b.come.Broadcast()
		if over {
			return
		}
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(4*cap(buf), peekSize)), buf...)
		}
	}
}

// broken ends the reading ahead of a body whose Read has panicked. The body's reader gets the
// panic in its turn, as it would without us. It is deferred.
func (b *peekedBody) broken() {
	p := recover()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	if b.over, b.panics = true, p; p == nil {
		b.err = io.ErrUnexpectedEOF // it has ended our goroutine
	}
	b.come.Broadcast()
}

// whenCome calls decide with the beginning of the body: at once if that comes soon, without
// it if the headers have said enough, else once the caller has got it. So a response of
// unknown kind decides nothing.
func (b *peekedBody) whenCome(decide func(prefix []byte), enough bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-b.peeked:
	case <-timer.C:
	case <-b.ctx.Done():
	}
	select {
	case <-b.peeked: // perhaps as late as the rest, where the process has stood still
		decide(b.prefix)
		return
	default:
	}
	if enough {
		decide(nil)
		return
	}
	b.decide = decide
}

// late decides what could not be decided at once, by what has come.
func (b *peekedBody) late(prefix []byte, err error) {
	if b.decide == nil || len(prefix) == 0 && err != io.EOF && !b.enough {
		return
	}
	b.once.Do(func() { b.decide(prefix) })
}

// Close implements io.Closer.
func (b *peekedBody) Close() (err error) {
	defer func() { err = b.ReadCloser.Close() }() // also if a hook panics
	b.mu.Lock()
	b.closed = true
	prefix, failure := b.prefix, b.err
	b.mu.Unlock()
	b.late(prefix, failure)
	return nil
}

// Read implements io.Reader. What was read ahead is gone once the body is closed, as it is
// without us.
func (b *peekedBody) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	for !b.over && (b.closed || b.read == len(b.prefix)) {
		b.come.Wait()
	}
	beyond := b.closed
	if !beyond {
		n = copy(p, b.prefix[b.read:])
		b.read += n
		if b.over && b.read == len(b.prefix) {
			err = b.err
			beyond = n == 0 && err == nil
		}
	}
	prefix, failure, over, panics := b.prefix, b.err, b.over, b.panics
	b.mu.Unlock()
	if over {
		b.late(prefix, failure)
	}
	if beyond && panics != nil {
		panic(panics)
	}
	if beyond {
		return b.ReadCloser.Read(p)
	}
	return n, err
}
