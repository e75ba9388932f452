//go:build ratelimiter_notables

package ratelimiter_test

import (
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
)

// Without vocabularies a limiter needs a counter, and works with one.
func TestWithoutTables(t *testing.T) {
	if _, err := ratelimiter.New(); err == nil || !strings.Contains(err.Error(), "New needs WithCounter") {
		t.Errorf("New without a counter: %v", err)
	}
	l, err := ratelimiter.New(ratelimiter.WithAccount("a"), ratelimiter.WithCounter(negative{}))
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Acquire(t.Context(), ratelimiter.Embedding{Model: "m", Input: []string{"twelve bytes"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Cancel()
	if got := r.Cost().Tokens; got != 3 {
		t.Errorf("%d tokens, want a quarter of the bytes", got)
	}
}

// negative leaves all text to the library.
type negative struct{}

func (negative) Count(string, string, string) int { return -1 }
