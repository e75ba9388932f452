package ledger

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/lineartest"
)

// A crowd is flows that never stop asking, in several processes and models of one
// account.
type crowd struct {
	a       *Account
	now     int64
	number  uint64
	askers  []*asker
	granted map[backend.Flow]float64 // tokens
	largest map[backend.Flow]float64
}

type asker struct {
	id, scope string
	flow      backend.Flow
	buckets   []backend.Bucket
	sizes     func() int64
	costs     []backend.Amounts
	turn      int
}

func (c *crowd) take(t interface{ Fatal(...any) }, x *asker) (granted int) {
	for len(x.costs) < x.turn {
		size := x.sizes()
		c.largest[x.flow] = max(c.largest[x.flow], float64(size))
		x.costs = append(x.costs, backend.Amounts{1, size})
	}
	c.number++
	q := ask(x.scope, x.id, c.number, x.buckets, x.costs...)
	for range x.costs {
		q.Flows = append(q.Flows, x.flow)
	}
	answer, err := c.a.Take(c.now, q)
	if err != nil {
		t.Fatal(err)
	}
	for _, cost := range x.costs[:answer.Granted] {
		c.granted[x.flow] += float64(cost[1])
	}
	x.costs = x.costs[answer.Granted:]
	return answer.Granted
}

// Flows that wait all the time get what the weights of their classes say, which tenants divide
// equally, whatever the sizes of their calls, in how many processes and models they ask, and in
// which order: what two of them got, each divided by its weight, differs in any interval by no
// more than two of the largest calls of each. (One of each is what fair queueing promises where
// costs are looked at one by one; a ticket's are taken as if they were spread evenly over its
// tags.)
func TestSharesOfFlowsThatWait(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		c := &crowd{a: New(), granted: map[backend.Flow]float64{}, largest: map[backend.Flow]float64{}}
		const limit = 6_000_000 // 100 a millisecond
		account := bucketOf("account", "tpm", backend.Tokens, limit)
		account.Burst = time.Duration(rapid.IntRange(100, 5000).Draw(t, "burst")) * time.Millisecond
		var flows []backend.Flow
		weights, tenants := map[string]float64{}, map[string]float64{}
		for i := range rapid.IntRange(2, 5).Draw(t, "flows") {
			class := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "class")
			if tenants[class]++; weights[class] == 0 {
				weights[class] = rapid.SampledFrom([]float64{1, 2, 3, 5, 100, 1000}).Draw(t, "weight")
			}
			f := backend.Flow{Class: class, Tenant: fmt.Sprint("tenant", i), Weight: weights[class]}
			if tenants[class] == 1 {
				f.Tenant = ""
			}
			flows = append(flows, f)
			most := rapid.Int64Range(1000, 5000).Draw(t, "most")
			for j := range rapid.IntRange(1, 3).Draw(t, "askers") {
				scope := rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "scope")
				c.askers = append(c.askers, &asker{id: fmt.Sprint(i, "/", j), scope: scope, flow: f, buckets: []backend.Bucket{account},
					turn: rapid.IntRange(8, 16).Draw(t, "turn"), sizes: func() int64 { return most/8 + r.Int64N(most*7/8) }})
			}
		}
		c.take(t, &asker{id: "x", scope: "X", buckets: []backend.Bucket{account}, turn: 1, sizes: func() int64 { return int64(account.Capacity()) }})
		turns := make([]int, len(c.askers))
		for i, x := range c.askers { // the line knows all tenants before they want more
			turns[i], x.turn = x.turn, 1
			c.take(t, x)
		}
		for i, x := range c.askers { // all of them wait from now on
			x.turn = turns[i]
			c.take(t, x)
		}
		pass := func(by int64) {
			c.now += by
			for granted := true; granted; { // until all of them wait
				granted = false
				for _, x := range r.Perm(len(c.askers)) {
					granted = c.take(t, c.askers[x]) > 0 || granted
				}
			}
		}
		type bounds struct{ low, high float64 }
		seen := map[[2]int]*bounds{}
		for range rapid.IntRange(50, 150).Draw(t, "steps") {
			pass(r.Int64N(3000))
			for i, f := range flows {
				for j, g := range flows[:i] {
					v, w := f.Weight/tenants[f.Class], g.Weight/tenants[g.Class]
					d := c.granted[f]/v - c.granted[g]/w
					b := seen[[2]int{i, j}]
					if b == nil {
						b = &bounds{math.Min(0, d), math.Max(0, d)}
						seen[[2]int{i, j}] = b
					}
					b.low, b.high = min(b.low, d), max(b.high, d)
					bound := 2*c.largest[f]/v + 2*c.largest[g]/w
					if b.high-b.low > bound {
						t.Fatalf("flows %v and %v: %.0f apart, of %.0f", f, g, b.high-b.low, bound)
					}
				}
			}
		}
	})
}

