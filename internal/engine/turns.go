package engine

import (
	"maps"
	"math"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// turns are how the classes of a process share an account's slots: by start-time fair queueing,
// as in a line, but in calls. A line has no say in it while each ask gets all it wants.
type turns struct {
	virtual float64
	finish  map[string]float64 // by class
}

// begin is the tag of a class's next call.
func (t *turns) begin(class string) float64 { return max(t.virtual, t.finish[class]) }

// next is the lowest tag of those who wait in a queue.
func (t *turns) next(q *flows) float64 {
	tag := math.Inf(1)
	for name, c := range q.classes {
		if len(c.waiting) > 0 {
			tag = min(tag, t.begin(name))
		}
	}
	return tag
}

// choose puts those before the others in a batch, n of them, whose turn it is. Each class's calls
// stay in order.
func (t *turns) choose(batch []*waiter, n int) {
	as := turns{t.virtual, maps.Clone(t.finish)} // if all of them start
	for i := range n {
		next := i
		for j := range batch[i:] {
			if as.begin(batch[i+j].flow.Class) < as.begin(batch[next].flow.Class) {
				next = i + j
			}
		}
		w := batch[next]
		copy(batch[i+1:next+1], batch[i:next])
		batch[i] = w
		as.serve(&w.flow.Flow)
	}
}

// serve notes that a flow's class has had a turn.
func (t *turns) serve(f *backend.Flow) {
	if t.finish == nil {
		t.finish = map[string]float64{}
	}
	t.virtual = t.begin(f.Class)
	t.finish[f.Class] = t.virtual + paceOf(1, f.Weight)
}
