package engine

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// accountRules are the bench's, and a limit of the account, in whose line models then stand.
func (b *bench) accountRules() *Rules {
	rules := *b.rules.Load()
	rules.Account = &quota.Rule{Amounts: [5]int64{0: rpm}}
	return &rules
}

// Calls that wait when a new rule moves them to another line leave the one before, whether their
// ask is under way or not, and start when their budget is free.
func TestRulesMoveALine(t *testing.T) {
	for _, asks := range []bool{false, true} {
		run(t, false, func(b *bench) {
			b.open()
			b.admit(call(tpm))
			a := b.start(call(500))
			if b.line() != 1 {
				b.Fatalf("%d in line", b.line())
			}
			release := func() {}
			if asks {
				first := len(b.asked())
				release = b.hold(first + 1)
				for len(b.asked()) == first {
					time.Sleep(100 * time.Millisecond)
					synctest.Wait()
				}
			}
			b.SetRules(b.accountRules())
			release()
			synctest.Wait()
			if n := b.line(); n != 0 {
				b.Errorf("asks %v: %d are left in the line before", asks, n)
			}
			begun := time.Now()
			if err := <-a.err; err != nil || time.Since(begun) > 6*time.Second {
				b.Errorf("asks %v: %v after %v", asks, err, time.Since(begun))
			}
			a.r.end()
			asked := b.asked()
			if last := asked[len(asked)-1]; !asks && last.Line != quota.AccountOwner {
				b.Errorf("it stood in %s", last.Line)
			}
			answer, err := b.memory.Look(b.Context(), backend.Ask{Account: "a", Line: quota.AccountOwner, Scope: "x", Costs: []backend.Amounts{{}}})
			if err != nil || answer.Tickets != 0 {
				b.Errorf("asks %v: %d are left in the new line, %v", asks, answer.Tickets, err)
			}
		})
	}
}

// Where no line changes, nobody leaves one.
func TestRulesThatMoveNothing(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		a := b.start(call(500))
		asks := len(b.asked())
		b.SetRules(b.rules.Load())
		synctest.Wait()
		if n := b.costs(asks); n != len(b.asked())-asks || b.line() != 1 {
			b.Errorf("%d asks, %d of them for something; %d in line", len(b.asked())-asks, n, b.line())
		}
		if err := <-a.err; err != nil {
			b.Error(err)
		}
	})
}

// A limit that several models or classes share is changed for all of them, and stays the one that
// they share: what was learned of it stays learned.
func TestSharedLimitsChange(t *testing.T) {
	run(t, false, func(b *bench) {
		rules := func(amount int64) *Rules {
			r := *b.rules.Load()
			rule := quota.Rule{Amounts: [5]int64{2: amount}}
			r.Account, r.Classes = &rule, map[string]quota.Rule{"batch": rule}
			return &r
		}
		b.SetRules(rules(6000))
		a := b.account("a")
		scopes := []*scope{a.scopeLocked(scopeKey{model: "m"}), a.scopeLocked(scopeKey{"m", "batch"}), a.scopeLocked(scopeKey{"n", "batch"})}
		shared := func() string {
			of := map[string]map[*quota.Limit]int64{}
			for _, s := range scopes {
				for _, l := range append(s.quota.Limits(), s.ceilings...) {
					if of[l.Owner] == nil {
						of[l.Owner] = map[*quota.Limit]int64{}
					}
					if l.Name == "tpm" && l.Owner != quota.ModelOwner("m") {
						of[l.Owner][l] = l.Amount()
					}
				}
			}
			all := ""
			for _, owner := range []string{quota.AccountOwner, quota.ClassOwner("batch")} {
				for _, amount := range of[owner] {
					all += fmt.Sprint(owner, " ", amount, " ")
				}
			}
			return all
		}
		before := scopes[0].quota.Limits()
		for _, amount := range []int64{6000, 3000, 9000} {
			b.SetRules(rules(amount))
			if got, want := shared(), fmt.Sprintf("account %d class:batch %d ", amount, amount); got != want {
				t.Errorf("%s; want %s", got, want)
			}
		}
		for i, l := range scopes[0].quota.Limits() {
			if l != before[i] {
				t.Errorf("%s/%s is another one", l.Owner, l.Name)
			}
		}
		b.SetRules(&Rules{})
		if got := shared(); got != "" {
			t.Errorf("%s are left", got)
		}
		b.SetRules(rules(100)) // new ones are shared as well
		if got, want := shared(), "account 100 class:batch 100 "; got != want {
			t.Errorf("%s; want %s", got, want)
		}
	})
}

