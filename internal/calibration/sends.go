package calibration

import (
	"slices"
	"sort"
	"time"
)

const (
	slotWidth = 10 * time.Millisecond
	remember  = 60 * time.Second
)

// Sends remembers how much had been charged to a bucket by anybody when we sent
// something in the last minute, in slots of slotWidth. The zero value is ready.
type Sends struct {
	slots []slot  // oldest first; only those in which something was sent
	start float64 // what had been charged before the first of them
}

type slot struct {
	index         int64   // of slotWidth since the epoch
	before, after float64 // what had been charged in all, before its first and after its last send
}

func slotOf(t time.Time) int64 { return t.UnixNano() / int64(slotWidth) }

// Add notes a send of this cost, by which so much had been charged in all. The
// answers of the backend may come out of order, but a total below that of a
// minute ago is that of a bucket which was lost: what was sent before says
// nothing about it.
func (s *Sends) Add(at time.Time, charged, cost float64) {
	index, before := slotOf(at), charged-cost
	if n := len(s.slots); n > 0 && before < s.start && index-s.slots[0].index > int64(overtaking/slotWidth) {
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

// After is what was charged after a send, as far as our own sends tell.
func (s *Sends) After(at time.Time, cost float64) float64 {
	return max(0, s.Between(at, remember)-cost)
}

// trim makes room by forgetting what is too old. Where that is little it makes much, so
// that not each send moves all that is remembered.
func (s *Sends) trim(now int64) {
	old := now - int64(remember/slotWidth)
	n := 0
	for n < len(s.slots) && s.slots[n].index < old {
		n++
	}
	if n > 0 {
		s.start = s.slots[n-1].after
	}
	s.slots = s.slots[:copy(s.slots, s.slots[n:])]
	if len(s.slots) > cap(s.slots)/4*3 {
		s.slots = slices.Grow(s.slots, len(s.slots)/2)
	}
}

// Between is what was charged in the time d from then on, as far as our own
// sends tell: between two of them it is taken to have come evenly.
func (s *Sends) Between(from time.Time, d time.Duration) float64 {
	return max(0, s.at(slotOf(from.Add(d)))-s.at(slotOf(from)-1))
}

// at is how much had been charged at the end of a slot.
func (s *Sends) at(index int64) float64 {
	i := sort.Search(len(s.slots), func(i int) bool { return s.slots[i].index > index })
	switch {
	case i == 0:
		return s.start
	case i == len(s.slots) || s.slots[i-1].index == index:
		return s.slots[i-1].after
	}
	a, b := s.slots[i-1], s.slots[i]
	part := float64(index-a.index) / float64(b.index-a.index)
	return a.after + max(0, b.before-a.after)*part
}
