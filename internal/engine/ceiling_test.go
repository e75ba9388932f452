package engine

import (
	"fmt"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// A class's ceilings hold for its calls beside the model's limits, and for no other's.
func TestCeilings(t *testing.T) {
	rule := quota.Rule{Amounts: [5]int64{0: 5, 2: 100}}
	e := New(Config{Backend: memory.New(), Rules: Rules{
		Models:  map[string]quota.Rule{"m": {Amounts: [5]int64{2: 1000}}},
		Classes: map[string]quota.Rule{"batch": rule, "": rule},
	}})
	a := newAccount(e, "a")
	s := a.scopeLocked(scopeKey{"m", "batch"})
	for class, want := range map[string]int{"batch": 2, "chat": 0, "": 0} {
		if got := len(a.ceilingsLocked(class, false)); got != want {
			t.Errorf("%q has %d ceilings; want %d", class, got, want)
		}
	}
	if got, want := fmt.Sprint(s.ownersLocked()), "[model:m class:batch]"; got != want {
		t.Errorf("owners %s; want %s", got, want)
	}
	for _, x := range []struct{ tokens, certain, want int64 }{{99, 10, 99}, {500, 10, 100}, {500, 200, 200}, {5000, 2000, 2000}} {
		if got := s.fitLocked(x.tokens, x.certain); got != x.want {
			t.Errorf("%+v: %d", x, got)
		}
	}
	for _, x := range []struct {
		cost backend.Amounts
		want string
	}{{backend.Amounts{5, 100}, ""}, {backend.Amounts{1, 101}, "class:batch/tpm"}, {backend.Amounts{6, 1}, "class:batch/rpm"}} {
		got := ""
		if l := s.exceededLocked(&x.cost, now); l != nil {
			got = l.Owner + "/" + l.Name
		}
		if got != x.want {
			t.Errorf("%v exceeds %q; want %q", x.cost, got, x.want)
		}
	}
}
