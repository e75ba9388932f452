package backendtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/seedtest"
)

// may is how many slots the holder may use without another answer, of those that the
// backend has to count: one that has been silent for a whole lease has none.
func (h *holder) may() int64 {
	switch {
	case h.holds():
		return max(h.claim.Used, h.ceiling)
	case h.s.elapsed() < h.known:
		return h.claim.Used
	}
	return 0
}

// lendAtRandom: whatever holders do who keep the rules, and whatever is lost or late on its
// way, nobody gets more than the others leave of the limit. In the end everybody has its
// share.
func (s *suite) lendAtRandom() {
	seed := seedtest.Seed()
	for i := range uint64(12) {
		s.slotHistory(rand.New(rand.NewPCG(seed, i)), fmt.Sprint("o", i))
		if s.Failed() {
			s.Fatalf("with the seed %d, %d", seed, i)
		}
	}
}

func (s *suite) slotHistory(r *rand.Rand, owner string) {
	limit := 1 + r.Int64N(12)
	all := make([]*holder, 1+r.IntN(24))
	for i := range all {
		all[i] = s.holder(fmt.Sprint("h", i), owner, limit)
	}
	var late []backend.Claim
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
			h.claimsWithin(all, r.IntN(4) > 0)
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
						h.claimsWithin(all, true)
					}
				}
			}
		}
	}
	s.settleDown(all, limit)
}

// claimsWithin claims. More than the holder has is lent only where that and all that others
// may use is within the limit. So calls in flight exceed it by no more than those of holders
// that were silent for a whole lease and then came back.
func (h *holder) claimsWithin(all []*holder, heard bool) {
	h.s.Helper()
	l := h.claims(heard)
	if l.Slots <= h.claim.Held {
		return
	}
	sum := l.Slots
	for _, other := range all {
		if other != h {
			sum += other.may()
		}
	}
	if limit := h.claim.Limit; sum > limit {
		h.s.Fatalf("%s holds %d and gets %d: then %d of %d slots are in use or may be", h.claim.Holder, h.claim.Held, l.Slots, sum, limit)
	}
}

// settleDown wants equal shares in the end, and nothing left when all have gone.
func (s *suite) settleDown(all []*holder, limit int64) {
	for _, h := range all {
		h.claim.Spare = 0
	}
	level, needed := shares(all, limit)
	var most int64
	for round := range 60 {
		var sum int64
		for _, h := range all {
			h.claim.Used = min(h.claim.Used, h.ceiling) // calls end
			h.claimsWithin(all, true)
			h.claim.Used = min(h.claim.Need, h.ceiling)
			sum += h.claim.Used
		}
		s.advance(100 * time.Millisecond)
		if round < 30 {
			continue
		}
		for _, h := range all {
			if least := min(h.claim.Need, level); h.claim.Used < least || h.claim.Used > least+1 {
				s.Errorf("%s needs %d and has %d; the share is %d", h.claim.Holder, h.claim.Need, h.claim.Used, level)
			}
		}
		most = max(most, sum)
	}
	// Some may be on their way from one whose turn is over to the next.
	if want := min(limit, needed); most < want-1 || most > want {
		s.Errorf("%d slots are used of %d, where %d are needed", most, limit, needed)
	}
	for _, h := range all {
		h.claim.Used, h.claim.Need = 0, 0
		h.claims(true)
	}
	s.slotsInUse(all[0].claim.Owner, 0)
	s.advance(100 * time.Millisecond)
	s.holder("newcomer", all[0].claim.Owner, limit).needs(0, limit, limit)
}

// shares are what everybody may have who needs it, and what all need.
func shares(all []*holder, limit int64) (level, needed int64) {
	var needs []int64
	for _, h := range all {
		needs = append(needs, h.claim.Need)
		needed += h.claim.Need
	}
	slices.Sort(needs)
	left := limit
	for i, n := range needs {
		if share := left / int64(len(needs)-i); n > share {
			return share, needed
		}
		left -= n
	}
	return 1 << 40, needed
}
