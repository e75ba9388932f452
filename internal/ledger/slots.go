package ledger

import (
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

const (
	// SlotLease is how long after its last claim a holder's slots are given to others. A
	// holder is told SlotStep less.
	SlotLease = 3500 * time.Millisecond
	// SlotStep is the most by which the clock of leases moves between two claims. The
	// backend's own clock may be set, and its absence is no holder's silence.
	SlotStep = time.Second
	// SlotRecovery is for how long nobody gets more, after the backend has lost what
	// others hold: as long as all who live take to claim again.
	SlotRecovery = 1200 * time.Millisecond

	// SlotRenew is when a holder claims again, SlotIdle when it holds more than it needs
	// and SlotPoll when it needs more. SlotPollEach is added for each holder, up to
	// SlotIdle, where others have their turn before.
	SlotRenew    = 800 * time.Millisecond
	SlotIdle     = 250 * time.Millisecond
	SlotPoll     = 100 * time.Millisecond
	SlotPollEach = 2 * time.Millisecond

	// SlotTurn is for how long a holder may have one slot more than others who need it
	// too, and SlotOnlyTurn where those have none.
	SlotTurn     = 10 * time.Second
	SlotOnlyTurn = 3 * time.Second
	// SlotYield is for how long who has come to wait, as at the end of a turn, leaves free
	// slots to those who have waited longer: enough for them to claim.
	SlotYield = 2 * SlotPoll

	// SlotFew is how many holders are looked at for each claim. With more, a look at all
	// of them holds for SlotSurveyEach for each of the others.
	SlotFew        = 8
	SlotSurveyEach = 250 * time.Microsecond
)

// Endless is later than any time, and more than any number of slots. A double holds it.
const Endless = 1 << 52

// Slots share out a limit on calls in flight among holders. A holder's count is what it
// may use at most: what it has said that it will, or was lent since. The sum of counts
// never rises above the limit by a loan, and a slot is lent again only after its holder
// has said that it has given it up, or has said nothing for a whole lease.
//
// The shares are max-min fair: nobody has more than another who needs more, but for the
// slots that are left over, which go round. The zero value is empty.
type Slots struct {
	// Forever says that leases don't run out.
	Forever bool
	// Eased says that the last claim has left others more.
	Eased bool

	begun bool
	clock int64 // of leases
	last  int64 // the backend's time when the clock last moved
	sum   int64 // of counts
	// recovering is until when nobody gets more.
	recovering int64
	shares     shares
	holders    map[string]*slotHolder
}

// A slotHolder is what a holder has last said, and what it was lent.
type slotHolder struct {
	number            uint64
	count, need, used int64
	since             int64 // when it began to need more than it has, or last had to give some up; 0 if it does not
	// got is when it was last lent more. It is below 0 where it never was, as with one
	// that comes back, and its turn is over; of these the first may keep most.
	got     int64
	expires int64
}

// shares are what a look at all holders has found.
type shares struct {
	at, limit, n int64
	// level is what everybody may have who needs it. Of those who need more, some get
	// one more: who began to wait at first or earlier, at once only at unclaimed or earlier, and
	// of those who have had it who got it at keep or later.
	level, first, unclaimed, keep int64
	each                          int64 // how many to spare
}

// Lease renews a holder's lease.
func (s *Slots) Lease(now int64, c *backend.Claim) backend.Lease {
	if c.Holder == "" {
		return backend.Lease{Used: s.used(s.clock + s.passed(now))}
	}
	s.Eased = false
	h := s.holders[c.Holder]
	if h != nil && c.Number <= h.number {
		return s.answer(h, h.count, h.count)
	}
	s.tick(now, c.Held > 0)
	if h == nil {
		if s.holders == nil {
			s.holders = map[string]*slotHolder{}
		}
		h = &slotHolder{got: -s.clock}
		s.holders[c.Holder] = h
	}
	before := *h
	s.sum += c.Held - h.count
	h.number, h.count, h.need, h.used = c.Number, c.Held, c.Need, c.Used
	h.expires = s.clock + SlotLease.Microseconds()
	if s.Forever {
		h.expires = Endless
	}
	if c.Held < before.count {
		h.since = 0 // it has had a turn
	}
	h.waits(s.clock)
	if x := &s.shares; x.limit != c.Limit || s.clock-x.at >= max(0, x.n-SlotFew)*SlotSurveyEach.Microseconds() {
		s.survey(c.Limit)
	}
	target := s.shares.target(h) + min(c.Spare, s.shares.each)
	lent := min(target, c.Held)
	if more := min(c.Limit-s.sum, s.atOnce(h, target)-c.Held); more > 0 && s.clock >= s.recovering {
		lent = c.Held + more
		s.sum += lent - h.count
		h.count, h.got = lent, s.clock
		h.waits(s.clock)
	}
	s.Eased = h.count < before.count || h.need < before.need
	answer := s.answer(h, lent, target)
	if h.count == 0 && h.need == 0 {
		delete(s.holders, c.Holder)
	}
	return answer
}

// Empty reports whether nobody holds or needs anything.
func (s *Slots) Empty() bool { return len(s.holders) == 0 }

// passed is how much time has passed since the clock last moved. It always has: were two loans
// of the same time, nobody could say whose turn is over first.
func (s *Slots) passed(now int64) int64 { return max(1, now-s.last) }

// tick moves the clock. Where nothing is known, and the claim says that there was
// something, others hold slots too.
func (s *Slots) tick(now int64, held bool) {
	if !s.begun {
		s.begun, s.clock, s.last = true, now, now
		if held {
			s.recovering = now + SlotRecovery.Microseconds()
		}
	}
	s.clock += min(s.passed(now), SlotStep.Microseconds())
	s.last = now
}

// waits notes since when the holder has needed more than it has.
func (h *slotHolder) waits(clock int64) {
	switch {
	case h.need <= h.count:
		h.since = 0
	case h.since == 0:
		h.since = clock
	}
}

// atOnce is how many of what it may have a holder gets if so many are free.
func (s *Slots) atOnce(h *slotHolder, target int64) int64 {
	if target == s.shares.level+1 && h.count < target && h.since > s.shares.unclaimed && s.clock-h.since < SlotYield.Microseconds() {
		return s.shares.level
	}
	return target
}

// used is what all holders use whose leases run at that time. Questions move no clock: if
// nobody claims any more, all leases have run out as time goes.
func (s *Slots) used(clock int64) (n int64) {
	for _, h := range s.holders {
		if h.expires > clock {
			n += h.used
		}
	}
	return n
}

// answer is what a holder is told. target is what it would get if all were free.
func (s *Slots) answer(h *slotHolder, lent, target int64) backend.Lease {
	l := backend.Lease{Slots: lent, For: SlotLease - SlotStep, Again: SlotRenew}
	if s.Forever {
		l.For = 0
	}
	switch {
	case h.need > h.count && target > h.count:
		l.Again = SlotPoll
	case h.need > h.count:
		l.Again = min(SlotIdle, SlotPoll+time.Duration(s.shares.n)*SlotPollEach)
	case h.count > h.need:
		l.Again = SlotIdle
	}
	return l
}

// survey looks at all holders, drops those whose leases have run out, and finds their
// shares of the limit.
func (s *Slots) survey(limit int64) {
	var needs []int64
	var needed int64
	s.sum = 0
	for name, h := range s.holders {
		if h.expires <= s.clock {
			delete(s.holders, name)
			continue
		}
		needs = append(needs, h.need)
		needed += h.need
		s.sum += h.count
	}
	n := int64(len(needs))
	s.shares = shares{at: s.clock, limit: limit, n: n, level: Endless}
	if needed <= limit {
		s.shares.each = (limit - needed) / 2 / n
		return
	}
	slices.Sort(needs)
	left := limit
	for i, need := range needs {
		others := n - int64(i)
		if share := left / others; need > share {
			s.shares.level = share
			left -= share * others
			break
		}
		left -= need
	}
	s.round(left)
}

// round says who get the slots that are left over: those who have one more than the level
// for their turn, then those who have waited longest, then those whose turn ended last.
func (s *Slots) round(left int64) {
	x := &s.shares
	turn := SlotTurn.Microseconds()
	if x.level == 0 {
		turn = SlotOnlyTurn.Microseconds()
	}
	var waiting, have []int64
	var inTurn int64
	for _, h := range s.holders {
		switch {
		case h.need <= x.level:
		case h.count <= x.level:
			waiting = append(waiting, h.since)
		default:
			have = append(have, -h.got)
			if s.clock-h.got < turn {
				inTurn++
			}
		}
	}
	x.first = last(waiting, left-inTurn)
	x.unclaimed = last(waiting, left-int64(len(have)))
	x.keep = -last(have, min(left, max(inTurn, left-int64(len(waiting)))))
}

// last is the n-th smallest of the values; where there are fewer, it is above all of
// them, and where n is 0, below.
func last(values []int64, n int64) int64 {
	switch {
	case n <= 0:
		return -Endless
	case n > int64(len(values)):
		return Endless
	}
	slices.Sort(values)
	return values[n-1]
}

// target is how many a holder may have for what it needs.
func (x *shares) target(h *slotHolder) int64 {
	switch {
	case h.need <= x.level:
		return h.need
	case h.count <= x.level && h.since <= x.first, h.count > x.level && h.got >= x.keep:
		return x.level + 1
	}
	return x.level
}
