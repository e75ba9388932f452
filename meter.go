package ratelimiter

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/decode"
	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
	"github.com/openai-ratelimiter/ratelimiter/internal/identity"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// A meteredBody passes a response's body through, byte for byte, and settles
// the call when its usage is known to be final.
type meteredBody struct {
	io.ReadCloser
	r       *Reservation
	header  http.Header
	secrets identity.Secrets // the request's

	mu      sync.Mutex     // Close may come while Read runs
	meter   *metering      // nil once the body is over
	decoded *decode.Stream // nil for a body that is not encoded
	said    bool           // the error in the body has been reported
	over    bool
}

// begin takes over the response's body.
func (b *meteredBody) begin(r *Reservation, resp *http.Response) {
	b.ReadCloser, b.r, b.header, b.secrets = resp.Body, r, resp.Header, identity.SecretsOf(resp.Request)
	if encoded, _ := r.limiter.config.decoders.Chain(resp.Header); len(encoded) > 0 {
		b.decoded = encoded.Stream()
	}
	b.meter = newMetering(r, resp.StatusCode, first(resp.Header, "Content-Type"))
}

// first is the first value of the header with this canonical name, or "".
func first(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (b *meteredBody) Read(p []byte) (n int, err error) {
	n, err = b.ReadCloser.Read(p)
	if n > 0 || err != nil {
		b.settle(b.watch(p[:n], err))
	}
	return n, err
}

func (b *meteredBody) Close() (err error) {
	defer func() { err = b.ReadCloser.Close() }() // also if a hook panics
	finished := false
	defer func() {
		if !finished { // a counter of the user's has panicked
			b.settle(b.finish(false))
		}
	}()
	b.settle(b.finish(false))
	finished = true
	return nil
}

// A report is what a body has shown: its ending, or that it has an error.
type report struct {
	over     bool
	outcome  engine.Outcome // of a body that is over
	throttle *wire.Throttle // an error inside the body, or nil
}

// watch lets the meter see what has been read, and returns what there is to report of it.
func (b *meteredBody) watch(p []byte, err error) (e report) {
	b.mu.Lock()
	defer b.mu.Unlock() // also if a counter of the user's panics
	if b.over {
		return e
	}
	if b.seeLocked(p, err == io.EOF) || err != nil {
		return b.finishLocked(err == io.EOF)
	}
	if b.meter.Failed() && !b.said {
		b.said = true
		e.throttle = b.meter.Throttle(b.header, time.Now)
	}
	return e
}

// seeLocked lets the meter see what has been read, decoded, and reports whether nothing more
// comes.
func (b *meteredBody) seeLocked(p []byte, eof bool) (done bool) {
	if b.decoded == nil {
		return len(p) > 0 && b.meter.Write(p)
	}
	see := func(p []byte) bool {
		done = b.meter.Write(p)
		return done
	}
	if len(p) > 0 {
		b.decoded.Write(p, see)
	}
	if eof && !done {
		b.decoded.End(see)
	}
	return done
}

func (b *meteredBody) finish(eof bool) (e report) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return e
	}
	return b.finishLocked(eof)
}

func (b *meteredBody) finishLocked(eof bool) (e report) {
	said, ok := b.meter.Usage()
	// If a stream breaks off, its last usage does not include the text that came after it.
	cut := ok && !eof && !b.meter.Ended() && b.meter.outgrown()
	var text int64
	if !ok || cut || inputAlone(&said) {
		text = b.meter.count() // if it panics, finishLocked runs once more
	}
	switch {
	case cut:
		ok = false
		text += said.Output
	case ok && inputAlone(&said): // the server has not counted what it sent
		said.Output, said.Total = text, said.Total+text
	}
	b.over, e.over = true, true
	defer b.release()
	if b.decoded != nil {
		b.decoded.Stop()
	}
	t := b.meter.Throttle(b.header, time.Now)
	if !b.said {
		e.throttle = t
	}
	if t != nil && !ok && !b.meter.Shown() {
		if status := statusOf(t.Kind); status != 0 {
			e.outcome.Failed = status
			return e
		}
	}
	e.outcome = engine.Outcome{
		Usage: said, HasUsage: ok, ID: b.meter.ID(), Metered: true,
		// Without usage the text is all of the output if it came to its end, and no
		// reasoning is behind it.
		Text: text, Whole: b.meter.Ended() || eof && t == nil, Reasons: !ok && b.reasons(),
	}
	return e
}

func (b *meteredBody) release() {
	b.meter.free()
	b.meter = nil
}

// reasons reports whether the model may have put out more than was shown. A deployment's
// name may hide the model's, which the response tells.
func (b *meteredBody) reasons() bool {
	return costing.MayReason(b.r.counted) || costing.MayReason(b.r.engine.Call.Model) || costing.MayReason(b.meter.Model())
}

// statusOf is the status with which the server would have throttled a call before it began,
// where it has done so inside a response; 0 for an error of another kind.
func statusOf(k wire.Kind) int {
	switch k {
	case wire.Other:
		return 0
	case wire.Overloaded:
		return http.StatusServiceUnavailable
	}
	return http.StatusTooManyRequests
}

// settle takes in a report, without the lock: hooks run. A hook that panics does not keep
// the reservation from its end.
func (b *meteredBody) settle(e report) {
	if e.over {
		defer b.r.end(&e.outcome)
	}
	if e.throttle != nil {
		b.r.throttled(b.r.hookContext(), e.throttle, http.StatusOK, b.secrets)
	}
}
