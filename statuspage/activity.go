package statuspage

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// activity is what the hooks have told of calls, by account, model and class.
type activity struct {
	mu     sync.Mutex
	scopes map[scopeKey]*scope
	heir   string // the account that has taken over the unnamed one
	store  store
}

type scopeKey struct{ account, model, class string }

// A scope is what happens to the calls of a model that are of a class. Responses are not told
// apart by class: those of a model are in its scope of no class.
type scope struct {
	seen       time.Time
	use        use
	lines      map[flow]*line // of those who wait
	throttles  int
	throttled  time.Time
	throttle   ratelimiter.PausedInfo // the last
	rejections map[string]int         // by code
	rejected   time.Time
	responded  time.Time
	response   ratelimiter.ObservedInfo // the last
}

type flow struct{ class, tenant string }

// store is how the backend answers.
type store struct {
	asked, answered time.Time
	took            time.Duration
	err             error // of the last command
}

const (
	// mostScopes are kept, for names of models may come from anywhere. Beyond that a scope
	// in which nothing waits makes room for the new one: the least recent of examined.
	mostScopes = 1024
	examined   = 8

	unnamed = "unnamed" // see ratelimiter.Limiter.Accounts
)

// scopeLocked returns the scope of a call, which has come now.
func (a *activity) scopeLocked(key scopeKey, now time.Time) *scope {
	switch {
	case key.account == unnamed && a.heir != "":
		key.account = a.heir
	case key.account != unnamed && a.heir == "":
		a.inheritLocked(key.account)
	}
	s := a.scopes[key]
	if s == nil {
		if len(a.scopes) >= mostScopes {
			a.forgetLocked()
		}
		if a.scopes == nil {
			a.scopes = map[scopeKey]*scope{}
		}
		s = &scope{lines: map[flow]*line{}, rejections: map[string]int{}}
		a.scopes[key] = s
	}
	s.seen = now
	return s
}

// inheritLocked gives what has happened without a name to the first account that is known.
func (a *activity) inheritLocked(account string) {
	a.heir = account
	for key, s := range a.scopes {
		if key.account == unnamed {
			delete(a.scopes, key)
			key.account = account
			a.scopes[key] = s
		}
	}
}

func (a *activity) forgetLocked() {
	var oldest scopeKey
	var seen time.Time
	n := 0
	for key, s := range a.scopes {
		if len(s.lines) == 0 && (seen.IsZero() || s.seen.Before(seen)) {
			oldest, seen = key, s.seen
		}
		if n++; n >= examined && !seen.IsZero() {
			break
		}
	}
	delete(a.scopes, oldest)
}

// change changes a scope under the lock.
func (a *activity) change(key scopeKey, f func(s *scope, now time.Time)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	f(a.scopeLocked(key, now), now)
}

func (a *activity) waiting(i *ratelimiter.WaitingInfo) {
	a.change(scopeKey{i.Account, i.Model, i.Class}, func(s *scope, now time.Time) {
		key := flow{i.Class, i.Tenant}
		if s.lines[key] == nil {
			s.lines[key] = &line{}
		}
		s.lines[key].join(now)
	})
}

// waited ends a wait that began so long ago.
func (s *scope) waited(key flow, queued bool, began time.Time) {
	l := s.lines[key]
	if !queued || l == nil {
		return
	}
	if l.leave(began); len(*l) == 0 {
		delete(s.lines, key)
	}
}

func (a *activity) started(i *ratelimiter.StartedInfo) {
	a.change(scopeKey{i.Account, i.Model, i.Class}, func(s *scope, now time.Time) {
		s.waited(flow{i.Class, i.Tenant}, i.Queued, now.Add(-i.Waited))
		s.use.add(now, now, amounts(i.Cost))
	})
}

func (a *activity) notStarted(i *ratelimiter.NotStartedInfo) {
	a.change(scopeKey{i.Account, i.Model, i.Class}, func(s *scope, now time.Time) {
		s.waited(flow{i.Class, i.Tenant}, i.Queued, now.Add(-i.Waited))
		s.rejections[i.Code()]++
		s.rejected = now
	})
}

func (a *activity) observed(i *ratelimiter.ObservedInfo) {
	if i.Model == "" {
		return // it is not limited
	}
	a.change(scopeKey{i.Account, i.Model, ""}, func(s *scope, now time.Time) { s.responded, s.response = now, *i })
}

func (a *activity) paused(i *ratelimiter.PausedInfo) {
	a.change(scopeKey{i.Account, i.Model, i.Class}, func(s *scope, now time.Time) {
		s.throttles++
		s.throttled, s.throttle = now, *i
	})
}

func (a *activity) settled(i *ratelimiter.SettledInfo) {
	a.change(scopeKey{i.Account, i.Model, i.Class}, func(s *scope, now time.Time) {
		was, is := amounts(i.Charged), amounts(i.Final)
		for d := range is {
			is[d] -= was[d]
		}
		s.use.add(now, now.Add(-i.Duration), is)
	})
}

// together is what has happened in several scopes.
func together(scopes []*scope, now time.Time) *scope {
	if len(scopes) == 1 {
		return scopes[0]
	}
	all := &scope{lines: map[flow]*line{}, rejections: map[string]int{}}
	for _, s := range scopes {
		all.use.join(&s.use, now)
		maps.Copy(all.lines, s.lines) // of different classes
		all.throttles += s.throttles
		if s.throttled.After(all.throttled) {
			all.throttled, all.throttle = s.throttled, s.throttle
		}
		for code, n := range s.rejections {
			all.rejections[code] += n
		}
		if s.rejected.After(all.rejected) {
			all.rejected = s.rejected
		}
	}
	return all
}

func (a *activity) command(i *ratelimiter.CommandInfo) {
	if i.GaveUp {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.store.asked, a.store.err = time.Now(), nil
	if i.Err != nil && !errors.Is(i.Err, backend.ErrTooLarge) {
		a.store.err = i.Err
		return
	}
	a.store.answered, a.store.took = a.store.asked, i.Duration
}
