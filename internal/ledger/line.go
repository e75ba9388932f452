package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A line is the order between the processes that share buckets. Every owner has a node
// in it: a scope's holds its tickets, a family's those of its scopes, the account's
// those of both. A node whose own buckets hold it back stands in nobody's way. So an ask
// looks at the first few of each node on its path, however many there are.
type line struct {
	flows   flows
	tickets map[string]*ticket
	nodes   map[*owner]*node
	blocked []entry // nodes, by when their own buckets let them on
	asked   []entry // tickets, by when they last asked, without the silent; none without a lease
	silent  []entry // tickets that have been stepped over, by when they last asked
	lease   int64   // after which a ticket is silent; 0 for never
	places  float64 // that were given away
	stamp   int64   // when somebody last came
	moved   bool    // somebody was taken out of others' way
	dirty   bool    // more has changed than time has passed; see Account.undo
	clock   int64   // the line's own time, in which nobody's silence is the store's
}

// A ticket is one process's place for one scope. It has charged nothing.
type ticket struct {
	id     string
	place  float64 // in the order of arrival
	number uint64
	answer backend.Answer // to number
	seen   int64          // when it last asked, by the line's clock
	silent bool           // it has been stepped over since
	demand
	parts   []part
	scope   *owner
	buckets []*bucket
	margins []float64 // of the buckets, as its ask described them
}

// A demand is what a ticket, or all of a node, asks for.
type demand struct {
	tag, end float64         // of the first cost, and after the last
	next     backend.Amounts // the first cost
	need     backend.Amounts // all costs
}

// A node is an owner's place in the order: first its own, then that among the nodes of
// the broader owner that its tickets draw from as well.
type node struct {
	owner    *owner
	parent   *node
	children int             // nodes that have it as their parent
	standing int             // tickets below
	need     backend.Amounts // of all of them
	end      float64         // after the last of their costs
	order    []entry         // of its tickets, or its nodes that nothing holds back
	place    float64
	until    float64 // when its own buckets let it on, or 0
	held     float64 // the place of the ticket that waits for that
	at       entry   // its entry in the parent's order, if it stands there
	stands   bool
}

// An entry is a place in an order: by tag, then by place, which is unique.
type entry struct {
	tag, place float64
	node       *node // or
	ticket     *ticket
}

func (e *entry) compare(o *entry) int {
	return cmp.Or(cmp.Compare(e.tag, o.tag), cmp.Compare(e.place, o.place))
}

// before is how many of the entries come before a place.
func before(order []entry, tag, place float64) int {
	n, _ := slices.BinarySearchFunc(order, entry{tag: tag, place: place}, func(e, o entry) int { return e.compare(&o) })
	return n
}

func add(order []entry, e entry) []entry {
	return slices.Insert(order, before(order, e.tag, e.place), e)
}

func remove(order []entry, tag, place float64) []entry {
	if at := before(order, tag, place); at < len(order) && order[at].tag == tag && order[at].place == place {
		return slices.Delete(order, at, at+1)
	}
	return order
}

// newPlace gives away the next place.
func (l *line) newPlace() float64 {
	l.places++
	return l.places
}

// node returns an owner's node.
func (l *line) node(o *owner) *node {
	n := l.nodes[o]
	if n == nil {
		if l.nodes == nil {
			l.nodes = map[*owner]*node{}
		}
		n = &node{owner: o, place: l.newPlace()}
		l.nodes[o] = n
		o.nodes++
	}
	return n
}

// path is the owners that a ticket draws from: its scope, and then the broader ones. That
// of ceilings is none of them, for it may be shared by scopes that share nothing else: what
// holds a ticket back there is as if it were the scope's own.
func path(scope *owner, buckets []*bucket) []*owner {
	owners := append(make([]*owner, 0, 4), scope)
	for _, b := range buckets {
		if !b.ceiling && !slices.Contains(owners, b.owner) {
			owners = append(owners, b.owner)
		}
	}
	return owners
}

// ceiling is the owner of a ticket's ceilings, or nil.
func ceiling(buckets []*bucket) *owner {
	for _, b := range buckets {
		if b.ceiling {
			return b.owner
		}
	}
	return nil
}

// Deepest is how many nodes the script looks for above each other. In its store a field may be
// lost; here none stands above itself, as adopt sees to.
const Deepest = 8

