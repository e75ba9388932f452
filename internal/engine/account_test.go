package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// Idle models of all accounts together are forgotten, not only those of one: of a hundred
// accounts, each could keep a thousand.
func TestScopesOfAllAccountsAreBounded(t *testing.T) {
	e := New(Config{Backend: memory.New(), MaxPause: time.Minute})
	admit := func(account string, model int) {
		t.Helper()
		r := &Reservation{Call: Call{Account: account, Model: fmt.Sprint("model", model), MaxWait: -1}}
		if err := e.Admit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		r.Settle(&Outcome{})
		if n := e.scopes.Load(); n > manyScopes {
			t.Fatalf("%d scopes are kept; want at most %d", n, manyScopes)
		}
	}
	next := 0
	again := func() { admit(fmt.Sprint("account", next%100), next); next++ }
	for range 3 * manyScopes {
		again()
	}
	count := func() (n int64) {
		for _, a := range e.accounts {
			n += int64(len(a.scopes))
		}
		return n
	}
	if n := count(); n != e.scopes.Load() || n > manyScopes || n < manyScopes/2 {
		t.Errorf("%d scopes are kept, counted %d; want at most %d", n, e.scopes.Load(), manyScopes)
	}
	for e.scopes.Load() < manyScopes {
		again()
	}
	for i := range 3 * manyEntries { // new accounts take the place of idle ones
		admit(fmt.Sprint("other", i), 0)
	}
	if n := count(); n != e.scopes.Load() || n > manyScopes {
		t.Errorf("%d scopes are kept, counted %d", n, e.scopes.Load())
	}
}

// An account that is forgotten says nothing more, so that its timer does not keep it.
func TestForgottenAccountsReportNothing(t *testing.T) {
	b := memory.New()
	e := New(Config{Backend: b, Fleet: b, MaxPause: time.Minute})
	for i := range 3 * manyEntries {
		r := &Reservation{Call: Call{Account: fmt.Sprint("account", i), Model: "m", MaxWait: -1}}
		if err := e.Admit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		r.Settle(&Outcome{})
	}
	if n := e.reporters.Load(); n != int64(len(e.accounts)) {
		t.Errorf("%d accounts are reported; %d are kept", n, len(e.accounts))
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := e.reporters.Load(); n != 0 {
		t.Errorf("%d accounts are reported after the end", n)
	}
}

// What was looked up last is looked up anew once it is forgotten.
func TestForgottenIsLookedUpAnew(t *testing.T) {
	run(t, true, func(b *bench) {
		a := b.account("a")
		if b.account("a") != a || b.account("b") == a {
			b.Error("a name has two accounts, or two have one")
		}
		key := scopeKey{model: "m"}
		a.mu.Lock()
		s := a.scopeLocked(key)
		if a.scopeLocked(key) != s || a.scopeLocked(scopeKey{model: "other"}) == s {
			b.Error("a model has two scopes, or two have one")
		}
		a.scopeLocked(key)
		a.forgetScopesLocked()
		if a.scopeLocked(key) == s {
			b.Error("a scope is found that is forgotten")
		}
		a.mu.Unlock()
		b.account("a")
		b.Engine.mu.Lock()
		b.forgetSomeLocked()
		b.Engine.mu.Unlock()
		if b.account("a") == a {
			b.Error("an account is found that is forgotten")
		}
	})
}

// The account that takes over the unnamed one is found by its own name, and by none.
func TestHeirIsFoundByBothNames(t *testing.T) {
	run(t, true, func(b *bench) {
		unnamed := b.account(Unnamed)
		if b.account("a") != unnamed || b.account(Unnamed) != unnamed || b.account("b") == unnamed {
			b.Error("it is not the one that has taken over")
		}
	})
}
