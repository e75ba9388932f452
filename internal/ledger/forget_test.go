package ledger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/lineartest"
	"pgregory.net/rapid"
)

// Models that are named once are forgotten: what is kept grows with those that were
// charged lately, not with all that ever were.
func TestModelsThatAreNamedOnce(t *testing.T) {
	const models, every = 100_000, 100 * time.Millisecond
	lately := int(Slack / every)
	daily := backend.Bucket{Owner: "account", Name: "rpd", Limit: 1_000_000, Period: 24 * time.Hour}
	for _, tt := range []struct {
		name    string
		buckets func(model string) []backend.Bucket
		most    int
	}{
		{"with limits of their own", func(m string) []backend.Bucket {
			return []backend.Bucket{bucketOf(m, "rpm", backend.Requests, 60), daily}
		}, 2 * lately},
		{"with the account's", func(string) []backend.Bucket { return []backend.Bucket{daily} }, few + 1},
		{"without limits", func(string) []backend.Bucket { return nil }, few + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := New()
			now, most := int64(0), 0
			for i := range models {
				now += Micros(every)
				m := fmt.Sprint("m", i)
				got := take(t, a, now, ask(m, m, 1, tt.buckets(m), cost(1, 0, 0)))
				if got.Granted != 1 {
					t.Fatal("not granted")
				}
				if _, err := a.Look(now, ask(m+"?", "", 0, nil)); err != nil {
					t.Fatal(err)
				}
				most = max(most, len(a.owners))
			}
			if most > tt.most+few {
				t.Errorf("%d owners were kept; want at most %d", most, tt.most)
			}
			if len(a.owners) != a.round.Len() || len(a.lines) != 0 {
				t.Errorf("%d owners, %d of them in the round, %d lines", len(a.owners), a.round.Len(), len(a.lines))
			}
			// They go even if nobody new is named.
			now += Micros(Slack)
			for range 2 * lately {
				now++
				take(t, a, now, ask("m", "m", uint64(now), tt.buckets("m"), cost(1, 0, 0)))
			}
			if len(a.owners) > few {
				t.Errorf("%d owners are kept of which one is in use", len(a.owners))
			}
		})
	}
}

// What somebody would miss is kept, however many others are named.
func TestWhatIsNotForgotten(t *testing.T) {
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60)}
	daily := []backend.Bucket{{Owner: "m", Name: "rpd", Limit: 100, Period: 24 * time.Hour}}
	all := bucketOf("all", "rpm", backend.Requests, 1)
	for _, tt := range []struct {
		name    string
		before  func(a *Account)
		then    time.Duration
		buckets []backend.Bucket
		check   func(a *Account, now int64) bool
	}{
		{"what is used", func(a *Account) { take(t, a, 0, ask("m", "x", 1, daily, cost(90, 0, 0))) }, 2 * Slack, daily,
			func(a *Account, now int64) bool {
				return take(t, a, now, ask("m", "y", 1, daily, cost(30, 0, 0))).Granted == 0
			}},
		{"a pause", func(a *Account) { a.Settle(0, &backend.Settlement{PauseOwner: "m", Pause: 3 * Slack}) }, 2 * Slack, buckets,
			func(a *Account, now int64) bool {
				return take(t, a, now, ask("m", "y", 1, buckets, cost(1, 0, 0))).Paused > 0
			}},
		{"a charge that used more", func(a *Account) { take(t, a, 0, ask("m", "x", 1, buckets, cost(1, 0, 0))) }, Slack, buckets,
			func(a *Account, now int64) bool {
				a.Settle(now, &backend.Settlement{Stamp: 0, Buckets: buckets, Refund: cost(-40, 0, 0)})
				return take(t, a, now, ask("m", "y", 1, buckets, cost(30, 0, 0))).Granted == 0
			}},
		{"what a ticket in line needs", func(a *Account) {
			both := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60), all}
			take(t, a, 0, ask("x", "x", 1, []backend.Bucket{all}, cost(1, 0, 0)))
			a.Settle(0, &backend.Settlement{PauseOwner: "all", Pause: 3 * Slack})
			take(t, a, 0, ask("m", "ahead", 1, both, cost(1, 0, 0)))
		}, 3 * Slack, buckets,
			func(a *Account, now int64) bool {
				got := take(t, a, now, ask("m", "y", 1, buckets, cost(60, 0, 0)))
				return got.Granted == 0 && got.Tickets == 1
			}},
		{"the pause that a ticket in line heeds", func(a *Account) {
			take(t, a, 0, ask("x", "x", 1, []backend.Bucket{all}, cost(1, 0, 0)))
			take(t, a, 0, ask("m", "ahead", 1, []backend.Bucket{all}, cost(1, 0, 0)))
		}, 2 * Slack, nil,
			func(a *Account, now int64) bool {
				a.Settle(now, &backend.Settlement{PauseOwner: "m", Pause: time.Hour})
				return take(t, a, now, ask("other", "y", 1, []backend.Bucket{all}, cost(1, 0, 0))).Granted == 1
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := New()
			tt.before(a)
			now := Micros(tt.then)
			for i := range 1000 {
				if _, err := a.Look(now, ask(fmt.Sprint("o", i), "", 0, nil)); err != nil {
					t.Fatal(err)
				}
			}
			if len(a.owners) > few+1 {
				t.Fatalf("%d owners are kept", len(a.owners))
			}
			if !tt.check(a, now) {
				t.Error("it was forgotten")
			}
		})
	}
}

