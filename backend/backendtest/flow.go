package backendtest

import (
	"math"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
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