// Beside a weight of 100 or 1000, one of 1 still has its part, and no more: that takes more of
// smaller calls than the test above makes.
func TestSharesOfVeryUnequalFlows(t *testing.T) {
	for _, weight := range []float64{100, 1000} {
		r := rand.New(rand.NewPCG(1, 0))
		c := &crowd{a: New(), granted: map[backend.Flow]float64{}, largest: map[backend.Flow]float64{}}
		account := bucketOf("account", "tpm", backend.Tokens, 6_000_000) // 100 a millisecond
		account.Burst = 100 * time.Millisecond
		light, heavy := backend.Flow{Class: "light", Weight: 1}, backend.Flow{Class: "heavy", Weight: weight}
		for _, f := range []backend.Flow{light, heavy} {
			c.askers = append(c.askers, &asker{id: f.Class, scope: "A", flow: f, buckets: []backend.Bucket{account}, turn: 16, sizes: func() int64 { return 25 + r.Int64N(75) }})
		}
		c.take(t, &asker{id: "x", scope: "X", buckets: []backend.Bucket{account}, turn: 1, sizes: func() int64 { return int64(account.Capacity()) }})
		for range int(4 * weight) { // in which the light one's part is six of its calls
			c.now += r.Int64N(3000)
			for granted := true; granted; {
				granted = false
				for _, x := range r.Perm(len(c.askers)) {
					granted = c.take(t, c.askers[x]) > 0 || granted
				}
			}
			if d, bound := c.granted[light]-c.granted[heavy]/weight, 2*c.largest[light]+2*c.largest[heavy]/weight; math.Abs(d) > bound {
				t.Fatalf("weight %v: %.0f apart, of %.0f", weight, d, bound)
			}
		}
	}
}

// What a flow has asked for and no longer does counts no more for its share.
func TestWhoLeavesIsChargedNothing(t *testing.T) {
	a := New()
	account := []backend.Bucket{bucketOf("account", "tpm", backend.Tokens, 1000)}
	take(t, a, 0, ask("x", "x", 1, account, cost(0, 1000, 0)))
	of := func(class string, q *backend.Ask) *backend.Ask {
		for range q.Costs {
			q.Flows = append(q.Flows, backend.Flow{Class: class})
		}
		return q
	}
	five := cost(0, 5, 0)
	take(t, a, 0, of("x", ask("m", "gone", 1, account, cost(0, 100, 0))))
	take(t, a, 0, of("y", ask("m", "y", 1, account, five, five, five, five)))
	gone := ask("m", "gone", 2, account)
	gone.Leave = true
	take(t, a, 0, gone)
	a.Settle(0, &backend.Settlement{Buckets: account, Refund: cost(0, 10, 0)})
	if got := take(t, a, 0, of("x", ask("m", "x2", 1, account, five))); got.Granted != 1 {
		t.Errorf("it waits %v, as if the other had started", got.Wait)
	}
}

