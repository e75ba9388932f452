package engine

import (
	"iter"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A queue is the line of this process's callers for one scope: the order of arrival, but
// a retry near the front, at most one before each fresh call. Two lists make that order:
// the queue alternates between them as long as both have somebody. Joining, leaving and
// the head cost the same however many wait. The zero value is empty.
type queue struct {
	fresh, retries list
	retryFirst     bool            // the head is a retry
	wanted         backend.Amounts // by all
	arrived        uint64
}

// A list is doubly linked through its waiters.
type list struct {
	head, tail *waiter
	n          int
}

// A waiter is a call in the queue.
type waiter struct {
	prev, next *waiter
	queued     bool

	seq         uint64 // of its arrival
	arrived     time.Time
	retry       bool
	charge      charge
	reservation *Reservation
	ended       bool       // it has a result, or its caller has left
	result      chan error // nil for a reservation
}

func (q *queue) len() int { return q.fresh.n + q.retries.n }

// head returns the first in line, or nil.
func (q *queue) head() *waiter {
	if q.retryFirst {
		return q.retries.head
	}
	return q.fresh.head
}

// all returns those who wait, in order.
func (q *queue) all() iter.Seq[*waiter] {
	return func(yield func(*waiter) bool) {
		fresh, retry, retryNext := q.fresh.head, q.retries.head, q.retryFirst
		for fresh != nil || retry != nil {
			var w *waiter
			if retry == nil || fresh != nil && !retryNext {
				w, fresh = fresh, fresh.next
			} else {
				w, retry = retry, retry.next
			}
			retryNext = !w.retry
			if !yield(w) {
				return
			}
		}
	}
}

// arrivals counts an arrival, and returns its number.
func (q *queue) arrivals() uint64 {
	q.arrived++
	return q.arrived
}

// join puts w in line and returns how many stand before it. It takes its place among its
// kind by its arrival: it may have asked by itself while others joined.
func (q *queue) join(w *waiter) (ahead int) {
	if q.len() == 0 {
		q.retryFirst = w.retry
	}
	mine, others := &q.fresh, &q.retries
	if w.retry {
		mine, others = others, mine
	}
	at := mine.n
	after := mine.tail
	for ; after != nil && after.seq > w.seq; after = after.prev {
		at--
	}
	mine.insert(w, after)
	for d, n := range w.charge.cost {
		q.wanted[d] += n
	}
	if q.retryFirst != w.retry {
		return at + min(others.n, at+1)
	}
	return at + min(others.n, at)
}

// leave takes w out, if it is in line.
func (q *queue) leave(w *waiter) {
	if !w.queued {
		return
	}
	if w == q.head() {
		q.retryFirst = !q.retryFirst
	}
	if w.retry {
		q.retries.remove(w)
	} else {
		q.fresh.remove(w)
	}
	for d, n := range w.charge.cost {
		q.wanted[d] -= n
	}
	if q.head() == nil {
		q.retryFirst = !q.retryFirst
	}
}

// among reports whether w is one of the first n.
func (q *queue) among(w *waiter, n int) bool {
	for x := range q.all() {
		if x == w {
			return true
		}
		if n--; n <= 0 {
			return false
		}
	}
	return false
}

// cut lowers what a waiter wants in tokens.
func (q *queue) cut(w *waiter, tokens int64) {
	q.wanted[backend.Tokens] -= w.charge.cost[backend.Tokens] - tokens
	w.charge.cut(tokens)
}

// insert puts w after another, or at the head where that is nil.
func (l *list) insert(w, after *waiter) {
	w.queued = true
	w.prev = after
	if after == nil {
		w.next, l.head = l.head, w
	} else {
		w.next, after.next = after.next, w
	}
	if w.next == nil {
		l.tail = w
	} else {
		w.next.prev = w
	}
	l.n++
}

func (l *list) remove(w *waiter) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	l.n--
}