// enter puts the ticket where its place is.
func (l *line) enter(t *ticket) {
	if l.tickets == nil {
		l.tickets = map[string]*ticket{}
	}
	l.tickets[t.id] = t
	owners := path(t.scope, t.buckets)
	for i, o := range owners {
		n := l.node(o)
		n.standing++
		n.end = max(n.end, t.end)
		for d, units := range t.need {
			n.need[d] += units
		}
		if i+1 < len(owners) {
			l.adopt(n, l.node(owners[i+1]))
		}
	}
	if o := ceiling(t.buckets); o != nil {
		o.nodes++
	}
	n := l.node(t.scope)
	n.order = add(n.order, entry{tag: t.tag, place: t.place, ticket: t})
	l.stand(n)
}

// leave takes the ticket out of its place.
func (l *line) leave(t *ticket) {
	l.moved = true
	l.out(t)
	l.discount(t)
}

// replace puts a ticket where it was, as it has become. Where its place stays the same
// the order does not change.
func (l *line) replace(old, t *ticket) {
	if old.tag == t.tag && old.scope == t.scope && slices.Equal(old.buckets, t.buckets) {
		l.tickets[t.id] = t
		order := l.node(t.scope).order
		order[before(order, t.tag, t.place)].ticket = t
		for _, o := range path(t.scope, t.buckets) {
			n := l.node(o)
			n.end = max(n.end, t.end)
			for d, units := range t.need {
				n.need[d] += units - old.need[d]
			}
		}
		return
	}
	l.out(old)
	l.enter(t)
	l.discount(old)
}

// out takes the ticket out of the order.
func (l *line) out(t *ticket) {
	n := l.node(t.scope)
	n.order = remove(n.order, t.tag, t.place)
	l.stand(n)
}

// discount takes the ticket out of the sums.
func (l *line) discount(t *ticket) {
	if o := ceiling(t.buckets); o != nil {
		o.nodes--
	}
	for _, o := range path(t.scope, t.buckets) {
		n := l.node(o)
		n.standing--
		for d, units := range t.need {
			n.need[d] -= units
		}
		l.drop(n)
	}
}

// adopt has a node stand among those of a broader owner. Of two scopes that name the same owners
// in opposite orders, the one that came first decides which of them is broader.
func (l *line) adopt(n, parent *node) {
	was := n.parent
	if was == parent || parent.below(n) {
		return
	}
	l.unstand(n)
	if was != nil {
		l.stand(was) // n may have been the first there
	}
	n.parent = parent
	parent.children++
	l.stand(n)
	if was != nil {
		was.children--
		l.drop(was)
	}
}

// below reports whether the node stands below another one, or is that.
func (n *node) below(other *node) bool {
	for n != nil && n != other {
		n = n.parent
	}
	return n != nil
}

// up returns an owner's node if a ticket's path that has come to a node goes on there, else that
// node. Others may have left the owner out, or named it elsewhere: then it holds the ticket back as
// if its buckets were those of the node below.
func (l *line) up(n *node, o *owner) *node {
	if m := l.nodes[o]; n == nil || n.parent == m {
		return m
	}
	return n
}

// drop forgets a node below which nobody stands.
func (l *line) drop(n *node) {
	for n != nil && n.standing == 0 && n.children == 0 {
		l.unblock(n)
		delete(l.nodes, n.owner)
		n.owner.nodes--
		if n = n.parent; n != nil {
			n.children--
		}
	}
}

// head is the node's first ticket, or nil.
func (n *node) head() *ticket {
	for len(n.order) > 0 {
		if t := n.order[0].ticket; t != nil {
			return t
		}
		n = n.order[0].node
	}
	return nil
}

// stand gives the node, and those above it, the place that its first ticket has.
func (l *line) stand(n *node) {
	for {
		t := n.head()
		if n.until > 0 && t != nil && t.place != n.held {
			l.unblock(n) // another one is first
		}
		switch {
		case n.parent == nil:
			return
		case t == nil || n.until > 0:
			if !n.stands {
				return
			}
			l.unstand(n)
		case n.stands && n.at.tag == t.tag && n.at.place == t.place:
			return
		default:
			l.unstand(n)
			n.at, n.stands = entry{tag: t.tag, place: t.place, node: n}, true
			n.parent.order = add(n.parent.order, n.at)
		}
		n = n.parent
	}
}

func (l *line) unstand(n *node) {
	if n.stands {
		n.parent.order = remove(n.parent.order, n.at.tag, n.at.place)
		n.stands = false
	}
}

// block takes a node out of the way of those beside it until its own buckets let its
// first ticket on.
func (l *line) block(n *node, t *ticket, until float64) {
	l.moved, l.dirty = l.moved || n.until == 0, true // also where n did not stand
	l.unblock(n)
	n.until, n.held = until, t.place
	l.blocked = add(l.blocked, entry{tag: until, place: n.place, node: n})
	l.stand(n)
}

