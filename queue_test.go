package ratelimiter_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// A register notes how often each number of a ticket was used.
type register struct {
	backend.Backend
	mu   sync.Mutex
	seen map[string]int
}

func (r *register) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	r.mu.Lock()
	r.seen[fmt.Sprintf("%s of %s, number %d", ask.Ticket, ask.Account, ask.Number)]++
	r.mu.Unlock()
	return r.Backend.Take(ctx, ask)
}

// A backend remembers what it has answered to a ticket, so that no number of one
// may come twice: not even if the process has forgotten the scope meanwhile.
func TestForgottenScopesGetNewTickets(t *testing.T) {
	const many = 1100 // more than are remembered
	for name, call := range map[string]func(i int) (account, model string){
		"models":   func(i int) (string, string) { return "a", fmt.Sprint("m", i) },
		"accounts": func(i int) (string, string) { return fmt.Sprint("a", i), "m" },
	} {
		t.Run(name, func(t *testing.T) {
			r := &register{Backend: memory.New(), seen: map[string]int{}}
			l := newLimiter(t, ratelimiter.WithBackend(r))
			for i := range 2 * many {
				account, model := call(i % many)
				ctx := ratelimiter.WithAccountContext(t.Context(), account)
				reservation, err := l.Acquire(ctx, ratelimiter.Cost{Model: model})
				if err != nil {
					t.Fatal(err)
				}
				reservation.Settle(ratelimiter.Usage{})
			}
			for ask, n := range r.seen {
				if n > 1 {
					t.Fatalf("%s came %d times", ask, n)
				}
			}
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
