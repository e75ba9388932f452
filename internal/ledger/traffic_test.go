package ledger

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"pgregory.net/rapid"
)

// Traffic is of processes that stand in a line for some scopes, whose limits change meanwhile: of
// their own, with a family or without, with a class's ceiling or without.
type traffic struct {
	now     int64
	number  uint64
	buckets map[string][]backend.Bucket
}

// step draws the next ask, or another change, and makes it in each of the accounts. It returns
// the answers.
func (c *traffic) step(t *rapid.T, accounts ...*Account) (ask *backend.Ask, answers []backend.Answer) {
	scope := rapid.SampledFrom([]string{"A", "B", "C", "D"}).Draw(t, "scope")
	owner := rapid.SampledFrom([]string{scope, "family", "account"}).Draw(t, "owner")
	if c.buckets == nil {
		c.buckets = map[string][]backend.Bucket{}
	}
	step := rapid.IntRange(0, 9).Draw(t, "step")
	if c.buckets[scope] == nil || step == 0 {
		account := bucketOf("account", "tpm", backend.Tokens, 600)
		family := bucketOf("family", "tpm", backend.Tokens, 600)
		class := bucketOf("class", "rpm", backend.Requests, 60)
		class.Ceiling = true
		var buckets []backend.Bucket
		for _, b := range []backend.Bucket{bucketOf(scope, "rpm", backend.Requests, 60), family, account, class} {
			if rapid.IntRange(0, 3).Draw(t, "drawn from") > 0 {
				b.Margin = rapid.SampledFrom([]float64{0, 0, 5}).Draw(t, "margin")
				buckets = append(buckets, b)
			}
		}
		c.buckets[scope] = buckets
	}
	switch step {
	case 1:
		c.now += rapid.Int64Range(0, 20*second).Draw(t, "long")
	case 2, 3:
		c.now += rapid.Int64Range(0, second*7/10).Draw(t, "dt")
	case 4:
		used := cost(rapid.Int64Range(-20, 60).Draw(t, "requests"), rapid.Int64Range(-200, 600).Draw(t, "tokens"), 0)
		for _, a := range accounts {
			a.Settle(c.now, &backend.Settlement{Stamp: c.now, Buckets: c.buckets[scope], Refund: cost(-used[0], -used[1], 0)})
		}
	case 5:
		pause := time.Duration(rapid.IntRange(0, 2000).Draw(t, "pause")) * time.Millisecond
		for _, a := range accounts {
			a.Settle(c.now, &backend.Settlement{PauseOwner: owner, Pause: pause})
		}
	default:
		c.number++
		ask = &backend.Ask{Line: "line", Scope: scope, Ticket: scope + rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "ticket"), Number: c.number,
			Buckets: c.buckets[scope], Leave: rapid.IntRange(0, 5).Draw(t, "leaves") == 0}
		for range rapid.IntRange(0, 4).Draw(t, "costs") {
			ask.Costs = append(ask.Costs, cost(1, rapid.SampledFrom([]int64{0, 10, 100, 500}).Draw(t, "tokens"), 0))
		}
		for _, a := range accounts {
			answer, err := a.Take(c.now, ask)
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, answer)
		}
	}
	return ask, answers
}

// A line is at any time what its tickets make of it, as if all of them had just come.
func TestLineIsThatOfItsTickets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := New()
		a.Lease, a.Erase = time.Second, 3*time.Second
		var c traffic
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			a.Quiet = rapid.Bool().Draw(t, "quiet")
			c.step(t, a)
			if err := sound(a); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// sound returns what is wrong with an account's line.
