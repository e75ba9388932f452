package engine

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

func named(class, tenant string, weight float64) backend.Flow {
	return backend.Flow{Class: class, Tenant: tenant, Weight: weight}
}

// Whoever joins and leaves, and wherever the backend says that they stand: everybody is in
// line once, each flow in its own order, and who comes next is of the lowest tag.
func TestFlowsOfCallers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := flows{unit: backend.Tokens}
		var in []*waiter
		var flying []*flow
		check := func() {
			all := slices.Collect(q.all())
			if len(all) != len(in) || q.len() != len(in) {
				t.Fatalf("%d in line, %d counted; want %d", len(all), q.len(), len(in))
			}
			tags, credits := map[*flow]float64{}, map[*flow]float64{}
			cursors := map[*flow]*cursor{}
			var wanted backend.Amounts
			for i, w := range all {
				if i == 0 && q.head() != w {
					t.Fatal("the head is not the first")
				}
				f := w.flow
				if cursors[f] == nil {
					c := f.cursor()
					cursors[f], tags[f], credits[f] = &c, f.tag, float64(max(0, f.credit))
				}
				if cursors[f].next() != w {
					t.Fatal("a flow is out of order")
				}
				for _, g := range q.waiting {
					tag, seen := tags[g]
					if !seen {
						tag = g.tag
					}
					c := cursors[g]
					if c == nil {
						first := g.cursor()
						c = &first
					}
					left := *c
					if g != f && left.next() != nil && tag < tags[f] {
						t.Fatalf("one of tag %v before one of %v", tags[f], tag)
					}
				}
				units := w.units(q.unit)
				if !w.asked { // what others of its flow have not used counts for it
					credit := min(credits[f], units)
					units, credits[f] = units-credit, credits[f]-credit
				}
				tags[f] += units * q.pace(f)
				for d, n := range w.charge.cost {
					wanted[d] += n
				}
			}
			if wanted != q.wanted {
				t.Fatalf("they want %v; counted are %v", wanted, q.wanted)
			}
			tenants, resting := map[string]int{}, 0
			for _, f := range q.known {
				switch {
				case f.len() > 0:
					tenants[f.Class]++
				case f.rests:
					tenants[f.Class]++
					resting++
					if q.resting[f.index].flow != f || f.due <= q.virtual {
						t.Fatalf("one rests until %v, at %v", f.due, q.virtual)
					}
				case f.inFlight == 0:
					t.Fatal("one is known of which nothing is left")
				}
			}
			for name, c := range q.classes {
				if c.tenants == 0 || c.tenants != tenants[name] {
					t.Fatalf("%d tenants are counted of %q; want %d", c.tenants, name, tenants[name])
				}
			}
			if len(q.classes) != len(tenants) || len(q.resting) != resting {
				t.Fatalf("%d classes, %d rest; want %d and %d", len(q.classes), len(q.resting), len(tenants), resting)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"join": func(t *rapid.T) {
				is := named(rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "class"), rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(t, "tenant"), 0)
				is.Weight = map[string]float64{"": 0, "a": 3, "b": 0.5}[is.Class]
				w := &waiter{seq: q.arrivals(), retry: rapid.Bool().Draw(t, "retry")}
				w.charge.cost = backend.Amounts{1, rapid.Int64Range(0, 100).Draw(t, "tokens")}
				q.join(w, is)
				in = append(in, w)
				check()
			},
			"leave": func(t *rapid.T) {
				if len(in) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(in)-1).Draw(t, "who")
				q.leave(in[i])
				q.leave(in[i]) // once more changes nothing
				in = slices.Delete(in, i, i+1)
				check()
			},
			"hear": func(t *rapid.T) {
				var batch []*waiter
				answer := &backend.Answer{Virtual: max(0, q.virtual+rapid.Float64Range(-50, 100).Draw(t, "virtual"))}
				for w := range q.all() {
					if len(batch) == 4 {
						break
					}
					batch = append(batch, w)
					answer.Tags = append(answer.Tags, answer.Virtual+rapid.Float64Range(0, 100).Draw(t, "tag"))
				}
				if len(batch) == 0 {
					return
				}
				answer.Granted = rapid.IntRange(0, len(batch)).Draw(t, "granted")
				q.place(batch, answer)
				check()
				for _, w := range batch[:answer.Granted] {
					w.flow.start()
					flying = append(flying, w.flow)
					q.leave(w)
					in = slices.DeleteFunc(in, func(x *waiter) bool { return x == w })
				}
				check()
			},
			"end": func(t *rapid.T) {
				if len(flying) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(flying)-1).Draw(t, "which")
				q.end(flying[i], &backend.Amounts{backend.Tokens: rapid.Int64Range(-50, 50).Draw(t, "refund")})
				flying = slices.Delete(flying, i, i+1)
				check()
			},
			"among": func(t *rapid.T) {
				if len(q.waiting) > 1 {
					t.Skip("of several flows those who have asked are")
				}
				n := rapid.IntRange(1, 5).Draw(t, "n")
				for i, w := range slices.Collect(q.all()) {
					if got := q.among(w, n); got != (i < n) {
						t.Fatalf("the one at %d is among the first %d: %v", i, n, got)
					}
				}
				if q.among(&waiter{}, n) {
					t.Fatal("a stranger is among them")
				}
			},
		})
	})
}

