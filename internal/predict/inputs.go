package predict

import "math"

// Inputs learns what usage says of the input of calls with functions. The models are shown
// functions in a form that nobody has published, so our count may be short: by a constant and by
// a part of the count, which the recent calls of a model show. The zero value takes our count.
//
// Each process learns for itself: a few responses teach it.
type Inputs struct {
	recent [32]struct{ counted, used float64 }
	n      uint64
	add    float64
	part   float64
}

const (
	// fewInputs is how many calls show nothing yet.
	fewInputs = 8
	// spread is the part of their mean by which counts must vary to tell a part from a
	// constant, and mostPart the largest part.
	spread, mostPart = 0.1, 1
	// near and nearly are how far usage may lie from what was learned: in tokens, and as a
	// part of it.
	near, nearly = 16, 0.02
)

// Add takes in a call's input, as it was counted and as its usage reports it.
func (i *Inputs) Add(counted, used int64) {
	if counted <= 0 || used <= 0 {
		return
	}
	i.recent[i.n%uint64(len(i.recent))] = struct{ counted, used float64 }{float64(min(counted, largest)), float64(min(used, largest))}
	i.n++
	i.add, i.part = i.fit()
}

// Count is what usage will say of an input, and never less than was counted.
func (i *Inputs) Count(counted int64) int64 {
	short := i.add + i.part*float64(counted)
	return min(largest, counted+int64(max(0, short)+0.5))
}

// fit returns by how much usage is above the count, if the recent calls agree on it.
func (i *Inputs) fit() (add, part float64) {
	n := min(i.n, uint64(len(i.recent)))
	if n < fewInputs {
		return 0, 0
	}
	var x, short, xx, xy float64
	for _, r := range i.recent[:n] {
		x += r.counted / float64(n)
		short += (r.used - r.counted) / float64(n)
	}
	for _, r := range i.recent[:n] {
		dx := r.counted - x
		xx += dx * dx / float64(n)
		xy += dx * (r.used - r.counted) / float64(n)
	}
	if math.Sqrt(xx) > spread*x {
		part = xy / xx
	}
	if part > mostPart {
		part = 0
	}
	add = short - part*x
	for _, r := range i.recent[:n] {
		if off := math.Abs(r.used - r.counted - add - part*r.counted); off > near+nearly*r.used {
			return 0, 0
		}
	}
	return add, part
}
