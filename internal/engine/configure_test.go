package engine

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
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
