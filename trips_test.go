package ratelimiter_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// A remote backend has to be asked to learn of a change, and counts how often it
// is.
type remote struct {
	backend.Backend
	takes atomic.Int64
}

func (r *remote) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	r.takes.Add(1)
	answer, err := r.Backend.Take(ctx, ask)
	answer.Hint, answer.Changed = min(answer.Hint, 100*time.Millisecond), nil
	return answer, err
}

// Where asking is a trip, calls that end don't make those in line ask: they look
// again when the backend has said, and get all that was given back.
func TestCallsThatEndCostNoTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{Backend: memory.New()}
		l := newWarm(t, ratelimiter.WithBackend(r))
		var flying []*ratelimiter.Reservation
		for range 60 {
			flying = append(flying, acquire(t, l, tokens(10)))
		}
		var started atomic.Int64
		for range 20 {
			go func() {
				acquire(t, l, tokens(10)).Settle(ratelimiter.Usage{})
				started.Add(1)
			}()
		}
		synctest.Wait()
		before := r.takes.Load()
		for _, f := range flying {
			f.Settle(ratelimiter.Usage{TotalTokens: 1})
			synctest.Wait()
		}
		if n := r.takes.Load() - before; n > 0 {
			t.Errorf("%d trips for calls that have ended", n)
		}
		time.Sleep(time.Second) // 10 have refilled, and 540 were given back
		if n := started.Load(); n != 20 {
			t.Errorf("%d of 20 started", n)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
