package ratelimiter

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// WithShadow lets the limiter watch, and nothing more: no call waits, none is rejected, and
// what other limiters draw from is not touched. [Limiter.ShadowReport] and [Trace] say what
// would have been. It is meant for the first day in production.
//
// Calls are admitted as ever, but in the background, from a ledger of their own: with a
// shared backend all limiters in shadow share one, beside the others'. A call that would
// have waited is charged and settled as much later as it would have started. The limiter returns
// no error to a caller but [ErrNoLimiter], and a hook that panics is logged. Where Acquire would
// have failed, it returns a reservation that costs nothing. Hooks run in the background too, when
// their moment would have come, with a context that does not end with the call's.
//
// Bodies stay as they are: [WithStreamUsage] does nothing, and [WithRejectionResponses] has
// nothing to do. Delay, State and Fleet answer from the ledger of the shadow.
func WithShadow() Option { return optionFunc(func(c *config) { c.shadow = true }) }

const (
	// shadowLedger stands before the names of accounts in a backend.
	shadowLedger = "shadow of "
	// mostShadows is how many calls may wait in shadow. What is beyond it is not followed,
	// since nothing slows its callers down.
	mostShadows = 10_000
)

// A fate is what would have become of a call.
type fate uint8

const (
	undecided fate = iota
	atOnce         // it would have started when it came
	late           // it would have waited
	never
)

// A shadowCall is a call that has started, while the engine admits it as if it waited. What
// becomes of it meanwhile is kept until its fate is known. If it would have waited, all of that
// happens as much later.
type shadowCall struct {
	r      *Reservation
	begun  time.Time
	counts *shadowScope
	cancel context.CancelFunc // takes the call out of the line

	mu      sync.Mutex
	fate    fate // undecided also while the first events run
	queued  bool // it would wait
	left    bool // its caller has given up
	wait    time.Duration
	events  []shadowEvent // that have not run
	running bool          // by a goroutine, each in its time
}

// A shadowEvent is something that became of a call, at that time.
type shadowEvent struct {
	at  time.Time
	run func(fate)
}

// startInShadow lets the call start, and the engine admit it in the background.
func (r *Reservation) startInShadow(ctx context.Context) {
	l, call := r.limiter, &r.engine.Call
	counts := l.shadow.scope(call.Account, call.Model)
	s := &shadowCall{r: r, begun: time.Now(), counts: counts}
	// The end of the real call is not that of its shadow; a deadline is.
	behind, cancel := context.WithoutCancel(ctx), context.CancelFunc(nil)
	if deadline, ok := ctx.Deadline(); ok {
		behind, cancel = context.WithDeadline(behind, deadline)
	} else {
		behind, cancel = context.WithCancel(behind)
	}
	s.cancel, r.shadow = cancel, s
	if l.shadow.asking.Add(1) > mostShadows {
		l.shadow.asking.Add(-1)
		counts.missed()
		s.fate = never
		cancel()
		return
	}
	counts.asks()
	l.engine.Go(func() {
		err := errPanicked
		l.config.harmless(behind, shadowPanicked, func() { err = r.ask(behind) })
		cancel()
		l.shadow.asking.Add(-1)
		queued, wait := r.engine.Queued(), time.Since(s.begun)
		counts.decided(queued, wait, err)
		switch {
		case err != nil:
			s.decide(never)
		case queued:
			s.moveBy(wait)
		default:
			s.decide(atOnce)
		}
	})
}

var errPanicked = errors.New("ratelimiter: a hook or the backend has panicked")

// decide settles the fate of a call that would not have waited, and runs what has become of
// it meanwhile.
func (s *shadowCall) decide(f fate) {
	for {
		s.mu.Lock()
		if len(s.events) == 0 {
			s.fate = f
			s.mu.Unlock()
			return
		}
		event := s.events[0]
		s.events = s.events[1:]
		s.mu.Unlock()
		s.run(event.run, f)
	}
}

// moveBy lets all that becomes of the call happen later by the wait.
func (s *shadowCall) moveBy(wait time.Duration) {
	s.mu.Lock()
	s.fate, s.wait, s.running = late, wait, true
	s.mu.Unlock()
	s.runLater()
}

