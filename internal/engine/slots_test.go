package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// A lender is a fake that lends slots.
type lender struct {
	*fake
	away error         // why its slots are
	lost bool          // it can't say how many are used
	lag  time.Duration // of each claim, there and back

	slots  sync.Mutex
	dead   map[string]bool // holders of which nothing is heard
	owners map[string]*ledger.Slots
	claims []backend.Claim
}

func (l *lender) Lease(_ context.Context, c backend.Claim) (backend.Lease, error) {
	time.Sleep(l.lag)
	defer time.Sleep(l.lag)
	l.slots.Lock()
	defer l.slots.Unlock()
	l.claims = append(l.claims, c)
	if l.away != nil {
		return backend.Lease{}, l.away
	}
	if l.dead[c.Holder] {
		return backend.Lease{}, errAway
	}
	if l.lost && c.Holder == "" {
		return backend.Lease{Used: -1}, nil
	}
	if l.owners[c.Owner] == nil {
		l.owners[c.Owner] = &ledger.Slots{}
	}
	return l.owners[c.Owner].Lease(time.Now().UnixMicro(), &c), nil
}

func (l *lender) claimed() int {
	l.slots.Lock()
	defer l.slots.Unlock()
	return len(l.claims)
}

// kill lets nothing more be heard of these.
func (l *lender) kill(all []*bench) {
	l.slots.Lock()
	defer l.slots.Unlock()
	l.dead = map[string]bool{}
	for _, b := range all {
		l.dead[b.id] = true
	}
}

// empty reports whether nobody holds a slot of the model.
func (l *lender) empty() bool {
	l.slots.Lock()
	defer l.slots.Unlock()
	return l.owners["model:m"].Empty()
}

// keeps reports whether the process keeps a lease.
func (b *bench) keeps() bool {
	s := b.scope()
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	return s.slots[0].running
}

func (l *lender) goesAway(away error) {
	l.slots.Lock()
	defer l.slots.Unlock()
	l.away = away
}

// slotRules are those of model m with so many slots.
func slotRules(limit int64) Rules {
	return Rules{Models: map[string]quota.Rule{"m": {Amounts: [5]int64{0: 100, 2: tpm}, Concurrent: limit}}}
}

