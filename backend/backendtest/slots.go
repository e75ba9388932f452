package backendtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A holder is a process that keeps the rules of claims.
type holder struct {
	s       *suite
	claim   backend.Claim
	sent    time.Duration // when the suite's time was
	lease   time.Duration
	ceiling int64
	lapsed  bool // its lease has run out while it used slots, of which it still uses some
	away    bool // it has not claimed since
	back    bool // or has just now
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
	c.Held, h.sent = h.ceiling, h.s.elapsed()
	return *c
}

// claims makes the next claim. heard is false where the reply is lost.
func (h *holder) claims(heard bool) backend.Lease {
	h.s.Helper()
	h.away, h.back = false, h.away
	l, err := h.s.lessor().Lease(h.s.Context(), h.next())
	if err != nil {
		h.s.Fatal(err)
	}
	if heard {
		h.ceiling, h.lease = l.Slots, l.For
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
func (h *holder) holds() bool { return h.lease == 0 || h.s.elapsed()-h.sent < h.lease }

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
	for range 240 {
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
		if d < 6*time.Second || d > 10*time.Second {
			s.Errorf("%d has had the slot for %v of 24s", i, d)
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
// back it has what it uses.
func (s *suite) silentHolder() {
	if !s.Shared {
		s.Skip("only where processes die")
	}
	a, b := s.holder("a", "o", 10), s.holder("b", "o", 10)
	a.needs(0, 8, 8)
	a.needs(8, 8, 8)
	b.needs(0, 10, 2)
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

// nextSlots is what the holder gets, whatever that is.
func (h *holder) nextSlots() int64 {
	h.s.Helper()
	h.claims(true)
	return h.ceiling
}

// lendAtRandom: whatever holders do who keep the rules, and whatever is lost or late on its
// way, those whose leases run never use more than the limit. One that comes back too late
// uses what it did, and nobody gets more for it. In the end everybody has its share.
func (s *suite) lendAtRandom() {
	seed := uint64(time.Now().UnixNano())
	for i := range uint64(12) {
		s.slotHistory(rand.New(rand.NewPCG(seed, i)), fmt.Sprint("o", i))
		if s.Failed() {
			s.Fatalf("with the seed %d, %d", seed, i)
		}
	}
}

func (s *suite) slotHistory(r *rand.Rand, owner string) {
	limit := 1 + r.Int64N(12)
	all := make([]*holder, 1+r.IntN(12))
	for i := range all {
		all[i] = s.holder(fmt.Sprint("h", i), owner, limit)
	}
	var late []backend.Claim
	allowed := limit // in use by all that have claimed
	for range 400 {
		h := all[r.IntN(len(all))]
		c := &h.claim
		switch r.IntN(8) {
		case 0:
			c.Need, c.Spare = c.Used+r.Int64N(5), r.Int64N(3)
		case 1, 2, 3:
			if h.holds() && c.Used < h.ceiling {
				c.Used++
				c.Need = max(c.Need, c.Used)
			}
		case 4:
			if c.Used > 0 {
				c.Used--
				c.Need--
			}
		case 5:
			h.claims(r.IntN(4) > 0)
		case 6:
			if old := h.next(); r.IntN(2) == 0 {
				late = append(late, old) // and it comes after those that follow
			}
		default:
			if len(late) > 0 && r.IntN(2) == 0 {
				if _, err := s.lessor().Lease(s.Context(), late[0]); err != nil {
					s.Fatal(err)
				}
				late = late[1:]
			}
			s.advance(time.Duration(r.Int64N(int64(60 * time.Millisecond))))
			if s.Shared && r.IntN(40) == 0 {
				for range 8 { // some stand still
					s.advance(400 * time.Millisecond)
					for _, h := range all[len(all)/2:] {
						h.claims(true)
					}
				}
			}
		}
		var punctual, known, lent int64
		back := c == &h.claim && h.lapsed && !h.away
		for _, h := range all {
			back, h.back = back || h.back, false
			if !h.holds() && h.claim.Used > 0 && !h.lapsed {
				h.lapsed, h.away = true, true
			}
			h.lapsed = h.lapsed && h.claim.Used > 0
			if !h.lapsed {
				punctual += h.claim.Used
			}
			if !h.away {
				known += h.claim.Used
				lent += max(h.claim.Used, h.ceiling)
			}
		}
		if punctual > limit {
			s.Fatalf("%d of %d slots are used", punctual, limit)
		}
		if back {
			allowed = max(allowed, lent) // what was lent meanwhile may be used
		}
		if known > allowed {
			s.Fatalf("%d of %d slots are used, some by those who came back to %d", known, limit, allowed)
		}
		allowed = max(limit, min(allowed, known))
	}
	s.settleDown(all, limit)
}

// settleDown wants equal shares in the end, and nothing left when all have gone.
func (s *suite) settleDown(all []*holder, limit int64) {
	var needs []int64
	for _, h := range all {
		h.claim.Spare = 0
		needs = append(needs, h.claim.Need)
	}
	for range 60 {
		for _, h := range all {
			h.claim.Used = min(h.claim.Used, h.ceiling) // calls end
			h.claims(true)
			h.claim.Used = min(h.claim.Need, h.ceiling)
		}
		s.advance(100 * time.Millisecond)
	}
	slices.Sort(needs)
	level, left := int64(1)<<40, limit
	for i, n := range needs {
		if share := left / int64(len(needs)-i); n > share {
			level = share
			break
		}
		left -= n
	}
	var sum, needed int64
	for _, h := range all {
		sum += h.claim.Used
		needed += h.claim.Need
		if least := min(h.claim.Need, level); h.claim.Used < least || h.claim.Used > least+1 {
			s.Errorf("%s needs %d and has %d; the share is %d", h.claim.Holder, h.claim.Need, h.claim.Used, level)
		}
	}
	if want := min(limit, needed); sum < want-1 || sum > want {
		s.Errorf("%d slots are used of %d, where %d are needed", sum, limit, needed)
	}
	for _, h := range all {
		h.claim.Used, h.claim.Need = 0, 0
		h.claims(true)
	}
	s.slotsInUse(all[0].claim.Owner, 0)
	s.advance(100 * time.Millisecond)
	s.holder("newcomer", all[0].claim.Owner, limit).needs(0, limit, limit)
}
