package ratelimiter

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
)

// A Limiter shares budgets between calls. Its methods are safe for concurrent
// use. It holds no goroutine while nobody waits and nothing is settled.
type Limiter struct {
	config  *config
	trace   *Trace
	id      string
	local   bool // the backend needs no I/O
	counter tokens.Counter

	mu       sync.Mutex
	accounts map[string]*account
	base     http.RoundTripper // where the caller brings none

	scopes atomic.Int64 // that there ever were
	closed atomic.Bool
	done   chan struct{}
	work   tasks
}

// New returns a limiter. Without options it keeps its budget in memory and
// learns the limits from the server's x-ratelimit-* headers. All faults of the
// configuration are reported together.
func New(options ...Option) (*Limiter, error) {
	c, err := newConfig(options)
	if err != nil {
		return nil, err
	}
	_, local := c.backend.(backend.Local)
	if !local && (c.pass || c.fallback != nil) {
		c.backend = &standIn{primary: c.backend, limits: c.fallback, inLine: map[string]bool{}, notify: func(err error) {
			if c.trace != nil && c.trace.Backend != nil {
				c.trace.Backend(err)
			}
		}}
	}
	return &Limiter{
		config:   c,
		trace:    c.trace,
		id:       rand.Text(),
		local:    local,
		counter:  c.counter,
		accounts: map[string]*account{},
		done:     make(chan struct{}),
	}, nil
}

// Acquire blocks until the call may start, and charges it. The error is an
// [*Error] where the limiter refuses the call, or the context's where that
// ends first; nothing is charged then.
//
// The reservation must be ended by Settle or Cancel:
//
//	r, err := limiter.Acquire(ctx, call)
//	if err != nil {
//		return err
//	}
//	defer r.Cancel()
//	... make the call ...
//	r.Settle(usage)
func (l *Limiter) Acquire(ctx context.Context, call Call) (*Reservation, error) {
	e, err := l.estimate(call)
	if err != nil {
		return nil, err
	}
	name, err := l.accountFor(ctx)
	if err != nil {
		return nil, err
	}
	r, err := l.account(name).acquire(ctx, e.model, e, false)
	if err != nil {
		return nil, err
	}
	r.ctx = context.WithoutCancel(ctx)
	return r, nil
}

// Do makes a call: it acquires, runs f and settles to the usage that f
// returns. Where f fails, the charge stays as it is, for failed requests count
// (OpenAI's rate-limit guide: "unsuccessful requests contribute to your
// per-minute limit").
func (l *Limiter) Do(ctx context.Context, call Call, f func(context.Context) (Usage, error)) error {
	r, err := l.Acquire(ctx, call)
	if err != nil {
		return err
	}
	settled := false
	defer func() {
		if !settled { // f has panicked
			r.Settle(Usage{})
		}
	}()
	u, err := f(ContextWithReservation(ctx, r))
	settled = true
	r.Settle(u)
	return err
}

// Delay is how long the call would wait if it came now, behind all who are in
// line; 0 means that it would start at once. It charges nothing, and does not
// count the pace of a scope's first seconds. A call that can never start gives
// [ErrTooLarge].
func (l *Limiter) Delay(ctx context.Context, call Call) (time.Duration, error) {
	e, err := l.estimate(call)
	if err != nil {
		return 0, err
	}
	name, err := l.accountFor(ctx)
	if err != nil {
		return 0, err
	}
	a := l.known(name)
	a.mu.Lock()
	s := a.scope(e.model)
	e.expect(s)
	now := time.Now()
	if limit := s.tooLarge(e.cost, now); limit != nil {
		err := s.refusal(ErrTooLarge, e, limit, now)
		a.mu.Unlock()
		return 0, err
	}
	ask := s.ask(now)
	ask.Buckets = ask.Buckets[:len(s.limits)]
	// The ticket in the backend carries the first calls in line; those behind
	// them are known here alone.
	var behind backend.Amounts
	for _, w := range s.waiting[min(s.turn, len(s.waiting)):] {
		for d, n := range w.estimate.cost {
			behind[d] += n
		}
	}
	a.mu.Unlock()
	ask.Costs = []backend.Amounts{e.cost}
	answer, err := l.config.backend.Look(ctx, ask.Ask)
	if err != nil {
		return 0, s.failure(err, e)
	}
	wait := answer.Wait
	for _, b := range ask.Buckets {
		wait = max(wait, answer.Wait+time.Duration(float64(behind[b.Dimension])*float64(b.Period)/float64(b.Limit)))
	}
	return wait, nil
}

