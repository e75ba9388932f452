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
	for i := range 3 * manyScopes {
		r := &Reservation{Call: Call{Account: fmt.Sprint("account", i%100), Model: fmt.Sprint("model", i), MaxWait: -1}}
		if err := e.Admit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		r.Settle(&Outcome{})
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
	for i := range 3 * manyEntries { // new accounts take the place of idle ones
		r := &Reservation{Call: Call{Account: fmt.Sprint("other", i), Model: "m", MaxWait: -1}}
		if err := e.Admit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		r.Settle(&Outcome{})
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
