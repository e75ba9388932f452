package ledger

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A slotsBench claims slots of a limit at a time that it moves.
type slotsBench struct {
	*testing.T
	Slots
	now     int64
	limit   int64
	numbers map[string]uint64
}

func newSlotsBench(t *testing.T) *slotsBench {
	return &slotsBench{T: t, now: 1_700_000_000_000_000, limit: 10, numbers: map[string]uint64{}}
}

func (b *slotsBench) claims(holder string, held, need, want int64) backend.Lease {
	b.Helper()
	b.numbers[holder]++
	l := b.Lease(b.now, &backend.Claim{Holder: holder, Number: b.numbers[holder], Limit: b.limit, Used: held, Held: held, Need: need})
	if l.Slots != want {
		b.Errorf("%s has %d, needs %d and gets %d; want %d", holder, held, need, l.Slots, want)
	}
	return l
}

func (b *slotsBench) passes(d time.Duration) { b.now += d.Microseconds() }

// No step of the backend's clock, and no absence of the backend, ends the leases of those
// who claim again.
func TestLeasesOutliveTheClock(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour, time.Minute} {
		t.Run(step.String(), func(t *testing.T) {
			b := newSlotsBench(t)
			b.claims("a", 0, 6, 6)
			b.claims("b", 0, 2, 2)
			for range 3 {
				b.passes(SlotRenew)
				b.claims("a", 6, 6, 6)
				b.claims("b", 2, 2, 2)
			}
			b.passes(step)
			b.claims("b", 2, 10, 4)
			b.passes(SlotRenew)
			b.claims("b", 4, 10, 4)
			b.claims("a", 6, 6, 5)
			for range 4 {
				b.passes(SlotRenew)
				b.claims("b", 4, 10, 4)
			}
			b.passes(SlotRenew)
			b.claims("b", 4, 10, 10) // but that of one who does not does end
		})
	}
}

// After a loss nobody gets more until all who live have claimed again, if one who held
// something comes first.
func TestSlotsAfterALoss(t *testing.T) {
	b := newSlotsBench(t)
	b.claims("a", 6, 8, 6)
	b.claims("newcomer", 0, 10, 0)
	b.passes(SlotRenew)
	b.claims("newcomer", 0, 10, 0)
	b.claims("b", 4, 4, 3) // it keeps what it uses, but should have less
	b.passes(SlotRecovery - SlotRenew)
	b.claims("a", 6, 6, 3)
	b.claims("a", 5, 6, 3)
	b.claims("newcomer", 0, 10, 1)
}

// Who gives up a slot at the end of its turn leaves it to those who have waited, however soon
// it claims again: also where the turns of several end at once.
func TestSlotsGoRound(t *testing.T) {
	b := newSlotsBench(t)
	b.limit = 2
	has := map[string]int64{"a": 1, "b": 1}
	b.claims("a", 0, 1, 1)
	b.claims("b", 0, 1, 1)
	b.claims("c", 0, 5, 0)
	turn := func() {
		for range 3 {
			b.passes(SlotRenew)
			for _, holder := range []string{"a", "b", "c", "d"} {
				b.claims(holder, has[holder], 5, has[holder])
			}
		}
		b.passes(SlotRenew)
	}
	for _, next := range [][]string{{"a", "c", "b", "d"}, {"c", "a", "d", "b"}} {
		turn()
		for i := 0; i < len(next); i += 2 {
			gives, gets := next[i], next[i+1]
			has[gives], has[gets] = 0, 1
			b.claims(gives, 0, 5, 0)
			b.passes(time.Millisecond)
			b.claims(gives, 0, 5, 0)
			b.claims(gets, 0, 5, 1)
			b.passes(time.Millisecond)
		}
	}
	turn()
	b.claims("d", 0, 0, 0)
	b.claims("a", 0, 5, 0)
	b.passes(time.Millisecond)
	b.claims("a", 0, 5, 0)
	b.passes(SlotYield) // c does not come for it
	b.claims("a", 0, 5, 1)
}