func sound(a *Account) error {
	l := a.lines["line"]
	if l == nil {
		l = &line{}
	}
	type sums struct {
		standing int
		need     backend.Amounts
		end      float64
	}
	want, orders, holds := map[*owner]*sums{}, map[*owner][]entry{}, map[*owner]int{}
	var asked, silent, blocked []entry
	for _, t := range l.tickets {
		seen := entry{tag: float64(t.seen), place: t.place, ticket: t}
		if t.silent {
			silent = add(silent, seen)
			continue
		}
		asked = add(asked, seen)
		orders[t.scope] = add(orders[t.scope], entry{tag: t.tag, place: t.place, ticket: t})
		for _, o := range path(t.scope, t.buckets) {
			w := want[o]
			if w == nil {
				w = &sums{}
				want[o] = w
			}
			w.standing++
			w.end = max(w.end, t.end)
			for d, units := range t.need {
				w.need[d] += units
			}
		}
		if o := ceiling(t.buckets); o != nil {
			holds[o]++
		}
	}
	children := map[*node]int{}
	for o, n := range l.nodes {
		holds[o]++
		head := n.head()
		if n.parent != nil {
			children[n.parent]++
			if head != nil && n.until == 0 {
				at := entry{tag: head.tag, place: head.place, node: n}
				orders[n.parent.owner] = add(orders[n.parent.owner], at)
				if !n.stands || n.at != at {
					return fmt.Errorf("%s does not stand where its first ticket does", o.name)
				}
			} else if n.stands {
				return fmt.Errorf("%s stands for nobody, or is held back", o.name)
			}
		}
		if n.until > 0 {
			blocked = add(blocked, entry{tag: n.until, place: n.place, node: n})
			if head != nil && head.place != n.held {
				return fmt.Errorf("%s is held back for one that is not its first", o.name)
			}
		}
	}
	for o := range want {
		if l.nodes[o] == nil {
			return fmt.Errorf("%s has no node", o.name)
		}
	}
	for o, n := range l.nodes {
		w := want[o]
		if w == nil {
			w = &sums{}
		}
		switch {
		case w.standing == 0 && children[n] == 0:
			return fmt.Errorf("the node of %s is kept for nobody", o.name)
		case n.standing != w.standing || n.need != w.need || n.end < w.end || n.children != children[n]:
			return fmt.Errorf("%s: %d stand and need %v, until %v, below %d nodes; want %+v, %d", o.name, n.standing, n.need, n.end, n.children, *w, children[n])
		case !slices.Equal(n.order, orders[o]):
			return fmt.Errorf("%s: the order is %v; want %v", o.name, n.order, orders[o])
		}
	}
	for _, o := range a.owners {
		if o.nodes != holds[o] {
			return fmt.Errorf("%s is held by %d; want %d", o.name, o.nodes, holds[o])
		}
	}
	if !slices.Equal(l.asked, asked) || !slices.Equal(l.silent, silent) || !slices.Equal(l.blocked, blocked) {
		return fmt.Errorf("asked %v, silent %v, held back %v; want %v, %v, %v", l.asked, l.silent, l.blocked, asked, silent, blocked)
	}
	return nil
}

// Whether asks that change nothing are noted makes no difference to anybody's answer.
func TestQuietAsksChangeNoAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		quiet, noisy := New(), New()
		var c traffic
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			quiet.Quiet = rapid.Bool().Draw(t, "quiet")
			ask, answers := c.step(t, quiet, noisy)
			if ask == nil {
				continue
			}
			got, want := answers[0], answers[1]
			if off := (got.Wait - want.Wait).Abs(); got.Granted != want.Granted || got.Tickets != want.Tickets || got.Paused != want.Paused ||
				off > time.Microsecond || !near(got.Levels, want.Levels) {
				t.Fatalf("%+v\n%+v if all is noted", got, want)
			}
		}
	})
}

// Where time stands still, tickets that ask again and again soon move nobody: else backends would
// wake their callers for ever.
func TestLineComesToRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := New()
		var c traffic
		waits := map[string]*backend.Ask{}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			ask, answers := c.step(t, a)
			if ask == nil || len(ask.Buckets) == 0 {
				continue
			}
			a.Settle(c.now, &backend.Settlement{Stamp: c.now, Buckets: ask.Buckets[len(ask.Buckets)/2:], Refund: cost(-60, -600, 0)}) // so that all wait
			delete(waits, ask.Ticket)
			if left := ask.Costs[answers[0].Granted:]; len(left) > 0 && !ask.Leave {
				ask.Costs = left
				waits[ask.Ticket] = ask
			}
		}
		var moved int
		for range 20 {
			moved = 0
			for _, ticket := range slices.Sorted(maps.Keys(waits)) {
				ask := waits[ticket]
				c.number++
				ask.Number = c.number
				a.Moved("line")
				answer, err := a.Take(c.now, ask)
				if err != nil {
					t.Fatal(err)
				}
				if ask.Costs = ask.Costs[answer.Granted:]; len(ask.Costs) == 0 {
					delete(waits, ticket)
				}
				if a.Moved("line") {
					moved++
				}
			}
		}
		if moved > 0 {
			t.Errorf("%d asks of %d still move the line", moved, len(waits))
		}
	})
}