// A tenant that is new goes before those who have been served, and its class's tenants
// share what the class has.
func TestNewTenantGoesFirst(t *testing.T) {
	q := flows{unit: backend.Tokens}
	join := func(is backend.Flow, n int) (all []*waiter) {
		for range n {
			w := &waiter{seq: q.arrivals(), charge: charge{cost: backend.Amounts{1, 100}}}
			q.join(w, is)
			all = append(all, w)
		}
		return all
	}
	old := join(named("batch", "old", 1), 3)
	q.place(old[:2], &backend.Answer{Granted: 1, Virtual: 1000, Tags: []float64{1000, 1100}})
	q.leave(old[0])
	young := join(named("batch", "young", 1), 2)
	quick := join(named("chat", "", 100), 2)
	want := append(append([]*waiter{young[0]}, quick...), old[1], young[1], old[2])
	got := slices.Collect(q.all())
	if got[0] != young[0] && got[0] != quick[0] {
		t.Error("one that has been served before goes first")
	}
	slices.SortStableFunc(want[:3], func(a, b *waiter) int { return slices.Index(got, a) - slices.Index(got, b) })
	if !slices.Equal(got, want) {
		t.Errorf("the order is %v; want %v", order(got), order(want))
	}
}

// What a flow was refunded counts for its next calls, once.
func TestCreditOfAFlow(t *testing.T) {
	q := flows{unit: backend.Tokens}
	var batch []*waiter
	for range 3 {
		w := &waiter{charge: charge{cost: backend.Amounts{1, 100}}}
		q.join(w, named("a", "x", 1))
		batch = append(batch, w)
	}
	batch[0].flow.credit = 130
	credits := func() (got []int64) {
		for _, f := range q.asks(batch) {
			got = append(got, f.Credit)
		}
		return got
	}
	want := []int64{100, 30, 0}
	for range 2 {
		if got := credits(); !slices.Equal(got, want) {
			t.Errorf("credits %v; want %v", got, want)
		}
	}
	// Where they have used more, too, and not for calls that have asked: others stand behind
	// them, whose places do not change.
	batch[0].flow.credit = -50
	next := &waiter{charge: charge{cost: backend.Amounts{1, 100}}}
	q.join(next, named("a", "x", 1))
	batch = append(batch, next)
	if got := credits(); !slices.Equal(got, []int64{100, 30, 0, -50}) {
		t.Errorf("credits %v", got)
	}
	// Who leaves leaves it for others.
	q.withdraw(batch[1])
	q.withdraw(next)
	if f := batch[0].flow; f.credit != -20 {
		t.Errorf("a credit of %d is left; want 30 of one, less 50 of another", f.credit)
	}
}

