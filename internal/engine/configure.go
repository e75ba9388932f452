package engine

import (
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// SetRules replaces what was configured, for calls that wait too. What is used stays used.
func (e *Engine) SetRules(r *Rules) {
	e.rules.Store(r)
	for _, a := range e.known() {
		for _, left := range a.configure(time.Now()) {
			e.leave(&left.Ask)
		}
	}
}

// known returns the accounts. One that is added later has the rules of its time.
func (e *Engine) known() []*account {
	e.mu.Lock()
	defer e.mu.Unlock()
	accounts := make([]*account, 0, len(e.accounts))
	for _, a := range e.accounts {
		accounts = append(accounts, a)
	}
	return accounts
}

// configure brings the scopes to the engine's rules, and lets all who wait look again. It
// returns what takes tickets out of lines in which their scopes stand no more.
func (a *account) configure(now time.Time) (left []ask) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.usage.expect(a.engine.rules.Load())
	shared := a.shared
	a.shared = map[sharedKey]*quota.Limit{}
	for _, s := range a.scopes {
		line, limits := a.configuredLocked(s.model, true)
		s.ceilings = a.ceilingsLocked(s.key.class, true)
		for _, all := range [][]*quota.Limit{limits, s.ceilings} {
			for i, l := range all {
				key := sharedKey{l.Owner, l.Name}
				if known := shared[key]; known != nil {
					known.Configure(now, l)
					all[i], a.shared[key] = known, known
				}
			}
		}
		if line != s.line {
			left = append(left, s.changeLineLocked(now, line))
		}
		s.quota.Configure(now, limits)
		s.configureSlotsLocked(now)
		if s.quota.Urgent() {
			s.syncLocked(now)
		}
	}
	a.limitsChangedLocked()
	return left
}

// limitsChangedLocked is called when limits have changed: what is known of the levels is worth nothing,
// and all who wait look again.
func (a *account) limitsChangedLocked() {
	for _, s := range a.scopes {
		s.last = snapshot{} // of other buckets
		s.wakeLocked()
	}
}

// changeLineLocked lets the scope stand in another line from now on, and returns what takes
// its ticket out of the one before.
func (s *scope) changeLineLocked(now time.Time, line string) ask {
	left := s.askLocked(now, nil)
	s.leaveCompanyLocked()
	s.line, s.ticket = line, s.account.engine.newTicket()
	s.stored, s.driver.standing = false, standing{}
	return left
}

// movedLocked returns what takes the ticket of an ask out of the line that its scope has
// left while the ask was under way: it may have joined that line only then. It is nil if the
// scope still stands there.
func (s *scope) movedLocked(old *ask) *backend.Ask {
	if old.Ticket == s.ticket {
		return nil
	}
	left := old.Ask
	left.Buckets = slices.Clone(old.Buckets) // theirs is the next ask's memory
	s.asks++
	left.Number = s.asks
	return &left
}