// runLater runs the events of a call that would have waited, each in its time, until there are
// none. A limiter that is shut down runs them at once: nothing comes after its end.
func (s *shadowCall) runLater() {
	for e, ok := s.next(); ok; e, ok = s.next() {
		timer := time.NewTimer(time.Until(e.at.Add(s.wait)))
		select {
		case <-timer.C:
		case <-s.r.limiter.engine.Done():
			timer.Stop()
		}
		s.run(e.run, late)
	}
}

// next takes the next event out, or ends the run.
func (s *shadowCall) next() (e shadowEvent, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running = len(s.events) > 0; !s.running {
		return e, false
	}
	e, s.events = s.events[0], s.events[1:]
	return e, true
}

// then runs an event when it would have come, which is now if the call would have started at
// once.
func (s *shadowCall) then(run func(fate)) {
	if f := s.keep(run); f == atOnce || f == never {
		s.run(run, f)
	}
}

// keep keeps an event for later, unless the call would have started at once or never. It returns
// the fate.
func (s *shadowCall) keep(run func(fate)) fate {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fate == undecided || s.fate == late {
		s.events = append(s.events, shadowEvent{time.Now(), run})
	}
	if s.fate == late && !s.running {
		s.running = true
		s.r.limiter.engine.Go(s.runLater)
	}
	return s.fate
}

func (s *shadowCall) run(run func(fate), f fate) {
	s.r.limiter.config.harmless(s.r.hookContext(), shadowPanicked, func() { run(f) })
}

// waits records that the call would wait. It does nothing without a shadow.
func (s *shadowCall) waits() {
	if s == nil {
		return
	}
	s.counts.waits()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queued = true; s.left {
		s.cancel()
	}
}

// leave takes the call out of the line if it would wait: its caller has given up.
func (s *shadowCall) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left = true; s.queued {
		s.cancel()
	}
}

// charged reports whether the reservation has a charge, which it always has without a shadow.
func (s *shadowCall) charged() bool {
	if s == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fate == atOnce || s.fate == late
}

// end settles the call.
func (s *shadowCall) end(o engine.Outcome) {
	if o.Cancelled {
		s.leave()
	}
	s.then(func(f fate) {
		if f != never {
			s.r.ends(&o)
		}
	})
}

// observe takes in the head of a response.
func (s *shadowCall) observe(ctx context.Context, head engine.Response) {
	ctx, latency := context.WithoutCancel(ctx), time.Since(s.begun)
	s.then(func(f fate) {
		var corrected backend.Amounts
		if f != never {
			throttled := head.Status == http.StatusTooManyRequests
			head.Apart = f == late || s.counts.apart() || throttled && s.counts.undecided()
			_, corrected = s.r.engine.Observe(&head)
		}
		s.r.observed(ctx, &head, latency, corrected)
	})
}

// throttled takes in a throttle by the server. The limiter would have avoided it where it had
// held back the call, or calls before it.
func (s *shadowCall) throttled(ctx context.Context, t *wire.Throttle, status int) {
	ctx = context.WithoutCancel(ctx)
	s.then(func(f fate) {
		avoided := false
		switch t.Kind {
		case wire.RateLimit:
			avoided = f != atOnce || s.counts.apart() || s.counts.undecided()
			s.counts.throttled(avoided)
		case wire.TooLarge: // it is, whenever it comes
			avoided = f == never
			s.counts.throttled(avoided)
		}
		s.r.pause(ctx, t, status, avoided || f == never)
	})
}

// unresolved is what Acquire returns for a call that could not be asked for.
func (l *Limiter) unresolved(err error) (*Reservation, error) {
	if !l.shadows() {
		return nil, err
	}
	l.shadow.scope("", "").notAsked(err)
	return new(Reservation), nil
}

// shadows reports whether the limiter is in shadow.
func (l *Limiter) shadows() bool { return l.check() == nil && l.config.shadow }

// logShadow logs the report at the limiter's end.
func (l *Limiter) logShadow(ctx context.Context) {
	if l.shadows() && l.config.warnings.log != nil {
		l.config.warnings.log().LogAttrs(ctx, slog.LevelInfo, "ratelimiter: what would have been",
			slog.Any(logGroup, l.ShadowReport()))
	}
}