// A flow of which several calls have started stands behind the last of them, and one that has
// calls left in line where the first of those does.
func TestWhereAFlowStands(t *testing.T) {
	q := flows{unit: backend.Tokens}
	var batch []*waiter
	for range 2 {
		for _, tenant := range []string{"x", "y", "z"} {
			w := &waiter{seq: q.arrivals(), charge: charge{cost: backend.Amounts{1, 100}}}
			q.join(w, named(tenant, "", 1))
			if tenant != "z" {
				batch = append(batch, w)
			}
		}
	}
	x, y := batch[0].flow, batch[1].flow
	q.place(batch, &backend.Answer{Granted: 3, Virtual: 5, Tags: []float64{1, 2, 101, 102}}) // y's second is left
	if x.tag != 201 || y.tag != 102 {
		t.Errorf("x stands at %v, y at %v; want 201 and 102", x.tag, y.tag)
	}
	if q.head().flow.Class != "z" {
		t.Errorf("%s is first; want z, of which nothing has started", q.head().flow.Class)
	}
	y2 := batch[3]
	batch = append(batch, &waiter{seq: q.arrivals(), charge: y2.charge})
	q.join(batch[4], named("y", "", 1))
	q.place(batch[3:], &backend.Answer{Virtual: 5, Tags: []float64{102, 202}})
	if y.tag != 102 {
		t.Errorf("y stands at %v; want 102, where its first call does", y.tag)
	}
}

// A line that begins anew leaves flows that have not asked as far behind as they were: also if it
// comes as far as the one before, because each ask is granted whole.
func TestLineThatBeginsAnew(t *testing.T) {
	for name, test := range map[string]struct {
		answer backend.Answer
		want   float64
	}{
		"it goes on":                      {backend.Answer{Virtual: 100, Tags: []float64{110}}, 500},
		"it comes as far":                 {backend.Answer{Virtual: 100, Tags: []float64{100}}, 490},
		"it comes less far":               {backend.Answer{Virtual: 30, Tags: []float64{200}}, 430},
		"it comes less far, and is empty": {backend.Answer{Tags: []float64{0}}, 390},
		"it comes further":                {backend.Answer{Virtual: 495, Tags: []float64{60}}, 495},
	} {
		t.Run(name, func(t *testing.T) {
			q := flows{unit: backend.Tokens}
			join := func(class string) *waiter {
				w := &waiter{seq: q.arrivals(), charge: charge{cost: backend.Amounts{1, 10}}}
				q.join(w, named(class, "", 1))
				return w
			}
			first, small, large := join("small"), join("small"), join("large")
			q.place([]*waiter{first, large}, &backend.Answer{Granted: 1, Virtual: 100, Tags: []float64{100, 500}})
			q.leave(first)
			q.place([]*waiter{small}, &test.answer)
			if got := large.flow.tag; got != test.want {
				t.Errorf("the other flow stands at %v; want %v", got, test.want)
			}
			if got := small.flow.tag; got != test.answer.Tags[0] {
				t.Errorf("the one that asked stands at %v; want %v", got, test.answer.Tags[0])
			}
		})
	}
}

// Callers of no class and tenant are no concern of the backend's.
func TestPlainFlowsAreNotSent(t *testing.T) {
	q := flows{unit: backend.Tokens}
	w := &waiter{}
	q.join(w, backend.Flow{})
	if f := q.asks([]*waiter{w}); f != nil {
		t.Errorf("the backend is told of %v", f)
	}
}

// Tenants that come once are forgotten once their calls have ended: what is kept grows with those
// that wait. They count no more as soon as the line has come as far as they have.
func TestTenantsAreForgotten(t *testing.T) {
	q := flows{unit: backend.Tokens}
	stays := &waiter{}
	q.join(stays, named("a", "stays", 1))
	var flying []*flow
	for i := range 10_000 {
		w := &waiter{charge: charge{cost: backend.Amounts{1, 10}}}
		q.join(w, named("a", fmt.Sprint(i), 1))
		q.place([]*waiter{w}, &backend.Answer{Granted: 1, Virtual: float64(40 * i), Tags: []float64{float64(40 * i)}})
		w.flow.start()
		q.leave(w)
		if flying = append(flying, w.flow); len(flying) > 20 {
			q.end(flying[0], &backend.Amounts{})
			flying = flying[1:]
		}
	}
	if n := len(q.known); n > 22 {
		t.Errorf("%d flows are known; one waits, and 20 calls are in flight", n)
	}
	if n := q.tenants("a"); n != 2 {
		t.Errorf("%d tenants are counted; want the one that waits and the last", n)
	}
	q.leave(stays)
	for _, f := range flying {
		q.end(f, &backend.Amounts{backend.Tokens: -10})
	}
	if len(q.known) != 0 || len(q.classes) != 0 || len(q.resting) != 0 {
		t.Errorf("%d flows are known, %v; nobody waits", len(q.known), q.classes)
	}
}

