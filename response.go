package ratelimiter

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
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
	e := &b.r.estimate
	b.text += int64(b.r.scope.account.limiter.counter.Count(e.counted, e.encoding, delta))
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 || err != nil {
		b.watch(p[:n], err)
	}
	return n, err
}

func (b *meteredBody) watch(p []byte, err error) {
	b.mu.Lock()
	defer b.mu.Unlock() // also if a counter of the user's panics
	done := !b.over && len(p) > 0 && b.meter.Write(p)
	if done || err != nil {
		b.settle(err == io.EOF)
	}
}

func (b *meteredBody) Close() error {
	b.mu.Lock()
	b.settle(false)
	b.mu.Unlock()
	return b.ReadCloser.Close()
}

// settle ends the reservation by what the body has told. b.mu must be held.
func (b *meteredBody) settle(eof bool) {
	if b.over {
		return
	}
	b.over = true
	if refusal := b.meter.Refusal(b.header); refusal != nil {
		b.r.refused(b.r.ctx, *refusal)
	}
	e := &b.r.estimate
	final := e.cost
	said, ok := b.meter.Usage()
	// Without usage the text is all of the output if it came to its end, and no
	// reasoning is behind it.
	whole := !ok && b.text > 0 && (b.meter.Ended() || eof)
	b.r.shown = whole && !costing.Reasons(e.counted)
	usage := Usage{InputTokens: said.Input, OutputTokens: said.Output, TotalTokens: said.Total}
	if !ok {
		usage.OutputTokens = b.text
	}
	if ok {
		b.r.remember(b.meter.ID(), usage)
	}
	switch {
	case ok && b.r.informed && e.exact():
		// The server charged its own estimate of the input, for good. Of input
		// that only it could see or weigh, the usage is the best there is.
		output := usage.OutputTokens
		if output == 0 {
			output = usage.total() - usage.InputTokens // some servers tell the total alone
		}
		if usage.InputTokens == 0 && usage.OutputTokens == 0 {
			output = max(0, usage.total()-e.input)
		}
		final[backend.Tokens] = e.input + output
	case ok:
		final[backend.Tokens] = usage.TotalTokens
	case b.r.shown || whole && b.r.informed && b.r.isLittle(e.cost[backend.Tokens]-e.input-b.text):
		final[backend.Tokens] = e.input + b.text
	case b.text > 0:
		final[backend.Tokens] = max(final[backend.Tokens], e.input+b.text)
	}
	if b.r.kept(e.cost[backend.Tokens]-final[backend.Tokens], ok || b.r.shown) {
		final = e.cost
	}
	b.r.finish(final, usage, ok)
}

// peekSize is how much of a refusal is read before its caller sees it: all of
// it, as OpenAI writes them.
const peekSize = 16 << 10

// patience is how long a refusal's body may take to come.
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
