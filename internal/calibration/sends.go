package calibration

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

const (
	slotWidth = 10 * time.Millisecond
	remember  = 60 * time.Second
)

// Sends remembers, for our own sends of the last minute, how much anybody had charged to
// a bucket at the time. It keeps one slot for each 10 ms in which something was sent. The
// zero value is ready.
type Sends struct {
	slots []slot        // oldest first
	start float64       // what had been charged before the first of them
	begun time.Time     // slots are counted from the first send
	only  time.Duration // is remembered; 0 for a minute
}

type slot struct {
	index         int64   // of slotWidth since begun
	before, after float64 // all that had been charged before its first and after its last send
}

// slotOf goes by the monotonic clock: a wall clock may be set back.
func (s *Sends) slotOf(t time.Time) int64 { return slotAt(t.Sub(s.begun)) }

func slotAt(since time.Duration) int64 {
	if since < 0 {
		since -= slotWidth - 1 // round down
	}
	return int64(since / slotWidth)
}

// Add records a send of this cost, after which charged was all that had ever been
// charged. The backend's answers may come out of order. But a total below that of a
// minute ago belongs to a new bucket, the old one having been lost, and earlier sends say
// nothing about it.
func (s *Sends) Add(at time.Time, charged, cost float64) {
	if s.begun.IsZero() {
		s.begun = at
	}
	index, before := s.slotOf(at), charged-cost
	if n := len(s.slots); n > 0 && before < s.start && index-s.slots[0].index > int64(Overtaking/slotWidth) {
		s.slots = s.slots[:0]
	}
	if n := len(s.slots); n > 0 && s.slots[n-1].index >= index {
		last := &s.slots[n-1]
		last.before, last.after = min(last.before, before), max(last.after, charged)
		if n == 1 {
			s.start = min(s.start, before)
		}
		return
	}
	if len(s.slots) == 0 {
		s.start = before
	}
	if len(s.slots) == cap(s.slots) {
		s.trim(index)
	}
	s.slots = append(s.slots, slot{index, before, charged})
}

// Since is from when on After counts sends, beside one at a time.
func (s *Sends) Since(at time.Time) time.Time {
	return s.begun.Add(time.Duration(s.slotOf(at)) * slotWidth)
}

// After is what was charged after a send, as far as our own sends show.
func (s *Sends) After(at time.Time, cost float64) float64 {
	return max(0, s.Between(at, remember)-cost)
}

// trim makes room for at least a quarter of the slots, by forgetting what is too old and
// else by growing: moving all slots for each new one would take too long.
func (s *Sends) trim(now int64) {
	old := now - int64(cmp.Or(s.only, remember)/slotWidth)
	n := 0
	for n < len(s.slots) && s.slots[n].index < old {
		n++
	}
	if n--; n > 0 { // the last of the old ones tells how fast it went on
		s.start = s.slots[n-1].after
		s.slots = s.slots[:copy(s.slots, s.slots[n:])]
	}
	if len(s.slots) > cap(s.slots)/4*3 {
		s.slots = slices.Grow(s.slots, len(s.slots)/2)
	}
}

// Between is what was charged from a time on for a duration, as far as our own sends
// show. Between two sends the charges of others are taken to have come evenly.
func (s *Sends) Between(from time.Time, d time.Duration) float64 {
	since := from.Sub(s.begun)
	return s.between(since, since+d)
}

// Lately is what was charged up to a time for a duration, as Between has it.
func (s *Sends) Lately(to time.Time, d time.Duration) float64 {
	since := to.Sub(s.begun)
	return s.between(since-d, since)
}

func (s *Sends) between(from, to time.Duration) float64 {
	return max(0, s.at(slotAt(to))-s.at(slotAt(from)-1))
}

// Before is what anybody had charged so long before a time, as far as our own sends show: nothing
// before the first of them.
func (s *Sends) Before(t time.Time, by time.Duration) float64 {
	if index := slotAt(t.Sub(s.begun)-by) - 1; len(s.slots) > 0 && index >= s.slots[0].index {
		return s.at(index)
	}
	return 0
}

// latest is all that had been charged after the last send.
func (s *Sends) latest() float64 {
	if n := len(s.slots); n > 0 {
		return s.slots[n-1].after
	}
	return 0
}

// reaches reports whether what was charged since a time is remembered, if all that was ever
// charged began with nothing.
func (s *Sends) reaches(t time.Time) bool {
	return len(s.slots) == 0 || s.start == 0 || s.slotOf(t) >= s.slots[0].index
}

// at is how much had been charged at the end of a slot.
func (s *Sends) at(index int64) float64 {
	last := len(s.slots) - 1
	switch {
	case last < 0 || index < s.slots[0].index:
		return s.start
	case index >= s.slots[last].index:
		return s.slots[last].after
	}
	first := int(max(0, int64(last)-(s.slots[last].index-index))) // it may be: no two have one index
	if s.slots[first].index == index {
		return s.slots[first].after
	}
	later := s.slots[first+1:]
	i := sort.Search(len(later), func(i int) bool { return later[i].index > index })
	a, b := &s.slots[first+i], &later[i]
	part := float64(index-a.index) / float64(b.index-a.index)
	return a.after + max(0, b.before-a.after)*part
}
