package engine

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// ScopeState is one model of an account, as this process sees it.
type ScopeState struct {
	Model, Class      string // Class is one that has limits of its own
	Unused            bool   // its limits are configured, and no call has come for it
	Waiting, InFlight int
	Oldest, Paused    time.Duration
	Limits            []LimitState
}

// LimitState is one limit that a scope draws from, and its bucket.
type LimitState struct {
	Name, Owner      string // Owner is empty for the model's own
	Limit, Remaining int64
	Reset            time.Duration // until the bucket is full again
	Unknown          bool          // Remaining and Reset are, and 0
	Margin           int64
	Ramp, Pace       int64 // what may start a minute
	Burst, Ignored   time.Duration
	KeepsUnused      bool
	Source           string
	Age              time.Duration
}

// State describes the scopes of an account and the models that are configured, sorted by
// model. It changes nothing.
func (e *Engine) State(ctx context.Context, name string) ([]ScopeState, error) {
	a := e.peek(name)
	var scopes []ScopeState
	used := map[string]int64{} // slots, by owner
	for _, key := range a.keys() {
		state, look, concurrent := a.state(key, time.Now())
		answer, err := e.config.Backend.Look(ctx, look)
		if err != nil {
			return nil, &Rejection{Reason: BackendFailed, Cause: err}
		}
		state.Paused = answer.Paused
		for i := range state.Limits {
			b, l := &look.Buckets[i], &state.Limits[i]
			l.Margin, l.Burst = int64(b.Margin), b.Burst
			if l.Unknown = i >= len(answer.Levels); l.Unknown {
				continue
			}
			l.Remaining = int64(answer.Levels[i])
			l.Reset = time.Duration((b.Capacity() - answer.Levels[i]) * float64(b.Period) / float64(b.Limit))
		}
		for _, l := range concurrent {
			n, ok := used[l.Owner]
			if !ok {
				lease, err := e.lessor.Lease(ctx, backend.Claim{Account: e.ledger(name), Owner: l.Owner})
				if err != nil {
					return nil, &Rejection{Reason: BackendFailed, Cause: err}
				}
				if n = lease.Used; n >= 0 {
					n += a.unsaid(l.Owner, time.Now())
				}
				used[l.Owner] = n
			}
			if l.Unknown = n < 0; !l.Unknown {
				l.Remaining = l.Limit - n
			}
			if l.Owner == quota.ModelOwner(key.model) {
				l.Owner = ""
			}
			state.Limits = append(state.Limits, l)
		}
		scopes = append(scopes, state)
	}
	return scopes, nil
}

// keys returns those of the scopes and of the models that are configured, sorted.
func (a *account) keys() []scopeKey {
	a.mu.Lock()
	defer a.mu.Unlock()
	keys := slices.Collect(maps.Keys(a.scopes))
	for _, model := range a.engine.rules.Load().Named() {
		keys = append(keys, scopeKey{model: model})
	}
	slices.SortFunc(keys, func(a, b scopeKey) int {
		return cmp.Or(cmp.Compare(a.model, b.model), cmp.Compare(a.class, b.class))
	})
	return slices.Compact(keys)
}

// state describes a scope but for its levels, and what to ask the backend about those; and
// its limits on calls in flight, with their owners.
func (a *account) state(key scopeKey, now time.Time) (ScopeState, backend.Ask, []LimitState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.peekScopeLocked(key)
	state := ScopeState{Model: key.model, Class: key.class, Unused: a.scopes[key] == nil, Waiting: s.queue.len(), InFlight: s.inFlight, Oldest: now.Sub(s.queue.oldest(now))}
	limits := s.quota.Limits()
	for _, l := range slices.Concat(limits, s.ceilings) {
		ls := LimitState{
			Name: l.Name, Limit: l.Amount(), Ramp: int64(l.Ramp(now)), Pace: s.quota.Pace(now, l), Ignored: l.Ignored(now), KeepsUnused: l.KeepsUnused(),
		}
		if l.Owner != s.quota.Owner() {
			ls.Owner = l.Owner
		}
		ls.Source, ls.Age = l.Source(now)
		state.Limits = append(state.Limits, ls)
	}
	var concurrent []LimitState
	for _, o := range s.slots {
		concurrent = append(concurrent, LimitState{
			Name: quota.Concurrent.Name, Owner: o.owner, Limit: o.limit, Source: quota.Configured,
		})
	}
	look := s.drawLocked(now, limits, quota.Unpaced(now, limits))
	if len(look.limits) > len(limits) {
		look.Buckets = append(look.Buckets[1:], look.Buckets[0]) // the first is not shown
	}
	return state, look.Ask, concurrent
}
