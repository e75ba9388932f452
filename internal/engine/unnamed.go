package engine

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// Unnamed is the account of calls that name none while none is known. The first that gets
// known takes it over, with all that it has used: they are one payer's.
const Unnamed = "unnamed"

// Accounts returns the names of the accounts that calls have come for, sorted.
func (e *Engine) Accounts() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := make([]string, 0, len(e.accounts))
	for name := range e.accounts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// meantLocked returns the account that is meant by calls without a name: they may have come
// while it was not known yet.
func (e *Engine) meantLocked() string {
	if e.heir != "" {
		return e.heir
	}
	for name := range e.accounts {
		if len(e.accounts) == 1 {
			return name
		}
	}
	return Unnamed
}

// payer is what the backend calls the scope's account.
func (s *scope) payer() string {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	return s.account.ledger()
}

// stray is how long asks may be under way that were sent under the old name.
const stray = 2 * time.Second

// takeName charges what the unnamed account has used to that of this name, and gives it the
// name. Until that is done its calls draw on what they drew on before.
func (a *account) takeName(name string) {
	ctx, b := context.Background(), a.engine.config.Backend
	looks := a.buckets(time.Now())
	moves := make([]move, len(looks))
	for i := range looks {
		moves[i] = move{old: looks[i].Ask, name: a.engine.ledger(name)}
		moves[i].settle(ctx, b)
	}
	since := int64(0) // what is moved may be settled
	for i := range moves {
		there := moves[i].old
		there.Account = a.engine.ledger(name)
		if answer, err := b.Look(ctx, there); err == nil {
			since = max(since, answer.Stamp)
		}
	}
	for _, left := range a.rename(time.Now(), name, since) {
		a.engine.leave(&left.Ask)
	}
	if !a.engine.local {
		select {
		case <-time.After(stray):
		case <-a.engine.done:
		}
	}
	for i := range moves { // what has changed meanwhile
		m := &moves[i]
		m.since = since
		m.settle(ctx, b)
		_ = b.Clear(ctx, m.old.Account, owners(m.old.Buckets))
	}
}

// owners are the owners of buckets.
func owners(buckets []backend.Bucket) (owners []string) {
	for i := range buckets {
		owners = append(owners, buckets[i].Owner)
	}
	slices.Sort(owners)
	return slices.Compact(owners)
}

// buckets describes those of the account, each once, to look at them.
func (a *account) buckets(now time.Time) (looks []ask) {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := map[sharedKey]bool{}
	for _, s := range a.scopes {
		limits := slices.DeleteFunc(slices.Concat(s.quota.Limits(), s.ceilings), func(l *quota.Limit) bool {
			key := sharedKey{l.Owner, l.Name}
			was := seen[key]
			seen[key] = true
			return was
		})
		looks = append(looks, s.look(limits, quota.Unpaced(now, limits)))
	}
	return looks
}

// rename gives the account its name, and returns what takes its tickets out of the lines of
// the one before.
func (a *account) rename(now time.Time, name string, since int64) (left []ask) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.scopes {
		left = append(left, s.changeLineLocked(now, s.line))
		s.sync.loaded = time.Time{} // there may be another note
		s.last = snapshot{}
		s.wakeLocked()
	}
	a.name, a.since = name, since
	return left
}

// A move is that of charges from buckets to those of an account of another name.
type move struct {
	old   backend.Ask
	name  string
	since int64     // since when there is one
	at    int64     // when the last part was moved, by the backend's clock
	used  []float64 // what was used then
}

// settle charges what is used beyond what has been moved, or refunds what has come back.
// Where nobody knows how the buckets stand, nothing is moved.
func (m *move) settle(ctx context.Context, b backend.Backend) {
	answer, err := b.Look(ctx, m.old)
	if err != nil {
		return
	}
	used := make([]float64, len(answer.Levels))
	for i, level := range answer.Levels {
		bucket := m.old.Buckets[i]
		used[i] = bucket.Capacity() - level
		more := used[i]
		if i < len(m.used) {
			refilled := float64(bucket.Limit) * float64(answer.Stamp-m.at) / float64(bucket.Period.Microseconds())
			more -= max(0, m.used[i]-refilled)
		}
		// It starts so if it is new there, which makes the settlement a late one; else that
		// is charged.
		bucket.Start = max(0, more)
		s := backend.Settlement{
			Account: m.name, Line: m.old.Line, Stamp: max(m.since, answer.Stamp-1), Buckets: []backend.Bucket{bucket},
		}
		if s.Refund[bucket.Dimension] = -int64(math.Ceil(more)); s.Refund != (backend.Amounts{}) {
			_ = b.Settle(ctx, s)
		}
	}
	m.at, m.used = answer.Stamp, used
}