// While ever new tenants come, the line does not come as far as they have, and those that are next
// are forgotten.
func TestFewTenantsRest(t *testing.T) {
	q := flows{unit: backend.Tokens}
	stays := &waiter{}
	q.join(stays, named("a", "stays", 1))
	for i := range mostResting + 1000 {
		w := &waiter{charge: charge{cost: backend.Amounts{1, 10}}}
		q.join(w, named(fmt.Sprint(i%2), fmt.Sprint(i), 1))
		q.place([]*waiter{w}, &backend.Answer{Granted: 1, Tags: []float64{0}})
		w.flow.start()
		q.leave(w)
		q.end(w.flow, &backend.Amounts{})
	}
	if n := len(q.resting); n != mostResting || len(q.known) != n+1 || q.tenants("0")+q.tenants("1") != n {
		t.Errorf("%d flows rest, %d are known, and %d and %d are counted", n, len(q.known), q.tenants("0"), q.tenants("1"))
	}
	if q.known[flowKey{"0", "0"}] != nil || q.known[flowKey{"1", fmt.Sprint(mostResting + 999)}] == nil {
		t.Error("others are forgotten than those that are next")
	}
}

// A tenant rests until the line has come as far as what its calls have used, also where that is
// known only after it has come as far as what they were charged.
func TestTenantRests(t *testing.T) {
	q := flows{unit: backend.Tokens}
	stays := &waiter{charge: charge{cost: backend.Amounts{1, 10}}}
	q.join(stays, named("a", "stays", 1))
	goes := &waiter{charge: charge{cost: backend.Amounts{1, 10}}}
	q.join(goes, named("a", "goes", 1))
	come := func(virtual float64, tenants int) {
		t.Helper()
		q.place([]*waiter{stays}, &backend.Answer{Virtual: virtual, Tags: []float64{virtual}})
		if n := q.tenants("a"); n != tenants {
			t.Errorf("%d tenants are counted at %v; want %d", n, virtual, tenants)
		}
	}
	q.place([]*waiter{goes, stays}, &backend.Answer{Granted: 1, Virtual: 5, Tags: []float64{5, 10}})
	goes.flow.start()
	q.leave(goes) // at 5 + 2 × 10
	come(24, 2)
	come(25, 1)
	q.end(goes.flow, &backend.Amounts{backend.Tokens: -40}) // one of whose class wait: 40 more
	come(64, 2)
	next := &waiter{charge: charge{cost: backend.Amounts{1, 10}}}
	q.join(next, named("a", "goes", 1))
	if next.flow != goes.flow || q.asks([]*waiter{next})[0].Credit != -40 {
		t.Error("what it has used more is forgotten")
	}
	q.leave(next)
	come(65, 1)
	if len(q.known) != 1 {
		t.Errorf("%d flows are known", len(q.known))
	}
}