// An account that forgets whatever it may gives the same answers as one that forgets
// nothing, though Charged and Corrected may have begun anew.
func TestForgettingChangesNoAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keeps, forgets := New(), New()
		keeps.few, forgets.few = 1<<30, 0
		accounts := []*Account{keeps, forgets}
		now := int64(0)
		all := bucketOf("all", "tpm", backend.Tokens, rapid.Int64Range(10, 1000).Draw(t, "all"))
		scopes := map[string][]backend.Bucket{}
		names := []string{"A", "B", "C", "D", "E"}
		for _, s := range names {
			if rapid.Bool().Draw(t, "own") {
				scopes[s] = append(scopes[s], bucketOf(s, "rpm", backend.Requests, rapid.Int64Range(1, 600).Draw(t, "rpm")))
			}
			if rapid.Bool().Draw(t, "shared") {
				scopes[s] = append(scopes[s], all)
			}
		}
		type open struct {
			at, stamp int64
			scope     string
			cost      backend.Amounts
		}
		var calls []open
		number := uint64(0)
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			s := rapid.SampledFrom(names).Draw(t, "scope")
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0:
				now += rapid.Int64Range(0, second).Draw(t, "dt")
			case 1:
				now += rapid.Int64Range(0, 15*60*second).Draw(t, "long")
			case 2:
				pause := time.Duration(rapid.IntRange(0, 1000).Draw(t, "pause")) * time.Second
				for _, a := range accounts {
					a.Settle(now, &backend.Settlement{PauseOwner: s, Pause: pause})
				}
			case 3:
				for _, a := range accounts {
					a.Clear(now, []string{s})
				}
			case 4:
				if len(calls) == 0 {
					continue
				}
				c := calls[0]
				calls = calls[1:]
				if now-c.at > Micros(Slack) {
					continue // nobody promises anything
				}
				refund := backend.Amounts{0, rapid.Int64Range(-5, c.cost[1]).Draw(t, "refund"), 0}
				for _, a := range accounts {
					a.Settle(now, &backend.Settlement{Stamp: c.stamp, Buckets: scopes[c.scope], Refund: refund})
				}
			default:
				number++
				q := ask(s, s+rapid.SampledFrom([]string{"1", "2"}).Draw(t, "ticket"), number, scopes[s],
					cost(1, rapid.Int64Range(0, all.Limit).Draw(t, "tokens"), 0))
				q.Leave = rapid.IntRange(0, 3).Draw(t, "leave") == 0
				if rapid.IntRange(0, 3).Draw(t, "go") == 0 {
					q.Leave, q.Costs = true, nil
				}
				want, _ := keeps.Take(now, q)
				got, err := forgets.Take(now, q)
				if err != nil || got.Granted != want.Granted || got.Wait != want.Wait || got.Paused != want.Paused ||
					got.Stamp != want.Stamp || got.Tickets != want.Tickets || !near(got.Levels, want.Levels) {
					t.Fatalf("%+v\n%+v for the one that forgets nothing", got, want)
				}
				if got.Granted > 0 {
					calls = append(calls, open{now, got.Stamp, s, q.Costs[0]})
				}
			}
		}
	})
}

