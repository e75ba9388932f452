package redis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// An ask is as much work behind ten thousand tickets as behind ten: of its own model,
// and of another one that its own limit keeps out of the way.
func TestLengthOfTheLineCostsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a long line")
	}
	account := backend.Bucket{Owner: "account", Name: "rpd", Limit: 1e6, Period: 24 * time.Hour}
	for _, tt := range []struct {
		name, scope string
		granted     int
	}{{"of its own model", "model:m", 0}, {"of another model", "model:other", 1}} {
		t.Run(tt.name, func(t *testing.T) {
			s := redistest.Run(t)
			c := admin(t, s)
			work := map[int]int{}
			for _, n := range []int{11, 10_001} {
				b := newVirtual(c)
				number := uint64(0)
				take := func(scope, ticket string, cost int64) backend.Answer {
					number++
					a := ask(number, append(perDay(1000), account), cost)
					a.Scope, a.Ticket, a.Buckets[0].Owner = scope, ticket, scope
					answer, err := b.Take(t.Context(), a)
					if err != nil {
						t.Fatal(err)
					}
					return answer
				}
				take("model:m", "x", 1000)
				for i := range n {
					take("model:m", fmt.Sprint(i), 1)
				}
				take(tt.scope, "y", 1000-int64(tt.granted)*999) // the other model's bucket is known
				if err := c.ConfigResetStat(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				for range 10 {
					if a := take(tt.scope, "y", 1); a.Granted != tt.granted || a.Tickets != n*(1-tt.granted) {
						t.Fatalf("granted %d, %d ahead", a.Granted, a.Tickets)
					}
				}
				work[n] = calls(t, c)
			}
			t.Logf("%d commands behind 11 tickets, %d behind 10,001", work[11], work[10_001])
			if work[10_001] > work[11]*3/2 {
				t.Errorf("%d commands behind 11 tickets, %d behind 10,001", work[11], work[10_001])
			}
		})
	}
}