// What a process is told of limits the others hear at once, but not what is as before.
func TestRulesAreShared(t *testing.T) {
	rules := func(model, account int64) *Rules {
		return &Rules{
			Models:  map[string]quota.Rule{"m": {Amounts: [5]int64{2: model}}},
			Account: &quota.Rule{Amounts: [5]int64{2: account}},
		}
	}
	for name, x := range map[string]struct {
		to   *Rules
		kept int
	}{
		"the same":      {rules(500, 700), 0},
		"the model's":   {rules(600, 700), 1},
		"the account's": {rules(500, 600), 1},
	} {
		run(t, false, func(b *bench) {
			b.config.Rules = *rules(500, 700)
			k, e := newKept(b)
			a := e.account("a")
			a.mu.Lock()
			a.scopeLocked(scopeKey{model: "m"}).writeNote(b, k)
			a.mu.Unlock()
			kept := 0
			k.kept = func() { kept++ }
			e.SetRules(x.to)
			if synctest.Wait(); kept != x.kept {
				b.Errorf("%s: kept %d times; want %d", name, kept, x.kept)
			}
		})
	}
}

// Whoever has heard no response loads notes with its asks: now and then, or often where more is
// used than its limits allow, which is how it finds out that others have higher ones.
func TestWhoHearsNothingLoadsNotes(t *testing.T) {
	for name, x := range map[string]struct {
		granted int
		level   float64
		ceiling bool
		want    string // when it loads
	}{
		"all start":           {2, 0, false, "[5s]"},
		"one starts":          {1, 0, false, "[5s]"},
		"waits":               {0, 0, false, "[5s]"},
		"waits, in debt":      {0, -1, false, "[1s 2s 3s 4s 5s]"},
		"waits for a ceiling": {0, -1, true, "[5s]"},
	} {
		run(t, false, func(b *bench) {
			k, e := newKept(b)
			a := e.account("a")
			a.mu.Lock()
			s := a.scopeLocked(scopeKey{model: "m"})
			s.writeNote(b, k)
			s.sync.loaded = time.Now()
			a.mu.Unlock()
			recalls := 0
			k.recall = func() { recalls++ }
			var got []time.Duration
			for i := range 51 {
				a.mu.Lock()
				before, now := recalls, time.Now()
				asked := s.askLocked(now, nil)
				asked.Costs = make([]backend.Amounts, 2)
				asked.Buckets[1].Ceiling = x.ceiling
				s.answeredLocked(now, &asked, &backend.Answer{
					Granted: x.granted, Levels: []float64{1, x.level}, Charged: []float64{0, 0}, Corrected: []float64{0, 0},
				})
				a.mu.Unlock()
				if synctest.Wait(); recalls > before {
					got = append(got, time.Duration(i)*100*time.Millisecond)
				}
				time.Sleep(100 * time.Millisecond)
			}
			if fmt.Sprint(got) != x.want {
				b.Errorf("%s: loads after %v; want %s", name, got, x.want)
			}
		})
	}
}

// A limit that is higher elsewhere lets calls start that wait here, also those of other models
// that share it.
func TestHigherLimitWakesWhoWaits(t *testing.T) {
	run(t, false, func(b *bench) {
		b.config.Rules = Rules{Account: &quota.Rule{Amounts: [5]int64{2: 500}}}
		k, e := newKept(b)
		admit := func(model string, tokens int64) error {
			r := &Reservation{Call: Call{Account: "a", Model: model, Requests: 1, MaxWait: -1, Body: predict.Body{Tokens: tokens, Input: tokens}}}
			return e.Admit(b.Context(), r)
		}
		if err := admit("m", 500); err != nil {
			b.Fatal(err)
		}
		begun, waits := time.Now(), make(chan error)
		go func() { waits <- admit("n", 500) }()
		synctest.Wait()
		b.config.Rules.Account = &quota.Rule{Amounts: [5]int64{2: 5000}}
		a := e.account("a")
		a.mu.Lock()
		m := a.scopes[scopeKey{model: "m"}]
		a.mu.Unlock()
		higher := New(b.config).account("a")
		higher.mu.Lock()
		higher.scopeLocked(scopeKey{model: "m"}).writeNote(b, k)
		higher.mu.Unlock()
		a.loadNotes([]*scope{m})
		if err := <-waits; err != nil || time.Since(begun) > 0 {
			b.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// What takes a ticket out of the line that its scope has left is sent without the lock: its
// buckets are not the next ask's memory.
func TestLeavingTicketHasItsOwnBuckets(t *testing.T) {
	run(t, true, func(b *bench) {
		b.open()
		s := b.scope()
		s.account.mu.Lock()
		defer s.account.mu.Unlock()
		now := time.Now()
		old := s.askLocked(now, s.account.scratch.buckets)
		if s.movedLocked(&old) != nil {
			b.Fatal("it has not left")
		}
		s.changeLineLocked(now, "elsewhere")
		left := s.movedLocked(&old)
		if left == nil || !slices.Equal(left.Buckets, old.Buckets) || &left.Buckets[0] == &old.Buckets[0] {
			b.Errorf("%+v", left)
		}
	})
}