func near(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return x-y < 1e-6 && y-x < 1e-6 })
}

// A call costs the same whatever was named before.
func TestWhatWasNamedBeforeCostsNothing(t *testing.T) {
	err := lineartest.Check(1000, func(n int) func() {
		a := New()
		a.Lease, a.Erase = time.Second, 10*time.Second
		now := int64(0)
		step := func(scope string) {
			now++
			buckets := []backend.Bucket{{Owner: scope, Name: "rpd", Limit: 1000, Period: 24 * time.Hour}}
			if got := take(t, a, now, ask(scope, scope, uint64(now), buckets, cost(1, 0, 0))); got.Granted != 1 {
				t.Fatal("not granted")
			}
			a.Settle(now, &backend.Settlement{Stamp: now, Buckets: buckets})
		}
		for i := range n {
			step(fmt.Sprint("model", i))
		}
		return func() {
			for i := range n {
				step(fmt.Sprint("model", i%100))
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// Answers that are kept for asks that come twice go with their tickets.
func TestRepliesAreForgotten(t *testing.T) {
	a := New()
	a.Lease, a.Erase = time.Second, 10*time.Second
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60_000)}
	now := int64(0)
	for i := range 10_000 {
		now += second / 100
		take(t, a, now, ask("m", fmt.Sprint(i%5000), uint64(i+1), buckets, cost(1, 0, 0)))
		if len(a.answered) > 1001 || len(a.replies) > 1001 {
			t.Fatalf("%d answers of 10 s are kept, in a queue of %d; 100 a second were given", len(a.answered), len(a.replies))
		}
	}
	q := ask("m", "again", 20_000, buckets, cost(1, 0, 0))
	first := take(t, a, now, q)
	if again := take(t, a, now+10*second, q); again.Stamp != first.Stamp {
		t.Error("the same ask was granted twice")
	}
	if again := take(t, a, now+11*second, q); again.Stamp == first.Stamp {
		t.Error("an answer is kept for longer than a ticket")
	}
	// A ticket that has asked again does not lose its newer answer with the older.
	now += 30 * second
	take(t, a, now, ask("m", "else", 1, buckets, cost(1, 0, 0)))
	q.Number++
	take(t, a, now+1, q)
	q.Number++
	newer := take(t, a, now+second, q)
	take(t, a, now+10*second+2, ask("m", "else", 2, buckets, cost(1, 0, 0)))
	if again := take(t, a, now+10*second+2, q); again.Stamp != newer.Stamp {
		t.Error("the newer answer went with the older one")
	}
}

// An account that nobody calls becomes empty.
func TestAccountBecomesEmpty(t *testing.T) {
	a := New()
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60), bucketOf("all", "rpm", backend.Requests, 60)}
	take(t, a, 0, ask("m", "p", 1, buckets, cost(60, 0, 0)))
	take(t, a, 0, ask("m", "q", 1, buckets, cost(1, 0, 0)))
	for now := int64(0); now < 2*Micros(Slack); now += second {
		if a.Forget(now); a.Empty() {
			t.Fatal("somebody stands in line")
		}
	}
	take(t, a, 0, &backend.Ask{Line: "line", Scope: "m", Ticket: "q", Number: 2, Leave: true})
	if a.Forget(Micros(Slack)); a.Empty() {
		t.Error("the charge may have to be settled yet")
	}
	for range 2 {
		a.Forget(Micros(Slack) + 1)
	}
	if !a.Empty() {
		t.Error("something is kept")
	}
	a.Erase = 3 * Slack
	take(t, a, 0, ask("m", "p", 2, buckets, cost(1, 0, 0)))
	for range 2 {
		a.Forget(3 * Micros(Slack))
	}
	if a.Empty() {
		t.Error("the ask may come a second time")
	}
	if a.Forget(3*Micros(Slack) + 1); !a.Empty() {
		t.Error("the answer is kept for longer")
	}
}

// A process that is only slow finds its place in an account that nobody calls.
func TestAccountWithASlowTicketIsNotEmpty(t *testing.T) {
	a := New()
	a.Lease, a.Erase = time.Second, 10*time.Second
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60)}
	take(t, a, 0, ask("m", "p", 1, buckets, cost(60, 0, 0)))
	take(t, a, 0, ask("m", "slow", 1, buckets, cost(1, 0, 0)))
	for n := range uint64(3) {
		take(t, a, int64(n+1)*second/2, ask("m", "q", n+1, buckets, cost(60, 0, 0))) // steps over it
	}
	take(t, a, 2*second, &backend.Ask{Line: "line", Scope: "m", Ticket: "q", Number: 4, Leave: true})
	for range 10 {
		a.Forget(2 * Micros(Slack))
	}
	if len(a.owners) > 0 {
		t.Errorf("%d owners are kept", len(a.owners))
	}
	if a.Empty() {
		t.Error("its place is forgotten")
	}
}

