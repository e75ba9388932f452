package engine

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A queue is the line of this process's callers of one flow for one scope: the order of
// arrival, but a retry near the front, at most one before each fresh call. Two lists make
// that order: the queue alternates between them as long as both have somebody. Joining,
// leaving and the head cost the same however many wait. The zero value is empty.
type queue struct {
	fresh, retries list
	retryFirst     bool            // the head is a retry
	wanted         backend.Amounts // by all
}

// A list is doubly linked through its waiters.
type list struct {
	head, tail *waiter
	n          int
	wanted     backend.Amounts
}

// A waiter is a call in the queue.
type waiter struct {
	prev, next  *waiter
	queued      bool
	retry       bool
	seq         uint64 // of its arrival
	arrived     time.Time
	charge      charge
	flow        *flow
	asked       bool    // on behalf of its flow
	stands      bool    // in the backend's line, as far as is known
	ended       bool    // it has a result, or its caller has left
	credit      int64   // by how much it counts less for its flow's share, since it has asked
	tag         float64 // where it stands in the backend's line
	reservation *Reservation
	err         error       // its result, once it has one
	signals     chan signal // has room for one report, and then one result
}

// A signal tells the caller of a waiter something. A chan of it, which has no pointers, is one
// allocation.
type signal uint8

const (
	result signal = iota // there is one
	report               // it is to report that it waits long
)

func (q *queue) len() int { return q.fresh.n + q.retries.n }

// head returns the first in line, or nil.
func (q *queue) head() *waiter {
	if q.retryFirst {
		return q.retries.head
	}
	return q.fresh.head
}

// last returns the one who has come last, or nil.
func (q *queue) last() *waiter {
	w := q.fresh.tail
	if r := q.retries.tail; w == nil || r != nil && r.seq > w.seq {
		w = r
	}
	return w
}

// A cursor goes through a queue in its order.
type cursor struct {
	fresh, retry *waiter
	retryNext    bool
}

func (q *queue) cursor() cursor { return cursor{q.fresh.head, q.retries.head, q.retryFirst} }

// next returns the next in line, or nil.
func (c *cursor) next() (w *waiter) {
	if c.retry == nil || c.fresh != nil && !c.retryNext {
		if w = c.fresh; w != nil {
			c.fresh = w.next
		}
	} else {
		w, c.retry = c.retry, c.retry.next
	}
	c.retryNext = w != nil && !w.retry
	return w
}

// oldest returns who came first of those who wait, or nil.
func (q *queue) oldest() *waiter {
	w := q.fresh.head
	if r := q.retries.head; w == nil || r != nil && r.seq < w.seq {
		w = r
	}
	return w
}

// ahead is how many stand before w and what they want, of the first most.
func (q *queue) ahead(w *waiter, most int) (n int, wanted backend.Amounts) {
	c := q.cursor()
	for x := c.next(); x != nil && x != w && n < most; x = c.next() {
		n++
		for d, cost := range x.charge.cost {
			wanted[d] += cost
		}
	}
	return n, wanted
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
	q.count(w, w.charge.cost, 1)
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
	q.count(w, w.charge.cost, -1)
	if q.head() == nil {
		q.retryFirst = !q.retryFirst
	}
}

// change changes what a waiter wants.
func (q *queue) change(w *waiter, f func(*charge)) {
	q.count(w, w.charge.cost, -1)
	f(&w.charge)
	q.count(w, w.charge.cost, 1)
}

// count adds what a waiter wants to the sums, or takes it off.
func (q *queue) count(w *waiter, amounts backend.Amounts, sign int64) {
	l := &q.fresh
	if w.retry {
		l = &q.retries
	}
	for d, n := range amounts {
		q.wanted[d] += sign * n
		l.wanted[d] += sign * n
	}
}

// mostCounted is how many of the other kind are counted before a call that would join: what
// a judgement costs must not grow with the queue.
const mostCounted = 256

// before is what those want at least that would stand before a call if it joined now. seq is
// that of its arrival, or 0 if it arrives only now.
func (q *queue) before(retry bool, seq uint64) backend.Amounts {
	mine, others := &q.fresh, &q.retries
	if retry {
		mine, others = others, mine
	}
	wanted, n := mine.wanted, mine.n
	for w := mine.tail; seq > 0 && w != nil && w.seq > seq; w = w.prev {
		n--
		for d, cost := range w.charge.cost {
			wanted[d] -= cost
		}
	}
	if q.retryFirst != retry {
		n++ // as many of the others, and the one that is next
	}
	if n >= others.n {
		for d, cost := range others.wanted {
			wanted[d] += cost
		}
		return wanted
	}
	w := others.head
	for range min(n, mostCounted) {
		for d, cost := range w.charge.cost {
			wanted[d] += cost
		}
		w = w.next
	}
	return wanted
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
