package backendtest

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/seedtest"
)

// What flows may expect of each other.

// A sharer is a flow that never stops asking, in one process.
type sharer struct {
	ticket  string
	scope   string
	flow    backend.Flow
	size    int64
	granted int64
}

// ask asks for as many calls as there may be.
func (s *suite) askFor(x *sharer, b []backend.Bucket, costs int) backend.Answer {
	ask := s.ask(x.scope, x.ticket, b)
	for range costs {
		ask.Costs = append(ask.Costs, tokens(x.size))
		ask.Flows = append(ask.Flows, x.flow)
	}
	answer := s.take(ask)
	x.granted += int64(answer.Granted) * x.size
	return answer
}

// shares has sharers use what comes back a little at a time, and returns how much that was.
func (s *suite) shares(rounds int, all ...*sharer) (total int64) {
	const back = 100
	b := []backend.Bucket{perDay("all", backend.Tokens, 10_000)}
	first := s.granted(s.ask("x", "x", b, tokens(10_000)), 1)
	for _, x := range all {
		s.askFor(x, b, 8)
	}
	for i := range rounds {
		if i%100 == 99 {
			s.advance(time.Millisecond) // for a bucket of a day that is nothing
		}
		s.settles(backend.Settlement{Stamp: first.Stamp, Buckets: b, Refund: tokens(back)})
		for j := range all {
			s.askFor(all[(i+j)%len(all)], b, 8)
		}
		total += back
	}
	return total
}

// near reports what a sharer got if that is not what it should be.
func (s *suite) near(x *sharer, want float64) {
	s.Helper()
	if math.Abs(float64(x.granted)-want) > 3*float64(x.size)+want/100 {
		s.Errorf("%q has got %d; want %.0f", x.ticket, x.granted, want)
	}
}

func (s *suite) weights() {
	a := &sharer{ticket: "a", scope: "m", size: 30, flow: backend.Flow{Class: "a", Weight: 3}}
	b := &sharer{ticket: "b", scope: "m", size: 70, flow: backend.Flow{Class: "b"}}
	total := float64(s.shares(400, a, b))
	s.near(a, total*3/4)
	s.near(b, total/4)
}

func (s *suite) tenants() {
	a := &sharer{ticket: "a", scope: "m", size: 50, flow: backend.Flow{Class: "a", Weight: 1}}
	x := &sharer{ticket: "x", scope: "m", size: 30, flow: backend.Flow{Class: "b", Tenant: "x", Weight: 1}}
	y := &sharer{ticket: "y", scope: "n", size: 90, flow: backend.Flow{Class: "b", Tenant: "y", Weight: 1}}
	y2 := &sharer{ticket: "y2", scope: "m", size: 90, flow: y.flow} // the same in another process
	total := float64(s.shares(600, a, x, y, y2))
	s.near(a, total/2)
	s.near(x, total/4)
	y.granted += y2.granted
	s.near(y, total/4)
}

// credit is what a flow has not used of its charges.
func (s *suite) credit() {
	a := &sharer{ticket: "a", scope: "m", size: 50, flow: backend.Flow{Class: "a", Credit: 25}}
	b := &sharer{ticket: "b", scope: "m", size: 50, flow: backend.Flow{Class: "b"}}
	total := float64(s.shares(400, a, b))
	s.near(a, total*2/3)
	s.near(b, total/3)
}

