package engine

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// lower makes it known that the model's limit of tokens is lower.
func (b *bench) lower(to int64) {
	r := &Reservation{scope: b.scope(), started: time.Now()}
	for range 2 { // one would not be believed
		r.TooLarge(&wire.Throttle{Kind: wire.TooLarge, Dimension: wire.Tokens, Period: time.Minute, Limit: to, Used: -1, Requested: to + 1})
	}
}

// A limit may fall while calls wait. What they want is cut as far as it was a guess; who
// exceeds it for certain is rejected, if the limit is.
func TestLimitsThatFallMeanwhile(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm - 100))
		time.Sleep(45 * time.Second)
		guess := call(5000)
		guess.Body.Guessed = 4500
		large, cut, small := b.start(call(5500)), b.start(guess), b.start(call(10))
		b.lower(2000)
		time.Sleep(5 * time.Minute)
		if err := errors.Join(<-cut.err, <-small.err); err != nil {
			b.Error(err)
		}
		var rejection *Rejection
		if err := <-large.err; !errors.As(err, &rejection) || rejection.Reason != TooLarge || rejection.Amount != 2000 {
			b.Errorf("%v", err)
		}
		if got := cut.r.Cost()[backend.Tokens]; got != 2000 {
			b.Errorf("%d are charged of a guess", got)
		}
		if s := b.scope(); s.queue.wanted != (backend.Amounts{}) || s.account.reserved != tpm-100+2000+10 {
			b.Errorf("%v are wanted, %d reserved", s.queue.wanted, s.account.reserved)
		}
	})
}

// A backend that knows a lower limit rejects a call that asks alone, after it has waited.
func TestBackendKnowsALowerLimit(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		a := b.start(call(500))
		b.takes(func(_ int, ask *backend.Ask) error {
			if len(ask.Costs) > 0 {
				return backend.ErrTooLarge
			}
			return nil
		})
		time.Sleep(time.Minute)
		var rejection *Rejection
		if err := <-a.err; !errors.As(err, &rejection) || rejection.Reason != TooLarge || !errors.Is(rejection.Cause, backend.ErrTooLarge) {
			b.Errorf("%v", err)
		}
		if n := b.line(); n != 0 {
			b.Errorf("%d in line", n)
		}
	})
}

// Where no limit is known yet, a call that ends lets the next go at once.
func TestSlowStartGoesOn(t *testing.T) {
	run(t, false, func(b *bench) {
		unknown := func() *Call { c := call(10); c.Model = "unknown"; return c }
		var first []*Reservation
		for range 4 {
			first = append(first, b.admit(unknown()))
		}
		a, next := b.start(unknown()), b.start(unknown())
		if !a.waits() || len(b.asked()) != 4 {
			b.Fatalf("five go at once, after %d asks", len(b.asked()))
		}
		first[0].Settle(&Outcome{})
		if synctest.Wait(); a.waits() || !next.waits() {
			b.Error("it has to wait although one has ended")
		}
		first[1].Observe(head(200, ""))
		if synctest.Wait(); next.waits() {
			b.Error("it has to wait although a response reports no limits")
		}
	})
}

// After a pause that another process caused, one call goes first.
func TestPausedByOthers(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.scope().quota.Clear(time.Now())
		b.admit(call(1)).Observe(head(200, "Limit-Tokens 6000 Remaining-Tokens 5999 Reset-Tokens 10ms"))
		time.Sleep(time.Minute)
		if err := b.memory.Settle(b.Context(), backend.Settlement{Account: "a", Line: "model:m", PauseOwner: "model:m", Pause: 5 * time.Second}); err != nil {
			b.Fatal(err)
		}
		var all []*admission
		for range 4 {
			all = append(all, b.start(call(1)))
		}
		time.Sleep(5100 * time.Millisecond)
		if len(all[0].err) != 1 || len(all[1].err) != 0 {
			b.Errorf("started: %d, %d, %d", len(all[0].err), len(all[1].err), len(all[2].err))
		}
		time.Sleep(time.Minute)
		for _, a := range all {
			if err := <-a.err; err != nil {
				b.Error(err)
			}
		}
	})
}

