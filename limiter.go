package ratelimiter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
	"github.com/openai-ratelimiter/ratelimiter/internal/failover"
	"github.com/openai-ratelimiter/ratelimiter/internal/identity"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
)

// A Limiter shares budgets between calls. Its methods are safe for concurrent
// use. It needs no goroutine while nobody waits and nothing is settled. New makes
// one; the methods of a Limiter that New has not made fail with [ErrNoLimiter].
//
// Acquire, Do, Delay, Clear, State and Fleet are about one account: the one that the context or
// [WithAccount] names, or else the only one that is known. If several are known they fail with
// [ErrNoAccount]. If they need the backend and it does not answer, they fail with [ErrBackend].
type Limiter struct {
	config  *config
	engine  *engine.Engine
	counter tokens.Counter
	watch   identity.Watch // of credentials
	named   named
	lost    atomic.Pointer[time.Time]        // when it was last warned of a body that nobody has closed
	classes atomic.Pointer[map[string]Class] // to nil if WithClasses was not given
	unknown once                             // classes that are not among them
	shadow  shadow

	setting sync.Mutex // held by SetLimits, so that all that it sets is of one call

	mu   sync.Mutex
	base http.RoundTripper // where the caller brings none
}

// New returns a limiter. Without options it keeps its budget in memory and
// learns the limits from the server's x-ratelimit-* headers. All faults of the
// configuration are reported together.
func New(options ...Option) (*Limiter, error) {
	c, err := newConfig(options)
	if err != nil {
		return nil, err
	}
	l := &Limiter{config: c, engine: engine.New(c.engine()), counter: c.counter}
	l.named.set(c.rules().Named())
	l.classes.Store(&c.classes)
	l.shadow.since = time.Now()
	for _, t := range c.traces {
		if t.Made == nil {
			continue
		}
		if err := t.Made(l); err != nil {
			return nil, fmt.Errorf("ratelimiter: a Made hook failed: %w", err)
		}
	}
	return l, nil
}

// engine is the configuration of the engine.
func (c *config) engine() engine.Config {
	e := engine.Config{Backend: c.withFailover(), Fleet: c.fleet(), Rules: *c.rules(), MaxPause: c.maxPause, MaxWaiting: c.maxWaiting,
		Warn: c.warnings.longWait(c.shadow), LongWait: c.warnings.after}
	if c.shadow {
		e.Ledger = shadowLedger
	}
	return e
}

// rules are the limits that are configured.
func (c *config) rules() *engine.Rules {
	rules := engine.Rules{Models: map[string]quota.Rule{}, Classes: c.ceilings(), ClassNames: slices.Collect(maps.Keys(c.classes))}
	for model, limits := range c.models {
		rules.Models[model] = limits.rule()
	}
	for name, f := range c.families {
		rules.Families = append(rules.Families, engine.Family{Name: name, Rule: f.limits.rule(), Models: f.models})
	}
	if c.limits != nil {
		rule := c.limits.rule()
		rules.Account = &rule
	}
	return &rules
}

// withFailover is the backend, and what answers while it does not where the user wants
// that.
func (c *config) withFailover() backend.Backend {
	primary := c.withReports()
	if _, local := primary.(backend.Local); local || !c.failOpen && c.fallback == nil {
		return primary
	}
	f := failover.Config{Primary: primary, Slots: -1, Shared: quota.IsShared, Notify: c.traceBackend}
	if c.fallback != nil {
		rule := c.fallback.rule()
		f.Limits, f.Slots = quota.Unpaced(time.Now(), rule.Limits("")), rule.Concurrent
	}
	return failover.New(f)
}

// check reports whether the limiter was made by New.
func (l *Limiter) check() error {
	if l == nil || l.engine == nil {
		return &Error{Reason: ErrNoLimiter}
	}
	return nil
}