// Who stands in the backend's line asks again, and the first of every flow that does not,
// in the order of their tags; a single flow keeps the queue's order.
func TestWhoStandsAsksAgain(t *testing.T) {
	q := flows{unit: backend.Tokens}
	join := func(tenant string) *waiter {
		w := &waiter{seq: q.arrivals(), charge: charge{cost: backend.Amounts{1, 100}}}
		q.join(w, named("", tenant, 1))
		return w
	}
	x1, x2 := join("x"), join("x")
	if got := q.standing(16); got != nil {
		t.Errorf("%v of a single flow stand", order(got))
	}
	y1, z1 := join("y"), join("z")
	if got := q.standing(2); len(got) != 2 {
		t.Errorf("%v of two", order(got))
	}
	batch := []*waiter{x1, x2, y1}
	q.stand(batch, batch)
	q.place(batch, &backend.Answer{Granted: 1, Virtual: 10, Tags: []float64{10, 500, 300}})
	q.leave(x1)
	got := q.standing(16)
	if want := []*waiter{z1, y1, x2}; !slices.Equal(got, want) {
		t.Errorf("%v ask; want %v", order(got), order(want))
	}
	for i, w := range got {
		if !w.stands {
			t.Errorf("the one at %d is not known to stand", i)
		}
	}
	q.leave(y1)
	q.leave(z1)
	if got := q.standing(16); got != nil || x2.stands {
		t.Errorf("%v stand though one flow is left", order(got))
	}
}

// Calls for which there was no slot have not asked: a new flow comes before them.
func TestWhoLacksASlotDoesNotStand(t *testing.T) {
	q := flows{unit: backend.Tokens}
	join := func(tenant string) *waiter {
		w := &waiter{seq: q.arrivals(), charge: charge{cost: backend.Amounts{1, 100}}}
		q.join(w, named("", tenant, 1))
		return w
	}
	x1, x2, y := join("x"), join("x"), join("y")
	all := q.standing(16)
	q.stand(all[:1], all)
	q.place(all[:1], &backend.Answer{Virtual: 50, Tags: []float64{900}})
	asked := all[0]
	for _, w := range []*waiter{x1, x2, y} {
		if w.stands != (w == asked) {
			t.Errorf("call %d is taken to stand: %v", w.seq, w.stands)
		}
	}
	z := join("z")
	if got := q.standing(16); len(got) == 0 || got[len(got)-1] != asked || !slices.Contains(got, z) {
		t.Errorf("%v ask; want the one that has asked last, at 900", order(got))
	}
}

// Of a flow that has used less than it was charged, more calls ask: by what they will count.
func TestCreditOrdersTheFlow(t *testing.T) {
	q := flows{unit: backend.Tokens}
	for range 4 {
		for _, tenant := range []string{"x", "y"} {
			q.join(&waiter{seq: q.arrivals(), charge: charge{cost: backend.Amounts{1, 100}}}, named("", tenant, 1))
		}
	}
	q.known[flowKey{"", "x"}].credit = 240
	n, got := 0, 0
	for w := range q.all() {
		if n++; n > 5 {
			break
		}
		if w.flow.Tenant == "x" {
			got++
		}
	}
	if got != 4 {
		t.Errorf("%d of the first five are x's; want all four", got)
	}
}

// Who has to leave a full queue, and who has waited longest, are found without a look at all
// who wait, but as if by one.
func TestOneOfMany(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		q := flows{unit: backend.Tokens}
		var waiting []*waiter
		late := uint64(0)
		weights := map[string]float64{"a": 1, "b": 3, "": 0}
		random := func() backend.Flow {
			class := []string{"", "a", "b"}[r.IntN(3)]
			return named(class, fmt.Sprint(r.IntN(6)), weights[class])
		}
		for range 100 {
			if n := len(waiting); n > 0 && r.IntN(3) == 0 {
				i := r.IntN(n)
				q.leave(waiting[i])
				waiting = slices.Delete(waiting, i, i+1)
			} else {
				seq := q.arrivals()
				switch { // some ask by themselves before they join
				case late == 0:
					seq, late = q.arrivals(), seq
				case r.IntN(5) == 0:
					seq, late = late, 0
				}
				w := &waiter{seq: seq, arrived: time.Unix(int64(seq), 0), retry: r.IntN(4) == 0}
				q.join(w, random())
				waiting = append(waiting, w)
			}
			oldest := time.Unix(1e9, 0)
			for _, w := range waiting {
				if w.arrived.Before(oldest) {
					oldest = w.arrived
				}
			}
			if got := q.oldest(time.Unix(1e9, 0)); !got.Equal(oldest) {
				t.Fatalf("the oldest is %v; want %v", got, oldest)
			}
			is := random()
			tenants, mine := q.tenants(is.Class), 1
			if f := q.known[flowKey{is.Class, is.Tenant}]; f != nil {
				mine += f.len()
			} else {
				tenants++
			}
			has := func(f *flow) float64 { // of the queue, for its share
				if f.Class == is.Class {
					return float64(f.len()) * paceOf(tenants, f.Weight)
				}
				return float64(f.len()) * q.pace(f)
			}
			most := 0.0
			for _, w := range waiting {
				most = max(most, has(w.flow))
			}
			switch w := q.oneOfMany(is); {
			case w == nil && float64(mine)*paceOf(tenants, is.Weight) < most:
				t.Fatalf("nobody leaves; one has %v", most)
			case w != nil && (has(w.flow) != most || w != w.flow.last() || float64(mine)*paceOf(tenants, is.Weight) >= most):
				t.Fatalf("of the flow that has %v leaves %d; one has %v", has(w.flow), w.seq, most)
			}
		}
	}
}

