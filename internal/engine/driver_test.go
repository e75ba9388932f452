package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
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

// It rejects the one of several that is too large, wherever that stands, and no other.
func TestBackendKnowsALowerLimitForOneOfSeveral(t *testing.T) {
	for _, costs := range [][]int64{{500, 10}, {10, 500}, {10, 500, 10}} {
		run(t, false, func(b *bench) {
			b.open()
			b.admit(call(tpm))
			var all []*admission
			for _, tokens := range costs {
				all = append(all, b.start(call(tokens)))
			}
			b.takes(func(_ int, ask *backend.Ask) error {
				for _, cost := range ask.Costs {
					if cost[backend.Tokens] > 100 {
						return backend.ErrTooLarge
					}
				}
				return nil
			})
			time.Sleep(time.Minute)
			for i, a := range all {
				var rejection *Rejection
				if err := <-a.err; (err != nil) != (costs[i] > 100) || err != nil && (!errors.As(err, &rejection) || rejection.Reason != TooLarge) {
					b.Errorf("%d of %v: %v", costs[i], costs, err)
				}
			}
		})
	}
}

// Callers of several flows wait together where none may go yet.
func TestFlowsWaitForAPace(t *testing.T) {
	run(t, false, func(b *bench) {
		of := func(tenant string) *Call {
			c := call(10)
			c.Model, c.Flow = "unknown", named("", tenant, 1)
			return c
		}
		var first []*Reservation
		for range 4 {
			first = append(first, b.admit(of("a")))
		}
		a, other := b.start(of("a")), b.start(of("b"))
		if !a.waits() || !other.waits() {
			b.Fatal("they go at once")
		}
		for _, r := range first {
			r.Settle(&Outcome{})
		}
		for _, x := range []*admission{a, other} {
			if err := <-x.err; err != nil {
				b.Error(err)
			}
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

// The calls of an ask start in the order that the backend says, each with its own charge, and
// those that are left stand where it says.
func TestCallsStartInTheBackendsOrder(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		var later []backend.Flow // who asks after that
		b.fake.memory = &answering{b.memory, func(ask *backend.Ask, answer *backend.Answer) {
			answer.Hint = 100 * time.Millisecond
			switch {
			case len(ask.Costs) == 3:
				answer.Granted, answer.Order = 1, []int{2, 1, 0}
				answer.Virtual, answer.Tags = 1, []float64{30, 20, 1}
			case len(ask.Costs) == 2 && later == nil:
				later = slices.Clone(ask.Flows)
			}
		}}
		var all []*admission
		for i, tenant := range []string{"a", "b", "c"} {
			c := call(int64(3001 + i))
			c.Flow = named("", tenant, 1)
			all = append(all, b.start(c))
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if !all[0].waits() || !all[1].waits() || all[2].waits() {
			b.Error("another one starts than the third")
		} else if got := all[2].r.Cost()[backend.Tokens]; got != 3003 {
			b.Errorf("it is charged %d", got)
		}
		if len(later) != 2 || later[0].Tenant != "b" || later[1].Tenant != "a" {
			b.Errorf("%v ask after that; want b and a", later)
		}
		for _, a := range all[:2] {
			a.cancel()
			<-a.err
		}
	})
}

// A flow's first call gets its place in line soon, also where others of this process stand before
// it: calls of its flow that come later elsewhere would get theirs before it.
func TestFirstCallOfAFlowAsksSoon(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm - 20))
		asked := map[string]time.Duration{} // when it first did, by tenant
		began := time.Now()
		b.fake.memory = &answering{b.memory, func(ask *backend.Ask, answer *backend.Answer) {
			answer.Hint = time.Minute
			for _, f := range ask.Flows {
				if _, ok := asked[f.Tenant]; !ok {
					asked[f.Tenant] = time.Since(began)
				}
			}
		}}
		of := func(tenant string) *Call {
			c := call(3000)
			c.Flow = named("", tenant, 1)
			return c
		}
		s := b.scope()
		first := b.start(of("first"))
		s.account.mu.Lock()
		s.queue.flow(named("", "later", 1)).tag = 1e9 // it has had more than its share
		s.account.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		began = time.Now()
		later := b.start(of("later"))
		time.Sleep(time.Second)
		synctest.Wait()
		if at, ok := asked["later"]; !ok || at > 0 {
			b.Errorf("it is asked for after %v (%v); want at once", at, ok)
		}
		again := b.start(of("later"))
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(b.asked()[len(b.asked())-1].Costs); n != 2 {
			b.Errorf("%d are asked for; the next of its flow can wait", n)
		}
		for _, a := range []*admission{first, later, again} {
			a.cancel()
			<-a.err
		}
	})
}