// Acquire blocks until the call may start, and charges it. The error is an
// [*Error] if the limiter rejects the call, or the context's where that
// ends first; nothing is charged then.
//
// The reservation must be ended by Settle or Cancel:
//
//	r, err := limiter.Acquire(ctx, call)
//	if err != nil {
//		return err
//	}
//	defer r.Cancel()
//	// make the call
//	r.Settle(usage)
func (l *Limiter) Acquire(ctx context.Context, call Call) (*Reservation, error) {
	r, err := l.resolve(ctx, call)
	if err != nil {
		return l.unresolved(err)
	}
	if err := r.admit(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// resolve works out what a call without HTTP costs, and who pays.
func (l *Limiter) resolve(ctx context.Context, call Call) (*Reservation, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	account, err := l.accountFor(ctx)
	if err != nil {
		return nil, err
	}
	r := &Reservation{limiter: l}
	r.engine.Call.Account = account
	return r, r.estimateCall(call)
}

// admit waits until the reservation's call may start; in shadow it starts at once.
func (r *Reservation) admit(ctx context.Context) error {
	r.ctx = ctx
	if r.limiter.config.shadow {
		r.startInShadow(ctx)
		return nil
	}
	return r.ask(ctx)
}

// ask asks the engine, and returns when the call may start.
func (r *Reservation) ask(ctx context.Context) (err error) {
	l, c := r.limiter, &r.engine.Call
	var arrived time.Time
	traced := l.traced(ctx)
	if traced {
		arrived = time.Now()
	}
	c.MaxWait = l.config.maxWait
	var longest time.Duration
	if c.Flow, longest = l.flow(ctx); longest > 0 {
		c.MaxWait = longest
	}
	if d, ok := value[time.Duration](ctx, maxWaitKey); ok {
		c.MaxWait = d
	}
	if traces := l.traces(ctx); traces.waiting() || r.shadow != nil {
		c.Waiting = func(w engine.Waiting) {
			r.shadow.waits()
			traces.callWaiting(ctx, WaitingInfo{
				Account: c.Account, Model: c.Model, Class: c.Flow.Class, Tenant: c.Flow.Tenant, Endpoint: r.endpointName(),
				Cost: costOf(c.Model, w.Cost), Ahead: w.Ahead, Wait: w.Wait, Slot: w.Slot, Shadow: l.config.shadow,
			})
		}
	}
	started, returns := false, false
	defer func() {
		switch {
		case !traced:
		case !started: // or a hook or the backend has panicked
			l.traceNotStarted(ctx, NotStartedInfo{
				Account: c.Account, Model: c.Model, Class: c.Flow.Class, Tenant: c.Flow.Tenant, Endpoint: r.endpointName(),
				Waited: time.Since(arrived), Queued: r.engine.Queued(), Err: err, Shadow: l.config.shadow,
			})
		case !returns: // a hook has panicked
			r.ends(&engine.Outcome{Cancelled: true})
			r.engine.Release()
		}
	}()
	l.warnIfNotNamed(ctx, c.Model)
	if err := l.engine.Admit(ctx, &r.engine); err != nil {
		return callRejected(err, c)
	}
	started = true
	if traced {
		r.reportStarted(ctx, arrived)
	}
	returns = true
	return nil
}

// reportStarted is apart from ask, whose frame each call that waits has on its stack.
//
//go:noinline
func (r *Reservation) reportStarted(ctx context.Context, arrived time.Time) {
	l, c := r.limiter, &r.engine.Call
	l.traceStarted(ctx, StartedInfo{
		Account: c.Account, Model: c.Model, Class: c.Flow.Class, Tenant: c.Flow.Tenant, Endpoint: r.endpointName(),
		Cost: costOf(c.Model, r.engine.Cost()), Waited: time.Since(arrived), Queued: r.engine.Queued(), Shadow: l.config.shadow,
	})
}

// Do makes a call: it acquires, runs f and settles to the usage that f returns, or to that of
// the response if a Transport of the limiter has made the call with f's context. If f fails and
// returns no usage, the charge stays as it is, since failed requests count (OpenAI's rate-limit
// guide: "unsuccessful requests contribute to your per-minute limit").
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

// Delay is how long the call would wait if it came now, behind all calls in line; 0 means that
// it would start at once. It charges and changes nothing. While a model's calls are
// paced it is what the present pace takes, which grows with time and with each response. A call
// that can never start gives [ErrTooLarge].
func (l *Limiter) Delay(ctx context.Context, call Call) (time.Duration, error) {
	r, err := l.resolve(ctx, call)
	if err != nil {
		return 0, err
	}
	c := &r.engine.Call
	c.Flow, _ = l.flow(ctx)
	wait, err := l.engine.Forecast(ctx, c)
	return wait, callRejected(err, c)
}

// Clear fills the buckets of a model, those it shares and the ceilings of classes included,
// and lifts their pauses. An empty model means all models that are configured, or that the
// account has used in this process. Limits and the line stay as they are. Calls that are in
// flight then refund nothing when they end.
func (l *Limiter) Clear(ctx context.Context, model string) error {
	if err := l.check(); err != nil {
		return err
	}
	account, err := l.accountFor(ctx)
	if err != nil {
		return err
	}
	model = normalizeModel(model)
	return rejected(l.engine.Clear(ctx, account, model), account, model)
}

// SetLimits replaces all configured limits while the limiter runs. It takes [WithLimits],
// [WithShared] and [WithAccountLimits]; what none of them names is learned from then on. With
// [WithClasses] it also replaces all classes, and without it leaves them as they are. Options
// are checked as New checks them: if anything is wrong, all of it is reported together, and
// nothing changes.
//
// What is used stays used. Calls that wait see the new limits at once. One that has become too
// large for them fails with [ErrTooLarge] when it comes to the head of its line. Where a limit
// is set to another amount, what the server has said of it is forgotten until the server says
// it again. Calls that wait keep the class that they came with, whose new weight holds from
// its next call on. If their class gets its first limits, those do not hold them back.
//
// Processes that share a backend which keeps notes ([backend.Keeper]), as the one on Redis does,
// all assume the largest amount that any of them has configured for a limit. So a limit that is
// raised in one of them is raised in all: within a second or two for those that wait, and in a few
// seconds elsewhere. One that is lowered is lower a few seconds after all have been told, or three
// minutes if models share it, and three minutes after the last process that was not told has gone.
// That does not go for the limits of a class, for Limits.Burst and for Limits.Concurrent, nor for a
// limit that a process has not configured at all: give all processes the same. With other backends
// each process keeps to its own limits, and one with a lower limit may get nothing while the others
// are busy.
func (l *Limiter) SetLimits(options ...Option) error {
	if err := l.check(); err != nil {
		return err
	}
	c := emptyConfig()
	c.backend = l.config.backend
	for _, o := range options {
		if _, ok := o.(limitsOption); !ok && o != nil {
			c.fault(errors.New("SetLimits takes WithLimits, WithShared, WithAccountLimits and WithClasses, and no other option"))
			continue
		}
		c.apply(o)
	}
	if err := c.check(); err != nil {
		return err
	}
	l.setting.Lock()
	defer l.setting.Unlock()
	if c.classes == nil {
		c.classes = *l.classes.Load()
	}
	l.classes.Store(&c.classes)
	rules := c.rules()
	l.named.set(rules.Named())
	l.engine.SetRules(rules)
	return nil
}

// Shutdown rejects new calls and those that wait, with [ErrShutdown]. It returns when all
// calls that have ended are settled, or with the context's error. Calls in flight may go on.
// What they settle afterwards is still sent, and a second Shutdown waits for it.
//
// A service shuts down its limiter before its http.Server, and once more after it. In the
// other order, the server waits for handlers whose calls stand in line, until its deadline.
//
// With [WithShadow] it logs the [ShadowReport], at Info, where the limiter logs its
// warnings.
func (l *Limiter) Shutdown(ctx context.Context) error {
	if err := l.check(); err != nil {
		return err
	}
	err := l.engine.Shutdown(ctx)
	l.logShadow(ctx)
	return err
}

// Transport returns an http.RoundTripper that limits the requests it sends
// through base. A nil base is a clone of http.DefaultTransport that waits at
// most ten minutes for a response's headers, as openai-go's own client does.
func (l *Limiter) Transport(base http.RoundTripper) *Transport {
	if base == nil && l.check() == nil {
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
