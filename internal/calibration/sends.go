package calibration

import "time"

const (
	slotWidth = 10 * time.Millisecond
	remember  = 60 * time.Second
)

// Sends remembers what was sent in the last minute, in slots of slotWidth. The
// zero value is ready.
type Sends struct {
	slots []slot // oldest first; only those in which something was sent
}

type slot struct {
	index int64 // of slotWidth since the epoch
	total float64
}

func slotOf(t time.Time) int64 { return t.UnixNano() / int64(slotWidth) }

// Add notes a cost. at must not go back.
func (s *Sends) Add(at time.Time, cost float64) {
	index := slotOf(at)
	if n := len(s.slots); n > 0 && s.slots[n-1].index >= index {
		s.slots[n-1].total += cost
		return
	}
	if len(s.slots) == cap(s.slots) {
		s.trim(index)
	}
	s.slots = append(s.slots, slot{index, cost})
}

// trim makes room by forgetting what is too old.
func (s *Sends) trim(now int64) {
	old := now - int64(remember/slotWidth)
	n := 0
	for n < len(s.slots) && s.slots[n].index < old {
		n++
	}
	s.slots = s.slots[:copy(s.slots, s.slots[n:])]
}

// After sums what else was sent after a request of this cost.
func (s *Sends) After(at time.Time, cost float64) float64 {
	return s.beside(at, cost, 0, remember)
}

// beside sums what else was sent between from and to, counted from a request.
// What shares its slot counts as both before and after it.
func (s *Sends) beside(at time.Time, cost float64, from, to time.Duration) float64 {
	first, last := slotOf(at.Add(from)), slotOf(at.Add(to))
	total := 0.0
	for i := len(s.slots) - 1; i >= 0 && s.slots[i].index >= first; i-- {
		if s.slots[i].index <= last {
			total += s.slots[i].total
		}
	}
	return max(0, total-cost)
}
