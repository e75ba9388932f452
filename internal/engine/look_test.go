package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

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

// A call that only the tickets of other processes hold back is not rejected for a slow start.
func TestOthersTicketsAreNoSlowStart(t *testing.T) {
	run(t, false, func(b *bench) {
		b.admit(call(1))
		others := b.asked()[0]
		others.Ticket, others.Costs = "other", []backend.Amounts{{backend.Requests: 1, backend.Tokens: tpm}}
		if answer, err := b.memory.Take(b.Context(), others); err != nil || answer.Granted > 0 {
			b.Fatalf("%+v, %v", answer, err)
		}
		err := b.Admit(b.Context(), &Reservation{Call: *patient(1, 0)})
		var r *Rejection
		if !errors.As(err, &r) || r.Kind.Name != "" || r.Paced || r.Wait <= 0 {
			b.Errorf("%+v, %v", r, err)
		}
	})
}
