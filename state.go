package ratelimiter

import (
	"cmp"
	"context"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
)

// State is what an account's budget looks like to this process.
type State struct {
	Account string
	Scopes  []ScopeState // sorted by model
	// ManyCredentials are hosts that have been called with many credentials within an
	// hour, each taken for an account: see [Trace.Credentials].
	ManyCredentials []string
}

// ScopeState is one model of an account.
type ScopeState struct {
	Model string
	// Unused says that limits are configured for the model and no call has come for it: its
	// name may not be the one that requests give.
	Unused   bool
	Waiting  int           // calls of this process in line
	InFlight int           // calls of this process that have started and not ended
	Oldest   time.Duration // how long the oldest call in line has waited
	Paused   time.Duration // how long a throttle by the server still pauses it
	Limits   []LimitState
}

// LimitState is one limit that a scope draws from, and its bucket.
type LimitState struct {
	Name      string // "rpm", "rpd", "tpm", "tpd", "ipm" or "tpm/project", or "rpm/subwindow" and so on
	Owner     string // the model, "family:" and a family's name, or "account"
	Limit     int64
	Remaining int64         // negative while a debt is refilled
	Reset     time.Duration // until the bucket is full again
	// Unknown says that nobody knows how the bucket stands, since the backend does
	// not answer and WithFallback or WithFailOpen lets calls through: Remaining and
	// Reset are 0.
	Unknown bool
	// Margin is what is left unused, so that what is not known of the server's
	// bucket throttles nothing: a least one, and what its responses have shown to go
	// wrong, or, before any response has shown that, what requests take to get there.
	Margin int64
	// Burst is the time in which refills what the bucket holds, where that is not
	// the limit's period: as configured, or, where Name ends in "/subwindow",
	// the subwindows in which a throttle by the server has shown it to enforce the limit.
	Burst time.Duration
	// Ramp is what is let through a minute while traffic may only grow slowly,
	// after the server has sent slow_down; else 0.
	Ramp int64
	// Ignored is for how long what the server says of its bucket is not believed
	// any more, since it could not be true.
	Ignored time.Duration
	// KeepsUnused says that the server has been seen to keep output that was
	// declared and not used, rather than to give it back when a call ends.
	KeepsUnused bool
	// Source is where Limit comes from: "configured" or the header that
	// reported it, Age ago.
	Source string
	Age    time.Duration
}

// State reports the account that ctx or WithAccount names, or else the only
// one the limiter has met. It changes nothing.
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
	state := State{Account: name, ManyCredentials: l.watch.Hosts()}
	for i := range scopes {
		state.Scopes = append(state.Scopes, newScopeState(&scopes[i]))
	}
	return state, nil
}

func newScopeState(s *engine.ScopeState) ScopeState {
	state := ScopeState{Model: s.Model, Unused: s.Unused, Waiting: s.Waiting, InFlight: s.InFlight, Oldest: s.Oldest, Paused: s.Paused}
	for i := range s.Limits {
		l := &s.Limits[i]
		state.Limits = append(state.Limits, LimitState{
			Name: l.Name, Owner: cmp.Or(l.Owner, s.Model), Limit: l.Limit, Remaining: l.Remaining, Reset: l.Reset, Unknown: l.Unknown,
			Margin: l.Margin, Burst: l.Burst, Ramp: l.Ramp, Ignored: l.Ignored, KeepsUnused: l.KeepsUnused,
			Source: l.Source, Age: l.Age,
		})
	}
	return state
}
