package ratelimiter

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Trace is a set of hooks into the life of calls, in the manner of net/http/httptrace. Any of
// them may be nil. They run on the goroutines of the calls they are about, without any lock.
// They must be safe for concurrent use, and must return soon. If a hook panics, the panic
// reaches the caller of the function that ran it, such as Acquire, RoundTrip or a body's Read.
// The call ends then: its request is not sent, or its response's body is closed, and its
// charge is cancelled or settled.
type Trace struct {
	// Waiting is called once for a call that can't start at once and joins the queue. Started
	// or NotStarted follows for each, with Queued set.
	Waiting func(context.Context, WaitingInfo)
	// Started is called when a call has been charged and may start.
	Started func(context.Context, StartedInfo)
	// NotStarted is called when a call that asked for its budget won't start: the limiter
	// rejects it, or its context has ended. Whatever happens, also if a hook panics, each
	// call that asks is reported once, here or to Started.
	NotStarted func(context.Context, NotStartedInfo)
	// Observed is called when a response's headers have been read.
	Observed func(context.Context, ObservedInfo)
	// Paused is called when the server throttles a call, also if that pauses nobody.
	Paused func(context.Context, PausedInfo)
	// Settled is called once for each call that had started, when its charge
	// is final.
	Settled func(context.Context, SettledInfo)
	// Credentials is called once for a host that has been called with many credentials
	// within an hour. Each is taken for an account with a budget of its own. If all of them
	// belong to one account, name it with WithAccount. It is also called once for a host that
	// has been called with a JWT that names nobody.
	Credentials func(context.Context, CredentialsInfo)
	// Made is called by New with the new limiter, so that the hooks can ask it for its State
	// later. If Made returns an error, New fails with it. Hooks of a context don't get it.
	Made func(*Limiter) error
	// Command is called after each command to a backend other than memory. Like Backend it
	// belongs to no call: if it panics, the panic is logged, and nobody gets it.
	Command func(CommandInfo)
	// Backend is called with an error when the backend has stopped answering, and
	// with nil when it answers again, where WithFallback or WithFailOpen is set. It
	// belongs to no call, so hooks of a context don't get it.
	Backend func(error)
}

// WaitingInfo is given to [Trace.Waiting].
type WaitingInfo struct {
	Account, Model string
	Class, Tenant  string
	Endpoint       string // see [StartedInfo]
	Cost           Cost
	Ahead          int           // calls of its tenant in this process before it
	Wait           time.Duration // how long at least, as far as is known
	// Slot says that the call finds no slot free: as many calls are in flight as
	// Limits.Concurrent lets this process have. Nobody knows how long that takes.
	Slot   bool
	Shadow bool // see [StartedInfo]
}

// StartedInfo is given to [Trace.Started].
type StartedInfo struct {
	Account, Model string
	Class, Tenant  string
	// Endpoint is whose accounting the call has, as its path below the base, such as
	// "chat/completions"; empty for a [Cost].
	Endpoint string
	Cost     Cost
	Waited   time.Duration
	Queued   bool // Waiting has been called
	// Shadow says that the limiter has WithShadow: the call started when it came, and would
	// have waited for Waited.
	Shadow bool
}

// NotStartedInfo is given to [Trace.NotStarted].
type NotStartedInfo struct {
	Account, Model string
	Class, Tenant  string
	Endpoint       string // see [StartedInfo]
	Waited         time.Duration
	Queued         bool // Waiting has been called
	// Err is what the caller gets: an [*Error], or its context's error. It is nil where
	// the caller gets a panic.
	Err error
	// Shadow says that the limiter has WithShadow: the call has started all the same, and its
	// caller would have got Err.
	Shadow bool
}

// Code says in a word why the call did not start, for logs and metrics: [Error.Code] of a
// rejection, "deadline" or "cancelled" if its context ended, "panic" if its caller got a panic,
// or "error".
func (i NotStartedInfo) Code() string {
	var e *Error
	switch {
	case i.Err == nil:
		return "panic"
	case errors.As(i.Err, &e) && e.Code() != "":
		return e.Code()
	case errors.Is(i.Err, context.DeadlineExceeded):
		return "deadline"
	case errors.Is(i.Err, context.Canceled):
		return "cancelled"
	}
	return "error"
}

// ObservedInfo is given to [Trace.Observed].
type ObservedInfo struct {
	Account, Model string // empty for a request that is not limited
	Class, Tenant  string
	Status         int
	Requests       Observation
	Tokens         Observation
	// Charged is what the server says it has charged for the request, in tokens: Mistral's
	// x-ratelimit-tokens-query-cost. 0 where it does not say.
	Charged int64
	Latency time.Duration // from sending the request to its headers
	Shadow  bool          // see [StartedInfo]
}

// Observation is what a response said about one of the server's buckets. The
// fields are zero where it said nothing.
type Observation struct {
	Limit, Remaining int64
	Reset            time.Duration // until the bucket is full again
	// Corrected is by how much the limiter has moved what remains in its own bucket, so
	// that it is where the server's is: negative where less was left there. Where
	// there are several buckets, of a minute and of a day, it is the largest move.
	Corrected int64
}