// What an ask costs does not grow with the models that wait in its line.
func TestModelsInLineCostNothing(t *testing.T) {
	err := lineartest.Check(250, func(n int) func() {
		a := New()
		account := bucketOf("account", "rpm", backend.Requests, 60)
		take(t, a, 0, ask("x", "x", 1, []backend.Bucket{account}, cost(60, 0, 0)))
		number := uint64(0)
		work := func() {
			number++
			for i := range n {
				m := fmt.Sprint("m", i)
				take(t, a, int64(number), ask(m, m, number, []backend.Bucket{bucketOf(m, "rpm", backend.Requests, 60), account}, cost(1, 0, 0)))
			}
		}
		work() // all of them wait
		return work
	})
	if err != nil {
		t.Error(err)
	}
}

// The owner of a ceiling is kept while a ticket waits that draws from it.
func TestCeilingIsNotForgotten(t *testing.T) {
	a := New()
	a.few = 0
	class := backend.Bucket{Owner: "class", Name: "tpm", Dimension: backend.Tokens, Limit: 1000, Period: time.Minute, Ceiling: true}
	model := backend.Bucket{Owner: "m", Name: "tpd", Dimension: backend.Tokens, Limit: 1000, Period: 24 * time.Hour, Start: 1000}
	ask := backend.Ask{Account: "a", Line: "l", Scope: "m of the class", Ticket: "t", Number: 1,
		Buckets: []backend.Bucket{model, class}, Costs: []backend.Amounts{{backend.Tokens: 1000}}}
	now := int64(0)
	if answer, err := a.Take(now, &ask); err != nil || answer.Granted != 0 {
		t.Fatalf("%+v, %v", answer, err)
	}
	now += 2 * Micros(Slack)
	for range 10 {
		a.Forget(now)
	}
	if a.owners["class"] == nil {
		t.Error("it was forgotten while a ticket waited")
	}
	ask.Number, ask.Costs = 2, nil
	if _, err := a.Take(now, &ask); err != nil {
		t.Fatal(err)
	}
	now += 3 * Micros(Slack) * 100
	for range 10 {
		a.Forget(now)
	}
	if len(a.owners) > 0 {
		t.Errorf("%d owners are kept", len(a.owners))
	}
}