// A driver ends at once if of the calls that have asked one starts and the others have left
// meanwhile: nobody else would take their ticket out of the line.
func TestDriverEndsWithTheLastCall(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		var leaves atomic.Pointer[admission]
		b.fake.memory = &answering{b.memory, func(ask *backend.Ask, answer *backend.Answer) {
			answer.Hint = 100 * time.Millisecond
			if len(ask.Costs) == 2 {
				leaves.Load().cancel()
				synctest.Wait()
				answer.Granted, answer.Hint = 1, time.Hour
			}
		}}
		of := func(tenant string) *Call {
			c := call(3000)
			c.Flow = named("", tenant, 1)
			return c
		}
		first := b.start(of("first"))
		leaves.Store(b.start(of("leaves")))
		time.Sleep(time.Second)
		synctest.Wait()
		if err := <-first.err; err != nil {
			b.Error(err)
		}
		if err := <-leaves.Load().err; !errors.Is(err, context.Canceled) {
			b.Error(err)
		}
		if s := b.scope(); s.driver.running {
			b.Error("it waits for nobody")
		}
		if n := b.line(); n != 0 {
			b.Errorf("%d stand in line", n)
		}
	})
}

// An answering backend's answers are changed.
type answering struct {
	backend.Backend
	change func(*backend.Ask, *backend.Answer)
}

func (a *answering) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	answer, err := a.Backend.Take(ctx, ask)
	answer.Changed = nil
	a.change(&ask, &answer)
	return answer, err
}

// A polled backend is one that tells of nothing, and has everybody ask ten times a second.
type polled struct {
	backend.Backend
	began time.Time
	asks  []time.Duration
}

func (p *polled) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	answer, err := p.Backend.Take(ctx, ask)
	answer.Hint, answer.Changed = 100*time.Millisecond, nil
	p.asks = append(p.asks, time.Since(p.began))
	return answer, err
}

// A flow that is new comes first: its process asks for it within 50 ms of the last ask, and
// again once the call fits. But it asks no more often than every 50 ms, however many come.
func TestNewFlowsAskSoon(t *testing.T) {
	for name, test := range map[string]struct {
		tokens int64
		others int
		want   []time.Duration // after the last ask before the flow came, in milliseconds
	}{
		"it fits":                  {1, 0, []time.Duration{50, 150, 250}},
		"it fits soon":             {17, 0, []time.Duration{50, 120, 220}},
		"it fits very soon":        {11, 0, []time.Duration{50, 100, 200}},
		"it does not fit for long": {50, 0, []time.Duration{50, 150, 250}},
		"others come after it":     {1, 9, []time.Duration{50, 100, 200}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, false, func(b *bench) {
				b.open()
				p := &polled{Backend: b.memory, began: time.Now()}
				b.fake.memory = p
				b.admit(call(tpm - 20)) // which leaves ten above the margin
				var all []*admission
				come := func(class string, tokens int64) {
					c := call(tokens)
					c.Flow = backend.Flow{Class: class, Weight: 1}
					all = append(all, b.start(c))
				}
				come("batch", 15)
				come("batch", 1000)
				time.Sleep(105 * time.Millisecond) // the first has started
				synctest.Wait()
				n := len(p.asks)
				last := p.asks[n-1]
				come("chat", test.tokens)
				for i := range test.others {
					time.Sleep(10 * time.Millisecond)
					come(fmt.Sprint(i), 1)
				}
				time.Sleep(300 * time.Millisecond)
				synctest.Wait()
				var got []time.Duration
				for _, at := range p.asks[n:] {
					got = append(got, (at-last)/time.Millisecond)
				}
				if !slices.Equal(got[:len(test.want)], test.want) {
					t.Errorf("it asks after %d ms; want %d", got, test.want)
				}
				for _, a := range all {
					a.cancel()
					<-a.err
				}
			})
		})
	}
}

