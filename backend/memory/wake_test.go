package memory

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// However many models wait for an account's budget, what comes back wakes a few of them,
// and each that takes its part wakes the next: so all of them start.
func TestWhatComesBackWakesAFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const models = 200
		b := New()
		all := backend.Bucket{Owner: "account", Name: "rpm", Limit: models, Period: 24 * time.Hour}
		ask := func(scope string, number uint64, n int64) backend.Answer {
			answer, err := b.Take(t.Context(), backend.Ask{Account: "a", Line: "account", Scope: scope, Ticket: scope, Number: number,
				Buckets: []backend.Bucket{all}, Costs: []backend.Amounts{{n}}})
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
		first := ask("x", 1, models)
		changed := map[string]<-chan struct{}{}
		for i := range models {
			name := fmt.Sprint("m", i)
			changed[name] = ask(name, 1, 1).Changed
		}
		back := backend.Settlement{Account: "a", Line: "account", Stamp: first.Stamp, Buckets: []backend.Bucket{all}, Refund: backend.Amounts{models}}
		if err := b.Settle(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		number := uint64(1)
		for most := 0; len(changed) > 0; {
			var woken []string
			for name, c := range changed {
				select {
				case <-c:
					woken = append(woken, name)
				default:
				}
			}
			if most = max(most, len(woken)); most > 10 || len(woken) == 0 {
				t.Fatalf("%d are woken at once; %d wait", len(woken), len(changed))
			}
			for _, name := range woken {
				number++
				if answer := ask(name, number, 1); answer.Granted == 1 {
					delete(changed, name)
				} else {
					changed[name] = answer.Changed
				}
			}
		}
		if a := b.account("a"); len(a.wake) != 0 {
			t.Errorf("%v are kept though nobody waits", a.wake)
		}
	})
}

// Limiters that disagree about a limit don't wake others each time that they ask.
func TestLimitersThatDisagreeWakeFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		bucket := func(owner string, limit int64) backend.Bucket {
			return backend.Bucket{Owner: owner, Name: "rpm", Limit: limit, Period: time.Minute}
		}
		numbers := map[string]uint64{}
		ask := func(scope, ticket string, n int64, buckets ...backend.Bucket) backend.Answer {
			numbers[ticket]++
			answer, err := b.Take(t.Context(), backend.Ask{Account: "a", Line: "account", Scope: scope, Ticket: ticket, Number: numbers[ticket],
				Buckets: buckets, Costs: []backend.Amounts{{n}}})
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
		account, family := bucket("account", 600), bucket("family", 60)
		low, high := bucket("class", 30), bucket("class", 6000)
		low.Ceiling, high.Ceiling = true, true
		ask("x", "first", 60, family, account, high)
		ask("x", "second", 540, account)
		time.Sleep(time.Millisecond)
		woken := 0
		for range 10 {
			changed := ask("n", "waits", 2, account).Changed
			ask("class/m", "high", 1, family, account, high)
			ask("class/o", "low", 1, family, account, low)
			select {
			case <-changed:
				woken++
			default:
			}
		}
		if woken > 2 {
			t.Errorf("a ticket is woken %d times by ten asks each of two that disagree", woken)
		}
	})
}

// Nothing is kept for a ticket that waits no more, whether it has got all or has left.
func TestNothingIsKeptForWhoWaitsNoMore(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := New()
			ask := backend.Ask{Account: "a", Line: "m", Scope: "m", Ticket: "t", Number: 1,
				Buckets: []backend.Bucket{{Owner: "m", Name: "rpm", Limit: 60, Period: time.Minute}}, Costs: []backend.Amounts{{60}, {1}}}
			take := func(want int) {
				t.Helper()
				if a, err := b.Take(t.Context(), ask); err != nil || a.Granted != want {
					t.Errorf("%d are granted, %v; want %d", a.Granted, err, want)
				}
			}
			take(1)
			time.Sleep(time.Second)
			ask.Number, ask.Costs, ask.Leave = 2, ask.Costs[1:], leaves
			if leaves {
				ask.Costs = nil
			}
			take(len(ask.Costs))
			if w := b.account("a").wake; len(w) != 0 {
				t.Errorf("%v are kept", w)
			}
		})
	}
}