// A conversation that is in use is kept.
func TestContextsInUseAreKept(t *testing.T) {
	run(t, true, func(b *bench) {
		b.open()
		a := b.account("a")
		a.contexts.Set("conv", 300)
		a.contexts.Set("resp", 200)
		for i := range 20_000 {
			a.contexts.Set(string(rune(0x1000+i)), 1)
			if i%1000 == 0 {
				c := call(10)
				c.Body.Conversation, c.Body.Previous = "conv", "resp"
				if r := b.admit(c); r.Cost()[backend.Tokens] != 310 {
					b.Fatalf("after %d: %d are charged", i, r.Cost()[backend.Tokens])
				}
				time.Sleep(10 * time.Second)
			}
		}
		if a.contexts.Get("resp") != 200 || a.contexts.Get("conv") != 300 {
			b.Error("what is in use is forgotten")
		}
	})
}

// Callers of several flows ask together, each once, and the first of each flow always.
func TestFlowsAskTogether(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		var all []*admission
		for i, tenant := range []string{"x", "x", "x", "x", "y", "z"} {
			c := call(int64(1 + i))
			c.Flow = backend.Flow{Tenant: tenant}
			all = append(all, b.start(c))
		}
		before := len(b.asked())
		time.Sleep(time.Second) // some start
		asks := b.asked()[before:]
		if len(asks) == 0 {
			b.Fatal("nobody asks")
		}
		for n, ask := range asks {
			costs, tenants := map[int64]bool{}, map[string]bool{}
			for i, c := range ask.Costs {
				if costs[c[backend.Tokens]] {
					b.Fatalf("a call asks twice: %v", ask.Costs)
				}
				costs[c[backend.Tokens]], tenants[ask.Flows[i].Tenant] = true, true
			}
			if n == 0 && len(tenants) != 3 {
				b.Errorf("%v ask; want all three tenants", ask.Flows)
			}
		}
		for _, a := range all {
			a.cancel()
			<-a.err
		}
	})
}

// A flow that is new comes first, but makes a process ask no more often than every 50 ms.
func TestNewFlowsAskNoMoreOften(t *testing.T) {
	s := &scope{account: newAccount(New(Config{Backend: newFake()}), "a")}
	join := func(tenant string) *waiter {
		w := &waiter{charge: charge{cost: backend.Amounts{1, 10}}}
		s.queue.join(w, backend.Flow{Tenant: tenant})
		return w
	}
	old := join("old")
	s.queue.heard([]*waiter{old}, &backend.Answer{Virtual: 50, Tags: []float64{100}})
	s.queue.leave(join("old")) // its place in the heap stays
	young := join("young")
	now := time.Now()
	for since, want := range map[time.Duration]bool{0: false, turnTime/2 - 1: false, turnTime / 2: true} {
		s.driver.asked = now.Add(-since)
		if got := s.comesNextLocked(young, 0, now); got != want {
			t.Errorf("%v after the last ask: %v", since, got)
		}
	}
	if s.comesNextLocked(join("third"), 0, now) {
		t.Error("one that is not first asks at once")
	}
}

// Who gives up wakes the driver only if the calls that have asked change by it.
func TestGivingUpAmongFlows(t *testing.T) {
	var q flows
	for i := range 3 {
		q.join(&waiter{charge: charge{cost: backend.Amounts{1, 10}}}, backend.Flow{Tenant: fmt.Sprint(i)})
	}
	asks := q.standing(16)
	q.stand(asks[:2], asks)
	for i, w := range asks {
		w.stands = i < 2
		if got := q.among(w, 16); got != (i < 2) {
			t.Errorf("the call at %d is among those that have asked: %v", i, got)
		}
	}
}