// For a flow that has come to be first a driver wakes before its time, but not before soonest,
// which is not before its time either where the backend is to be left alone.
func TestWaitOfADriver(t *testing.T) {
	closed := make(chan struct{})
	close(closed)
	for name, test := range map[string]struct {
		wakes         wakes
		soonest, want time.Duration
	}{
		"nothing happens":          {wakes{}, 0, 100},
		"something has changed":    {wakes{changed: closed}, 50, 0},
		"it is woken":              {wakes{kick: closed}, 50, 0},
		"a flow comes":             {wakes{soon: make(chan struct{}, 1)}, 50, 50},
		"it may ask at once":       {wakes{soon: make(chan struct{}, 1)}, -10, 20},
		"it has to leave it alone": {wakes{soon: make(chan struct{}, 1)}, 200, 100},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				soon := make(chan struct{})
				if test.wakes.soon != nil {
					test.wakes.soon = soon
					go func() {
						time.Sleep(20 * time.Millisecond)
						soon <- struct{}{}
					}()
				}
				timer := time.NewTimer(time.Hour)
				test.wakes.wait(timer, 100*time.Millisecond, test.soonest*time.Millisecond)
				if got := time.Since(begun); got != test.want*time.Millisecond {
					t.Errorf("it waits %v; want %d ms", got, test.want)
				}
			})
		})
	}
}

// Who gives up wakes the driver only if the calls that have asked change by it.
func TestGivingUpAmongFlows(t *testing.T) {
	q := flows{unit: backend.Tokens}
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

// However many callers join a queue, a backend that takes time is asked for its head alone,
// ten times a second: nothing that joins behind can start earlier.
func TestCallersThatJoinCostNoAsks(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		all := []*admission{b.start(call(tpm))} // for which a minute's tokens must refill
		before := len(b.asked())
		for range 1000 {
			all = append(all, b.start(call(1)))
			time.Sleep(time.Millisecond)
		}
		if n := len(b.asked()) - before; n > 11 {
			b.Errorf("%d asks in a second", n)
		}
		for _, a := range slices.Backward(all) {
			if !a.waits() {
				b.Error("one did not wait")
			}
			a.cancel()
			<-a.err
		}
	})
}

// A turn is of few calls while tickets take turns. It stops being so when two asks in a row
// have got all they wanted: there is plenty.
func TestTurnIsShortUntilThereIsPlenty(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		var all []*admission
		for range 2 + 2*backend.MaxCosts {
			all = append(all, b.start(call(10))) // what refills in turnTime
		}
		before := len(b.asked())
		if err := b.Engine.Clear(b.Context(), "a", "m"); err != nil {
			b.Fatal(err)
		}
		for _, a := range all {
			if err := <-a.err; err != nil {
				b.Error(err)
			}
		}
		var got []int
		for _, ask := range b.asked()[before:] {
			got = append(got, len(ask.Costs))
		}
		if want := []int{1, 1, backend.MaxCosts, backend.MaxCosts}; !slices.Equal(got, want) {
			b.Errorf("asks are for %d calls; want %d", got, want)
		}
	})
}