// A clock that is set back (or a failover to a server that is behind) lets no pause
// last longer, and no dead ticket hold the line longer than its lease.
func TestClockSetBack(t *testing.T) {
	for _, back := range []time.Duration{500 * time.Millisecond, 3 * time.Second, time.Hour} {
		t.Run(back.String(), func(t *testing.T) {
			b := newVirtual(client(t))
			buckets := perDay(100)
			number := uint64(0)
			take := func(ticket string, costs ...int64) backend.Answer {
				t.Helper()
				number++
				a := ask(number, buckets, costs...)
				a.Ticket = ticket
				answer, err := b.Take(t.Context(), a)
				if err != nil {
					t.Fatal(err)
				}
				return answer
			}
			take("x", 50)
			take("dead", 100)
			take("p", 100)
			b.now -= back.Microseconds()
			for n := range 10 {
				if a := take("q", 1); a.Granted != 0 {
					t.Errorf("granted after %d tenths of a second, before the lease is over", n)
				}
				b.now += 100_000
				take("p", 100)
			}
			b.now++
			if a := take("p", 1); a.Granted != 1 || a.Tickets != 0 {
				t.Errorf("granted %d behind %d", a.Granted, a.Tickets)
			}

			err := b.Settle(t.Context(), backend.Settlement{Account: "account", PauseOwner: "model:m", Pause: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			b.now -= back.Microseconds()
			if a := take("p", 1); a.Granted != 0 || a.Paused != 5*time.Second {
				t.Errorf("granted %d, paused for %v; want 5s", a.Granted, a.Paused)
			}
			b.now += 5e6
			if a := take("p", 1); a.Granted != 1 {
				t.Errorf("still paused for %v", a.Paused)
			}
		})
	}
}

// Where something else is in a key of a line, nobody is lost.
func TestSomethingElseInAKeyOfALine(t *testing.T) {
	for name, i := range map[string]int{"account": 0, "line": 1, "tickets": 2, "asked": 4} {
		t.Run(name, func(t *testing.T) {
			c := admin(t, redistest.Run(t))
			b := newVirtual(c)
			buckets := perDay(100)
			number := uint64(0)
			take := func(ticket string, costs ...int64) (backend.Answer, error) {
				number++
				a := ask(number, buckets, costs...)
				a.Ticket = ticket
				return b.Take(t.Context(), a)
			}
			for _, ticket := range []string{"x", "dead", "alive"} {
				if _, err := take(ticket, 100); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				b.now += 500_000
				if _, err := take("alive", 100); err != nil {
					t.Fatal(err)
				}
			}
			b.now++
			key := lineKeys(b.accountKey("account"), lineField("model:m"), ticketField("x"))[i]
			c.Rename(t.Context(), key, key+"kept")
			if err := c.RPush(t.Context(), key, "x").Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := take("alive", 100); !errors.Is(err, ErrOccupied) {
				t.Errorf("%v; want ErrOccupied", err)
			}
			if n := c.LLen(t.Context(), key).Val(); n != 1 {
				t.Error("what was there is gone")
			}
			c.Rename(t.Context(), key+"kept", key)
			if a, err := take("alive", 100); err != nil || a.Tickets != 0 {
				t.Errorf("%d ahead, %v", a.Tickets, err)
			}
			if a, err := take("dead", 100); err != nil || a.Tickets != 0 {
				t.Errorf("the one that was only slow stands behind %d, %v", a.Tickets, err)
			}
			if a, err := take("alive", 100); err != nil || a.Tickets != 1 {
				t.Errorf("%d ahead, %v; want the one that has come back", a.Tickets, err)
			}
		})
	}
}

// A ticket that draws from the account stands among those of a family if another one of its
// model draws from that, too: what it needs of the account is set aside there.
func TestTicketThatStandsInAFamily(t *testing.T) {
	b, a := newVirtual(client(t)), ledger.New()
	a.Lease, a.Erase = lease, erase
	bucket := func(owner string) backend.Bucket {
		return backend.Bucket{Owner: owner, Name: "rpm", Limit: 1000, Period: time.Minute}
	}
	for i, owners := range [][]string{{"account"}, {"m", "account"}, {"m", "family", "account"}, {"other", "family", "account"}} {
		x := backend.Ask{Account: "account", Line: "account", Scope: owners[0], Ticket: fmt.Sprint(i), Number: 1, Costs: []backend.Amounts{{100 - int64(i)/3}}} // the last would fit
		for _, o := range owners {
			x.Buckets = append(x.Buckets, bucket(o))
		}
		if i == 0 {
			x.Costs[0][backend.Requests] = 901 // so that the next one waits for less than a tenth of a second
		}
		want, err := a.Take(b.now, &x)
		got, gotErr := b.Take(t.Context(), x)
		if err != nil || gotErr != nil || got.Wait != want.Wait || got.Tickets != want.Tickets || got.Granted != want.Granted || i > 0 && got.Granted > 0 {
			t.Errorf("%v: %d granted, %v, %d ahead, %v; want %d, %v, %d", owners, got.Granted, got.Wait, got.Tickets, gotErr, want.Granted, want.Wait, want.Tickets)
		}
	}
}

// An ask that waits is no more commands among a thousand models than among a few: none of
// them is held back by its own limit, nor does any other have the tags that it has.
func TestNumberOfModelsCostsNothing(t *testing.T) {
	const most = 20 - 1 // for Redis's clock is asked, too, where no test has one
	account := backend.Bucket{Owner: "account", Name: "tpd", Dimension: backend.Tokens, Limit: 1000, Period: 24 * time.Hour}
	for _, models := range []int{1, 10, 1000} {
		t.Run(fmt.Sprint(models), func(t *testing.T) {
			if testing.Short() && models > 10 {
				t.Skip("fills a long line")
			}
			c := admin(t, redistest.Run(t))
			b := newVirtual(c)
			number := uint64(0)
			take := func(model int, tokens int64) backend.Answer {
				t.Helper()
				number++
				name := fmt.Sprint("model:", model)
				family := backend.Bucket{Owner: fmt.Sprint("family:", model/2), Name: "tpm", Dimension: backend.Tokens, Limit: 1e6, Period: time.Minute}
				own := family
				own.Owner = name
				answer, err := b.Take(t.Context(), backend.Ask{Account: "account", Line: "account", Scope: name, Ticket: name, Number: number,
					Buckets: []backend.Bucket{own, family, account}, Costs: []backend.Amounts{{1, tokens}},
					Flows: []backend.Flow{{Class: fmt.Sprint("class", model%3), Tenant: name, Weight: 1}}})
				if err != nil {
					t.Fatal(err)
				}
				return answer
			}
			take(-1, 1000)
			for i := range models {
				take(i, 400)
			}
			b.now += 100_000
			if err := c.ConfigResetStat(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			const asks = 20
			for i := range asks {
				if a := take(i%models, 400); a.Granted != 0 || models > 1 && a.Tickets > models-1 {
					t.Fatalf("granted %d, %d ahead", a.Granted, a.Tickets)
				}
			}
			n := float64(calls(t, c)) / asks
			t.Logf("%.1f commands", n)
			if n > most {
				t.Errorf("%.1f commands for an ask; want at most %d", n, most)
			}
		})
	}
}

// calls is how many commands were called, by scripts too.
func calls(t *testing.T, c *goredis.Client) (total int) {
	t.Helper()
	for _, n := range commandStats(t, c) {
		total += n
	}
	return total
}

// commandStats is how often each command was called.
func commandStats(t *testing.T, c *goredis.Client) map[string]int {
	t.Helper()
	info, err := c.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	stats := map[string]int{}
	for _, line := range strings.Split(info, "\r\n") {
		if name, figures, ok := strings.Cut(line, ":calls="); ok {
			n, _, _ := strings.Cut(figures, ",")
			calls, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			stats[strings.TrimPrefix(name, "cmdstat_")] = calls
		}
	}
	return stats
}

// Tenants who ask no more are forgotten when the line has come past them: those of a class that
// asks on for others, and those of one that does not, though another class keeps the line alive.
// It is looked for by the first bytes of what stands for its name.
func TestTenantsThatAskNoMore(t *testing.T) {
	for name, x := range map[string]struct{ asksOn, near bool }{
		"of a class that asks no more":                    {false, false},
		"of one whose digest is near the busy one's":      {false, true},
		"of one that asks on, and is near the busy one's": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && x.near {
				t.Skip("takes many asks")
			}
			busy, gone := classesNamed(x.near)
			b := newVirtual(client(t))
			buckets := []backend.Bucket{{Owner: "m", Name: "tpm", Dimension: backend.Tokens, Limit: 1000, Period: time.Minute, Start: 1000}}
			number := uint64(0)
			take := func(ticket, class string, cost int64, tenants ...int) {
				t.Helper()
				number++
				a := ask(number, buckets)
				a.Ticket, a.Leave = ticket, len(tenants) == 0
				for _, i := range tenants {
					a.Costs, a.Flows = append(a.Costs, backend.Amounts{1, cost}), append(a.Flows, backend.Flow{Class: class, Tenant: fmt.Sprint(i), Weight: 100})
				}
				if _, err := b.Take(t.Context(), a); err != nil {
					t.Fatal(err)
				}
			}
			same := make([]int, backend.MaxCosts)
			take("busy", busy, 100, same...)
			for range 2 { // they come, and then each has its turn
				for i := range 60 {
					take(fmt.Sprint(i), gone, 1, i)
					b.now += 70_000
				}
				b.now += 500_000
			}
			c := admin(t, shared)
			flows := func() (n int) {
				fields, err := c.HKeys(t.Context(), lineKeys(b.accountKey("account"), lineField("model:m"), ticketField(""))[2]).Result()
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range fields {
					if len(f) == 24 {
						n++
					}
				}
				return n
			}
			if n := flows(); n < 50 {
				t.Fatalf("%d flows are known; want most of 61", n)
			}
			for i := 0; x.asksOn && i < 1000 || !x.asksOn && flows() > 1; i++ {
				if i == 20_000 {
					t.Fatalf("%d flows are known after an hour", flows())
				}
				if b.now += 200_003; x.asksOn {
					take(fmt.Sprint(i%60), gone, 1, 60+i)
				}
				take("busy", busy, 100, same...)
			}
			if n := flows(); n > 200 {
				t.Errorf("%d flows are known", n)
			}
		})
	}
}

// classesNamed returns the names of two classes. The digests of near ones begin with the same
// byte.
func classesNamed(near bool) (busy, gone string) {
	for i := 0; ; i++ {
		busy, gone = fmt.Sprint("busy", i), fmt.Sprint("gone", i)
		b, g := flowField(&backend.Flow{Class: busy}), flowField(&backend.Flow{Class: gone})
		if is := b[0] == g[0] && int(g[1]) > int(b[1])+100; is == near {
			return busy, gone
		}
	}
}

// A throng of processes and models, whose callers are of many tenants, gets all of the budget,
// and what an ask costs does not grow with the tenants nor with their classes.
func TestThrongOfTenants(t *testing.T) {
	if testing.Short() {
		t.Skip("fills long lines")
	}
	for _, weights := range [][]float64{nil, {1}, {100, 10, 1}} {
		t.Run(fmt.Sprint(len(weights), " classes"), func(t *testing.T) {
			s := redistest.Run(t)
			c := admin(t, s)
			all := newThrong(t, newVirtual(c), weights)
			all.pass(3 * time.Second)
			if err := c.ConfigResetStat(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			all.asked, all.granted = 0, 0
			const span = 4
			all.pass(span * time.Second)
			work, used := float64(calls(t, c))/float64(all.asked), float64(all.granted)/(span*throngRate)
			t.Logf("%.1f commands an ask, %.2f asks a call, %.1f %% of the budget", work, float64(all.asked)/float64(all.granted), 100*used)
			if most := float64(17 + len(weights)); work > most || used < 0.98 { // one for each class
				t.Errorf("%.1f commands an ask, %.1f %% of the budget", work, 100*used)
			}
		})
	}
}

const throngRate = 500 // calls a second

// A throng asks when it is told to, as the limiter does: in the order of tags, for those first
// of whom nothing is known.
type throng struct {
	t              *testing.T
	b              *virtualBackend
	r              *rand.Rand
	weights        []float64
	next           []int64 // when each ticket asks
	asks           []backend.Ask
	asked, granted int
}

func newThrong(t *testing.T, b *virtualBackend, weights []float64) *throng {
	c := &throng{t: t, b: b, r: rand.New(rand.NewPCG(1, 2)), weights: weights}
	account := backend.Bucket{Owner: "account", Name: "rpm", Limit: 60 * throngRate, Period: time.Minute, Burst: time.Second}
	for i := range 20 * 32 {
		c.asks = append(c.asks, backend.Ask{Account: "account", Line: "account", Scope: fmt.Sprint("model", i%20), Ticket: fmt.Sprint(i), Buckets: []backend.Bucket{account}})
		c.next = append(c.next, b.now+c.r.Int64N(1_000_000))
	}
	return c
}

// pass lets time pass.
func (c *throng) pass(d time.Duration) {
	for end := c.b.now + d.Microseconds(); ; {
		i := slices.Index(c.next, slices.Min(c.next))
		if c.next[i] > end {
			c.b.now = end
			return
		}
		c.b.now = max(c.b.now, c.next[i])
		c.next[i] = c.b.now + c.ask(&c.asks[i]).Microseconds()
	}
}

// ask asks for four calls, and returns when to ask again.
func (c *throng) ask(a *backend.Ask) time.Duration {
	for n := len(a.Costs); (c.weights != nil || n == 0) && len(a.Costs) < 4; {
		a.Costs = append(a.Costs, backend.Amounts{1})
		if x := c.r.IntN(1000); c.weights != nil {
			class := x % len(c.weights)
			a.Flows = slices.Insert(a.Flows, 0, backend.Flow{Class: fmt.Sprint(class), Tenant: fmt.Sprint(x), Weight: c.weights[class]})
		}
	}
	a.Number++
	answer, err := c.b.Take(c.t.Context(), *a)
	if err != nil {
		c.t.Fatal(err)
	}
	c.asked++
	c.granted += answer.Granted
	a.Costs = a.Costs[answer.Granted:] // which are all alike
	if a.Flows != nil {
		a.Flows = slices.Clone(backend.InOrder(&answer, a.Flows)[answer.Granted:])
	}
	if len(a.Costs) == 0 {
		return 0 // it asks for more at once
	}
	return answer.Hint
}

// While somebody waits and ever new tenants come, Redis keeps no more of a class than the ledger,
// but for those of a few asks.
func TestTenantsThatEverCome(t *testing.T) {
	b := newVirtual(client(t))
	buckets := []backend.Bucket{{Owner: "account", Name: "rpd", Limit: 1e6, Period: 24 * time.Hour}}
	if err := b.Settle(t.Context(), backend.Settlement{Account: "a", Line: "line", PauseOwner: "x", Pause: time.Hour}); err != nil {
		t.Fatal(err)
	}
	ask := func(scope string, number uint64, flows ...backend.Flow) int {
		b.now += 100_003
		answer, err := b.Take(t.Context(), backend.Ask{Account: "a", Line: "line", Scope: scope, Ticket: scope, Number: number,
			Buckets: buckets, Costs: slices.Repeat([]backend.Amounts{{1}}, max(1, len(flows))), Flows: flows})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Granted
	}
	came := 0
	for number := uint64(1); came < ledger.Tenants+2000; number++ {
		if number%4 == 1 {
			ask("x", number)
		}
		var flows []backend.Flow
		for range backend.MaxCosts {
			came++
			flows = append(flows, backend.Flow{Class: "c", Tenant: fmt.Sprint(came)})
		}
		if n := ask("m", number, flows...); n != backend.MaxCosts {
			t.Fatalf("%d of %d costs are granted", n, backend.MaxCosts)
		}
	}
	most := int64(0)
	all := admin(t, shared)
	for _, key := range all.Keys(t.Context(), b.prefix+"*").Val() {
		if all.Type(t.Context(), key).Val() == "hash" {
			most = max(most, all.HLen(t.Context(), key).Val())
		}
	}
	if most < ledger.Tenants || most > ledger.Tenants+1000 {
		t.Errorf("%d records are kept of a line that has seen %d tenants", most, came)
	}
}
