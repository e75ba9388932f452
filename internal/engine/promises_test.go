package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// patient is a call of so many tokens that waits so long at most.
func patient(tokens int64, d time.Duration) *Call {
	c := call(tokens)
	c.MaxWait = d
	return c
}

// spend uses all tokens, after calls that were refunded nothing: so nobody expects refunds.
func (b *bench) spend() {
	b.Helper()
	b.open()
	for range 16 {
		b.scope().quota.Settled(100, 0)
	}
	b.admit(call(tpm)).Settle(&Outcome{})
}

// rejects expects a call to be rejected at once.
func (b *bench) rejects(c *Call) {
	b.Helper()
	var r *Rejection
	begun := time.Now()
	if err := b.Admit(b.Context(), &Reservation{Call: *c}); !errors.As(err, &r) || r.Reason != MaxWait || !time.Now().Equal(begun) {
		b.Errorf("%v after %v; want a rejection at once", err, time.Since(begun))
	}
}

// What another process has cleared, those who would not wait for long may use a second
// later, whoever holds the snapshot that says otherwise.
func TestClearElsewhereIsNoticed(t *testing.T) {
	for _, local := range []bool{false, true} {
		run(t, local, func(b *bench) {
			b.spend()
			b.rejects(patient(1000, time.Second))
			if err := b.memory.Clear(b.Context(), "a", []string{"model:m"}); err != nil {
				b.Fatal(err)
			}
			b.rejects(patient(1000, time.Second)) // nothing has told
			time.Sleep(proof + time.Millisecond)
			b.admit(patient(tpm-1000, time.Second)).Settle(&Outcome{})
		})
	}
}

// A call whose deadline is near looks as well.
func TestClearElsewhereBeforeADeadline(t *testing.T) {
	run(t, false, func(b *bench) {
		b.spend()
		if err := b.memory.Clear(b.Context(), "a", []string{"model:m"}); err != nil {
			b.Fatal(err)
		}
		time.Sleep(proof + time.Millisecond)
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		r := &Reservation{Call: *call(tpm / 2)}
		if err := b.Admit(ctx, r); err != nil {
			b.Error(err)
		}
		r.Settle(&Outcome{})
	})
}

// A pause that was lifted elsewhere is over, and what began anew for it too.
func TestLiftedPauseIsNoticed(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		r := b.admit(call(10))
		r.Throttled(&wire.Throttle{Kind: wire.RateLimit, RetryAfter: time.Minute})
		r.Settle(&Outcome{Failed: 429})
		synctest.Wait()
		b.rejects(patient(10, time.Second))
		if err := b.memory.Clear(b.Context(), "a", []string{"model:m"}); err != nil {
			b.Fatal(err)
		}
		time.Sleep(proof + time.Millisecond)
		b.admit(patient(10, time.Second)).Settle(&Outcome{})
		time.Sleep(3 * time.Second)
		begun := time.Now()
		for range 50 {
			b.admit(call(10)).Settle(&Outcome{})
		}
		if took := time.Since(begun); took > 2*time.Second {
			b.Errorf("50 calls took %v after the pause was lifted", took)
		}
	})
}

// Who clears a model of a family clears the others too.
func TestClearOfAFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		e := New(Config{
			Backend: f, MaxPause: time.Minute,
			Rules: Rules{Families: []Family{{Name: "f", Models: []string{"m", "n"}, Rule: quota.Rule{Amounts: [5]int64{0: rpm, 2: tpm}}}}},
		})
		b := &bench{T: t, Engine: e, fake: f}
		b.spend()
		b.rejects(patient(1000, time.Second))
		if err := e.Clear(t.Context(), "a", "n"); err != nil {
			t.Fatal(err)
		}
		b.admit(patient(tpm-1000, time.Second)).Settle(&Outcome{})
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// However many calls are rejected, the backend is looked at once a second at most; and
// calls that come while somebody looks wait for what that shows.
func TestLooksAreFew(t *testing.T) {
	run(t, false, func(b *bench) {
		b.spend()
		b.admit(patient(1, 2*time.Minute)).Settle(&Outcome{})
		looks := 0
		b.onLook = func() {
			looks++
			time.Sleep(5 * time.Millisecond)
		}
		const seconds = 20
		for range 100 * seconds {
			a := b.start(patient(tpm/2, 10*time.Millisecond))
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			if err := <-a.err; err == nil {
				b.Fatal("was admitted")
			}
		}
		if looks == 0 || looks > seconds+1 {
			b.Errorf("looked %d times in %d seconds", looks, seconds)
		}
	})
}

