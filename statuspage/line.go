package statuspage

import (
	"slices"
	"time"
)

// A line is when those came who wait, in order.
type line []time.Time

func (l *line) join(now time.Time) { *l = append(*l, now) }

// leave takes out the one that came at that time or next after it.
func (l *line) leave(came time.Time) {
	i, _ := slices.BinarySearchFunc(*l, came, time.Time.Compare)
	if i = min(i, len(*l)-1); i == 0 {
		*l = (*l)[1:] // as nearly all do
		return
	}
	*l = slices.Delete(*l, i, i+1)
}
