package engine

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// An account is what this process knows about one payer. Its lock guards everything
// below it: scopes, queues, and what was learned.
type account struct {
	engine *Engine
	key    string // of it in the engine; the unnamed one gets another

	mu        sync.Mutex
	name      string
	since     int64                       // no charge has a stamp before it
	forgotten bool                        // the engine holds it no more
	reserved  int64                       // tokens of the calls in flight
	refunded  [backend.Dimensions]float64 // to buckets, in all
	scopes    map[scopeKey]*scope
	recent    *scope                     // the last that was looked up: mostly the next is the same
	shared    map[sharedKey]*quota.Limit // by families and by the account as a whole
	slots     map[string]*slots          // by owner, where that limits calls in flight
	turns     turns                      // at them
	companies map[string]*company        // by line
	contexts  predict.Contexts
	usage     usage
	reporting reporting

	answered   time.Time     // when the backend last answered an ask, since one has rejected all who waited
	rest       time.Duration // for how long it is left alone, if the last ask was slow to fail
	restsUntil time.Time
	asking     int // calls that ask by themselves, of all scopes

	scratch scratch        // of all calls, if the backend is local
	spare   [][]quota.Sent // of calls that have ended
}

// sharedKey identifies a limit within an account.
type sharedKey struct{ owner, name string }

const (
	// manyEntries is how many accounts, and how many scopes of one, are kept before
	// idle ones are forgotten.
	manyEntries = 1024
	// manyScopes is how many scopes of all accounts together are.
	manyScopes = 8 * manyEntries
	// examined is how many entries each new one then looks at, wherever the map's
	// iteration begins, so that a new one costs the same however many there are.
	examined = 8
)

// ledger is what the backend calls the account of that name.
func (e *Engine) ledger(name string) string { return e.config.Ledger + name }

// ledger is what the backend calls the account. The lock must be held.
func (a *account) ledger() string { return a.engine.ledger(a.name) }

func newAccount(e *Engine, name string) *account {
	a := &account{engine: e, key: name, name: name, scopes: map[scopeKey]*scope{}, shared: map[sharedKey]*quota.Limit{}, slots: map[string]*slots{}, companies: map[string]*company{}}
	a.usage.expect(e.rules.Load())
	return a
}

// account returns the account of that name.
func (e *Engine) account(name string) *account {
	if a := e.recent.Load(); a != nil && a.key == name {
		return a
	}
	a, move := e.find(name)
	if move != nil {
		e.background(move)
	}
	return a
}

// find returns the account of that name, and what is to be done if it has just taken over
// the unnamed one.
func (e *Engine) find(name string) (a *account, move func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if name == Unnamed {
		name = e.meantLocked()
	}
	if a = e.accounts[name]; a != nil {
		e.recent.Store(a)
		return a, nil
	}
	if len(e.accounts) >= manyEntries || e.scopes.Load() >= manyScopes {
		e.forgetSomeLocked()
	}
	if unnamed := e.accounts[Unnamed]; unnamed != nil {
		delete(e.accounts, Unnamed)
		heir := name
		e.heir, e.accounts[heir] = heir, unnamed
		return unnamed, func() { unnamed.takeName(heir) }
	}
	a = newAccount(e, name)
	e.accounts[name] = a
	return a, nil
}

// peek returns the account of that name for a question about it, which must not make it
// one that calls could mean.
func (e *Engine) peek(name string) *account {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.accounts[name]; a != nil {
		return a
	}
	return newAccount(e, name)
}

// forgetSomeLocked looks at a few accounts and drops those in which nothing happens.
func (e *Engine) forgetSomeLocked() {
	n := 0
	for name, a := range e.accounts {
		if a.forget() {
			delete(e.accounts, name)
			e.recent.CompareAndSwap(a, nil)
		}
		if n++; n == examined {
			return
		}
	}
}

// forget marks the account as forgotten if nothing happens in it, and reports whether it
// has.
func (a *account) forget() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.scopes {
		if !s.idleLocked() {
			return false
		}
	}
	for _, o := range a.slots {
		if o.running {
			return false // another lease would be this one's holder too
		}
	}
	a.dontReportLocked()
	a.forgotten = true
	a.engine.scopes.Add(-int64(len(a.scopes)))
	return true
}