// Where the backend can't be looked at, a call asks: an old snapshot is no proof.
func TestLookThatFails(t *testing.T) {
	run(t, false, func(b *bench) {
		b.spend()
		if err := b.memory.Clear(b.Context(), "a", []string{"model:m"}); err != nil {
			b.Fatal(err)
		}
		time.Sleep(proof + time.Millisecond)
		b.looks = errAway
		b.admit(patient(1000, time.Second)).Settle(&Outcome{})
	})
}

// A retry enters near the front, and is judged there.
func TestRetryIsJudgedByItsPlace(t *testing.T) {
	for _, local := range []bool{false, true} {
		run(t, local, func(b *bench) {
			b.spend()
			var others []*admission
			for range 30 {
				others = append(others, b.start(call(200))) // two seconds each
			}
			b.rejects(patient(100, 10*time.Second))
			retry := patient(100, 10*time.Second)
			retry.Retry = true
			begun := time.Now()
			b.admit(retry).Settle(&Outcome{})
			if waited := time.Since(begun); waited > 10*time.Second {
				b.Errorf("waited %v", waited)
			}
			late := patient(100, 100*time.Millisecond)
			late.Retry = true
			b.rejects(late)
			for _, a := range others {
				a.cancel()
				if <-a.err == nil {
					a.r.Settle(&Outcome{})
				}
			}
		})
	}
}

// before is what stands before a call that joins, for queues of any kind.
func TestBefore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var q queue
		n := rapid.IntRange(0, 40).Draw(rt, "calls")
		for i := range n {
			w := &waiter{
				seq: uint64(2*i) + 2, retry: rapid.Bool().Draw(rt, "retry"),
				charge: charge{cost: backend.Amounts{1, int64(1) << i, 0}},
			}
			q.join(w)
			if rapid.IntRange(0, 3).Draw(rt, "leaves") == 0 {
				q.leave(q.head())
			}
		}
		retry := rapid.Bool().Draw(rt, "retry")
		seq := uint64(0)
		if rapid.Bool().Draw(rt, "has arrived before") {
			seq = 1 + 2*rapid.Uint64Range(0, uint64(n)).Draw(rt, "seq")
		}
		got := q.before(retry, seq)
		w := &waiter{seq: seq, retry: retry}
		if seq == 0 {
			w.seq = 1000
		}
		q.join(w)
		var want backend.Amounts
		for _, x := range collect(&q) {
			if x == w {
				break
			}
			for d, n := range x.charge.cost {
				want[d] += n
			}
		}
		if got != want {
			rt.Fatalf("%v; want %v", got, want)
		}
	})
}