// With many holders a claim does not look at all of them, and the shares of a moment ago
// still hold; who has waited longest is next.
func TestManyHolders(t *testing.T) {
	b := newSlotsBench(t)
	for i := range 100 {
		b.passes(time.Millisecond)
		b.claims(fmt.Sprint(i), 0, 1, min(1, max(0, int64(10-i))))
	}
	b.passes(92 * SlotSurveyEach)
	b.claims("0", 1, 1, 1)
	at := b.shares.at
	b.claims("0", 0, 0, 0)
	b.claims("20", 0, 1, 0)
	if b.shares.at != at {
		t.Error("a claim looks at all holders")
	}
	b.passes(92 * SlotSurveyEach)
	b.claims("11", 0, 1, 0) // 10 has waited longer
	if b.shares.at == at {
		t.Error("nobody looks at all holders")
	}
	b.claims("10", 0, 1, 1)
}

// Whatever holders claim, what is counted is what they hold, an answer says when to come again, and
// others are told where something has come free.
func TestSlotsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Slots
		s.Forever = rapid.Bool().Draw(t, "for ever")
		now := int64(1_700_000_000_000_000)
		limit := rapid.Int64Range(1, 12).Draw(t, "limit")
		holders := map[string]*backend.Claim{}
		for range rapid.IntRange(1, 40).Draw(t, "claims") {
			now += rapid.Int64Range(0, 2*SlotTurn.Microseconds()).Draw(t, "later")
			name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "holder")
			c := holders[name]
			if c == nil {
				c = &backend.Claim{Holder: name}
				holders[name] = c
			}
			before := slotHolder{}
			if h := s.holders[name]; h != nil {
				before = *h
			}
			c.Number++
			c.Limit, c.Need = limit, rapid.Int64Range(0, 8).Draw(t, "need")
			c.Held = min(c.Held, rapid.Int64Range(0, 8).Draw(t, "held"))
			c.Used, c.Spare = min(c.Held, c.Need), rapid.Int64Range(0, 3).Draw(t, "spare")
			lease := s.Lease(now, c)
			c.Held = lease.Slots // it gives up the others at its next claim
			sum, used := int64(0), int64(0)
			for _, h := range s.holders {
				sum += h.count
				if h.expires > s.clock {
					used += h.used
				}
			}
			if sum != s.sum && len(s.holders) > 0 {
				t.Fatalf("%d are counted; want %d", s.sum, sum)
			}
			if got := s.Lease(now, &backend.Claim{}).Used; got > used || s.Empty() != (len(s.holders) == 0) {
				t.Fatalf("%d are used; want %d; empty: %v", got, used, s.Empty())
			}
			h := s.holders[name]
			if h == nil {
				h = &slotHolder{}
				if c.Need > 0 || lease.Slots > 0 {
					t.Fatalf("who needs %d and has %d is forgotten", c.Need, lease.Slots)
				}
			}
			if s.Eased != (h.count < before.count || h.need < before.need) {
				t.Fatalf("eased: %v, from %+v to %+v", s.Eased, before, h)
			}
			if (lease.For == 0) != s.Forever {
				t.Fatalf("for %v", lease.For)
			}
			switch again := lease.Again; {
			case h.need > h.count && again != SlotPoll && again != min(SlotIdle, SlotPoll+time.Duration(s.shares.n)*SlotPollEach),
				h.need < h.count && again != SlotIdle, h.need == h.count && again != SlotRenew:
				t.Fatalf("again after %v of %+v", again, h)
			}
			if len(s.holders) > 0 && s.holders[name] == h {
				if repeated := s.Lease(now, c); repeated.Slots != h.count || s.Eased {
					t.Fatalf("the same claim gets %+v, and then %+v; eased: %v", lease, repeated, s.Eased)
				}
			}
		}
	})
}

// A holder waits from when it first needs more than it has.
func TestHolderWaits(t *testing.T) {
	var h slotHolder
	for i, x := range []struct{ need, count, clock, since int64 }{
		{1, 1, 5, 0}, {2, 1, 9, 9}, {3, 1, 10, 9}, {3, 3, 11, 0}, {4, 3, 12, 12}, {0, 3, 13, 0},
	} {
		h.need, h.count = x.need, x.count
		if h.waits(x.clock); h.since != x.since {
			t.Errorf("claim %d: since %d; want %d", i, h.since, x.since)
		}
	}
}