// scopeLocked returns a scope.
func (a *account) scopeLocked(key scopeKey) *scope {
	if a.recent != nil && a.recent.key == key {
		return a.recent
	}
	s := a.scopes[key]
	if s == nil {
		if len(a.scopes) >= manyEntries || a.engine.scopes.Load() >= manyScopes {
			a.forgetScopesLocked()
		}
		a.engine.scopes.Add(1)
		s = a.newScopeLocked(key, true)
		a.scopes[key] = s
	}
	a.recent = s
	return s
}

// peekScopeLocked returns a scope for a question about it: where there is none, one that
// nobody will find.
func (a *account) peekScopeLocked(key scopeKey) *scope {
	if s := a.scopes[key]; s != nil {
		return s
	}
	return a.newScopeLocked(key, false)
}

// forgetScopesLocked looks at a few scopes and drops those in which nothing happens. What
// is charged stays in the backend.
func (a *account) forgetScopesLocked() {
	n := 0
	for key, s := range a.scopes {
		if s.idleLocked() {
			delete(a.scopes, key)
			a.recent = nil
			a.engine.scopes.Add(-1)
		}
		if n++; n == examined {
			return
		}
	}
}

// newScopeLocked sets a scope up from the configuration. keep says that the limits it
// shares with other scopes are theirs from now on.
func (a *account) newScopeLocked(key scopeKey, keep bool) *scope {
	s := &scope{account: a, key: key, model: key.model}
	line, limits := a.configuredLocked(key.model, keep)
	s.line, s.quota = line, quota.NewSet(quota.ModelOwner(key.model), limits)
	s.ceilings, s.open = a.ceilingsLocked(key.class, keep), quota.Open(quota.ModelOwner(key.model))
	s.slots = a.slotsLocked(key, keep)
	if keep {
		s.ticket = a.engine.newTicket()
	}
	return s
}

// newTicket names a ticket. No name comes twice: the backend may remember what it has
// answered to the ticket of a scope that was forgotten, or stood in another line.
func (e *Engine) newTicket() string { return fmt.Sprintf("%s/%d", e.id, e.tickets.Add(1)) }

// configuredLocked returns a model's configured limits, and the line of the widest.
func (a *account) configuredLocked(model string, keep bool) (line string, limits []*quota.Limit) {
	c := a.engine.rules.Load()
	line = quota.ModelOwner(model)
	if rule, ok := c.Models[model]; ok {
		limits = append(limits, rule.Limits(line)...)
	}
	for i := range c.Families {
		if f := &c.Families[i]; slices.Contains(f.Models, model) {
			line = quota.FamilyOwner(f.Name)
			limits = append(limits, a.shareLocked(line, &f.Rule, keep)...)
		}
	}
	if c.Account != nil {
		line = quota.AccountOwner
		limits = append(limits, a.shareLocked(line, c.Account, keep)...)
	}
	return line, limits
}

// shareLocked returns the limits of an owner that several scopes draw from: all of them
// get the same ones.
func (a *account) shareLocked(owner string, rule *quota.Rule, keep bool) []*quota.Limit {
	limits := rule.Limits(owner)
	for i, l := range limits {
		key := sharedKey{owner, l.Name}
		if known := a.shared[key]; known != nil {
			limits[i] = known
		} else if keep {
			a.shared[key] = l
		}
	}
	return limits
}

// clear forgets what is known of the levels of a model's buckets, or of all, and returns
// the owners of the buckets, also of those that only other processes use.
func (a *account) clear(now time.Time, model string) (owners []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rules := a.engine.rules.Load()
	models := []string{model}
	if model == "" {
		models = rules.Named()
		if rules.Account != nil {
			owners = append(owners, quota.AccountOwner)
		}
	}
	for _, m := range models {
		owners = append(owners, a.peekScopeLocked(scopeKey{model: m}).ownersLocked()...)
	}
	for class := range rules.Classes {
		owners = append(owners, quota.ClassOwner(class))
	}
	for _, s := range a.scopes {
		if model == "" || s.model == model {
			s.quota.Clear(now)
			owners = append(owners, s.ownersLocked()...)
		}
	}
	slices.Sort(owners)
	return slices.Compact(owners)
}

// cleared lets the queues of all models look again that draw from one of the owners.
func (a *account) cleared(owners []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.scopes {
		if slices.ContainsFunc(s.ownersLocked(), func(o string) bool { return slices.Contains(owners, o) }) {
			s.last = snapshot{}
			s.wakeLocked()
		}
	}
}