// A context that ends while the ask is under way ends the wait. What was granted comes
// back, and a call that was not granted leaves nothing in the line.
func TestContextEndsTheAsk(t *testing.T) {
	for _, granted := range []bool{true, false} {
		run(t, false, func(b *bench) {
			b.open()
			before := int64(tpm)
			if !granted {
				b.admit(call(tpm)).Settle(&Outcome{})
				before = 90 // what refills
			}
			b.onTake = func(int, *backend.Ask) error {
				time.Sleep(900 * time.Millisecond)
				return nil
			}
			ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
			time.AfterFunc(50*time.Millisecond, cancel)
			begun := time.Now()
			err := b.Admit(ctx, &Reservation{Call: *call(1000)})
			if took := time.Since(begun); took != 50*time.Millisecond || !errors.Is(err, context.Canceled) {
				b.Errorf("%v after %v", err, took)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			b.onTake = nil
			if free := b.free(); free < before {
				b.Errorf("%d tokens are free; want %d at least", free, before)
			}
			if s := b.state(); s.InFlight+s.Waiting != 0 || b.line() != 0 {
				b.Errorf("%+v, %d tickets", s, b.line())
			}
		})
	}
}

// A context that ends while others' knowledge is loaded, or the buckets are looked at, does too.
func TestContextEndsLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{fake: newFake(), recall: func() { time.Sleep(900 * time.Millisecond) }}
		e := New(Config{Backend: k, MaxPause: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		begun := time.Now()
		err := e.Admit(ctx, &Reservation{Call: *call(1)})
		if took := time.Since(begun); took != 50*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %v", err, took)
		}
		if err := e.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A hook that panics while its call waits takes the call out of the line.
func TestWaitingHookThatPanics(t *testing.T) {
	for _, local := range []bool{false, true} {
		run(t, local, func(b *bench) {
			b.spend()
			c := call(1000)
			c.Waiting = func(Waiting) { panic("hook") }
			func() {
				defer func() {
					if p := recover(); p != "hook" {
						b.Errorf("recovered %v", p)
					}
				}()
				_ = b.Admit(b.Context(), &Reservation{Call: *c})
			}()
			time.Sleep(time.Minute + time.Second)
			if s := b.state(); s.InFlight+s.Waiting != 0 || b.free() != tpm {
				b.Errorf("%+v, %d free", s, b.free())
			}
		})
	}
}

// How long a call must wait at least is how long it waits, also where it needs so much of a
// bucket that the margin for the way is not left beside it.
func TestEarliestIsWhenACallStarts(t *testing.T) {
	for _, tokens := range []int64{100, tpm / 2, tpm - 30, tpm - 12, tpm - 8, tpm - 1, tpm} {
		t.Run(fmt.Sprint(tokens), func(t *testing.T) {
			var waited time.Duration
			run(t, false, func(b *bench) {
				b.spend()
				begun := time.Now()
				b.admit(call(tokens)).Settle(&Outcome{})
				waited = time.Since(begun)
			})
			run(t, false, func(b *bench) {
				b.spend()
				b.rejects(patient(tokens, waited-2*time.Millisecond))
				b.admit(patient(tokens, waited+2*time.Millisecond)).Settle(&Outcome{})
			})
		})
	}
}

// Where a margin of requests was learned, a call is rejected at once only if it would wait too
// long even with a tenth of the margin gone by the time it starts, and then it is.
func TestEarliestWithALearnedMargin(t *testing.T) {
	learn := func(b *bench) { // and use up all requests
		b.open()
		s := b.scope()
		now := time.Now().Format(time.RFC3339Nano)
		note := fmt.Sprintf(`{"v":3,"at":%q,"limits":[{"owner":%q,"name":"rpm","reported":%[1]q,"tracker":{"margin":0.2,"at":%[1]q,"reports":9}}]}`,
			now, digestOf(b, &s.quota))
		s.account.mu.Lock()
		err := s.quota.TakeNote(time.Now(), []byte(note), 0)
		s.account.mu.Unlock()
		if err != nil {
			b.Fatal(err)
		}
		c := call(0)
		c.Requests = rpm
		b.admit(c).Settle(&Outcome{})
	}
	needs := func(d time.Duration) *Call {
		c := patient(0, d)
		c.Requests = 1000
		return c
	}
	var waited time.Duration
	run(t, false, func(b *bench) {
		learn(b)
		begun := time.Now()
		b.admit(needs(time.Hour)).Settle(&Outcome{})
		waited = time.Since(begun)
	})
	margin := waited - time.Second // in which the 1,000 refill
	if margin < 5*time.Second {
		t.Fatalf("it waits %v: there is no margin", waited)
	}
	run(t, false, func(b *bench) {
		learn(b)
		b.rejects(needs(waited - margin*15/100))
		b.admit(needs(waited + time.Millisecond)).Settle(&Outcome{})
	})
	run(t, false, func(b *bench) { // it is not sure that the margin will last
		learn(b)
		c := needs(waited - margin*5/100)
		begun := time.Now()
		if err := b.Admit(b.Context(), &Reservation{Call: *c}); err != nil && time.Now().Equal(begun) {
			b.Errorf("%v at once", err)
		}
	})
}
