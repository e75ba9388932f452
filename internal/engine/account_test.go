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
