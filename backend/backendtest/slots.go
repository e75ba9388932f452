package backendtest

import (
	"fmt"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A holder is a process that keeps the rules of claims.
type holder struct {
	s       *suite
	claim   backend.Claim
	ceiling int64
	until   time.Duration // in the suite's time, when its lease runs out; 0 for never
	known   time.Duration // and until when the backend has to count what it uses
}

func (s *suite) holder(name, owner string, limit int64) *holder {
	return &holder{s: s, claim: backend.Claim{Account: s.account, Owner: owner, Holder: name, Limit: limit}}
}

func (s *suite) lessor() backend.Lessor {
	l, ok := s.Backend.(backend.Lessor)
	if !ok {
		s.Skip("only where slots are lent")
	}
	return l
}

// next is the holder's next claim.
func (h *holder) next() backend.Claim {
	c := &h.claim
	if !h.holds() {
		h.ceiling = c.Used
	}
	c.Number++
	h.ceiling = max(c.Used, min(h.ceiling, c.Need+c.Spare))
	c.Held = h.ceiling
	return *c
}

// claims makes the next claim. heard is false where the reply is lost.
func (h *holder) claims(heard bool) backend.Lease {
	h.s.Helper()
	sent, c := h.s.elapsed(), h.next()
	l, err := h.s.lessor().Lease(h.s.Context(), c)
	if err != nil {
		h.s.Fatal(err)
	}
	if l.For > 0 {
		h.known = sent + l.For
	}
	if heard {
		if h.ceiling, h.until = l.Slots, 0; l.For > 0 {
			h.until = h.known
		}
		if l.Again <= 0 || l.For > 0 && l.Again >= l.For {
			h.s.Fatalf("a lease for %v is to be renewed after %v", l.For, l.Again)
		}
	}
	return l
}

// needs claims for so many in all, of which it uses some, and wants so many.
func (h *holder) needs(used, need, want int64) {
	h.s.Helper()
	h.claim.Used, h.claim.Need = used, need
	if l := h.claims(true); l.Slots != want {
		h.s.Errorf("%s uses %d, needs %d and gets %d; want %d", h.claim.Holder, used, need, l.Slots, want)
	}
}

// holds reports whether the lease has not run out.
func (h *holder) holds() bool { return h.until == 0 || h.s.elapsed() < h.until }

// slotsInUse are those of an owner.
func (s *suite) slotsInUse(owner string, want int64) {
	s.Helper()
	l, err := s.lessor().Lease(s.Context(), backend.Claim{Account: s.account, Owner: owner})
	if err != nil || l.Used != want {
		s.Errorf("%d slots of %s are in use, %v; want %d", l.Used, owner, err, want)
	}
}

// lend: holders get what they need, then equal shares; nobody loses what it uses.
func (s *suite) lend() {
	a, b, c := s.holder("a", "o", 10), s.holder("b", "o", 10), s.holder("c", "o", 10)
	a.needs(0, 4, 4)
	a.needs(4, 4, 4)
	b.needs(0, 9, 6)
	s.slotsInUse("o", 4)
	b.needs(6, 9, 6)
	a.needs(4, 8, 4) // b has no more than it may
	s.slotsInUse("o", 10)
	a.needs(4, 8, 4)
	b.needs(6, 9, 5) // one more than its share, which it gives back as soon as it can
	b.needs(5, 9, 5)
	a.needs(4, 8, 5)
	c.needs(0, 1, 0)
	a.needs(4, 4, 4)
	c.needs(0, 1, 1)
	s.holder("a", "another", 10).needs(0, 10, 10)
	other := s.holder("a", "o", 10)
	other.claim.Account += "'"
	other.needs(0, 10, 10)
}

// lendAtOnce: of two who were lent their slots at the same time, one has to give one up.
func (s *suite) lendAtOnce() {
	a, b, c := s.holder("a", "o", 10), s.holder("b", "o", 10), s.holder("c", "o", 10)
	a.needs(0, 4, 4)
	b.needs(0, 4, 4)
	c.needs(0, 4, 2)
	a.needs(4, 4, 3)
	b.needs(4, 4, 4)
	a.needs(3, 4, 3)
	c.needs(2, 4, 3)
}

// spare: what nobody needs is kept ready for those who will, and given up for who does.
func (s *suite) spare() {
	a, b := s.holder("a", "o", 12), s.holder("b", "o", 12)
	a.claim.Spare = 4
	a.needs(0, 2, 6)
	b.needs(0, 8, 6)
	a.needs(2, 2, 2)
	b.needs(6, 8, 6)
	a.needs(2, 2, 2) // only now does it hold no more
	b.needs(6, 10, 10)
	b.needs(10, 10, 10)
	a.needs(2, 2, 2)
	b.claim.Spare = 4
	b.needs(2, 2, 4)
}

// goRound: where there are fewer slots than holders, each has its turn.
func (s *suite) goRound() {
	var all []*holder
	for i := range 3 {
		h := s.holder(fmt.Sprint(i), "o", 1)
		h.claim.Need = 1
		all = append(all, h)
	}
	var had [3]time.Duration
	for range 270 { // three turns of each
		for i, h := range all {
			if h.claim.Used = min(1, h.ceiling); h.claim.Used == 1 {
				had[i] += 100 * time.Millisecond
			}
			h.claim.Used = 0 // a call is over
			h.claims(true)
		}
		s.advance(100 * time.Millisecond)
	}
	for i, d := range had {
		if d < 6*time.Second || d > 12*time.Second { // a turn more or less
			s.Errorf("%d has had the slot for %v of 27s", i, d)
		}
	}
}

// claimTwice: a claim that comes twice, or late, changes nothing.
func (s *suite) claimTwice() {
	a, b := s.holder("a", "o", 10), s.holder("b", "o", 10)
	a.needs(0, 6, 6)
	late := a.next()
	late.Held = 0
	a.ceiling = 6
	a.needs(6, 6, 6)
	for range 2 {
		if l, err := s.lessor().Lease(s.Context(), late); err != nil || l.Slots != 6 {
			s.Errorf("%+v, %v", l, err)
		}
	}
	b.needs(0, 10, 4)
}

// silentHolder: the slots of one that claims no more go to the others, and where it comes
// back it has what it uses. Where leases don't run out, it keeps them.
func (s *suite) silentHolder() {
	a, b := s.holder("a", "o", 10), s.holder("b", "o", 10)
	a.needs(0, 8, 8)
	a.needs(8, 8, 8)
	b.needs(0, 10, 2)
	if a.until == 0 {
		for range 40 {
			s.advance(100 * time.Millisecond)
			b.needs(2, 10, 2)
		}
		return
	}
	for waited := time.Duration(0); b.ceiling < 10; waited += 100 * time.Millisecond {
		if waited > 4*time.Second {
			s.Fatalf("b has %d slots %v after a has died", b.ceiling, waited)
		}
		if a.holds() && b.ceiling > 2 {
			s.Fatalf("b has %d slots while a's lease runs", b.ceiling)
		}
		s.advance(100 * time.Millisecond)
		b.needs(min(2, b.ceiling), 10, b.nextSlots())
	}
	b.needs(10, 10, 10)
	a.needs(8, 9, 5) // it goes on with what it uses
	s.slotsInUse("o", 18)
	b.needs(10, 10, 5)
	a.needs(5, 9, 5)
	b.needs(6, 10, 5)
	a.needs(5, 9, 5)
	b.needs(5, 10, 5)
	a.needs(5, 9, 5)
	s.slotsInUse("o", 10)
}

// silentHolders: of two who come back, one keeps the slot that is left.
func (s *suite) silentHolders() {
	if !s.Shared {
		s.Skip("only where processes die")
	}
	a, b, c := s.holder("a", "o", 2), s.holder("b", "o", 2), s.holder("c", "o", 2)
	a.needs(0, 1, 1)
	b.needs(0, 1, 1)
	c.claim.Need = 1
	for waited := time.Duration(0); c.nextSlots() == 0; waited += 100 * time.Millisecond {
		if waited > 4*time.Second {
			s.Fatalf("c has no slot %v after a and b have died", waited)
		}
		s.advance(100 * time.Millisecond)
	}
	c.needs(1, 1, 1)
	a.needs(1, 1, 1)
	b.needs(1, 1, 0)
	a.needs(1, 1, 1)
	c.needs(1, 1, 1)
	b.needs(0, 1, 0)
	s.slotsInUse("o", 2)
}

// comeBack: one that comes back counts at once, also where holders are so many that not
// each claim looks at all of them.
func (s *suite) comeBack() {
	if !s.Shared {
		s.Skip("only where processes die")
	}
	dead := s.holder("dead", "o", 20)
	dead.needs(0, 4, 4)
	dead.claim.Used = 4
	var all []*holder
	for i := range 10 {
		all = append(all, s.holder(fmt.Sprint(i), "o", 20))
		all[i].claim.Need = 2
	}
	for range 6 {
		s.advance(800 * time.Millisecond)
		for _, h := range all {
			h.claims(true)
			h.claim.Used = min(2, h.ceiling)
		}
	}
	dead.claims(true)
	all[0].needs(0, 0, 0)
	all[1].needs(2, 4, 2)
	s.slotsInUse("o", 22)
}

// nextSlots is what the holder gets, whatever that is.
func (h *holder) nextSlots() int64 {
	h.s.Helper()
	h.claims(true)
	return h.ceiling
}