// Clear fills the buckets of a model, those it shares included, and lifts
// their pauses; an empty model means all that the account has used. Limits and
// the line stay as they are, and calls in flight no longer give back.
func (l *Limiter) Clear(ctx context.Context, model string) error {
	name, err := l.accountFor(ctx)
	if err != nil {
		return err
	}
	a := l.known(name)
	a.mu.Lock()
	models := []string{NormalizeModel(model)}
	if models[0] == "" {
		models = a.models()
	}
	var owners []string
	for _, m := range models {
		s := a.scope(m)
		owners = append(owners, s.owner)
		for _, limit := range s.limits {
			if limit.owner != s.owner {
				owners = append(owners, limit.owner)
			}
			limit.gauge.Forget()
			limit.ramp, limit.start = calibration.Ramp{Begun: time.Now()}, 0
		}
	}
	a.mu.Unlock()
	err = l.config.backend.Clear(ctx, name, unique(owners))
	a.mu.Lock()
	for _, m := range models {
		if s := a.scopes[m]; s != nil {
			s.last = snapshot{}
			s.wake()
		}
	}
	a.mu.Unlock()
	if err != nil {
		return &Error{Reason: ErrBackend, Cause: err, Account: name, Model: model}
	}
	return nil
}

// Shutdown refuses new calls and those that wait with [ErrShutdown], and
// returns when everything has been settled that calls have finished with, or
// with the context's error. Calls in flight may go on; what they settle
// afterwards is still sent, but not waited for.
func (l *Limiter) Shutdown(ctx context.Context) error {
	if l.closed.CompareAndSwap(false, true) {
		close(l.done)
	}
	return l.work.wait(ctx)
}

// Transport returns an http.RoundTripper that limits the requests it sends
// through base. A nil base is a clone of http.DefaultTransport that waits at
// most ten minutes for a response's headers, as openai-go's own client does.
func (l *Limiter) Transport(base http.RoundTripper) *Transport {
	if base == nil {
		base = l.defaultBase()
	}
	return &Transport{limiter: l, base: base}
}

// defaultBase is one for all of the limiter's transports, so that they share
// connections.
func (l *Limiter) defaultBase() http.RoundTripper {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.base == nil {
		t, ok := http.DefaultTransport.(*http.Transport)
		if !ok {
			return http.DefaultTransport // the program has put in its own
		}
		t = t.Clone()
		t.ResponseHeaderTimeout = 10 * time.Minute
		l.base = t
	}
	return l.base
}

// Client returns an http.Client over [Limiter.Transport]. It has no Timeout,
// for that would include the wait: bound the wait with [WithMaxWait] or a
// context, and the server with the base's ResponseHeaderTimeout.
func (l *Limiter) Client(base http.RoundTripper) *http.Client {
	return &http.Client{Transport: l.Transport(base)}
}

// take and leave run without the caller's context: a charge whose answer
// nobody waits for would be lost. The backend bounds their time.
func (l *Limiter) take(ask backend.Ask) (backend.Answer, error) {
	return l.config.backend.Take(context.Background(), ask)
}

// leave takes a ticket out of the line. If that fails it goes stale.
func (l *Limiter) leave(ask backend.Ask) {
	ask.Costs, ask.Fresh, ask.Leave = nil, false, true
	l.later(func() { _, _ = l.take(ask) })
}

// settle sends a settlement. A pause that does not arrive would be lost for the
// whole fleet, and the longest counts, so that it may be told more than once;
// nothing else may.
func (l *Limiter) settle(s backend.Settlement) {
	l.later(func() {
		begun, wait := time.Now(), 100*time.Millisecond
		err := l.config.backend.Settle(context.Background(), s)
		for try := 0; err != nil && s.PauseOwner != "" && try < mostTries; try++ {
			select {
			case <-time.After(wait):
			case <-l.done:
				try = mostTries // the last one
			}
			pause := pauseOf(s)
			if pause.Pause -= time.Since(begun); pause.Pause <= 0 {
				return
			}
			err = l.config.backend.Settle(context.Background(), pause)
			wait = min(2*wait, probing/2) // it comes before what probes a store that was away
		}
	})
}

// mostTries is how often a pause is told again: for a minute at least.
const mostTries = 120

// later does what nobody waits for: at once with a local backend, else off the
// caller's path.
func (l *Limiter) later(f func()) {
	if l.local {
		f()
		return
	}
	l.work.start(f)
}