// A flow that has been idle goes before the calls of others that have waited, and gets
// nothing for the time in which it was.
func (s *suite) idleFlow() {
	b := []backend.Bucket{perDay("all", backend.Tokens, 10_000)}
	first := s.granted(s.ask("x", "x", b, tokens(10_000)), 1)
	flood := &sharer{ticket: "flood", scope: "m", size: 50, flow: backend.Flow{Tenant: "flood"}}
	late := &sharer{ticket: "late", scope: "m", size: 50, flow: backend.Flow{Tenant: "late"}}
	more := func() { s.settles(backend.Settlement{Stamp: first.Stamp, Buckets: b, Refund: tokens(50)}) }
	s.askFor(flood, b, 8)
	for range 20 {
		more()
		s.askFor(flood, b, 8)
	}
	if flood.granted != 1000 {
		s.Fatalf("%d granted of 1,000", flood.granted)
	}
	s.askFor(late, b, 8)
	for range 20 {
		more()
		s.askFor(flood, b, 8)
		s.askFor(late, b, 8)
	}
	if late.granted < 450 || late.granted > 600 {
		s.Errorf("of 1,000 the new one has got %d; want half", late.granted)
	}
	gone := s.ask(late.scope, late.ticket, b)
	gone.Leave = true
	s.take(gone)
	more()
	if s.askFor(flood, b, 8).Granted != 1 {
		s.Error("what nobody else wants stays unused")
	}
}

// orderOfAnAsk: a process does not know where a flow stands that waits in others too. So it may ask
// first for what is to start last: that holds up nothing, and the ticket keeps its place.
func (s *suite) orderOfAnAsk() {
	b := []backend.Bucket{perDay("all", backend.Tokens, 10_000)}
	first := s.granted(s.ask("x", "x", b, tokens(10_000)), 1)
	busy := &sharer{ticket: "busy", scope: "m", size: 50, flow: backend.Flow{Tenant: "busy"}}
	s.askFor(busy, b, 8)
	p := &flowProcess{name: "p", scope: "m", calls: []flowCall{{flow: backend.Flow{Tenant: "mine"}, size: 40}}}
	p.ask = func(p *flowProcess) backend.Answer {
		q := s.ask(p.scope, p.name, b)
		for _, c := range p.calls {
			q.Costs, q.Flows = append(q.Costs, tokens(c.size)), append(q.Flows, c.flow)
		}
		return s.take(q)
	}
	p.take()
	p.calls = slices.Insert(p.calls, 0, flowCall{flow: busy.flow, size: 30})
	if started := p.take(); len(started) > 0 {
		s.Fatalf("%v start on nothing", started)
	}
	p.calls[0], p.calls[1] = p.calls[1], p.calls[0] // which take has put in order
	last := &sharer{ticket: "last", scope: "n", size: 10, flow: backend.Flow{Tenant: "last"}}
	s.askFor(last, b, 1)
	s.settles(backend.Settlement{Stamp: first.Stamp, Buckets: b, Refund: tokens(50 + 40 + 10)})
	if s.askFor(last, b, 1); last.granted != 10 {
		s.Error("what was not asked for first stands before all others")
	}
	started := p.take()
	if len(started) != 1 || started[0].size != 40 {
		s.Errorf("%v start; want the one of the other flow", started)
	}
	if len(p.calls) != 1 || p.calls[0].flow != busy.flow {
		s.Errorf("%v is left", p.calls)
	}
}

// idleFlows: several processes ask for several tenants of a class, and for others. A call of a
// tenant that was idle stands where the line has come to. Whichever process asks for it, and in
// whatever order they ask: of its class no more starts on what it needs than two of the largest
// calls that stand further behind, for some tickets in line are looked at as if all were alike.
func (s *suite) idleFlows() {
	seed := seedtest.Seed()
	for i := range uint64(8) {
		s.idleHistory(rand.New(rand.NewPCG(seed, i)), fmt.Sprint("line", i))
		if s.Failed() {
			s.Fatalf("with the seed %d, %d", seed, i)
		}
	}
}

// A flowProcess asks for calls of several flows, in the order of their tags.
type flowProcess struct {
	ask   func(*flowProcess) backend.Answer
	name  string
	scope string
	calls []flowCall
}

type flowCall struct {
	flow backend.Flow
	size int64
	tag  float64
}

