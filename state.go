package ratelimiter

import (
	"cmp"
	"context"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
)

// State is what an account's budget looks like to this process. Its JSON has durations in
// nanoseconds.
type State struct {
	Account string `json:"account"`
	// Shadow says that the limiter has WithShadow: this is what would be.
	Shadow bool         `json:"shadow,omitempty"`
	Scopes []ScopeState `json:"scopes"` // sorted by model
	// Classes are those of WithClasses and any others that calls of this process are of, sorted
	// by name. They are empty without WithClasses where no call has a tenant.
	Classes []ShareState `json:"classes,omitempty"`
	// Tenants are ten tenants at most, sorted by what they were charged in the last minute.
	// Where there are more, these are the five that were charged most and, of the others, the
	// five whose calls have waited longest.
	Tenants []ShareState `json:"tenants,omitempty"`
	// ManyCredentials are hosts that have been called with many credentials within an
	// hour, each taken for an account: see [Trace.Credentials].
	ManyCredentials []string `json:"many_credentials,omitempty"`
}

// ShareState is a class of calls, or a tenant of one, in this process.
type ShareState struct {
	Class  string `json:"class"`
	Tenant string `json:"tenant,omitempty"` // empty for a class
	// Waiting is how many of its calls wait, and Oldest for how long the first of them has.
	Waiting int           `json:"waiting"`
	Oldest  time.Duration `json:"oldest_ns"`
	// Charged is what was charged for its calls that started in the last minute, in tokens, or
	// in requests for those that have none: the estimate while a call is in flight, and what it
	// was settled to once it has ended. Share is its part, from 0 to 1, in what was charged for
	// all.
	Charged int64   `json:"charged"`
	Share   float64 `json:"share"`
}

// ScopeState is one model of an account.
type ScopeState struct {
	Model string `json:"model"`
	// Class is empty, or a class with limits of its own, whose calls of the model are apart.
	Class string `json:"class,omitempty"`
	// Unused says that limits are configured for the model and no call has come for it: its
	// name may not be the one that requests give.
	Unused   bool          `json:"unused,omitempty"`
	Waiting  int           `json:"waiting"`   // calls of this process in line
	InFlight int           `json:"in_flight"` // calls of this process that have started and not ended
	Oldest   time.Duration `json:"oldest_ns"` // how long the oldest call in line has waited
	Paused   time.Duration `json:"paused_ns"` // how long a throttle by the server still pauses it
	Limits   []LimitState  `json:"limits"`
}

// LimitState is one limit that a scope draws from, and its bucket.
type LimitState struct {
	Name  string `json:"name"`  // "rpm", "rpd", "tpm", "tpd", "ipm", "concurrent" or "tpm/project", or "rpm/subwindow" and so on
	Owner string `json:"owner"` // the model, "family:" and a family's name, "class:" and that of a class, or "account"
	Limit int64  `json:"limit"`
	// Remaining is negative while a debt is refilled. Of a limit on calls in flight it is
	// what the calls of all processes leave: those of this process as they are now, those of
	// others as these have said within the last second.
	Remaining int64         `json:"remaining"`
	Reset     time.Duration `json:"reset_ns"` // until the bucket is full again
	// Unknown says that nobody knows how full the bucket is, since the backend does not
	// answer and WithFallback or WithFailOpen lets calls through. Remaining and Reset are 0
	// then.
	Unknown bool `json:"unknown,omitempty"`
	// Margin is the part of the limit that is left unused, because the server's bucket is
	// never known exactly. It is half a percent, and more after the limiter has been wrong.
	// Before any response has reported the bucket, it is what refills while requests are on
	// their way.
	Margin int64 `json:"margin"`
	// Burst is the time in which an empty bucket fills, where that is not the limit's period.
	// It is what was configured. Where Name ends in "/subwindow" it is the shorter period in
	// which the server enforces the limit, as one of its throttles has shown.
	Burst time.Duration `json:"burst_ns,omitempty"`
	// Ramp is how much may start per minute after the server has sent slow_down, while
	// traffic may grow only slowly; else 0.
	Ramp int64 `json:"ramp,omitempty"`
	// Pace is how much may start per minute while the model's first calls are paced; else 0.
	Pace int64 `json:"pace,omitempty"`
	// Ignored is for how much longer the server's reports of this bucket are ignored, because
	// they could not be true.
	Ignored time.Duration `json:"ignored_ns,omitempty"`
	// KeepsUnused says that the server has been seen to keep output that was
	// declared and not used, rather than to give it back when a call ends.
	KeepsUnused bool `json:"keeps_unused,omitempty"`
	// Source is where Limit comes from: "configured", "configured in another process" that was
	// heard of Age ago, or the header or "a throttle by the server" that reported it, Age ago.
	Source string        `json:"source"`
	Age    time.Duration `json:"age_ns,omitempty"`
}

// State reports an account's models: those that calls have come for and those that are
// configured. It changes nothing.
func (l *Limiter) State(ctx context.Context) (State, error) {
	if err := l.check(); err != nil {
		return State{}, err
	}
	name, err := l.accountFor(ctx)
	if err != nil {
		return State{}, err
	}
	scopes, err := l.engine.State(ctx, name)
	if err != nil {
		return State{}, rejected(err, name, "")
	}
	state := State{Account: name, Shadow: l.config.shadow, Scopes: []ScopeState{}, ManyCredentials: l.watch.Hosts()}
	for i := range scopes {
		state.Scopes = append(state.Scopes, newScopeState(&scopes[i]))
	}
	classes, tenants := l.engine.Shares(name)
	state.Classes, state.Tenants = newShareStates(classes), newShareStates(tenants)
	return state, nil
}

func newShareStates(shares []engine.ShareState) (states []ShareState) {
	for _, s := range shares {
		states = append(states, ShareState(s))
	}
	return states
}

func newScopeState(s *engine.ScopeState) ScopeState {
	state := ScopeState{Model: s.Model, Class: s.Class, Unused: s.Unused, Waiting: s.Waiting, InFlight: s.InFlight, Oldest: s.Oldest, Paused: s.Paused, Limits: []LimitState{}}
	for i := range s.Limits {
		l := &s.Limits[i]
		state.Limits = append(state.Limits, LimitState{
			Name: l.Name, Owner: cmp.Or(l.Owner, s.Model), Limit: l.Limit, Remaining: l.Remaining, Reset: l.Reset, Unknown: l.Unknown,
			Margin: l.Margin, Burst: l.Burst, Ramp: l.Ramp, Pace: l.Pace, Ignored: l.Ignored, KeepsUnused: l.KeepsUnused,
			Source: l.Source, Age: l.Age,
		})
	}
	return state
}
