package memory

import (
	"context"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

var _ backend.Lessor = (*Backend)(nil)

// slots are an owner's, and the holders who wait for some.
type slots struct {
	ledger.Slots
	waiting map[string]chan struct{} // closed when others have given some up
}

// Lease implements [backend.Lessor]. Leases don't run out: a holder lives as long as the
// budget.
func (b *Backend) Lease(_ context.Context, c backend.Claim) (backend.Lease, error) {
	a := b.account(c.Account)
	defer a.mu.Unlock()
	s := a.slots[c.Owner]
	if s == nil {
		if c.Holder == "" {
			return backend.Lease{}, nil
		}
		if a.slots == nil {
			a.slots = map[string]*slots{}
		}
		s = &slots{Slots: ledger.Slots{Forever: true}, waiting: map[string]chan struct{}{}}
		a.slots[c.Owner] = s
	}
	l := s.Lease(now(), &c)
	if s.Empty() {
		delete(a.slots, c.Owner)
	}
	if c.Holder != "" {
		s.notify(&c, &l)
	}
	return l, nil
}

// notify wakes the others if they may get more, and lets the holder wait for its own turn.
func (s *slots) notify(c *backend.Claim, l *backend.Lease) {
	if s.Eased {
		for holder, changed := range s.waiting {
			if holder != c.Holder {
				close(changed)
				delete(s.waiting, holder)
			}
		}
	}
	if l.Slots >= c.Need {
		delete(s.waiting, c.Holder)
		return
	}
	if s.waiting[c.Holder] == nil {
		s.waiting[c.Holder] = make(chan struct{})
	}
	l.Changed = s.waiting[c.Holder]
}
