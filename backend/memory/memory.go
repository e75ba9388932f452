// Package memory keeps budgets in the process. It is the limiter's default;
// several limiters of one process share a budget by sharing a Backend.
//
// What it keeps grows with the models and accounts that are in use: those that have
// been idle for ten minutes, and whose budget is full, are forgotten.
package memory

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

// Backend is a [backend.Backend] in memory. The zero value is ready; it holds
// nothing that needs closing and must not be copied.
type Backend struct {
	accounts sync.Map                // *account by name
	recent   atomic.Pointer[account] // the last that was looked up: mostly the next is the same
	kept     atomic.Int64            // how many there are
	mu       sync.Mutex              // of round
	round    ledger.Round[*account]  // the same, in the order in which forget comes to them
}

var _ backend.Local = (*Backend)(nil)

// New returns a backend in which every bucket is full.
func New() *Backend { return &Backend{} }

// An account is locked as one, since its buckets may be shared by any of its
// scopes.
type account struct {
	name   string
	mu     sync.Mutex
	gone   bool // it is kept no more
	ledger *ledger.Account
	wake   map[string]waits  // by line
	slots  map[string]*slots // by owner

	reports map[string]report // by process

	described time.Time // when others were last woken for a limit that had changed
	untold    bool      // and whether one has changed since
}

// waits are closed when something changed, by ticket.
type waits map[string]chan struct{}

const many = 1024 // accounts are kept without a look at them

// account returns the account, locked.
func (b *Backend) account(name string) *account {
	if b.kept.Load() > many && b.mu.TryLock() {
		b.forget(now())
		b.mu.Unlock()
	}
	if a := b.recent.Load(); a != nil && a.name == name && a.lock() {
		return a
	}
	for {
		a, ok := b.accounts.Load(name)
		if !ok {
			a = b.add(name)
		}
		if a := a.(*account); a.lock() {
			b.recent.Store(a)
			return a
		}
	}
}

// add returns the account of that name, which is new unless another caller was faster.
func (b *Backend) add(name string) any {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := &account{name: name, ledger: ledger.New(), wake: map[string]waits{}}
	is, old := b.accounts.LoadOrStore(name, a)
	if !old {
		b.round.Add(a)
		b.kept.Add(1)
	}
	return is
}

// lock locks the account, or reports false where it has been forgotten meanwhile.
func (a *account) lock() bool {
	a.mu.Lock()
	if !a.gone {
		return true
	}
	a.mu.Unlock()
	return false
}

// forget looks at the next few accounts, in a round that comes to all of them, and
// drops those in which nothing is left that anybody would miss. b.mu must be held.
func (b *Backend) forget(now int64) {
	b.round.Visit(func(a *account) bool {
		if !a.forgotten(now) {
			return false
		}
		b.accounts.Delete(a.name)
		b.kept.Add(-1)
		return true
	})
}

// forgotten lets the account forget some of what nobody would miss, and reports
// whether nothing is left, so that it is gone. An account that is in use is left alone.
func (a *account) forgotten(now int64) bool {
	if !a.mu.TryLock() {
		return false
	}
	defer a.mu.Unlock()
	a.ledger.Forget(now)
	a.dropReports(now)
	a.gone = a.ledger.Empty() && len(a.slots) == 0 && len(a.reports) == 0
	return a.gone
}

// Take implements [backend.Backend]. It never fails but for
// [backend.ErrTooLarge].
func (b *Backend) Take(_ context.Context, ask backend.Ask) (backend.Answer, error) {
	a := b.account(ask.Account)
	defer a.mu.Unlock()
	answer, err := a.ledger.Take(now(), &ask)
	moved := a.ledger.Moved(ask.Line)
	switch {
	case a.redescribed():
		a.changed(ask.Line)
	case moved && !a.untold, answer.Granted > 0, len(ask.Costs) == 0:
		a.changedFor(ask.Line, ask.Scope, ask.Buckets, ask.Ticket)
	}
	answer.Hint = answer.Wait // for Changed tells of all else
	if err == nil && answer.Granted < len(ask.Costs) && !ask.Leave {
		answer.Changed = a.watch(ask.Line, ask.Ticket)
	} else if !ask.Fresh {
		a.forgetWait(ask.Line, ask.Ticket)
	}
	return answer, err
}

// Settle implements [backend.Backend].
func (b *Backend) Settle(_ context.Context, s backend.Settlement) error {
	a := b.account(s.Account)
	defer a.mu.Unlock()
	a.ledger.Settle(now(), &s)
	a.changedFor(s.Line, "", s.Buckets, "")
	return nil
}

// Look implements [backend.Backend].
func (b *Backend) Look(_ context.Context, ask backend.Ask) (backend.Answer, error) {
	a := b.account(ask.Account)
	defer a.mu.Unlock()
	return a.ledger.Look(now(), &ask)
}

// Clear implements [backend.Backend].
func (b *Backend) Clear(_ context.Context, name string, owners []string) error {
	a := b.account(name)
	defer a.mu.Unlock()
	a.ledger.Clear(now(), owners)
	for line := range a.wake {
		a.changed(line)
	}
	return nil
}

// Local implements [backend.Local].
func (b *Backend) Local() {}

// redescribed reports whether a limit has changed and others should know, at most
// once in a while: two limiters that disagree about one would wake each other for
// ever.
func (a *account) redescribed() bool {
	const often = time.Second
	a.untold = a.ledger.Changed() || a.untold
	if !a.untold || time.Since(a.described) < often {
		return false
	}
	a.untold, a.described = false, time.Now()
	return true
}

func (a *account) watch(line, ticket string) <-chan struct{} {
	w := a.wake[line]
	if w == nil {
		w = waits{}
		a.wake[line] = w
	}
	c := w[ticket]
	if c == nil {
		c = make(chan struct{})
		w[ticket] = c
	}
	return c
}

// forgetWait is for a ticket that waits no more.
func (a *account) forgetWait(line, ticket string) {
	if w := a.wake[line]; w != nil {
		if delete(w, ticket); len(w) == 0 {
			delete(a.wake, line)
		}
	}
}

// changed wakes all who wait in a line.
func (a *account) changed(line string) {
	for _, c := range a.wake[line] {
		close(c)
	}
	delete(a.wake, line)
}

// changedFor wakes those in a line for whom something has changed at the owners of some
// buckets, but not the one that has asked.
func (a *account) changedFor(line, scope string, buckets []backend.Bucket, asked string) {
	for i := range buckets {
		if b := &buckets[i]; b.Ceiling {
			for other, tickets := range a.ledger.Capped(b.Owner) {
				a.wakeTickets(other, tickets, asked)
			}
			break
		}
	}
	if a.wake[line] == nil {
		return
	}
	owners := append(make([]string, 0, 4), scope)
	for i := range buckets {
		if o := buckets[i].Owner; o != owners[len(owners)-1] {
			owners = append(owners, o)
		}
	}
	a.wakeTickets(line, a.ledger.Front(line, owners), asked)
}

// wakeTickets wakes some who wait in a line, but not the one that has asked.
func (a *account) wakeTickets(line string, tickets []string, asked string) {
	for _, ticket := range tickets {
		if c := a.wake[line][ticket]; c != nil && ticket != asked {
			close(c)
			a.forgetWait(line, ticket)
		}
	}
}

var begun = time.Now()

// now is in microseconds, and no step of the wall clock moves it.
func now() int64 { return begun.UnixMicro() + time.Since(begun).Microseconds() }
