package ratelimiter

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// A meteredBody passes a response's body through, byte for byte, and settles
// the call when its usage is known to be final.
type meteredBody struct {
	io.ReadCloser
	r      *Reservation
	header http.Header

	mu    sync.Mutex // Close may come while Read runs
	meter *wire.Meter
	text  int64 // tokens of the deltas seen
	over  bool
}

func newMeteredBody(r *Reservation, resp *http.Response) *meteredBody {
	b := &meteredBody{ReadCloser: resp.Body, r: r, header: resp.Header}
	typ := resp.Header.Get("Content-Type")
	if resp.Header.Get("Content-Encoding") != "" {
		typ = "application/octet-stream" // the caller decompresses it
	}
	b.meter = wire.NewMeter(resp.StatusCode, typ, b.count)
	return b
}

// count is handed the text of a stream's deltas.
func (b *meteredBody) count(delta []byte) {
	b.text += int64(b.r.limiter.counter.Count(b.r.counted, b.r.encoding, delta))
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 || err != nil {
		b.settle(b.watch(p[:n], err))
	}
	return n, err
}

func (b *meteredBody) Close() error {
	b.settle(b.finish(false))
	return b.ReadCloser.Close()
}

// An ending is what a body has reported when it ends, or when enough of it was seen.
type ending struct {
	outcome  engine.Outcome
	throttle *wire.Throttle // an error about limits inside the body, or nil
}

// watch lets the meter see what has been read, and returns the body's ending if that was
// it, else nil.
func (b *meteredBody) watch(p []byte, err error) *ending {
	b.mu.Lock()
	defer b.mu.Unlock() // also if a counter of the user's panics
	if b.over {
		return nil
	}
	if len(p) > 0 && b.meter.Write(p) || err != nil {
		return b.finishLocked(err == io.EOF)
	}
	return nil
}

func (b *meteredBody) finish(eof bool) *ending {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return nil
	}
	return b.finishLocked(eof)
}

func (b *meteredBody) finishLocked(eof bool) *ending {
	b.over = true
	said, ok := b.meter.Usage()
	return &ending{
		throttle: b.meter.Throttle(b.header),
		outcome: engine.Outcome{
			Usage: said, HasUsage: ok, ID: b.meter.ID(), Metered: true,
			// Without usage the text is all of the output if it came to its end, and no
			// reasoning is behind it.
			Text: b.text, Whole: b.meter.Ended() || eof, Reasons: costing.Reasons(b.r.counted),
		},
	}
}

// settle ends the reservation, without the lock: hooks run.
func (b *meteredBody) settle(e *ending) {
	if e == nil {
		return
	}
	if e.throttle != nil {
		b.r.throttled(b.r.hookContext(), e.throttle)
	}
	b.r.end(&e.outcome)
}

// peekSize is how much of an error response is read before its caller sees it: all of
// it, as OpenAI writes them.
const peekSize = 16 << 10

// patience is how long an error response's body may take to come.
const patience = 250 * time.Millisecond

// A peekedBody has the beginning of a body read ahead, by a goroutine that
// ends with the beginning or when the body is closed.
type peekedBody struct {
	io.ReadCloser
	ctx    context.Context
	ready  chan struct{}
	prefix []byte
	err    error
}

func newPeekedBody(ctx context.Context, body io.ReadCloser) *peekedBody {
	b := &peekedBody{ReadCloser: body, ctx: ctx, ready: make(chan struct{})}
	go func() {
		defer close(b.ready)
		b.prefix, b.err = io.ReadAll(io.LimitReader(body, peekSize))
		if b.err == nil && len(b.prefix) < peekSize {
			b.err = io.EOF
		}
	}()
	return b
}

// peek returns the beginning of the body, or nothing where it does not come.
func (b *peekedBody) peek() []byte {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-b.ready:
		return b.prefix
	case <-timer.C:
	case <-b.ctx.Done():
	}
	return nil
}

func (b *peekedBody) Read(p []byte) (int, error) {
	<-b.ready
	if len(b.prefix) > 0 {
		n := copy(p, b.prefix)
		if b.prefix = b.prefix[n:]; len(b.prefix) == 0 {
			return n, b.err
		}
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.ReadCloser.Read(p)
}