func (l *line) unblock(n *node) {
	if n.until > 0 {
		l.dirty = true
		l.blocked = remove(l.blocked, n.until, n.place)
		n.until = 0
	}
}

// release puts back the first few nodes that nothing holds back any more.
func (l *line) release(now int64) {
	for range Rounds {
		if len(l.blocked) == 0 || l.blocked[0].tag > float64(now) {
			return
		}
		n := l.blocked[0].node
		l.unblock(n)
		l.stand(n)
	}
}

// remove forgets the ticket, if there is one.
func (l *line) remove(t *ticket) {
	if t == nil {
		return
	}
	l.dirty = true
	switch {
	case t.silent:
		l.silent = remove(l.silent, float64(t.seen), t.place)
	default:
		l.leave(t)
		l.asked = remove(l.asked, float64(t.seen), t.place)
	}
	l.flows.withdraw(t.parts)
	delete(l.tickets, t.id)
}

// stepOver takes a silent ticket out of everybody's way.
func (l *line) stepOver(t *ticket) {
	l.dirty = true
	l.leave(t)
	l.asked = remove(l.asked, float64(t.seen), t.place)
	t.silent = true
	l.silent = add(l.silent, entry{tag: float64(t.seen), place: t.place, ticket: t})
}

// comeBack gives a ticket that was only slow its place again. When it has asked is noted by
// what its ask comes to.
func (l *line) comeBack(t *ticket) {
	l.dirty = true
	l.silent = remove(l.silent, float64(t.seen), t.place)
	t.silent = false
	l.enter(t)
}

// saw notes when the ticket has asked.
func (l *line) saw(t *ticket, at int64) {
	l.asked = remove(l.asked, float64(t.seen), t.place)
	t.seen = at
	l.listen(t)
}

// accompany notes that some tickets are still wanted, though others ask.
func (l *line) accompany(tickets []string) {
	for _, id := range tickets {
		if t := l.tickets[id]; t != nil {
			if t.silent {
				l.comeBack(t)
			}
			l.saw(t, l.clock)
		}
	}
}

// same reports whether a ticket that has asked again is what it was.
func (l *line) same(old, t *ticket) bool {
	return old.demand == t.demand && old.scope == t.scope && slices.Equal(old.buckets, t.buckets) &&
		slices.Equal(old.margins, t.margins) && slices.EqualFunc(old.parts, t.parts, func(p, q part) bool {
		return p.of(q.flow) && p.costs == q.costs && p.tag == q.tag && p.end == q.end && p.units == q.units
	})
}

func (l *line) listen(t *ticket) {
	if l.lease > 0 {
		l.asked = add(l.asked, entry{tag: float64(t.seen), place: t.place, ticket: t})
	}
}

const (
	// Gap is the most that a line's clock advances from one ask to the next. Those in
	// line ask more often; while the store answers nobody, nobody is silent.
	Gap = 500 * time.Millisecond
	// Tick is how much of it an ask that changes nothing leaves to the next, so that not each
	// has to note the time.
	Tick = Gap / 2
	// Renew is how long a ticket may have been silent when it is to ask next, if an ask that
	// changes nothing is not noted. A process may then be late by what is left of the lease,
	// or the store absent for it.
	Renew = 300 * time.Millisecond
	// Close is how near the times are at which a node is let on that count as the same: they
	// are worked out anew by each ask.
	Close = time.Millisecond
	// Patrol is how many tickets that may be silent each ask looks at, and Erased how many
	// that have been for long it forgets at most.
	Patrol, Erased = 16, 256
	// Rounds is how many nodes that may go on it puts back.
	Rounds = 4
)

// tick lets the line's time pass.
func (l *line) tick(now int64) {
	l.clock += min(max(0, now-l.stamp), Micros(Gap))
	l.stamp = now
}

// patrol steps over the first few that have been silent. The ticket that asks is not one
// of them.
func (l *line) patrol(asks string) {
	for _, e := range slices.Clone(l.asked[:min(Patrol, len(l.asked))]) {
		if t := e.ticket; t.id != asks && l.clock-t.seen > l.lease {
			l.stepOver(t)
		}
	}
}

// erase forgets those who were stepped over and have been silent for too long.
func (l *line) erase(after int64) {
	if after == 0 {
		return
	}
	for range Erased {
		if len(l.silent) == 0 || l.clock-l.silent[0].ticket.seen <= after {
			return
		}
		l.remove(l.silent[0].ticket)
	}
}
