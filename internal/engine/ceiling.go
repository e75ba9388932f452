package engine

import (
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// A class with limits of its own has scopes of its own: what its ceilings hold back then
// stands apart from the model's other calls. The model's limits are those of the model's
// other scope, which each of them learns of by itself, as two processes would.

// A scopeKey is what a scope is for: a model, and a class that has ceilings, or "".
type scopeKey struct{ model, class string }

// scopeOf is the scope of a call.
func (e *Engine) scopeOf(c *Call) scopeKey {
	if _, capped := e.rules.Load().Classes[c.Flow.Class]; capped {
		return scopeKey{c.Model, c.Flow.Class}
	}
	return scopeKey{model: c.Model}
}

// ceilingsLocked returns the limits of a class, which all its scopes share.
func (a *account) ceilingsLocked(class string, keep bool) []*quota.Limit {
	if rule, ok := a.engine.rules.Load().Classes[class]; ok && class != "" {
		return a.shareLocked(quota.ClassOwner(class), &rule, keep)
	}
	return nil
}

// capped reports whether the scope is that of a class with ceilings.
func (s *scope) capped() bool { return s.key.class != "" }

// owner is whose place the scope's ticket has in line.
func (s *scope) owner() string {
	if !s.capped() {
		return s.quota.Owner()
	}
	return quota.ClassOwner(s.key.class) + "/" + s.quota.Owner()
}

// ownersLocked are the owners of all that the scope draws from.
func (s *scope) ownersLocked() []string {
	owners := s.quota.Owners()
	for _, l := range s.ceilings {
		if !slices.Contains(owners, l.Owner) {
			owners = append(owners, l.Owner)
		}
	}
	return owners
}

// drawLocked describes what a call draws from: these buckets, of which the first are the
// limits', and the scope's ceilings. In line the scope stands below its model, whose pauses hold
// for it: so the model is the first of the owners, if need be by a limit that holds nothing back.
func (s *scope) drawLocked(now time.Time, limits []*quota.Limit, buckets []backend.Bucket) ask {
	if s.capped() {
		n := len(limits)
		buckets = slices.Concat(buckets[:n], quota.Unpaced(now, s.ceilings), buckets[n:])
		if n == 0 || limits[0].Owner != s.quota.Owner() {
			limits = slices.Concat([]*quota.Limit{s.open}, limits)
			buckets = slices.Concat([]backend.Bucket{s.open.Bucket(now)}, buckets)
		}
	}
	return s.look(limits, buckets)
}

// exceededLocked returns the limit that the cost can never fit, or nil.
func (s *scope) exceededLocked(cost *backend.Amounts, now time.Time) *quota.Limit {
	for _, l := range s.ceilings {
		if cost[l.Dimension] > l.Amount() {
			return l
		}
	}
	return s.quota.Exceeded(cost, now)
}

// fitLocked returns how many tokens of a guess the limits allow, but no less than is certain.
func (s *scope) fitLocked(tokens, certain int64) int64 {
	for _, l := range s.ceilings {
		if l.Dimension == backend.Tokens {
			tokens = min(tokens, max(certain, l.Amount()))
		}
	}
	return s.quota.Fit(tokens, certain)
}
