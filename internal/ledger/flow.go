package ledger

import (
	"cmp"
	"slices"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// flows share a line by start-time fair queueing. A cost's tag is its flow's finish tag,
// or the virtual time if that is later; the flow's finish tag then grows by what the cost
// counts, divided by the flow's share. Lower tags go first, and the virtual time is the
// latest tag that was served: so a flow that has been idle begins with those that are
// served now, and one that waits gets its share whatever others ask for.
//
// A class's share is its weight. Its tenants divide it: each counts as much more as there
// are others that have lately asked. A flow whose finish tag the virtual time has passed
// is as good as one that nobody has heard of. So are those of a class that come next, where there
// are too many: while ever new tenants come, the virtual time stands still.
type flows struct {
	virtual float64
	plain   flow // of no class and tenant
	classes map[string]*class
}

// A class is its flows but for the plain one, and where each begins, in that order.
type class struct {
	flows map[string]*flow // by tenant
	order []beginning
}

type beginning struct {
	tag    float64
	tenant string
}

func (b *beginning) compare(o beginning) int {
	return cmp.Or(cmp.Compare(b.tag, o.tag), cmp.Compare(b.tenant, o.tenant))
}

// set makes a tenant's flow what it is now.
func (c *class) set(tenant string, is flow) {
	x := c.flows[tenant]
	if x != nil {
		at := c.place(beginning{x.begin(), tenant})
		c.order = slices.Delete(c.order, at, at+1)
	} else {
		x = new(flow)
		c.flows[tenant] = x
	}
	*x = is
	b := beginning{x.begin(), tenant}
	c.order = slices.Insert(c.order, c.place(b), b)
}

func (c *class) place(b beginning) int {
	at, _ := slices.BinarySearchFunc(c.order, b, func(e, o beginning) int { return e.compare(o) })
	return at
}

// Tenants is how many of a class are known at most: no more are forgotten by an ask than those
// that asks bring, so that for a moment there may be some more.
const Tenants = 10_000

// pass forgets the flows that the virtual time has passed, and those that are too many.
func (c *class) pass(virtual float64) {
	n := 0
	for n < len(c.order) && (c.order[n].tag <= virtual || len(c.order)-n > Tenants) {
		delete(c.flows, c.order[n].tenant)
		n++
	}
	c.order = slices.Delete(c.order, 0, n)
}

// A flow is a class's tenant. What asks for it next comes after both tags.
type flow struct {
	finish float64
	last   float64 // the tag of what came last: who comes later does not go before it
	asks   bool    // it is known
}

func (f *flow) begin() float64 { return max(f.finish, f.last) }

// pace is by how much a flow's finish tag grows for a unit.
func (f *flows) pace(is backend.Flow) float64 {
	if len(f.classes) > 0 {
		f.pass(is.Class)
		for name := range f.classes { // some other one, which may ask no more
			f.pass(name)
			break
		}
	}
	tenants := 0.0
	if c := f.classes[is.Class]; c != nil {
		tenants = float64(len(c.order))
	}
	if is.Class == "" {
		if f.plain.asks = f.plain.asks && f.plain.begin() > f.virtual; f.plain.asks {
			tenants++
		}
	}
	if f.flow(is) == nil {
		tenants++
	}
	if is.Weight > 0 {
		return tenants / is.Weight
	}
	return tenants
}

// pass forgets the flows of a class that the virtual time has passed.
func (f *flows) pass(name string) {
	if c := f.classes[name]; c != nil {
		if c.pass(f.virtual); len(c.order) == 0 {
			delete(f.classes, name)
		}
	}
}

// flow returns the flow, or nil if it is not known.
func (f *flows) flow(is backend.Flow) *flow {
	switch {
	case is.Class != "" || is.Tenant != "":
		if c := f.classes[is.Class]; c != nil {
			return c.flows[is.Tenant]
		}
	case f.plain.asks:
		return &f.plain
	}
	return nil
}

// begin is the tag of what asks next for the flow.
func (f *flows) begin(is backend.Flow) float64 {
	if x := f.flow(is); x != nil {
		return max(f.virtual, x.begin())
	}
	return f.virtual
}

// come gives a part its place behind all else of its flow.
func (f *flows) come(p *part) {
	p.tag, p.pace = f.begin(p.flow), f.pace(p.flow)
	p.end = p.tag + float64(p.units*p.pace)
	x := flow{finish: p.end, last: p.tag, asks: true}
	f.set(p.flow, x)
}

func (f *flows) set(is backend.Flow, x flow) {
	if is.Class == "" && is.Tenant == "" {
		f.plain = x
		return
	}
	if f.classes == nil {
		f.classes = map[string]*class{}
	}
	c := f.classes[is.Class]
	if c == nil {
		c = &class{flows: map[string]*flow{}}
		f.classes[is.Class] = c
	}
	c.set(is.Tenant, x)
}

// move moves the finish tag of a flow that the virtual time has not passed.
func (f *flows) move(is backend.Flow, by float64) {
	if x := f.flow(is); x != nil && x.begin() > f.virtual && by != 0 {
		moved := *x
		moved.finish += by
		f.set(is, moved)
	}
}

// A part is some costs of a ticket, of one flow, that came together.
type part struct {
	flow  backend.Flow
	costs int
	tag   float64 // of the first
	end   float64 // after the last
	units float64
	pace  float64
}

func (p *part) of(flow backend.Flow) bool {
	return p.flow.Class == flow.Class && p.flow.Tenant == flow.Tenant
}

// assign gives the costs of an ask their tags: it returns the ticket's parts, and for
// each of the costs its part. Costs that the ticket had before keep their tags, in the
// order of their flow; others come after all that the flow has asked for elsewhere. Both
// are appended to what is handed in.
func (f *flows) assign(old []part, ask *backend.Ask, parts []part, of []int) ([]part, []int) {
	parts = append(parts, old...)
	for i := range parts {
		parts[i].costs, parts[i].units = 0, 0
	}
	for i := range ask.Costs {
		flow := ask.FlowOf(i)
		at := 0
		for at < len(parts) && !(parts[at].of(flow) && (at >= len(old) || parts[at].costs < old[at].costs)) {
			at++
		}
		if at == len(parts) {
			parts = append(parts, part{flow: flow})
		}
		of = append(of, at)
		parts[at].costs++
		parts[at].units += Units(ask, i)
	}
	for i := range old {
		p := &parts[i]
		p.pace = f.pace(p.flow) // tenants may have come or gone
		end := p.tag + float64(p.units*p.pace)
		f.move(p.flow, end-p.end)
		p.end = end
	}
	for i := len(old); i < len(parts); i++ {
		f.come(&parts[i])
	}
	return parts, of
}

// tags is the tag of each of the ask's costs. Those of a flow never fall, though a later part of it
// may have come when it had fewer rivals.
func tags(ask *backend.Ask, parts []part, of []int) []float64 {
	next, tags := slices.Clone(parts), make([]float64, len(of))
	for i, at := range of {
		p := &next[at]
		tags[i] = p.tag
		p.tag += float64(Units(ask, i) * p.pace)
		for j := i - 1; j >= 0; j-- {
			if parts[of[j]].of(p.flow) {
				tags[i] = max(tags[i], tags[j])
				break
			}
		}
	}
	return tags
}

// Order is in which order costs start that have these tags. A process does not know where a flow
// stands that waits in other processes too. nil is the order in which they are asked for.
func Order(tags []float64) []int {
	if slices.IsSorted(tags) {
		return nil
	}
	order := make([]int, len(tags))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(tags[i], tags[j]) })
	return order
}

// withdraw takes back what a ticket has asked for.
func (f *flows) withdraw(parts []part) {
	for i := range parts {
		p := &parts[i]
		f.move(p.flow, p.tag-p.end)
	}
}

// left is the parts of which costs are left.
func left(parts []part) []part {
	return slices.DeleteFunc(parts, func(p part) bool { return p.costs == 0 })
}

// serve lets a cost of the part start.
func (f *flows) serve(p *part, units float64) {
	f.virtual = max(f.virtual, p.tag)
	p.tag += float64(units * p.pace)
	p.units -= units
	p.costs--
}

// Units is what a cost of the ask counts for its flow's share: its tokens, if a bucket
// counts them, or else its requests.
func Units(ask *backend.Ask, i int) float64 {
	d := backend.Requests
	for j := range ask.Buckets {
		if b := &ask.Buckets[j]; b.Dimension == backend.Tokens && !b.Ceiling {
			d = backend.Tokens
		}
	}
	return float64(max(0, max(1, ask.Costs[i][d])-ask.FlowOf(i).Credit))
}