// Of classes that have as much of a full queue, the first by name loses its last, whichever is
// looked at first.
func TestOneOfEquals(t *testing.T) {
	for range 20 {
		q := flows{unit: backend.Tokens}
		for i := range 8 {
			q.join(&waiter{seq: q.arrivals()}, named(string(rune('a'+i/2)), "", 1))
		}
		if w := q.oneOfMany(named("z", "", 1)); w == nil || w.flow.Class != "a" {
			t.Fatalf("%+v leaves", w)
		}
	}
}

// What an ask costs does not grow with the flows that wait.
func TestAsksOfManyFlows(t *testing.T) {
	allocates := func(n int) float64 {
		q := flows{unit: backend.Tokens}
		for i := range n {
			w := &waiter{seq: q.arrivals()}
			w.charge.cost = backend.Amounts{1, 100}
			q.join(w, named("class", fmt.Sprint(i), 1))
		}
		virtual := 0.0
		return testing.AllocsPerRun(20, func() {
			batch := q.standing(backend.MaxCosts)
			for w := range q.all() {
				if len(batch) == backend.MaxCosts {
					break
				}
				if !w.stands {
					batch = append(batch, w)
				}
			}
			if len(batch) != backend.MaxCosts {
				t.Fatalf("%d of %d ask", len(batch), n)
			}
			q.stand(batch, batch)
			virtual++
			answer := &backend.Answer{Virtual: virtual}
			for i := range batch {
				answer.Tags = append(answer.Tags, virtual+float64(i))
			}
			q.place(batch, answer)
		})
	}
	if few, many := allocates(20), allocates(20_000); many > few+10 {
		t.Errorf("an ask of 20,000 flows allocates %v times, and one of 20 %v times", many, few)
	}
}

// A front passes through a heap in order, whatever order it was made in.
func TestFrontIsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h byTag[*flow]
		var want []float64
		for _, tag := range rapid.SliceOfN(rapid.Float64Range(0, 10), 0, 40).Draw(t, "tags") {
			heap.Push(&h, &flow{tag: tag})
			want = append(want, tag)
		}
		slices.Sort(want)
		var got []float64
		for f := newFront(h); f.first() != nil; f.pop() {
			got = append(got, f.first().tag)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v; want %v", got, want)
		}
	})
}

// What was refunded in tokens is no credit once calls count as requests.
func TestCreditInAnotherUnit(t *testing.T) {
	q := flows{unit: backend.Tokens}
	var all []*waiter
	for i := range 2 {
		w := &waiter{seq: uint64(i), charge: charge{cost: backend.Amounts{1, 30}}}
		all = append(all, w)
		q.join(w, backend.Flow{Tenant: "a"})
	}
	f := all[0].flow
	f.start()
	q.end(f, &backend.Amounts{1, 40})
	q.asks(all[:1])
	if q.countIn(backend.Tokens); all[0].credit != 30 || f.credit != 10 {
		t.Fatalf("a credit of %d, and of %d for the next", all[0].credit, f.credit)
	}
	q.countIn(backend.Requests)
	if got := all[0].units(q.unit); got != 1 || f.credit != 0 {
		t.Errorf("the first counts %v, and %d are left for the next", got, f.credit)
	}
	f.start()
	if q.end(f, &backend.Amounts{1, 40}); f.credit != 1 {
		t.Errorf("a refund of a request is a credit of %d", f.credit)
	}
}