// lend runs f with engines that share the slots of model m: so many of them, with limits
// that hold nothing else back.
func lend(t *testing.T, engines int, limit int64, f func(l *lender, all []*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lender{fake: newFake(), lag: time.Millisecond, owners: map[string]*ledger.Slots{}}
		var all []*bench
		for range engines {
			b := &bench{T: t, fake: l.fake, Engine: New(Config{Backend: l, MaxPause: time.Minute, Rules: slotRules(limit)})}
			b.open()
			all = append(all, b)
		}
		f(l, all)
		for _, b := range all {
			if err := b.Shutdown(b.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// lendBoth runs f with an engine over memory, and with one that leases its slots.
func lendBoth(t *testing.T, limit int64, f func(t *testing.T, b *bench, local bool)) {
	for name, local := range map[string]bool{"memory": true, "elsewhere": false} {
		t.Run(name, func(t *testing.T) {
			lend(t, 1, limit, func(l *lender, all []*bench) {
				b := all[0]
				if local {
					b.Engine = New(Config{Backend: l.memory, MaxPause: time.Minute, Rules: slotRules(limit)})
					b.open()
					defer func() { _ = b.Shutdown(b.Context()) }()
				}
				f(b.T, b, local)
			})
		})
	}
}

// end ends a call and its response.
func (r *Reservation) end() {
	r.Settle(&Outcome{})
	r.Release()
}

func ended(b *bench, all ...*admission) {
	b.Helper()
	for _, a := range all {
		if err := <-a.err; err != nil {
			b.Error(err)
		}
		a.r.end()
	}
}

// Those who lack a slot wait in order, and the next starts when one ends. The end of a
// charge is not yet that of a call.
func TestCallsWaitForSlots(t *testing.T) {
	lendBoth(t, 2, func(t *testing.T, b *bench, local bool) {
		one, two := b.admit(call(1)), b.admit(call(1))
		third, fourth := b.start(call(1)), b.start(call(1))
		one.Settle(&Outcome{})
		synctest.Wait()
		if !third.waits() || !fourth.waits() {
			t.Fatal("a third call starts before the first has ended")
		}
		began := time.Now()
		one.Release()
		one.Release() // what comes later does nothing
		synctest.Wait()
		if third.waits() || !fourth.waits() || time.Since(began) > 0 {
			t.Fatalf("the third call waits: %v, the fourth %v, for %v", third.waits(), fourth.waits(), time.Since(began))
		}
		two.end()
		ended(b, third, fourth)
		if s := b.scope(); len(s.slots[0].short) > 0 || s.slots[0].used != 0 || s.holding != 0 {
			t.Errorf("%+v", s.slots[0])
		}
		if n := b.state().Limits; n[len(n)-1].Name != "concurrent" || n[len(n)-1].Limit != 2 {
			t.Errorf("%+v", n)
		}
	})
}

// A call that waits is told whether it finds a slot.
func TestWaitingForASlot(t *testing.T) {
	for name, x := range map[string]struct {
		tokens, held int64 // of two slots
		slot         bool
	}{"for a slot": {0, 2, true}, "for tokens": {tpm, 1, false}, "for both": {tpm, 2, true}} {
		t.Run(name, func(t *testing.T) {
			lendBoth(t, 2, func(t *testing.T, b *bench, _ bool) {
				b.admit(call(x.tokens)).end()
				var held []*Reservation
				for range x.held {
					held = append(held, b.admit(call(0)))
				}
				var waiting []*admission
				var told []bool
				for range 2 { // the second comes while the first waits
					c := call(2000)
					c.Waiting = func(w Waiting) { told = append(told, w.Slot) }
					waiting = append(waiting, b.start(c))
					time.Sleep(time.Second) // claims are answered
					synctest.Wait()
				}
				if len(told) != 2 || told[0] != x.slot || told[1] != x.slot {
					t.Errorf("told %v; want %v", told, x.slot)
				}
				for _, r := range held {
					r.end()
				}
				ended(b, waiting...)
			})
		})
	}
}

// So is one whose first claim fails; and one that has got its slot then waits for none.
func TestWaitingAfterAClaim(t *testing.T) {
	for name, away := range map[string]bool{"that fails": true, "that is answered": false} {
		t.Run(name, func(t *testing.T) {
			lend(t, 1, 2, func(l *lender, all []*bench) {
				b := all[0]
				if away {
					l.goesAway(errAway)
				} else {
					r := b.admit(call(tpm)) // the other slot is free
					defer r.end()
				}
				var told []bool
				c := call(2000)
				c.Waiting = func(w Waiting) { told = append(told, w.Slot) }
				a := b.start(c)
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				l.goesAway(nil)
				if err := <-a.err; err == nil {
					a.r.end()
				} else if !away {
					t.Error(err)
				}
				if len(told) != 1 || told[0] != away {
					t.Errorf("told %v", told)
				}
			})
		})
	}
}

// A process that has had slots of late starts calls without an answer of the backend before
// each, gives them back when it has no more use for them, and then claims nothing.
func TestSlotsToSpare(t *testing.T) {
	lend(t, 1, 100, func(l *lender, all []*bench) {
		b := all[0]
		var some []*Reservation
		for range 8 {
			some = append(some, b.admit(call(1)))
		}
		time.Sleep(2 * time.Second)
		before, began := l.claimed(), time.Now()
		for range 4 {
			some = append(some, b.admit(call(1)))
		}
		if l.claimed() != before || time.Since(began) > 0 {
			t.Errorf("%d claims and %v for calls that there were slots for", l.claimed()-before, time.Since(began))
		}
		for _, r := range some {
			r.end()
		}
		time.Sleep(10 * time.Second)
		if !l.empty() || b.keeps() {
			t.Error("slots are held that nobody needs")
		}
		before = l.claimed()
		time.Sleep(time.Minute)
		if n := l.claimed() - before; n > 0 {
			t.Errorf("%d claims for nothing", n)
		}
	})
}

// A process counts its own calls in flight as they are now, and those of others as they have
// last said.
func TestSlotsThatRemain(t *testing.T) {
	lend(t, 2, 100, func(l *lender, all []*bench) {
		b, other := all[0], all[1]
		remain := func(b *bench, want int64) {
			t.Helper()
			limits := b.state().Limits
			if n := limits[len(limits)-1]; n.Name != "concurrent" || n.Remaining != want || n.Unknown != l.lost {
				t.Errorf("%+v; want %d to remain", n, want)
			}
		}
		remain(b, 100)
		var some []*Reservation
		for range 3 {
			some = append(some, b.admit(call(1)))
		}
		time.Sleep(2 * time.Second)
		before := l.claimed()
		some = append(some, b.admit(call(1)))
		remain(b, 96)
		remain(other, 97)
		l.lost = true
		remain(b, 0)
		l.lost = false
		for _, r := range some {
			r.end()
		}
		remain(b, 100)
		if n := l.claimed() - before - 4; n != 0 {
			t.Errorf("%d claims beside the questions", n)
		}
		time.Sleep(time.Second)
		remain(other, 100)
		some = append(some[:0], b.admit(call(1)))
		time.Sleep(2 * time.Second)
		l.goesAway(errAway)
		some[0].end()
		time.Sleep(time.Second)
		l.goesAway(nil)
		remain(b, 100) // though it could not say so
		remain(other, 99)
		time.Sleep(ledger.SlotLease) // nobody claims any more
		remain(b, 100)
		remain(other, 100)
	})
}

// What waits costs no more than ten claims a second, and what is in flight no more than
// renewals.
func TestClaimsAreFew(t *testing.T) {
	lend(t, 2, 4, func(l *lender, all []*bench) {
		var calls []*admission
		for range 50 {
			for _, b := range all {
				calls = append(calls, b.start(call(1)))
			}
		}
		time.Sleep(time.Second)
		before := l.claimed()
		time.Sleep(10 * time.Second)
		if n := l.claimed() - before; n > 200+2 {
			t.Errorf("%d claims in ten seconds of two processes", n)
		}
		for _, a := range calls {
			a.cancel()
			if <-a.err == nil {
				a.r.end()
			}
		}
	})
}

// A process whose claim fails makes no more claims when it needs no slots: its lease runs out by
// itself.
func TestNoClaimsForNobody(t *testing.T) {
	lend(t, 1, 4, func(l *lender, all []*bench) {
		b := all[0]
		r := b.admit(call(1))
		l.goesAway(backend.ErrUnavailable)
		r.end()
		before := l.claimed()
		time.Sleep(time.Minute)
		if n := l.claimed() - before; n != 1 || b.keeps() {
			t.Errorf("%d claims in a minute; want the one that failed", n)
		}
		l.goesAway(nil)
	})
}

// Two processes get equal shares when both need more, as calls end; together they never
// have more than the limit, and nothing idles.
func TestProcessesShareSlots(t *testing.T) {
	lend(t, 2, 10, func(l *lender, all []*bench) {
		var mu sync.Mutex
		inFlight, most, busy := 0, 0, [2]time.Duration{}
		var calls sync.WaitGroup
		stop := time.Now().Add(time.Minute)
		for i, b := range all {
			for range 20 {
				calls.Go(func() {
					for time.Now().Before(stop) {
						r := &Reservation{Call: *call(0)}
						r.Call.Requests = 0
						if err := b.Admit(b.Context(), r); err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						inFlight++
						most = max(most, inFlight)
						mu.Unlock()
						time.Sleep(500 * time.Millisecond)
						mu.Lock()
						inFlight--
						busy[i] += 500 * time.Millisecond
						mu.Unlock()
						r.end()
					}
				})
			}
			time.Sleep(5 * time.Second) // the second comes later
		}
		calls.Wait()
		if most != 10 {
			t.Errorf("%d were in flight", most)
		}
		if used := float64(busy[0]+busy[1]) / float64(600*time.Second); used < 0.98 {
			t.Errorf("%.3f of the slots were used", used)
		}
		if share := float64(busy[0]-50*time.Second) / float64(busy[0]+busy[1]-50*time.Second); share < 0.48 || share > 0.54 {
			t.Errorf("the first had %.3f of them", share)
		}
	})
}

// Many processes that all want more use next to all of the slots, and have them all again soon
// after a fifth of them has been killed: with its calls, whose connections are closed. There are
// never more calls in flight than slots.
func TestFleetUsesItsSlots(t *testing.T) {
	const processes, limit, callers = 64, 100, 4
	lend(t, processes, limit, func(l *lender, all []*bench) {
		var mu sync.Mutex
		var inFlight, most int64
		var used time.Duration // slots by time
		var since, full time.Time
		var left []*Reservation // of the killed
		change := func(by int64) {
			mu.Lock()
			defer mu.Unlock()
			used += time.Duration(inFlight) * time.Since(since)
			since = time.Now()
			inFlight += by
			most = max(most, inFlight)
			if inFlight == limit && full.IsZero() {
				full = since
			}
		}
		var calls sync.WaitGroup
		ctx, cancel := context.WithCancel(all[0].Context())
		killed, kill := context.WithCancel(ctx)
		for i, b := range all {
			life := ctx
			if i < processes/5 {
				life = killed
			}
			for j := range callers {
				random := rand.New(rand.NewPCG(uint64(i), uint64(j)))
				calls.Go(func() {
					for {
						r := &Reservation{Call: *call(0)}
						r.Call.Requests = 0
						if b.Admit(life, r) != nil {
							return
						}
						change(1)
						select {
						case <-time.After(200*time.Millisecond + time.Duration(random.Int64N(int64(1800*time.Millisecond)))):
						case <-life.Done():
						}
						change(-1)
						if life == killed && life.Err() != nil {
							mu.Lock()
							defer mu.Unlock()
							left = append(left, r)
							return
						}
						r.end()
					}
				})
			}
		}
		time.Sleep(10 * time.Second)
		judge := func(what string) {
			t.Helper()
			change(0)
			mu.Lock()
			used = 0
			mu.Unlock()
			time.Sleep(time.Minute)
			change(0)
			part := float64(used) / float64(limit*time.Minute)
			if t.Logf("%s: %.4f of the slots are used", what, part); part < 0.99 {
				t.Errorf("%s: %.4f of the slots are used", what, part)
			}
		}
		judge("all live")
		l.kill(all[:processes/5])
		kill()
		synctest.Wait()
		died := time.Now()
		mu.Lock()
		full = time.Time{}
		mu.Unlock()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		mu.Lock()
		again := full
		mu.Unlock()
		if again.IsZero() {
			t.Fatal("not all slots are used again after five seconds")
		}
		t.Logf("all slots are used again after %v", again.Sub(died))
		judge("five seconds after a fifth has died")
		cancel()
		calls.Wait()
		if most != limit {
			t.Errorf("%d calls were in flight", most)
		}
		l.kill(nil)
		for _, r := range left {
			r.end()
		}
	})
}

// A process starts nothing after its lease has run out, and those who wait hear it after two
// claims have failed. When the backend is back all goes on, and what is in flight counts.
func TestLeaseRunsOut(t *testing.T) {
	lend(t, 2, 4, func(l *lender, all []*bench) {
		b, other := all[0], all[1]
		one, two := b.admit(call(1)), b.admit(call(1))
		time.Sleep(time.Second)
		l.goesAway(errAway)
		three := b.admit(call(1)) // there is one to spare
		began := time.Now()
		time.Sleep(3 * time.Second)
		three.end()
		var rejection *Rejection
		if a := b.start(call(1)); true {
			if err := <-a.err; !errors.As(err, &rejection) || rejection.Reason != BackendFailed || !errors.Is(rejection.Cause, errAway) {
				t.Errorf("%v after %v without a lease", err, time.Since(began))
			}
		}
		if a := b.start(&Call{Account: "a", Model: "m", Requests: 1}); true {
			if err := <-a.err; !errors.As(err, &rejection) || rejection.Reason != BackendFailed {
				t.Errorf("a call that does not wait: %v", err)
			}
		}
		l.goesAway(nil)
		time.Sleep(time.Second)
		var rest []*admission
		for range 3 {
			rest = append(rest, other.start(call(1)))
		}
		time.Sleep(time.Second)
		if rest[0].waits() || rest[1].waits() || !rest[2].waits() {
			t.Error("the other process has not got what is left")
		}
		one.end()
		two.end()
		ended(other, rest...)
	})
}

// An error that brings no hope rejects those who wait once two claims have failed.
func TestNoHopeForSlots(t *testing.T) {
	lend(t, 1, 1, func(l *lender, all []*bench) {
		l.goesAway(errAway)
		before := l.claimed()
		if err := <-all[0].start(call(1)).err; err == nil || l.claimed()-before != 2 {
			t.Errorf("%v after %d claims; want a rejection after two", err, l.claimed()-before)
		}
	})
}

// While a backend says that it may lend slots in a moment, those who wait are rejected together, after
// five seconds in vain. A call that comes then finds out from one claim. An answer brings new hope.
func TestPatienceForSlots(t *testing.T) {
	lend(t, 1, 1, func(l *lender, all []*bench) {
		b := all[0]
		for _, away := range []time.Duration{2 * time.Second, patience - leaseRetry, time.Minute, 2 * time.Second} {
			l.goesAway(backend.ErrUnavailable)
			begun := time.Now()
			calls := []*admission{b.start(call(1)), b.start(call(1))}
			time.AfterFunc(away, func() { l.goesAway(nil) })
			if away < patience {
				ended(b, calls...)
				if took := time.Since(begun); took < away || took > away+leaseRetry+4*l.lag {
					t.Errorf("calls start after %v; the slots are away for %v", took, away)
				}
			} else {
				rejected := func(a *admission, least time.Duration) {
					t.Helper()
					err := <-a.err
					var r *Rejection
					if !errors.As(err, &r) || r.Reason != BackendFailed || !errors.Is(r.Cause, backend.ErrUnavailable) {
						t.Errorf("%v; want a rejection", err)
					}
					if err == nil {
						a.r.end()
					}
					if took := time.Since(begun); took < least || took > least+leaseRetry+2*l.lag {
						t.Errorf("a call is rejected after %v; want %v", took, least)
					}
				}
				rejected(calls[0], patience)
				rejected(calls[1], patience)
				time.Sleep(10 * time.Second)
				begun = time.Now()
				rejected(b.start(call(1)), 0)
			}
			time.Sleep(time.Minute)
			b.admit(call(1)).end()
			time.Sleep(ledger.SlotLease)
		}
	})
}

// Shutdown waits until slots have been given back, but not for calls in flight, whose slots
// are kept until they end.
func TestShutdownGivesSlotsBack(t *testing.T) {
	lend(t, 1, 4, func(l *lender, all []*bench) {
		b := all[0]
		b.admit(call(1)).end()
		long := b.admit(call(1))
		if err := b.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if got, _ := l.Lease(context.Background(), backend.Claim{Owner: "model:m"}); got.Used != 1 {
			t.Errorf("%d slots are used", got.Used)
		}
		long.end()
		if err := b.Shutdown(context.Background()); err != nil || !l.empty() {
			t.Errorf("%v, and slots are held", err)
		}
	})
	lend(t, 1, 4, func(l *lender, all []*bench) {
		b := all[0]
		b.admit(call(1)).end()
		began := time.Now()
		if err := b.Shutdown(context.Background()); err != nil || !l.empty() || time.Since(began) > time.Second {
			t.Errorf("%v after %v, and slots are held", err, time.Since(began))
		}
	})
}

// Models that share slots get them in the order in which their calls came, but none waits
// for a model that its own budget holds back.
func TestModelsShareSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rule := quota.Rule{Amounts: [5]int64{0: 100, 2: tpm}}
		b := &bench{T: t, fake: newFake(), Engine: New(Config{
			Backend: newFake().memory, MaxPause: time.Minute, Rules: Rules{
				Account: &quota.Rule{Concurrent: 1}, Models: map[string]quota.Rule{"m": rule, "n": rule, "o": rule},
			},
		})}
		defer func() { _ = b.Shutdown(t.Context()) }()
		of := func(model string, tokens int64) *Call {
			c := call(tokens)
			c.Model = model
			return c
		}
		for _, m := range []string{"m", "n", "o"} {
			b.admit(of(m, 1)).end()
		}
		time.Sleep(2 * time.Minute)
		b.admit(of("o", tpm)).end() // nothing is left of o
		first := b.admit(of("m", 1))
		p := b.start(of("p", 1)) // it is gone before there is a slot
		p.cancel()
		<-p.err
		o := b.start(of("o", 1000))
		time.Sleep(time.Millisecond)
		n := b.start(of("n", 1))
		time.Sleep(time.Millisecond)
		m := b.start(of("m", 1))
		first.end()
		late := of("p", 1)
		late.MaxWait = 0
		if err := b.Admit(b.Context(), &Reservation{Call: *late}); err == nil {
			t.Error("a call of another model overtakes")
		}
		synctest.Wait()
		if n.waits() || !m.waits() || !o.waits() {
			t.Fatalf("waiting: n %t, m %t, o %t", n.waits(), m.waits(), o.waits())
		}
		ended(b, n)
		synctest.Wait()
		if m.waits() {
			t.Error("m waits for o, whose budget is used up")
		}
		ended(b, m, o)
	})
}

// A slot that a process has no more use for goes to another that waits within two tenths of
// a second.
func TestSlotsMoveSoon(t *testing.T) {
	lend(t, 2, 2, func(l *lender, all []*bench) {
		b, other := all[0], all[1]
		one, two := b.admit(call(1)), b.admit(call(1))
		a := other.start(call(1))
		for range 50 {
			time.Sleep(37 * time.Millisecond) // at some time between two renewals
			began := time.Now()
			one.end()
			if err := <-a.err; err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited > 200*time.Millisecond+8*l.lag {
				t.Fatalf("the slot moves after %v", waited)
			}
			one, a, b, other = a.r, b.start(call(1)), other, b
		}
		ended(other, func() *admission { one.end(); return a }())
		two.end()
	})
}

// A call that has asked and not started takes no slot, nor leaves a need for one.
func TestCallsThatWaitForBudgetHoldNoSlot(t *testing.T) {
	lendBoth(t, 2, func(t *testing.T, b *bench, local bool) {
		needs := func(what string, used, need int64) {
			t.Helper()
			s := b.scope()
			s.account.mu.Lock()
			defer s.account.mu.Unlock()
			if o := s.slots[0]; o.used != used || o.needLocked() != need || local && o.claim.Need != need {
				t.Errorf("%s: %d slots are used, %d needed, %d claimed; want %d and %d", what, o.used, o.needLocked(), o.claim.Need, used, need)
			}
		}
		large := b.admit(call(tpm))
		waits := b.start(call(1000))
		time.Sleep(50 * time.Millisecond)
		needs("a call waits for its budget", 1, 1)
		ended(b, waits)
		second := b.admit(call(1))
		now := call(1)
		now.MaxWait = 0
		if err := b.Admit(b.Context(), &Reservation{Call: *now}); err == nil {
			t.Error("a third call starts")
		}
		needs("a third has been rejected", 2, 2)
		large.end()
		second.end()
	})
}

// A limit that changes holds at once: a higher one for those who wait, and a lower one lets
// calls in flight go on.
func TestSlotLimitsChange(t *testing.T) {
	lendBoth(t, 1, func(t *testing.T, b *bench, local bool) {
		set := func(limit int64) {
			rules := slotRules(limit)
			b.SetRules(&rules)
			time.Sleep(150 * time.Millisecond)
		}
		one := b.admit(call(1))
		two, three := b.start(call(1)), b.start(call(1))
		set(2)
		if two.waits() || !three.waits() {
			t.Error("a higher limit does not hold at once")
		}
		set(1)
		one.end()
		time.Sleep(time.Second)
		if !three.waits() {
			t.Error("a lower limit does not hold")
		}
		ended(b, two, three)
		four := b.admit(call(1))
		set(0)
		five := b.admit(call(1))
		four.end()
		five.end()
	})
}

// A call that has waited for an answer about slots, and then finds the queue full, is
// rejected like any other.
func TestQueueIsFullWhenSlotsAreAnswered(t *testing.T) {
	lend(t, 2, 1, func(l *lender, all []*bench) {
		b, other := all[0], all[1]
		b.Engine = New(Config{Backend: l, MaxPause: time.Minute, MaxWaiting: 1, Rules: slotRules(1)})
		b.open()
		defer func() { _ = b.Shutdown(b.Context()) }()
		time.Sleep(10 * time.Second) // its slots are given back
		held := other.admit(call(1))
		asks, waits := b.start(call(1)), b.start(call(1))
		var r *Rejection
		if err := <-asks.err; !errors.As(err, &r) || r.Reason != QueueFull {
			t.Errorf("%v; want that the queue is full", err)
		}
		held.end()
		ended(b, waits)
		if n := b.scope().inFlight; n != 0 {
			t.Errorf("%d calls are in flight", n)
		}
	})
}

// An account that keeps slots to spare is not forgotten: the lease of its successor would be
// the same holder's, and either would give back what the other uses.
func TestAccountWithALeaseIsNotForgotten(t *testing.T) {
	lend(t, 1, 4, func(_ *lender, all []*bench) {
		b := all[0]
		b.admit(call(1)).end()
		synctest.Wait()
		a := b.account("a")
		if !b.keeps() || a.forget() {
			t.Fatal("it is forgotten while it keeps a slot")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if b.keeps() || !a.forget() {
			t.Fatal("it is not forgotten though it keeps none")
		}
	})
}

// A claim that has failed for slots that nobody needed says nothing of later ones: calls that come
// then have all the patience. Where there was no hope left there is none until an answer.
func TestPatienceAfterAClaimForNobody(t *testing.T) {
	lend(t, 1, 1, func(l *lender, all []*bench) {
		b := all[0]
		b.admit(call(1)).end()
		l.goesAway(backend.ErrUnavailable)
		time.Sleep(time.Minute) // what was held could not be given back
		for _, want := range []time.Duration{patience, 0, 0} {
			begun := time.Now()
			a := b.start(call(1))
			if err := <-a.err; err == nil {
				a.r.end()
				t.Fatal("a call has started without a slot")
			}
			if took := time.Since(begun); took < want || took > want+leaseRetry+2*l.lag {
				t.Errorf("a call is rejected after %v; want %v", took, want)
			}
			time.Sleep(time.Minute)
		}
		l.goesAway(nil)
	})
}
