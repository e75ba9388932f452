package ratelimiter_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

// A busyStore answers one command after the other, and each takes a while. It works off what it
// was sent, whether or not anybody still waits for the answer.
type busyStore struct {
	ledger   *ledger.Account
	commands chan func()
	late     atomic.Int64 // answers
}

func newBusyStore(each time.Duration) *busyStore {
	s := &busyStore{ledger: ledger.New(), commands: make(chan func(), 1_000_000)}
	s.ledger.Lease, s.ledger.Erase = time.Second, 10*time.Second // as in backend/redis
	go func() {
		for run := <-s.commands; run != nil; run = <-s.commands {
			time.Sleep(each)
			run()
		}
	}()
	return s
}

// send waits for half a second, and once more if the command may be sent twice, as backend/redis
// does.
func (s *busyStore) send(repeatable bool, run func(now int64)) error {
	for {
		done := make(chan struct{})
		s.commands <- func() {
			run(time.Now().UnixMicro())
			close(done)
		}
		select {
		case <-done:
			return nil
		case <-time.After(time.Second / 2):
			s.late.Add(1)
		}
		if !repeatable {
			return backend.ErrUnavailable
		}
		repeatable = false
	}
}

func (s *busyStore) answer(repeatable bool, run func(now int64) (backend.Answer, error)) (backend.Answer, error) {
	type reply struct {
		answer backend.Answer
		err    error
	}
	replies := make(chan reply, 2)
	if err := s.send(repeatable, func(now int64) {
		answer, err := run(now)
		replies <- reply{answer, err}
	}); err != nil {
		return backend.Answer{}, err
	}
	r := <-replies
	return r.answer, r.err
}

// sent is what a command says, which outlives the call.
func sent(ask backend.Ask) backend.Ask {
	ask.Buckets, ask.Costs, ask.Flows = slices.Clone(ask.Buckets), slices.Clone(ask.Costs), slices.Clone(ask.Flows)
	ask.Companions = slices.Clone(ask.Companions)
	return ask
}

func (s *busyStore) Take(_ context.Context, ask backend.Ask) (backend.Answer, error) {
	ask = sent(ask)
	return s.answer(!ask.Fresh, func(now int64) (backend.Answer, error) { return s.ledger.Take(now, &ask) })
}

func (s *busyStore) Look(_ context.Context, ask backend.Ask) (backend.Answer, error) {
	ask = sent(ask)
	return s.answer(true, func(now int64) (backend.Answer, error) { return s.ledger.Look(now, &ask) })
}

func (s *busyStore) Settle(_ context.Context, settlement backend.Settlement) error {
	settlement.Buckets = slices.Clone(settlement.Buckets)
	return s.send(false, func(now int64) { s.ledger.Settle(now, &settlement) })
}

func (s *busyStore) Clear(_ context.Context, _ string, owners []string) error {
	return s.send(true, func(now int64) { s.ledger.Clear(now, owners) })
}

// More models of more processes wait than the store can answer in time: 400, who would ask every
// tenth of a second, of a store that answers 500 a second. They are asked for less often, nobody
// is rejected, and the store is not kept busy with asks that are too late.
func TestOverloadedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const processes, models, callers, rate = 40, 10, 3, 100
		store := newBusyStore(2 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		var started atomic.Int64
		var work sync.WaitGroup
		var limiters []*ratelimiter.Limiter
		for p := range processes {
			l, err := ratelimiter.New(ratelimiter.WithBackend(store), ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0),
				ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 60 * rate, Burst: time.Second}))
			if err != nil {
				t.Fatal(err)
			}
			limiters = append(limiters, l)
			for m := range models {
				for range callers {
					work.Go(func() {
						time.Sleep(time.Duration(p*models+m) * 10 * time.Second / (processes * models)) // they come within ten seconds
						for {
							r, err := l.Acquire(ctx, ratelimiter.Cost{Model: fmt.Sprint("m", m)})
							if ctx.Err() != nil {
								return
							}
							if err != nil {
								t.Errorf("process %d, model %d: %v", p, m, err)
								return
							}
							started.Add(1)
							r.Settle(ratelimiter.Usage{})
						}
					})
				}
			}
		}
		time.Sleep(30 * time.Second)
		before := started.Load()
		store.late.Store(0)
		time.Sleep(time.Minute)
		n, late := started.Load()-before, store.late.Load()
		t.Logf("%d calls started in a minute, %d answers came too late", n, late)
		if n < 60*rate/3 {
			t.Errorf("%d calls have started in a minute; there was room for %d", n, 60*rate)
		}
		if late > 1000 {
			t.Errorf("%d answers came too late, of some 30,000", late)
		}
		cancel()
		work.Wait()
		for _, l := range limiters {
			go func() { _ = l.Shutdown(context.Background()) }() // its last reports may be too late
		}
		time.Sleep(time.Minute)
		store.commands <- nil // it ends
	})
}