// What a flow has not used of its charges counts for the first of its calls that have not asked.
func TestCreditOfTheFirst(t *testing.T) {
	of := func(tokens, credit int64) *waiter {
		w := &waiter{credit: credit}
		w.charge.cost = backend.Amounts{2, tokens}
		return w
	}
	for _, x := range []struct {
		w    *waiter
		want float64
	}{{of(30, 0), 30}, {of(30, 10), 20}, {of(30, 40), 0}, {of(0, 0), 1}} {
		if got := x.w.units(backend.Tokens); got != x.want {
			t.Errorf("%+v: %v units; want %v", x.w.charge.cost, got, x.want)
		}
	}
	if got := of(30, 1).units(backend.Requests); got != 1 {
		t.Errorf("%v of two requests, one of which was given back", got)
	}
	g := glance{unit: backend.Tokens, credit: 50}
	asked := of(30, 0)
	asked.asked = true
	for i, x := range []struct {
		w    *waiter
		want float64
	}{{asked, 30}, {of(30, 0), 0}, {of(30, 0), 10}, {of(30, 0), 30}} {
		if got := g.net(x.w); got != x.want {
			t.Errorf("call %d: %v; want %v", i, got, x.want)
		}
	}
	// Without credit a call counts whole for those behind it.
	q := flows{unit: backend.Tokens}
	for i, class := range []string{"a", "a", "b"} {
		w := of(30, 0)
		w.seq = uint64(i)
		q.join(w, named(class, "", 0))
	}
	q.known[flowKey{class: "b"}].tag = 29.5
	heap.Init(&q.waiting)
	var order []uint64
	for w := range q.all() {
		order = append(order, w.seq)
	}
	if !slices.Equal(order, []uint64{0, 2, 1}) {
		t.Errorf("they ask in the order %v", order)
	}
}

// A flow that nobody waits in rests for what its calls have used beyond their charges, by its share.
func TestFlowRests(t *testing.T) {
	q := flows{unit: backend.Tokens}
	end := func(class string, tag float64, credit int64) *flow {
		w := &waiter{}
		q.join(w, named(class, "", 2))
		w.flow.tag, w.flow.credit = tag, credit
		w.flow.start()
		q.leave(w)
		return w.flow
	}
	other := &waiter{}
	q.join(other, named("waits", "", 1)) // so that the queue is not empty
	a, b, c := end("a", 10, -6), end("b", 20, 5), end("c", 0, 0)
	for f, want := range map[*flow]float64{a: 13, b: 20, c: 0} {
		if f.due != want || f.rests != (want > 0) {
			t.Errorf("%s rests until %v: %v; want %v", f.Class, f.due, f.rests, want)
		}
	}
	if q.resting[0].flow != a {
		t.Error("the first to come back is not the first")
	}
	q.end(a, &backend.Amounts{backend.Tokens: -24}) // it has used more yet
	if a.due != 25 || q.resting[0].flow != b {
		t.Errorf("due at %v, and %s comes back first", a.due, q.resting[0].Class)
	}
	q.virtual = 22
	w := &waiter{}
	q.join(w, named("b", "", 2))
	q.join(&waiter{}, named("c", "", 2))
	if b.tag != 22 || c.tag != 22 || b.rests || len(q.resting) != 1 {
		t.Errorf("they come back at %v and %v", b.tag, c.tag)
	}
}

