package engine

import (
	"cmp"
	"container/heap"
	"iter"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// flows are the callers of this process for one scope: a queue for each class and tenant. The
// backend decides between the flows of all processes. Here they are only kept in the order in
// which they ask for their next calls. That is by their places at the backend's last answer; a
// flow that has none yet comes first.
type flows struct {
	known   map[flowKey]*flow
	waiting byTag[*flow]   // those of them in whose queue somebody waits
	resting byTag[resting] // others that are ahead of the line
	classes map[string]*class
	eldest  *waiter           // who has waited longest, unless it has left
	virtual float64           // how far the backend's line has come
	unit    backend.Dimension // in which calls count for the shares: tokens, or requests
	stood   []*waiter         // who has asked last, where there are several flows
	n       int
	wanted  backend.Amounts // by all
	arrived uint64
}

type flowKey struct{ class, tenant string }

// A class counts its tenants that wait or rest, and has those in whose queues somebody waits.
type class struct {
	tenants int
	waiting byTag[crowd]
}

// A crowd is a flow in whose queue somebody waits. The one with most waiters comes first.
type crowd struct{ *flow }

func (c crowd) at() float64  { return -float64(c.len()) }
func (c crowd) moved(to int) { c.rank = to }

// A resting flow is one in whose queue nobody waits, but that has had more than its share: it
// counts as a tenant until the line has come as far.
type resting struct{ *flow }

func (r resting) at() float64 { return r.due }

// A flow is the callers of a tenant, within a class.
type flow struct {
	backend.Flow
	queue
	tag      float64 // of its next call
	due      float64 // how far the line must come until it counts no more, while it rests
	rests    bool
	index    int   // among those that wait, or that rest
	rank     int   // among those of its class that wait
	credit   int64 // what its calls have used less than they were charged
	inFlight int   // calls that have waited here and have started, but not ended
}

// flowOf is on whose behalf a single call asks: nil where the backend need not know.
func flowOf(c *Call) []backend.Flow {
	if plain(c.Flow) {
		return nil
	}
	return []backend.Flow{c.Flow}
}

// plain reports whether the backend need not know of the flow.
func plain(f backend.Flow) bool {
	return f.Class == "" && f.Tenant == "" && (f.Weight == 0 || f.Weight == 1)
}

func (f *flow) at() float64  { return f.tag }
func (f *flow) moved(to int) { f.index = to }

// A glance goes through the queue of a flow.
type glance struct {
	unit      backend.Dimension
	tag, pace float64
	next      *waiter
	cursor    cursor
	credit    float64 // of the flow, for calls that have not asked yet
}

// net is what the next call will count when it asks.
func (g *glance) net(w *waiter) float64 {
	units := w.units(g.unit)
	if w.asked {
		return units
	}
	credit := min(g.credit, units)
	g.credit -= credit
	return units - credit
}

func (g *glance) at() float64 { return g.tag }
func (g *glance) moved(int)   {}

func (q *flows) len() int { return q.n }

// plain reports whether all who wait are of the plain flow.
func (q *flows) plain() bool {
	return len(q.waiting) == 0 || len(q.waiting) == 1 && plain(q.waiting[0].Flow)
}

// head returns the first in line, or nil.
func (q *flows) head() *waiter {
	if len(q.waiting) == 0 {
		return nil
	}
	return q.waiting[0].head()
}

// flow returns the flow of a class and tenant.
func (q *flows) flow(is backend.Flow) *flow {
	key := flowKey{is.Class, is.Tenant}
	f := q.known[key]
	if f == nil {
		if q.known == nil {
			q.known, q.classes = map[flowKey]*flow{}, map[string]*class{}
		}
		f = &flow{Flow: is, tag: q.virtual}
		q.known[key] = f
	}
	f.Weight = is.Weight // which may be another than that of earlier calls
	return f
}

// class returns a class that has tenants.
func (q *flows) class(name string) *class {
	c := q.classes[name]
	if c == nil {
		c = new(class)
		q.classes[name] = c
	}
	return c
}

// rest finds what becomes of a flow in whose queue nobody waits: it rests until the line has come
// as far as what it has used, and is forgotten once none of its calls can come to have used more.
func (q *flows) rest(f *flow) {
	key := flowKey{f.Class, f.Tenant}
	if f.len() > 0 || q.known[key] != f {
		return
	}
	tenants := q.tenants(f.Class)
	if !f.rests {
		tenants++ // it counts as one if it rests
	}
	f.due = f.tag + float64(max(0, -f.credit))*paceOf(tenants, f.Weight)
	switch c := q.class(f.Class); {
	case f.due > q.virtual && f.rests:
		heap.Fix(&q.resting, f.index)
		return
	case f.due > q.virtual:
		f.rests = true
		heap.Push(&q.resting, resting{f})
		c.tenants++
		if len(q.resting) > mostResting {
			q.wake(q.resting[0].flow)
		}
		return
	case f.rests:
		q.wake(f)
		return
	}
	q.forget(f)
}

// mostResting is how many flows rest: of more the one is forgotten that would be next.
const mostResting = 10_000

// wake ends a flow's rest.
func (q *flows) wake(f *flow) {
	f.rests = false
	heap.Remove(&q.resting, f.index)
	q.classes[f.Class].tenants--
	q.forget(f)
}

// forget forgets a flow that counts no more, unless one of its calls is in flight.
func (q *flows) forget(f *flow) {
	if q.classes[f.Class].tenants == 0 {
		delete(q.classes, f.Class)
	}
	if f.inFlight == 0 {
		delete(q.known, flowKey{f.Class, f.Tenant})
	}
}

// start notes that a call of a flow has started, and end what it was refunded.
func (f *flow) start() { f.inFlight++ }

func (q *flows) end(f *flow, refund *backend.Amounts) {
	f.credit += refund[q.unit]
	f.inFlight--
	q.rest(f)
}

// pace is how much further in line the next call of a flow stands for a unit.
func (q *flows) pace(f *flow) float64 { return paceOf(q.tenants(f.Class), f.Weight) }

// tenants is how many of a class wait or rest.
func (q *flows) tenants(name string) int {
	if c := q.classes[name]; c != nil {
		return c.tenants
	}
	return 0
}

// paceOf is that of one of so many tenants, whose class has the weight.
func paceOf(tenants int, weight float64) float64 {
	if weight > 0 {
		return float64(tenants) / weight
	}
	return float64(tenants)
}

// units is what the call counts for its flow's share, as the backend counts.
func (w *waiter) units(unit backend.Dimension) float64 {
	return float64(max(0, max(1, w.charge.cost[unit])-w.credit))
}

// countIn says in what calls count for the shares. What was refunded in another dimension counts
// no more.
func (q *flows) countIn(unit backend.Dimension) {
	if unit == q.unit {
		return
	}
	q.unit = unit
	for _, f := range q.known {
		f.credit = 0
		c := f.cursor()
		for w := c.next(); w != nil; w = c.next() {
			w.credit = 0
		}
	}
}

// all returns those who wait, in the order in which they ask. Whoever stops after a few has
// looked at few flows.
func (q *flows) all() iter.Seq[*waiter] {
	return func(yield func(*waiter) bool) {
		if len(q.waiting) == 1 {
			c := q.waiting[0].cursor()
			for w := c.next(); w != nil && yield(w); w = c.next() {
			}
			return
		}
		var glances byTag[*glance]
		for front := newFront(q.waiting); ; {
			if f := front.first(); f != nil && (len(glances) == 0 || f.tag < glances[0].tag) {
				g := &glance{unit: q.unit, tag: f.tag, pace: q.pace(f), cursor: f.cursor(), credit: max(0, float64(f.credit))}
				g.next = g.cursor.next()
				heap.Push(&glances, g)
				front.pop()
				continue
			}
			if len(glances) == 0 || !yield(glances[0].next) {
				return
			}
			g := glances[0]
			g.tag += g.net(g.next) * g.pace
			if g.next = g.cursor.next(); g.next == nil {
				heap.Pop(&glances)
			} else {
				heap.Fix(&glances, 0)
			}
		}
	}
}

// standing returns those who must be in the next ask, in order, n at most: those who stand in
// the backend's line, since whoever leaves it loses his place, and the first of each flow that
// has nobody there, so that it gets one. With a single flow there is nobody: its queue is its
// order.
func (q *flows) standing(n int) (all []*waiter) {
	if len(q.waiting) < 2 {
		for _, w := range q.stood {
			w.stands = false
		}
		q.stood = nil
		return nil
	}
	present := map[*flow]bool{}
	for _, w := range q.stood {
		if w.stands = w.queued; w.queued {
			all, present[w.flow] = append(all, w), true
		}
	}
	front := newFront(q.waiting)
	for more := n; more > 0; front.pop() {
		f := front.first()
		if f == nil {
			break
		}
		if !present[f] {
			w := f.head()
			w.stands, w.tag = true, f.tag
			all, more = append(all, w), more-1
		}
	}
	slices.SortStableFunc(all, func(a, b *waiter) int { return cmp.Compare(a.tag, b.tag) })
	for _, w := range all[min(n, len(all)):] {
		w.stands = false
	}
	return all[:min(n, len(all))]
}

// stand notes who asks, of those who could have.
func (q *flows) stand(batch, all []*waiter) {
	if len(q.waiting) < 2 {
		return
	}
	q.stood = batch
	for _, w := range all[len(batch):] {
		w.stands = false // there was no room for it
	}
}

// arrivals counts an arrival, and returns its number.
func (q *flows) arrivals() uint64 {
	q.arrived++
	return q.arrived
}

// join puts w in line, and returns how many of its flow stand before it.
func (q *flows) join(w *waiter, is backend.Flow) (ahead int) {
	f := q.flow(is)
	w.flow = f
	if q.eldest != nil && w.seq < q.eldest.seq {
		q.eldest = w
	}
	q.count(&w.charge.cost, 1)
	ahead = f.join(w)
	c := q.class(f.Class)
	if f.len() == 1 {
		if f.rests {
			f.rests = false
			heap.Remove(&q.resting, f.index)
		} else {
			c.tenants++
		}
		f.tag = max(f.tag, q.virtual)
		heap.Push(&q.waiting, f)
		heap.Push(&c.waiting, crowd{f})
	} else {
		heap.Fix(&c.waiting, f.rank)
	}
	return ahead
}

// leave takes w out, if it is in line.
func (q *flows) leave(w *waiter) {
	if !w.queued {
		return
	}
	f := w.flow
	f.leave(w)
	q.count(&w.charge.cost, -1)
	c := q.classes[f.Class]
	if f.len() == 0 {
		heap.Remove(&q.waiting, f.index)
		heap.Remove(&c.waiting, f.rank)
		c.tenants--
		q.rest(f)
	} else {
		heap.Fix(&c.waiting, f.rank)
	}
	if q.n == 0 {
		q.known, q.resting, q.classes, q.eldest, q.virtual = nil, nil, nil, nil, 0
	}
}

// withdraw takes w out before it has started. What it would have counted less is left for
// others.
func (q *flows) withdraw(w *waiter) {
	w.flow.credit += w.credit
	q.leave(w)
}

func (q *flows) count(amounts *backend.Amounts, sign int64) {
	q.n += int(sign)
	for d, n := range amounts {
		q.wanted[d] += sign * n
	}
}

// among reports whether w is one of the first n, or, of several flows, has asked last.
func (q *flows) among(w *waiter, n int) bool {
	if len(q.waiting) > 1 {
		return w.stands
	}
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

// ahead is how many of its flow stand before w and what they want, of the first most.
func (q *flows) ahead(w *waiter, most int) (n int, wanted backend.Amounts) {
	return w.flow.ahead(w, most)
}

// oldest returns the time of the earliest arrival of those who wait, or of one that comes
// now.
func (q *flows) oldest(now time.Time) time.Time {
	if w := q.oldestWaiter(); w != nil {
		return w.arrived
	}
	return now
}

// oldestWaiter returns who came first, or nil. It looks at all flows only if the one that had
// waited longest has left.
func (q *flows) oldestWaiter() *waiter {
	if q.eldest == nil || !q.eldest.queued {
		q.eldest = nil
		for _, f := range q.waiting {
			if w := f.oldest(); q.eldest == nil || w.seq < q.eldest.seq {
				q.eldest = w
			}
		}
	}
	return q.eldest
}

// change changes what a waiter wants.
func (q *flows) change(w *waiter, f func(*charge)) {
	was := w.charge.cost
	w.flow.change(w, f)
	for d, n := range w.charge.cost {
		q.wanted[d] += n - was[d]
	}
}

// oneOfMany returns who has to leave a full queue for a call of a flow: the last one of the
// flow that has most of the queue for its share, if that is still more than the other will
// have then; else nil. It looks at one flow of each class.
func (q *flows) oneOfMany(is backend.Flow) *waiter {
	f, tenants, n := q.known[flowKey{is.Class, is.Tenant}], q.tenants(is.Class), 1
	if f != nil {
		n += f.len()
	} else {
		tenants++
	}
	var most *flow
	has := 0.0
	for _, c := range q.classes {
		if len(c.waiting) == 0 {
			continue
		}
		w := c.waiting[0].flow // the one that has most of its class
		pace := q.pace(w)
		if w.Class == is.Class { // whose tenants are one more, if this one is new
			pace = paceOf(tenants, w.Weight)
		}
		if n := float64(w.len()) * pace; n > has || n == has && w.Class < most.Class {
			most, has = w, n
		}
	}
	if most == nil || float64(n)*paceOf(tenants, is.Weight) >= has {
		return nil
	}
	return most.last()
}

// before is what those want at least that would stand before a call if it joined now.
func (q *flows) before(is backend.Flow, retry bool, seq uint64) backend.Amounts {
	f := q.known[flowKey{is.Class, is.Tenant}]
	if f == nil {
		return backend.Amounts{}
	}
	return f.before(retry, seq)
}

// asks says on whose behalf the calls ask: nil where the backend need not know. What
// their flows were refunded counts for the first of them that have not asked yet. Behind one
// that has others may stand already, whose places in line do not change.
func (q *flows) asks(batch []*waiter) []backend.Flow {
	if !slices.ContainsFunc(batch, func(w *waiter) bool { return !plain(w.flow.Flow) }) {
		return nil
	}
	flows := make([]backend.Flow, len(batch))
	for i, w := range batch {
		if f := w.flow; !w.asked {
			w.asked = true
			w.credit = min(f.credit, int64(w.units(q.unit)))
			f.credit -= w.credit
		}
		flows[i] = w.flow.Flow
		flows[i].Credit = w.credit
	}
	return flows
}

// place takes in an answer: where its calls stand in the line.
func (q *flows) place(batch []*waiter, answer *backend.Answer) {
	if answer.Tags == nil {
		return
	}
	// A line that has begun anew has come less far, or places the first call before where it was
	// expected. The other flows stay as far behind as they were.
	asked := max(0, slices.Index(answer.Order, 0)) // where the one stands that was asked for first
	if behind := max(q.virtual-answer.Virtual, batch[asked].flow.tag-answer.Tags[asked]); behind > 0 {
		for _, f := range q.known {
			f.tag, f.due = max(f.tag-behind, answer.Virtual), max(f.due-behind, answer.Virtual) // in order as before
		}
	}
	q.virtual = answer.Virtual
	stands := func(f *flow, tag float64) {
		if f.tag = tag; f.len() > 0 {
			heap.Fix(&q.waiting, f.index)
		} else {
			q.rest(f)
		}
	}
	for i, w := range batch {
		if w.tag = answer.Tags[i]; i < answer.Granted {
			stands(w.flow, w.tag+w.units(q.unit)*q.pace(w.flow))
		}
	}
	for _, w := range slices.Backward(batch[answer.Granted:]) { // the first of a flow comes last
		stands(w.flow, w.tag)
	}
	for len(q.resting) > 0 && q.resting[0].due <= q.virtual {
		q.rest(q.resting[0].flow)
	}
}