// What an ask costs does not grow with the tenants that its class has, and those of a class
// that asks no more are forgotten when the line has come past them.
func TestManyTenants(t *testing.T) {
	b := []backend.Bucket{{Owner: "m", Name: "tpm", Dimension: backend.Tokens, Limit: 1000, Period: time.Minute, Start: 1000}}
	crowd := func(a *Account, class string, tenants int) {
		for i := range tenants {
			q := ask("m", fmt.Sprint(class, i), 1, b, backend.Amounts{1, 10})
			q.Flows = []backend.Flow{{Class: class, Tenant: fmt.Sprint(i)}}
			if _, err := a.Take(0, q); err != nil {
				t.Fatal(err)
			}
		}
	}
	number := uint64(1)
	again := func(a *Account, now int64, tenants int) backend.Answer {
		number++
		q := ask("m", "busy0", number, b)
		for i := range tenants {
			q.Costs, q.Flows = append(q.Costs, backend.Amounts{1, 10}), append(q.Flows, backend.Flow{Class: "busy", Tenant: fmt.Sprint(i)})
		}
		answer, err := a.Take(now, q)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	err := lineartest.Check(250, func(size int) func() {
		a := New()
		crowd(a, "busy", size)
		return func() {
			for range size {
				again(a, 1, backend.MaxCosts)
			}
		}
	})
	if err != nil {
		t.Errorf("asks of a class with tenants: %v", err)
	}

	a := New()
	crowd(a, "busy", 1)
	crowd(a, "gone", 1000)
	l := a.lines["line"]
	if n := len(l.flows.classes["gone"].order); n != 1000 {
		t.Fatalf("%d of 1,000 tenants are known", n)
	}
	for i := range 1000 {
		q := ask("m", fmt.Sprint("gone", i), 2, b)
		q.Leave = true
		if _, err := a.Take(1, q); err != nil {
			t.Fatal(err)
		}
	}
	for now := int64(2e6); l.flows.classes["gone"] != nil; now += 2e6 {
		if now > 3600e6 {
			t.Fatalf("%d tenants of a class that asks no more are known after an hour", len(l.flows.classes["gone"].order))
		}
		again(a, now, backend.MaxCosts)
		if l != a.lines["line"] {
			t.Fatal("the line has ended meanwhile")
		}
	}
}

// While somebody waits and ever new tenants come, the virtual time stands still: of a class no more
// than so many are known.
func TestTenantsThatEverCome(t *testing.T) {
	a := New()
	b := []backend.Bucket{{Owner: "account", Name: "rpd", Limit: 1e6, Period: 24 * time.Hour}}
	a.Settle(0, &backend.Settlement{PauseOwner: "x", Pause: time.Hour})
	take(t, a, 0, ask("x", "waits", 1, b, cost(1, 0, 0)))
	came := 0
	for number := uint64(1); came < Tenants+1000; number++ {
		q := ask("m", "m", number, b)
		for range backend.MaxCosts {
			came++
			q.Costs, q.Flows = append(q.Costs, cost(1, 0, 0)), append(q.Flows, backend.Flow{Class: "c", Tenant: fmt.Sprint(came)})
		}
		if got := take(t, a, int64(number), q); got.Granted != backend.MaxCosts {
			t.Fatalf("%d of %d costs are granted", got.Granted, backend.MaxCosts)
		}
	}
	c := a.lines["line"].flows.classes["c"]
	if n := len(c.flows); n > Tenants+1 || n < Tenants || n != len(c.order) {
		t.Errorf("%d of %d tenants are known", n, came)
	}
	if c.flows["1"] != nil || c.flows[fmt.Sprint(came)] == nil {
		t.Error("others are forgotten than those that would be next")
	}
}

func named(class, tenant string, weight float64) backend.Flow {
	return backend.Flow{Class: class, Tenant: tenant, Weight: weight}
}

// A unit counts for a flow as many times as its class has tenants that ask, divided by its weight.
func TestPaceOfAFlow(t *testing.T) {
	var f flows
	come := func(is backend.Flow, units float64) { f.come(&part{flow: is, units: units}) }
	pace := func(is backend.Flow, want float64) {
		t.Helper()
		if got := f.pace(is); got != want {
			t.Errorf("%+v: %v; want %v", is, got, want)
		}
	}
	pace(named("", "", 0), 1)
	pace(named("a", "", 0.5), 2)
	pace(named("a", "", 4), 0.25)
	come(named("a", "x", 1), 10)
	pace(named("a", "x", 1), 1)
	pace(named("a", "y", 1), 2)
	pace(named("a", "y", 0.5), 4)
	come(named("", "", 0), 10)
	pace(named("", "", 0), 1)
	pace(named("", "x", 0), 2)
	pace(named("b", "", 0), 1)
	if f.virtual = 10; f.plain.begin() != 10 { // where the plain flow's call ends
		t.Fatalf("%+v", f.plain)
	}
	pace(named("", "x", 0), 1)
	pace(named("a", "y", 1), 1)
	if f.plain.asks || len(f.classes) != 0 {
		t.Errorf("%+v, %d classes are known of what the line has passed", f.plain, len(f.classes))
	}
}

// A flow that the line has not passed moves, and no other.
func TestFlowMoves(t *testing.T) {
	for _, x := range []struct {
		virtual, by, want float64 // of the next call
	}{{0, 5, 15}, {0, -5, 5}, {0, 1, 11}, {0, 0, 10}, {9, 5, 15}, {10, 5, 10}, {20, 5, 20}} {
		var f flows
		is := named("a", "x", 1)
		f.come(&part{flow: is, units: 10})
		f.virtual = x.virtual
		f.move(is, x.by)
		f.move(named("a", "other", 1), 100)
		if got := f.begin(is); got != x.want {
			t.Errorf("%+v: it begins at %v", x, got)
		}
		if got := f.begin(named("a", "other", 1)); got != x.virtual {
			t.Errorf("%+v: another begins at %v", x, got)
		}
	}
}

// Costs of a part come one after another, each by its units. Tokens count where a bucket does count
// them, beside ceilings; else requests do, and each cost counts one at least, less its credit.
func TestTagsAndUnits(t *testing.T) {
	tokens := bucketOf("o", "tpm", backend.Tokens, 1000)
	requests := bucketOf("o", "rpm", backend.Requests, 1000)
	ceiling := tokens
	ceiling.Ceiling = true
	q := &backend.Ask{
		Buckets: []backend.Bucket{requests, tokens}, Costs: []backend.Amounts{cost(1, 10, 0), cost(2, 0, 0), cost(1, 30, 0), cost(1, 8, 0)},
		Flows: []backend.Flow{named("a", "", 1), named("a", "", 1), named("b", "", 1), {Class: "a", Credit: 5}},
	}
	for _, x := range []struct {
		buckets []backend.Bucket
		want    []float64
	}{
		{[]backend.Bucket{requests, tokens}, []float64{10, 1, 30, 3}}, {[]backend.Bucket{tokens}, []float64{10, 1, 30, 3}},
		{[]backend.Bucket{requests}, []float64{1, 2, 1, 0}}, {[]backend.Bucket{requests, ceiling}, []float64{1, 2, 1, 0}}, {nil, []float64{1, 2, 1, 0}},
	} {
		for i, want := range x.want {
			if got := Units(&backend.Ask{Buckets: x.buckets, Costs: q.Costs, Flows: q.Flows}, i); got != want {
				t.Errorf("%v: cost %d has %v units; want %v", x.buckets, i, got, want)
			}
		}
	}
	parts := []part{{flow: named("a", "", 1), tag: 100, pace: 2}, {flow: named("b", "", 1), tag: 50, pace: 0.5}}
	if got, want := tags(q, parts, []int{0, 0, 1, 0}), []float64{100, 120, 50, 122}; !slices.Equal(got, want) || parts[0].tag != 100 {
		t.Errorf("tags %v; want %v, and parts %+v", got, want, parts)
	}
	for _, x := range []struct {
		flow backend.Flow
		want bool
	}{{named("a", "x", 1), true}, {named("a", "x", 2), true}, {named("a", "y", 1), false}, {named("b", "x", 1), false}} {
		if got := (&part{flow: named("a", "x", 1)}).of(x.flow); got != x.want {
			t.Errorf("%+v is of the part: %v", x.flow, got)
		}
	}
}

// Costs start in the order of their tags, and of equal ones as they are asked for.
func TestOrder(t *testing.T) {
	for _, x := range []struct {
		tags []float64
		want []int
	}{
		{nil, nil},
		{[]float64{1, 2}, nil},
		{[]float64{2, 2}, nil},
		{[]float64{2, 1}, []int{1, 0}},
		{[]float64{3, 2, 2}, []int{1, 2, 0}},
		{[]float64{3, 1, 2, 4}, []int{1, 2, 0, 3}},
		{[]float64{5, 2, 7, 4}, []int{1, 3, 0, 2}},
	} {
		if got := Order(x.tags); !slices.Equal(got, x.want) {
			t.Errorf("%v: %v; want %v", x.tags, got, x.want)
		}
	}
}

// A flow's calls start in the order in which they came, also where it had fewer rivals when the
// later ones did: none of them stands before an earlier one, nor in the way of other flows.
func TestTagsOfAFlowNeverFall(t *testing.T) {
	a := New()
	buckets := []backend.Bucket{bucketOf("o", "tpm", backend.Tokens, 1000)}
	take(t, a, 0, ask("s", "x", 1, buckets, cost(1, 1000, 0)))
	number := uint64(0)
	asks := func(ticket string, tenants ...string) backend.Answer {
		number++
		q := ask("s", ticket, number, buckets)
		for _, tenant := range tenants {
			q.Costs, q.Flows = append(q.Costs, cost(1, 1, 0)), append(q.Flows, named("c", tenant, 1))
		}
		return take(t, a, 0, q)
	}
	asks("p", "a", "a", "a")
	asks("p", "a", "a", "a", "a") // the fourth stands right behind the third
	for i := range 9 {
		asks(fmt.Sprint(i), fmt.Sprint(i))
	}
	got := asks("p", "a", "a", "a", "a", "b")
	if !slices.IsSorted(got.Tags[:4]) || got.Tags[3] == got.Tags[0] || !slices.Equal(got.Order, []int{0, 4, 1, 2, 3}) {
		t.Errorf("tags %v, in the order %v", got.Tags, got.Order)
	}
}

// A cost that starts leaves its part without it, and takes the line to where it stood.
func TestServe(t *testing.T) {
	f := flows{virtual: 7}
	p := part{tag: 10, end: 30, units: 10, pace: 2, costs: 3}
	f.serve(&p, 4)
	if want := (part{tag: 18, end: 30, units: 6, pace: 2, costs: 2}); p != want || f.virtual != 10 {
		t.Errorf("%+v, at %v; want %+v", p, f.virtual, want)
	}
	p.tag = 9 // the line has come further
	if f.serve(&p, 1); f.virtual != 10 {
		t.Errorf("the line goes back to %v", f.virtual)
	}
}

// A flow is told where its cost stood, also where nobody else waits.
func TestFlowIsToldWhereItStood(t *testing.T) {
	buckets := []backend.Bucket{{Owner: "m", Name: "rpm", Limit: 60, Period: time.Minute}}
	q := ask("m", "t", 1, buckets, backend.Amounts{1})
	q.Flows = []backend.Flow{{Class: "c"}}
	if answer := take(t, New(), 1, q); answer.Granted != 1 || !slices.Equal(answer.Tags, []float64{0}) {
		t.Errorf("%+v", answer)
	}
	q.Flows = nil
	if answer := take(t, New(), 1, q); answer.Granted != 1 || answer.Tags != nil {
		t.Errorf("%+v", answer)
	}
}