// PausedInfo is given to [Trace.Paused].
type PausedInfo struct {
	Account, Model string
	Class, Tenant  string
	Endpoint       string        // see [StartedInfo]
	For            time.Duration // 0: nobody was paused
	// Kind is "rate_limit", "too_large", "quota", "slow_down", "unavailable",
	// "overloaded" or "other".
	Kind    string
	Message string // the server's words, at most 1 KiB
	Shadow  bool   // see [StartedInfo]
	// Avoided says that the limiter would have prevented the throttle, had it not been in
	// shadow: it would have held back the call, or those before it.
	Avoided bool
}

// SettledInfo is given to [Trace.Settled].
type SettledInfo struct {
	Account, Model string
	Class, Tenant  string
	Endpoint       string // see [StartedInfo]
	Charged        Cost   // when the call started
	Final          Cost   // what stays charged
	// Estimate is what Usage was expected to be: the tokens of the input, and
	// for the output the declared maximum, or what recent responses have needed.
	Estimate Usage
	// Usage is what the response said, or the caller of Settle. Where HasUsage
	// is false nothing was said, and OutputTokens are those of a stream's
	// deltas, as far as they were seen.
	Usage    Usage
	HasUsage bool
	Duration time.Duration // from the start
	Shadow   bool          // see [StartedInfo]
}

// CredentialsInfo is given to [Trace.Credentials].
type CredentialsInfo struct {
	Host        string
	Credentials int // at least; 0 if Nameless
	// Nameless says that the host was called with a JWT which has nothing that tells its bearers
	// apart: no subject, client, application or user, nor any other claim that its renewal leaves
	// and that not all tokens of its issuer have. All of them are taken for one account. If they
	// are several, name them with WithAccount or ContextWithAccount.
	Nameless bool
}

// CommandInfo is given to [Trace.Command].
type CommandInfo struct {
	Name     string // "take", "settle", "look", "clear", "keep", "recall", "lease", "report" or "reports"
	Duration time.Duration
	Err      error // backend.ErrTooLarge is a regular reply
	GaveUp   bool  // the caller's context had ended, so the error says nothing about the backend
}

// hooks are those that hold for a call: of its context, and of the limiter.
type hooks struct {
	own     *Trace
	limiter []*Trace
}

func (l *Limiter) traces(ctx context.Context) hooks {
	t, _ := value[*Trace](ctx, traceKey)
	return hooks{t, l.config.traces}
}

// traced reports whether anybody listens to a call of this context, which may be nil.
func (l *Limiter) traced(ctx context.Context) bool {
	return len(l.config.traces) > 0 || ctx != nil && ctx.Value(traceKey) != nil
}

func (h hooks) waiting() bool {
	waits := func(t *Trace) bool { return t.Waiting != nil }
	return h.own != nil && waits(h.own) || slices.ContainsFunc(h.limiter, waits)
}

// each runs the hooks in order, the context's first: those that follow also where one
// panics.
func (h hooks) each(run func(*Trace)) {
	if h.own != nil {
		defer eachOf(h.limiter, run)
		run(h.own)
		return
	}
	eachOf(h.limiter, run)
}

func eachOf(traces []*Trace, run func(*Trace)) {
	if len(traces) == 0 {
		return
	}
	defer eachOf(traces[1:], run)
	run(traces[0])
}

func (h hooks) callWaiting(ctx context.Context, info WaitingInfo) {
	h.each(func(t *Trace) {
		if t.Waiting != nil {
			t.Waiting(ctx, info)
		}
	})
}

func (l *Limiter) traceStarted(ctx context.Context, info StartedInfo) {
	l.traces(ctx).each(func(t *Trace) {
		if t.Started != nil {
			t.Started(ctx, info)
		}
	})
}

func (l *Limiter) traceNotStarted(ctx context.Context, info NotStartedInfo) {
	l.traces(ctx).each(func(t *Trace) {
		if t.NotStarted != nil {
			t.NotStarted(ctx, info)
		}
	})
}

func (l *Limiter) traceObserved(ctx context.Context, info ObservedInfo) {
	l.traces(ctx).each(func(t *Trace) {
		if t.Observed != nil {
			t.Observed(ctx, info)
		}
	})
}

func (l *Limiter) tracePaused(ctx context.Context, info PausedInfo) {
	l.traces(ctx).each(func(t *Trace) {
		if t.Paused != nil {
			t.Paused(ctx, info)
		}
	})
}

func (l *Limiter) traceSettled(ctx context.Context, info SettledInfo) {
	l.traces(ctx).each(func(t *Trace) {
		if t.Settled != nil {
			t.Settled(ctx, info)
		}
	})
}

func (l *Limiter) traceCredentials(ctx context.Context, info CredentialsInfo) {
	l.traces(ctx).each(func(t *Trace) {
		if t.Credentials != nil {
			t.Credentials(ctx, info)
		}
	})
}

// traceBackend calls the hooks about the backend.
func (c *config) traceBackend(err error) {
	for _, t := range c.traces {
		if t.Backend != nil {
			c.harmless(context.Background(), hookPanicked, func() { t.Backend(err) })
		}
	}
}

// traceCommand calls the hooks about a command.
func (c *config) traceCommand(info CommandInfo) {
	for _, t := range c.traces {
		if t.Command != nil {
			c.harmless(context.Background(), hookPanicked, func() { t.Command(info) })
		}
	}
}