// take asks once, and returns the calls that have started.
func (p *flowProcess) take() (started []flowCall) {
	answer := p.ask(p)
	for i := range p.calls {
		p.calls[i].tag = answer.Tags[i]
	}
	calls := backend.InOrder(&answer, p.calls)
	started, p.calls = slices.Clone(calls[:answer.Granted]), slices.Clone(calls[answer.Granted:])
	slices.SortStableFunc(p.calls, func(a, b flowCall) int { return cmp.Compare(a.tag, b.tag) })
	return started
}

func (s *suite) idleHistory(r *rand.Rand, line string) {
	classes := []backend.Flow{{}, {Class: "a", Weight: 3}, {Class: "b", Weight: 0.5}}
	tenant := func(name string) backend.Flow {
		f := classes[r.IntN(len(classes))]
		f.Tenant = name
		return f
	}
	const largest = 100
	size := func() int64 { return 20 + r.Int64N(largest-20) }
	b := []backend.Bucket{perDay(line, backend.Tokens, 10_000)}
	ask := func(p *flowProcess) backend.Answer {
		q := s.ask(p.scope, line+p.name, b)
		q.Line = line
		for _, c := range p.calls {
			q.Costs, q.Flows = append(q.Costs, tokens(c.size)), append(q.Flows, c.flow)
		}
		return s.take(q)
	}
	first := ask(&flowProcess{name: "all", scope: "m", calls: []flowCall{{size: 10_000}}})
	processes := make([]*flowProcess, 2+r.IntN(3))
	for i := range processes {
		processes[i] = &flowProcess{ask: ask, name: fmt.Sprint("p", i), scope: fmt.Sprint("m", r.IntN(2))}
	}
	var backlogged []backend.Flow
	for i := range 2 + r.IntN(6) {
		backlogged = append(backlogged, tenant(fmt.Sprint("t", i)))
	}
	// round gives something back, and lets processes ask of which each wants more.
	round := func(more ...*flowProcess) (started []flowCall) {
		err := s.Backend.Settle(s.Context(), backend.Settlement{Account: s.account, Line: line, Stamp: first.Stamp, Buckets: b, Refund: tokens(size())})
		if err != nil {
			s.Fatal(err)
		}
		for _, p := range processes {
			for len(p.calls) < 12 {
				p.calls = append(p.calls, flowCall{flow: backlogged[r.IntN(len(backlogged))], size: size()})
			}
		}
		asking := append(more, processes...)
		for _, i := range r.Perm(len(asking)) {
			if p := asking[i]; len(p.calls) > 0 {
				started = append(started, p.take()...)
			}
		}
		return started
	}
	served, virtual := map[backend.Flow]bool{}, 0.0
	for len(served) < len(backlogged) {
		for _, c := range round() {
			served[c.flow], virtual = true, max(virtual, c.tag)
		}
	}
	for i := range 10 {
		idle := tenant(fmt.Sprint("idle", i))
		p := &flowProcess{ask: ask, name: "late", scope: "m0"}
		if r.IntN(2) == 0 {
			p = processes[r.IntN(len(processes))] // which stands in line
		}
		p.calls = slices.Insert(p.calls, 0, flowCall{flow: idle, size: size()})
		of := func(c flowCall) bool { return c.flow == idle }
		started := slices.ContainsFunc(p.take(), of)
		tag, further := virtual, int64(0)
		for n := 0; !started; n++ {
			if at := slices.IndexFunc(p.calls, of); at >= 0 {
				tag = p.calls[at].tag
			}
			if tag > virtual {
				s.Fatalf("%+v stands at %v, where the line has come to %v", idle, tag, virtual)
			}
			if n == 50 {
				s.Fatalf("%+v has not started", idle)
			}
			var more []*flowProcess
			if p.name == "late" {
				more = append(more, p)
			}
			all := round(more...)
			started = slices.ContainsFunc(all, of)
			for _, c := range all {
				if !started && c.flow.Class == idle.Class && c.tag > tag {
					further += c.size
				}
				virtual = max(virtual, c.tag)
			}
			if further > 2*largest {
				s.Fatalf("calls of %d start that stand behind that of %+v at %v, and it does not", further, idle, tag)
			}
		}
	}
}
