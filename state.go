package ratelimiter

import (
	"context"
	"slices"
	"time"
)

// State is what an account's budget looks like to this process.
type State struct {
	Account string
	Scopes  []ScopeState // sorted by model
}

// ScopeState is one model of an account.
type ScopeState struct {
	Model    string
	Waiting  int           // calls of this process in line
	InFlight int           // calls of this process that have started and not ended
	Oldest   time.Duration // how long the first call in line has waited
	Paused   time.Duration // how long a refusal by the server still pauses it
	Limits   []LimitState
}

// LimitState is one limit that a scope draws from, and its bucket.
type LimitState struct {
	Name      string // "rpm", "rpd", "tpm", "tpd" or "ipm", or "rpm/slice" and so on
	Owner     string // the model, "family:" and a family's name, or "account"
	Limit     int64
	Remaining int64         // negative while a debt is refilled
	Reset     time.Duration // until the bucket is full again
	// Margin is what is left unused, so that what is not known of the server's
	// bucket refuses nothing: a least one, and what its answers have shown to go
	// wrong, or, before any answer has told of it, what requests take to get there.
	Margin int64
	// Burst is the time in which refills what the bucket holds, where that is not
	// the limit's period: as configured, or, where Name ends in "/slice", the
	// slices in which a refusal by the server has shown it to enforce the limit.
	Burst time.Duration
	// Ramp is what is let through a minute while traffic may only grow slowly,
	// after the server has answered slow_down; else 0.
	Ramp int64
	// Ignored is for how long what the server says of its bucket is not believed
	// any more, since it could not be true.
	Ignored time.Duration
	// KeepsUnused says that the server has been seen to keep output that was
	// declared and not used, rather than to give it back when a call ends.
	KeepsUnused bool
	// Source is where Limit comes from: "configured" or the header that told
	// it, Age ago.
	Source string
	Age    time.Duration
}

// State reports the account that ctx or WithAccount names, or else the only
// one the limiter has met.
func (l *Limiter) State(ctx context.Context) (State, error) {
	name, err := l.accountFor(ctx)
	if err != nil {
		return State{}, err
	}
	a := l.known(name)
	state := State{Account: name}
	a.mu.Lock()
	models := a.models()
	a.mu.Unlock()
	for _, m := range models {
		scope, err := l.scopeState(ctx, a, m)
		if err != nil {
			return State{}, err
		}
		state.Scopes = append(state.Scopes, scope)
	}
	return state, nil
}

func (l *Limiter) scopeState(ctx context.Context, a *account, model string) (ScopeState, error) {
	now := time.Now()
	a.mu.Lock()
	s := a.scope(model)
	state := ScopeState{Model: model, Waiting: len(s.waiting), InFlight: s.inFlight}
	if len(s.waiting) > 0 {
		state.Oldest = now.Sub(s.waiting[0].arrived)
	}
	ask := s.ask(now)
	ask.Buckets = ask.Buckets[:len(s.limits)]
	for _, limit := range s.limits {
		ls := LimitState{Name: limit.name, Owner: limit.owner, Limit: limit.amount()}
		if limit.owner == s.owner {
			ls.Owner = model
		}
		ls.Source, ls.Age = limit.source(now)
		ls.Ramp = int64(limit.ramp.Rate(now, float64(limit.amount())))
		ls.Ignored = limit.gauge.Ignored(now)
		ls.KeepsUnused = limit.gauge.Findings().Kept
		state.Limits = append(state.Limits, ls)
	}
	a.mu.Unlock()

	answer, err := l.config.backend.Look(ctx, ask.Ask)
	if err != nil {
		return state, &Error{Reason: ErrBackend, Cause: err, Account: a.name, Model: model}
	}
	state.Paused = answer.Paused
	for i := range state.Limits {
		b := &ask.Buckets[i]
		state.Limits[i].Margin, state.Limits[i].Burst = int64(b.Margin), b.Burst
		state.Limits[i].Remaining = int64(answer.Levels[i])
		state.Limits[i].Reset = time.Duration((b.Capacity() - answer.Levels[i]) * float64(b.Period) / float64(b.Limit))
	}
	return state, nil
}

// unique sorts names and drops those that stand twice.
func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
