// Package ordertest says in which order the calls of a fleet should start.
package ordertest

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// A Call is one that has waited on behalf of a tenant of a class. Its start is zero if it has not
// started.
type Call struct {
	Arrived, Started time.Time
	Tenant           string
}

// Ideal returns when each of the calls should have started: had all stood in one queue from their
// arrival on, and whenever one of the fleet's has started, the first in that queue. The tenants
// take turns by start-time fair queueing, as docs/ARCHITECTURE.md says: a call stands as far behind
// the one before of its tenant as there are tenants that ask, and no nearer than the queue has come.
// All calls count the same. What does not start has a zero time.
func Ideal(calls []Call) []time.Time {
	ideal := make([]time.Time, len(calls))
	var arrivals, starts []int
	for i := range calls {
		arrivals = append(arrivals, i)
		if !calls[i].Started.IsZero() {
			starts = append(starts, i)
		}
	}
	slices.SortStableFunc(arrivals, func(i, j int) int { return calls[i].Arrived.Compare(calls[j].Arrived) })
	slices.SortStableFunc(starts, func(i, j int) int { return calls[i].Started.Compare(calls[j].Started) })
	var q queue
	finish, virtual := map[string]float64{}, 0.0 // of each tenant that asks, and how far the queue has come
	for _, s := range starts {
		at := calls[s].Started
		for len(arrivals) > 0 && !calls[arrivals[0]].Arrived.After(at) {
			i := arrivals[0]
			arrivals = arrivals[1:]
			for tenant, tag := range finish {
				if tag <= virtual {
					delete(finish, tenant)
				}
			}
			tenant := calls[i].Tenant
			tag := max(virtual, finish[tenant])
			finish[tenant] = tag // which counts as asking
			finish[tenant] += float64(len(finish))
			heap.Push(&q, place{tag, len(calls) - len(arrivals), i})
		}
		first := heap.Pop(&q).(place)
		virtual, ideal[first.call] = first.tag, at
	}
	return ideal
}

// A queue is a heap of places: by tag, and then by arrival.
type queue []place

type place struct {
	tag           float64
	arrival, call int
}

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(place)) }

func (q queue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].tag, q[j].tag), cmp.Compare(q[i].arrival, q[j].arrival)) < 0
}

func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// Waits returns, in order, how long the calls have waited that started in a time, and how long
// those that should have.
func Waits(calls []Call, from, to time.Time) (actual, ideal []time.Duration) {
	within := func(at time.Time) bool { return !at.Before(from) && !at.After(to) }
	for i, should := range Ideal(calls) {
		if within(calls[i].Started) {
			actual = append(actual, calls[i].Started.Sub(calls[i].Arrived))
		}
		if within(should) {
			ideal = append(ideal, should.Sub(calls[i].Arrived))
		}
	}
	slices.Sort(actual)
	slices.Sort(ideal)
	return actual, ideal
}
