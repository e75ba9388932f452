package ledger

import (
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
// is as good as one that nobody has heard of.
type flows struct {
	virtual float64
	finish  map[string]map[string]float64 // by class and tenant
}

// pace is by how much a flow's finish tag grows for a unit.
func (f *flows) pace(flow backend.Flow) float64 {
	class := f.finish[flow.Class]
	for name, finish := range class {
		if finish <= f.virtual {
			delete(class, name)
		}
	}
	tenants := float64(len(class))
	if _, ok := class[flow.Tenant]; !ok {
		tenants++
	}
	if flow.Weight > 0 {
		return tenants / flow.Weight
	}
	return tenants
}

// end is the flow's finish tag, or the virtual time if that is later.
func (f *flows) end(flow backend.Flow) float64 {
	return max(f.virtual, f.finish[flow.Class][flow.Tenant])
}

func (f *flows) setEnd(flow backend.Flow, end float64) {
	if f.finish == nil {
		f.finish = map[string]map[string]float64{}
	}
	if f.finish[flow.Class] == nil {
		f.finish[flow.Class] = map[string]float64{}
	}
	f.finish[flow.Class][flow.Tenant] = end
}

// A part is some costs of a ticket, of one flow, that came together.
type part struct {
	flow  backend.Flow
	costs int
	tag   float64 // of the first
	end   float64 // the flow's finish tag after the last
	units float64
	pace  float64
}

func (p *part) of(flow backend.Flow) bool {
	return p.flow.Class == flow.Class && p.flow.Tenant == flow.Tenant
}

// assign gives the costs of an ask their tags: it returns the ticket's parts, and for
// each of the costs its part. Costs that the ticket had before keep their tags, in the
// order of their flow; others come after all that the flow has asked for elsewhere.
func (f *flows) assign(old []part, ask *backend.Ask) (parts []part, of []int) {
	parts = slices.Clone(old)
	for i := range parts {
		parts[i].costs, parts[i].units = 0, 0
	}
	of = make([]int, len(ask.Costs))
	for i := range ask.Costs {
		flow := ask.FlowOf(i)
		at := 0
		for at < len(parts) && !(parts[at].of(flow) && (at >= len(old) || parts[at].costs < old[at].costs)) {
			at++
		}
		if at == len(parts) {
			parts = append(parts, part{flow: flow})
		}
		of[i] = at
		parts[at].costs++
		parts[at].units += units(ask, i)
	}
	for i := range old {
		f.review(parts[:len(old)], i)
	}
	for i := len(old); i < len(parts); i++ {
		p := &parts[i]
		p.tag, p.pace = f.end(p.flow), f.pace(p.flow)
		p.end = p.tag + float64(p.units*p.pace)
		f.setEnd(p.flow, p.end)
	}
	return parts, of
}

// review sees to the parts of a flow that a ticket has had before, of which i is the
// first. If others of the flow have come since, they stay in their order, whatever the
// ticket no longer asks for; else the flow's finish tag moves, and tenants that have come or
// gone count from now on.
func (f *flows) review(parts []part, i int) {
	flow, last := parts[i].flow, i
	for j := range parts {
		if parts[j].of(flow) {
			if j < i {
				return
			}
			last = j
		}
	}
	if f.end(flow) != parts[last].end {
		return
	}
	pace, end := f.pace(flow), parts[i].tag
	for j := i; j <= last; j++ {
		if p := &parts[j]; p.of(flow) {
			p.tag, p.pace = max(p.tag, end), pace
			p.end = p.tag + float64(p.units*p.pace)
			end = p.end
		}
	}
	f.setEnd(flow, end)
}

// tags is the tag of each of the ask's costs.
func tags(ask *backend.Ask, parts []part, of []int) []float64 {
	parts, tags := slices.Clone(parts), make([]float64, len(of))
	for i, at := range of {
		p := &parts[at]
		tags[i] = p.tag
		p.tag += float64(units(ask, i) * p.pace)
	}
	return tags
}

// withdraw takes back what a ticket has asked for, unless others of the flow have come
// since: they stay in their order.
func (f *flows) withdraw(parts []part) {
	for i := len(parts) - 1; i >= 0; i-- {
		if p := &parts[i]; f.end(p.flow) == p.end {
			f.setEnd(p.flow, p.tag)
		}
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

// units is what a cost of the ask counts for its flow's share: its tokens, if a bucket
// counts them, or else its requests.
func units(ask *backend.Ask, i int) float64 {
	d := backend.Requests
	for j := range ask.Buckets {
		if ask.Buckets[j].Dimension == backend.Tokens {
			d = backend.Tokens
		}
	}
	return float64(max(0, max(1, ask.Costs[i][d])-ask.FlowOf(i).Credit))
}
