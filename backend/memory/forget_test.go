package memory

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
	"github.com/openai-ratelimiter/ratelimiter/internal/lineartest"
)

// spend takes one call of an account's budget and settles it.
func spend(t *testing.T, b *Backend, account string, limit int64, period time.Duration) {
	t.Helper()
	buckets := []backend.Bucket{{Owner: "m", Name: "requests", Limit: limit, Period: period}}
	answer, err := b.Take(context.Background(), backend.Ask{Account: account, Line: "m", Scope: "m", Ticket: "t",
		Fresh: true, Buckets: buckets, Costs: []backend.Amounts{{1}}})
	if err != nil || answer.Granted != 1 {
		t.Fatalf("granted %d: %v", answer.Granted, err)
	}
	err = b.Settle(context.Background(), backend.Settlement{Account: account, Line: "m", Stamp: answer.Stamp, Buckets: buckets})
	if err != nil {
		t.Fatal(err)
	}
}

// Accounts that are named once are forgotten: what is kept grows with those that were
// charged lately, not with all that ever were.
func TestAccountsThatAreNamedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const accounts, every = 100_000, 100 * time.Millisecond
		lately := int(ledger.Slack / every)
		b, most := New(), 0
		for i := range accounts {
			time.Sleep(every)
			spend(t, b, fmt.Sprint("account", i), 60, time.Minute)
			most = max(most, int(b.kept.Load()))
		}
		if most > 2*lately+many {
			t.Errorf("%d accounts were kept; %d were charged lately", most, lately)
		}
		// They go even if nobody new is named.
		time.Sleep(ledger.Slack + time.Second)
		for range 2 * lately {
			time.Sleep(time.Second)
			spend(t, b, "account", 60, time.Minute)
		}
		if int(b.kept.Load()) > many || b.round.Len() != int(b.kept.Load()) {
			t.Errorf("%d accounts are kept, %d in the round; one is in use", int(b.kept.Load()), b.round.Len())
		}
	})
}

// What an account has used of a day's budget is not forgotten, however many others
// are named.
func TestDailyBudgetIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		for range 3 {
			spend(t, b, "account", 3, 24*time.Hour)
		}
		time.Sleep(time.Hour)
		for i := range 3 * many {
			spend(t, b, fmt.Sprint("account", i), 60, time.Minute)
		}
		answer, err := b.Take(t.Context(), backend.Ask{Account: "account", Line: "m", Scope: "m", Ticket: "t", Leave: true,
			Number: 1, Buckets: []backend.Bucket{{Owner: "m", Name: "requests", Limit: 3, Period: 24 * time.Hour}}, Costs: []backend.Amounts{{1}}})
		if err != nil || answer.Granted != 0 {
			t.Errorf("granted %d: %v", answer.Granted, err)
		}
	})
}

// An account that somebody waits for is not forgotten.
func TestAccountWithALineIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		if err := b.Settle(t.Context(), backend.Settlement{Account: "account", PauseOwner: "m", Pause: time.Hour}); err != nil {
			t.Fatal(err)
		}
		waits := backend.Ask{Account: "account", Line: "m", Scope: "m", Ticket: "t", Number: 1, Costs: []backend.Amounts{{1}}}
		answer, err := b.Take(t.Context(), waits)
		if err != nil || answer.Granted != 0 {
			t.Fatalf("granted %d: %v", answer.Granted, err)
		}
		time.Sleep(2 * time.Hour)
		for i := range 3 * many {
			spend(t, b, fmt.Sprint("account", i), 60, time.Minute)
		}
		select {
		case <-answer.Changed:
			t.Fatal("something has changed")
		default:
		}
		if err := b.Clear(t.Context(), "account", []string{"m"}); err != nil {
			t.Fatal(err)
		}
		<-answer.Changed
	})
}

// A new account costs the same whatever was named before, also where all of a day's
// limits are kept.
func TestNewAccountCostsTheSame(t *testing.T) {
	err := lineartest.Check(2*many, func(n int) func() {
		b := New()
		round := 0
		work := func() {
			for i := range n {
				spend(t, b, fmt.Sprint(round, "/", i), 1000, 24*time.Hour)
			}
			round++
		}
		work()
		return work
	})
	if err != nil {
		t.Error(err)
	}
}

// A caller that has found an account just before it was forgotten must not charge it: it
// is nobody's any more.
func TestAccountThatIsForgottenMeanwhile(t *testing.T) {
	b := New()
	found := b.account("a")
	if b.forget(now()); found.gone || b.kept.Load() != 1 {
		t.Fatal("an account is forgotten while it is in use")
	}
	found.mu.Unlock()
	b.forget(now())
	for range 2 { // who finds it forgotten leaves it unlocked
		if found.lock() {
			t.Fatal("the account is charged though it is forgotten")
		}
	}
	if again := b.account("a"); again == found {
		t.Error("the account is kept though it is forgotten")
	} else {
		again.mu.Unlock()
	}
}
