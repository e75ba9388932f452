package ledger_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/backendtest"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

// A store is the ledger as a fleet would use it.
type store struct {
	quiet    bool // asks that change nothing are not noted
	mu       sync.Mutex
	now      int64
	accounts map[string]*ledger.Account
	slots    map[[2]string]*ledger.Slots
}

// account returns it and has s.mu held.
func (s *store) account(name string) *ledger.Account {
	s.mu.Lock()
	if s.accounts[name] == nil {
		s.accounts[name] = ledger.New()
		s.accounts[name].Lease, s.accounts[name].Erase = time.Second, 10*time.Second
		s.accounts[name].Quiet = s.quiet
	}
	return s.accounts[name]
}

func (s *store) Take(_ context.Context, ask backend.Ask) (backend.Answer, error) {
	defer s.mu.Unlock()
	return s.account(ask.Account).Take(s.now, &ask)
}

func (s *store) Look(_ context.Context, ask backend.Ask) (backend.Answer, error) {
	defer s.mu.Unlock()
	return s.account(ask.Account).Look(s.now, &ask)
}

func (s *store) Settle(_ context.Context, x backend.Settlement) error {
	defer s.mu.Unlock()
	s.account(x.Account).Settle(s.now, &x)
	return nil
}

func (s *store) Clear(_ context.Context, account string, owners []string) error {
	defer s.mu.Unlock()
	s.account(account).Clear(s.now, owners)
	return nil
}

func (s *store) Lease(_ context.Context, c backend.Claim) (backend.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner := [2]string{c.Account, c.Owner}
	if s.slots[owner] == nil {
		s.slots[owner] = &ledger.Slots{}
	}
	return s.slots[owner].Lease(s.now, &c), nil
}

func TestConformance(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		t.Run(fmt.Sprintf("quiet %t", quiet), func(t *testing.T) {
			backendtest.Run(t, func(*testing.T) backendtest.Subject {
				s := &store{quiet: quiet, now: 1, accounts: map[string]*ledger.Account{}, slots: map[[2]string]*ledger.Slots{}}
				return backendtest.Subject{Backend: s, Shared: true, Advance: func(d time.Duration) {
					s.mu.Lock()
					s.now += ledger.Micros(d)
					s.mu.Unlock()
				}}
			})
		})
	}
}