// One of each flow asks, and whoever stands in the backend's line; of a single flow nobody must.
func TestStanding(t *testing.T) {
	q := flows{unit: backend.Tokens}
	all := map[string]*waiter{}
	for i, name := range []string{"a1", "a2", "b1", "c1"} {
		w := &waiter{seq: uint64(i + 1)}
		all[name] = w
		q.join(w, named(name[:1], "", 0))
	}
	names := func(ws []*waiter) (got string) {
		for _, w := range ws {
			for name, x := range all {
				if x == w {
					got += name + " "
				}
			}
		}
		return strings.TrimSpace(got)
	}
	check := func(n int, want string) {
		t.Helper()
		if got := names(q.standing(n)); got != want {
			t.Errorf("%d at most: %q; want %q", n, got, want)
		}
	}
	all["a2"].tag, all["a1"].tag = 1, 2 // as answered
	q.known[flowKey{class: "b"}].tag, q.known[flowKey{class: "c"}].tag = 3, 4
	heap.Init(&q.waiting)
	q.stood = []*waiter{all["a2"]}
	check(4, "a2 b1 c1")
	check(2, "a2 b1")
	if all["c1"].stands || !all["b1"].stands {
		t.Error("who stands is not noted")
	}
	q.stand([]*waiter{all["a2"]}, []*waiter{all["a2"], all["b1"]})
	if all["b1"].stands || names(q.stood) != "a2" {
		t.Errorf("%s have asked", names(q.stood))
	}
	for name, want := range map[string]bool{"a2": true, "a1": false, "b1": false} {
		if got := q.among(all[name], 9); got != want {
			t.Errorf("of several flows %s is among those who asked: %v", name, got)
		}
	}
	q.leave(all["b1"])
	q.leave(all["c1"])
	check(4, "")
	if all["a2"].stands {
		t.Error("one stands where there is one flow")
	}
	for _, x := range []struct {
		name string
		n    int
		want bool
	}{{"a1", 1, true}, {"a2", 1, false}, {"a2", 2, true}, {"b1", 9, false}} {
		if got := q.among(all[x.name], x.n); got != x.want {
			t.Errorf("%s is among the first %d: %v", x.name, x.n, got)
		}
	}
}

// A line that has begun anew leaves the flows as far behind as they were. Of a flow that has left
// meanwhile nothing is kept.
func TestPlaceInANewLine(t *testing.T) {
	for _, behind := range []float64{0.5, 50} {
		q := flows{unit: backend.Tokens}
		var batch []*waiter
		for _, class := range []string{"a", "b", "left"} {
			w := &waiter{}
			w.charge.cost = backend.Amounts{1, 10}
			batch = append(batch, w)
			q.join(w, named(class, "", 0))
		}
		rests := &waiter{}
		q.join(rests, named("rests", "", 0))
		rests.flow.tag = 130
		q.leave(rests)
		q.virtual = 100
		for i, tag := range []float64{110, 120, 125} {
			batch[i].flow.tag = tag
		}
		q.leave(batch[2])
		q.place([]*waiter{batch[0], batch[2]}, &backend.Answer{Virtual: 100 - behind, Tags: []float64{110 - behind, 99 - behind}})
		for class, want := range map[string]float64{"a": 110, "b": 120} {
			if f := q.known[flowKey{class: class}]; f.tag != want-behind {
				t.Errorf("%s stands at %v; want %v", class, f.tag, want-behind)
			}
		}
		if rests.flow.due != 130-behind || q.virtual != 100-behind {
			t.Errorf("one rests until %v, at %v", rests.flow.due, q.virtual)
		}
		if q.known[flowKey{class: "left"}] != nil {
			t.Error("who has left is known")
		}
	}
}

// A class of which nobody waits has nobody to leave for others.
func TestOneOfManyWhileAClassRests(t *testing.T) {
	q := flows{unit: backend.Tokens}
	var last *waiter
	for i := range 3 {
		last = &waiter{seq: uint64(i + 1)}
		q.join(last, named("a", "", 1))
	}
	rests := &waiter{seq: 9}
	q.join(rests, named("b", "", 1))
	rests.flow.tag = 5
	q.leave(rests)
	if !rests.flow.rests {
		t.Fatal("it does not rest")
	}
	if got := q.oneOfMany(named("c", "", 1)); got != last {
		t.Errorf("%+v leaves", got)
	}
}
