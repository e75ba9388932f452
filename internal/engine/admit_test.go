package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// hold holds the n-th ask back until the returned function is called.
func (b *bench) hold(n int) (release func()) {
	gate := make(chan struct{})
	b.takes(func(i int, _ *backend.Ask) error {
		if i == n {
			<-gate
		}
		return nil
	})
	return func() {
		close(gate)
		synctest.Wait()
	}
}

// A call whose caller leaves while the ask that grants it is under way gets its charge back,
// whether it asks by itself or waits in the queue.
func TestAbandonedGrantIsRefunded(t *testing.T) {
	t.Run("by itself", func(t *testing.T) {
		run(t, false, func(b *bench) {
			b.open()
			free := b.free()
			release := b.hold(2)
			a := b.start(call(1000))
			a.cancel()
			if release(); !errors.Is(<-a.err, context.Canceled) {
				b.Error("it is admitted")
			}
			if got := b.free(); got != free {
				b.Errorf("%d of %d are free", got, free)
			}
			if s := b.state(); s.InFlight != 0 || b.account("a").reserved != 0 {
				b.Errorf("in flight: %d, %d reserved", s.InFlight, b.account("a").reserved)
			}
		})
	})
	t.Run("in the queue", func(t *testing.T) {
		run(t, false, func(b *bench) {
			b.open()
			b.admit(call(tpm))
			gone, stays := b.start(call(1000)), b.start(call(100))
			release := b.hold(len(b.asked()) + 1)
			time.Sleep(2 * time.Minute) // the driver's ask is under way
			gone.cancel()
			if synctest.Wait(); !errors.Is(<-gone.err, context.Canceled) {
				b.Error("it is admitted")
			}
			release()
			if err := <-stays.err; err != nil {
				b.Error(err)
			}
			if got := b.free(); got != tpm-100 {
				b.Errorf("%d are free beside 100", got)
			}
			if s := b.state(); s.InFlight != 2 || b.account("a").reserved != tpm+100 {
				b.Errorf("in flight: %d, %d reserved", s.InFlight, b.account("a").reserved)
			}
		})
	})
	// The result and the end of the context come at once.
	t.Run("when it has just come", func(t *testing.T) {
		run(t, false, func(b *bench) {
			b.open()
			free := b.free()
			r := b.admit(call(1000))
			w := &waiter{ended: true, reservation: r}
			if err := r.giveUp(w, context.Canceled); err != context.Canceled {
				b.Error(err)
			}
			if got := b.free(); got != free || !r.ended.Load() {
				b.Errorf("%d of %d are free", got, free)
			}
			w.err = errAway // or it was rejected
			if err := r.giveUp(w, context.Canceled); err != context.Canceled {
				b.Error(err)
			}
		})
	})
}

// What is given back since nobody wants it says nothing of what calls use.
func TestDiscardedReservationsTeachNothing(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		for range 16 {
			b.admit(call(10)).Settle(&Outcome{})
		}
		s := b.scope()
		if !s.quota.RefundsNothing() {
			b.Fatal("no call was refunded anything")
		}
		release := b.hold(len(b.asked()) + 1)
		a := b.start(call(1000))
		a.cancel()
		release()
		if <-a.err == nil || !s.quota.RefundsNothing() {
			b.Error("it teaches")
		}
		b.admit(call(1000)).Settle(&Outcome{Cancelled: true})
		if s.quota.RefundsNothing() {
			b.Error("a call that was cancelled teaches nothing")
		}
	})
}

// Of calls that one ask grants, each knows where the buckets stood with it.
func TestGrantOfSeveralKnowsWhereEachStood(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		costs := []int64{100, 1, 2, 30}
		var all []*admission
		for _, n := range costs {
			all = append(all, b.start(call(n)))
		}
		release := b.hold(len(b.asked()) + 1)
		time.Sleep(2 * time.Minute)
		release()
		if last := b.asked()[len(b.asked())-1]; len(last.Costs) != 3 {
			b.Fatalf("%d are asked for at once", len(last.Costs))
		}
		requests, tokens := 0.0, 0.0
		for i, a := range all {
			if err := <-a.err; err != nil {
				b.Fatal(err)
			}
			requests, tokens = requests+1, tokens+float64(costs[i])
			for k, want := range []float64{requests, tokens} {
				s, first := a.r.sent[k], all[0].r.sent[k]
				cost := []float64{1, float64(costs[i])}[k]
				if s.Cost != cost || s.Used < want-1e-6 || s.Used > want+1e-6 || s.Charged-first.Charged != want-first.Used {
					b.Errorf("call %d, bucket %d: %+v; want %v", i, k, s, want)
				}
			}
		}
	})
}

// A fast ask that is not granted leaves a ticket in the line. It leaves when nobody stands
// behind it any more.
func TestFastAsksTicketLeaves(t *testing.T) {
	for _, x := range []struct {
		name    string
		maxWait time.Duration
		lose    bool
		end     func(a *admission)
	}{
		{"cancelled", -1, false, func(a *admission) { a.cancel() }},
		{"out of time", time.Second, false, func(*admission) { time.Sleep(time.Second) }},
		{"lost", 0, true, func(*admission) {}},
	} {
		t.Run(x.name, func(t *testing.T) {
			run(t, false, func(b *bench) {
				b.open()
				b.admit(call(tpm))
				b.fake.memory.Settle(b.Context(), backend.Settlement{}) // nothing
				s := b.scope()
				s.last = snapshot{} // this process does not know yet that it must wait
				if x.lose {
					b.loses(func(int, *backend.Ask) error { return errAway })
				}
				c := call(500)
				c.MaxWait = x.maxWait
				a := b.start(c)
				if x.maxWait != 0 && (!a.waits() || b.line() != 1) {
					b.Fatalf("%d in line", b.line())
				}
				x.end(a)
				if synctest.Wait(); a.waits() {
					b.Fatal("it still waits")
				}
				b.loses(nil)
				time.Sleep(time.Second)
				if n := b.line(); n != 0 {
					b.Errorf("%d in line", n)
				}
				if last := b.asked()[len(b.asked())-1]; x.maxWait != 0 && (len(last.Costs) > 0 || !last.Leave || last.Fresh) {
					b.Errorf("the last ask: %+v", last)
				}
			})
		})
	}
}

// A call that may not wait leaves no ticket.
func TestCallThatMayNotWait(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		b.scope().last = snapshot{}
		c := call(500)
		c.MaxWait = 0
		var rejection *Rejection
		if err := b.Admit(b.Context(), &Reservation{Call: *c}); !errors.As(err, &rejection) || rejection.Reason != MaxWait ||
			rejection.Waited != 0 || rejection.Allowed != 0 {
			b.Errorf("%+v", rejection)
		}
		if last := b.asked()[len(b.asked())-1]; !last.Leave || !last.Fresh || b.line() != 0 {
			b.Errorf("%d in line of %+v", b.line(), last)
		}
		// Nor does it join a queue.
		other := b.start(call(500))
		asks := len(b.asked())
		if err := b.Admit(b.Context(), &Reservation{Call: *c}); !errors.As(err, &rejection) || rejection.Reason != MaxWait || len(b.asked()) != asks ||
			rejection.Waited != 0 || rejection.Allowed != 0 {
			b.Errorf("%+v after %d asks", rejection, len(b.asked())-asks)
		}
		other.cancel()
	})
}

// A call whose own ask has no reply joins the queue, which asks again; only if that fails
// too, all who wait are rejected.
func TestLostReplies(t *testing.T) {
	for _, x := range []struct {
		name       string
		take, lose int // so many asks fail before, or after, they are charged
		maxWait    time.Duration
		admitted   bool
		asks       int
		charged    int64
	}{
		{"none", 0, 0, -1, true, 1, 100},
		{"one ask", 1, 0, -1, true, 2, 100},
		{"one reply", 0, 1, -1, true, 2, 200}, // its charge stays
		{"two asks", 2, 0, -1, false, 2, 0},
		{"one that may not wait", 1, 0, 0, false, 1, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			run(t, false, func(b *bench) {
				b.open()
				free, before := b.free(), len(b.asked())
				b.takes(func(n int, _ *backend.Ask) error {
					if n <= before+x.take {
						return errAway
					}
					return nil
				})
				b.loses(func(n int, _ *backend.Ask) error {
					if n <= before+x.lose {
						return errAway
					}
					return nil
				})
				c := call(100)
				c.MaxWait = x.maxWait
				err := b.Admit(b.Context(), &Reservation{Call: *c})
				var rejection *Rejection
				if x.admitted != (err == nil) || err != nil && (!errors.As(err, &rejection) || rejection.Reason != BackendFailed || !errors.Is(rejection.Cause, errAway)) {
					b.Error(err)
				}
				if got := free - b.free(); got != x.charged {
					b.Errorf("%d are charged; want %d", got, x.charged)
				}
				if got := b.costs(before); got != x.asks {
					b.Errorf("%d asks; want %d", got, x.asks)
				}
			})
		})
	}
}

// The driver asks once more, with the same number, so that a lost reply charges nothing
// twice. If that fails too, all who wait are rejected.
func TestDriverAsksOnceMore(t *testing.T) {
	for lost, admitted := range map[int]bool{0: true, 1: true, 2: false, 1000: false} {
		run(t, false, func(b *bench) {
			b.open()
			b.admit(call(tpm))
			var all []*admission
			for range 3 {
				all = append(all, b.start(call(100)))
			}
			first := len(b.asked())
			b.loses(func(n int, _ *backend.Ask) error {
				if n <= first+lost {
					return errAway
				}
				return nil
			})
			time.Sleep(2 * time.Minute)
			for _, a := range all {
				err := <-a.err
				var rejection *Rejection
				if (err == nil) != admitted || err != nil && (!errors.As(err, &rejection) || rejection.Reason != BackendFailed) {
					b.Errorf("lost %d: %v", lost, err)
				}
			}
			if x, y := b.asked()[first], b.asked()[first+1]; lost > 0 && (x.Number != y.Number || x.Ticket != y.Ticket) {
				b.Errorf("lost %d: number %d, then %d", lost, x.Number, y.Number)
			}
			if n := b.costs(first); !admitted && n != 2 {
				b.Errorf("lost %d: %d asks", lost, n)
			}
			b.loses(nil)
			if reserved := b.account("a").reserved; admitted && reserved != tpm+300 || !admitted && reserved != tpm {
				b.Errorf("lost %d: %d are reserved", lost, reserved)
			}
		})
	}
}

// While the backend is away, one call's ask speaks for those that come meanwhile, and those
// that may not wait are told at once.
func TestOneAsksForAllWhileTheBackendIsAway(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.takes(func(int, *backend.Ask) error { return errAway })
		if err := b.Admit(b.Context(), &Reservation{Call: *call(1)}); err == nil {
			b.Fatal("admitted")
		}
		synctest.Wait() // its ticket leaves the line
		before := len(b.asked())
		release := b.hold(before + 1)
		hold := b.onTake
		b.takes(func(n int, ask *backend.Ask) error { return errors.Join(hold(n, ask), errAway) })
		one := b.start(call(1))
		two := b.start(call(1))
		three := call(1)
		three.MaxWait = 0
		var rejection *Rejection
		if err := b.Admit(b.Context(), &Reservation{Call: *three}); !errors.As(err, &rejection) || rejection.Reason != BackendFailed {
			b.Error(err)
		}
		synctest.Wait()
		if n := len(b.asked()) - before; n > 2 {
			b.Errorf("%d asks", n)
		}
		release()
		if !errors.As(<-one.err, &rejection) || !errors.As(<-two.err, &rejection) {
			b.Error("they are admitted")
		}
		b.takes(nil)
		b.admit(call(1)) // it is back
	})
}

// Calls are admitted in the order in which they came, and each when its budget is free.
func TestOrder(t *testing.T) {
	for _, local := range []bool{false, true} {
		run(t, local, func(b *bench) {
			b.open()
			b.admit(call(tpm - 100))
			var all []*admission
			for range 5 {
				all = append(all, b.start(call(200)))
			}
			begun := time.Now()
			for i, a := range all {
				if err := <-a.err; err != nil {
					b.Fatal(err)
				}
				synctest.Wait()
				for _, later := range all[i+1:] {
					if len(later.err) > 0 {
						b.Errorf("local %v: one behind %d has started", local, i)
					}
				}
				waited, least := time.Since(begun), time.Duration(2*i+1)*time.Second
				if waited < least || waited > least+time.Second {
					b.Errorf("local %v: %d has waited %v", local, i, waited)
				}
			}
		})
	}
}

// Who must wait is told so once, with what it costs and who is ahead.
func TestWaitingIsReported(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		var told []Waiting
		c := call(500)
		c.Waiting = func(w Waiting) { told = append(told, w) }
		b.start(c)
		b.start(c)
		if len(told) == 2 && told[1].Wait < 9*time.Second {
			b.Errorf("the second one waits for %v at least; want that of both", told[1].Wait)
		}
		if len(told) != 2 || told[0].Ahead != 0 || told[1].Ahead != 1 || told[0].Cost != (backend.Amounts{1, 500, 0}) || told[0].Wait < 4*time.Second {
			b.Errorf("%+v", told)
		}
	})
}

// Who gives up for lack of time says why: for the deadline of its context, or for the
// longest that it may wait, whichever is first.
func TestGiveUp(t *testing.T) {
	for _, x := range []struct {
		name              string
		maxWait, deadline time.Duration
		tokens            int64
		want              Reason
		after             time.Duration
	}{
		{"the longest wait", 2 * time.Second, 0, 100, MaxWait, 2 * time.Second},
		{"the deadline, and a moment", -1, 2 * time.Second, 100, Deadline, 1990 * time.Millisecond},
		{"the deadline first", 3 * time.Second, 2 * time.Second, 100, Deadline, 1990 * time.Millisecond},
		{"the longest wait first", time.Second, 2 * time.Second, 100, MaxWait, time.Second},
		{"it is hopeless", 2 * time.Second, 0, 5000, MaxWait, 0},
		{"hopeless before the deadline", -1, 2 * time.Second, 5000, Deadline, 0},
		{"hopeless by less than a second", -1, 200 * time.Millisecond, 1, Deadline, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			run(t, false, func(b *bench) {
				b.open()
				for range 16 { // of what calls are charged nothing is refunded
					b.admit(call(1)).Settle(&Outcome{})
				}
				b.admit(call(tpm - 1000))
				ahead := int64(1500) // waits some five seconds
				if x.tokens == 1 {
					ahead = 1049 // half a second
				}
				other := b.start(call(ahead))
				defer other.cancel()
				ctx, c := b.Context(), call(x.tokens)
				c.MaxWait = x.maxWait
				if x.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, x.deadline)
					defer cancel()
				}
				if x.after > 0 { // it does not know better
					b.scope().last = snapshot{}
				}
				begun := time.Now()
				err := b.Admit(ctx, &Reservation{Call: *c})
				var rejection *Rejection
				if !errors.As(err, &rejection) || rejection.Reason != x.want {
					b.Fatalf("%v: %+v", err, rejection)
				}
				if got := time.Since(begun); got != x.after {
					b.Errorf("after %v; want %v", got, x.after)
				}
				if rejection.Waited != x.after || rejection.Cost[backend.Tokens] != x.tokens || x.after > 0 && rejection.Allowed != x.after {
					b.Errorf("%+v", rejection)
				}
				if x.after == 0 && x.want == Deadline && (rejection.Allowed < x.deadline*9/10 || rejection.Allowed > x.deadline) {
					b.Errorf("%v are allowed of %v", rejection.Allowed, x.deadline)
				}
				if x.after == 0 && (rejection.Wait == 0 || rejection.Kind.Name != "tpm" || rejection.Amount != tpm || rejection.Source != "configured") {
					b.Errorf("%+v", rejection)
				}
			})
		})
	}
}

// A deadline that is near, or beyond a wait, does no harm to a call that can make it.
func TestDeadlineThatIsMade(t *testing.T) {
	for _, x := range []struct {
		name     string
		used     int64
		deadline time.Duration
		after    time.Duration
	}{
		{"at once", 0, time.Millisecond, 0},
		{"in two seconds", tpm, 4 * time.Second, 2 * time.Second},
	} {
		run(t, false, func(b *bench) {
			b.open()
			for range 16 { // of what calls are charged nothing is refunded
				b.admit(call(1)).Settle(&Outcome{})
			}
			time.Sleep(time.Second)
			if x.used > 0 {
				b.admit(call(x.used))
			}
			ctx, cancel := context.WithTimeout(b.Context(), x.deadline)
			defer cancel()
			begun := time.Now()
			err := b.Admit(ctx, &Reservation{Call: *call(200)})
			if took := time.Since(begun); err != nil || took < x.after || took > x.after+100*time.Millisecond {
				b.Errorf("%s: %v after %v", x.name, err, took)
			}
		})
	}
}

// A call that comes while another one waits joins it, though nobody has asked for that one yet.
func TestWhoComesBehindAWaiterJoinsIt(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		b.scope().last = snapshot{}
		first := len(b.asked())
		gates := []chan struct{}{make(chan struct{}), make(chan struct{})}
		b.takes(func(n int, _ *backend.Ask) error {
			if i := n - first - 1; i < len(gates) {
				<-gates[i]
			}
			return nil
		})
		waits, asks := b.start(call(100)), b.start(call(100))
		close(gates[0]) // the first one must wait, while the second one still asks
		synctest.Wait()
		if got := b.state().Waiting; got != 1 || len(b.asked()) != first+2 {
			b.Fatalf("%d wait after %d asks", got, len(b.asked())-first)
		}
		comes := b.start(call(100))
		if n := len(b.asked()) - first; n != 2 {
			b.Errorf("%d asks; it goes past one that waits", n)
		}
		close(gates[1])
		for _, a := range []*admission{waits, asks, comes} {
			if err := <-a.err; err != nil {
				b.Error(err)
			}
		}
	})
}

// A call that may not wait asks even if it seems hopeless: others may have given back.
func TestCallThatMayNotWaitAsks(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		for range 16 { // of what calls are charged nothing is refunded
			b.admit(call(1)).Settle(&Outcome{})
		}
		b.admit(call(tpm))
		last := b.asked()[len(b.asked())-1]
		if err := b.memory.Settle(b.Context(), backend.Settlement{Account: "a", Stamp: 1 << 52, Buckets: last.Buckets, Refund: backend.Amounts{0, tpm, 0}}); err != nil {
			b.Fatal(err)
		}
		c := call(500)
		c.MaxWait = 0
		b.admit(c)
	})
}

// aLocal is a fake that claims to need no I/O.
type aLocal struct{ *fake }

func (aLocal) Local() {}

// The ask of a call that may not wait leaves no ticket, and that of one that may does, also
// where the backend needs no I/O.
func TestLocalAsks(t *testing.T) {
	run(t, false, func(b *bench) {
		local := New(Config{Backend: aLocal{b.fake}, Rules: *b.rules.Load(), MaxPause: time.Minute})
		for _, maxWait := range []time.Duration{-1, 0, time.Minute} {
			c := call(1)
			c.MaxWait = maxWait
			r := Reservation{Call: *c}
			if err := local.Admit(b.Context(), &r); err != nil {
				b.Fatal(err)
			}
			if last := b.asked()[len(b.asked())-1]; !last.Fresh || last.Leave != (maxWait == 0) {
				b.Errorf("a call that waits for %v asks with %+v", maxWait, last)
			}
			r.Settle(&Outcome{})
		}
		if err := local.Shutdown(b.Context()); err != nil {
			b.Error(err)
		}
	})
}

// In a full queue the latest call of those who have most in it makes room for another's. Both
// who is turned out and who finds no room are told how full it is.
func TestQueueIsFull(t *testing.T) {
	run(t, false, func(b *bench) {
		b.config.MaxWaiting = 2
		b.open()
		b.admit(call(tpm))
		of := func(tenant string) *admission {
			c := call(500)
			c.Flow = named("", tenant, 1)
			return b.start(c)
		}
		first := of("a")
		time.Sleep(time.Second)
		second := of("a")
		time.Sleep(time.Second)
		other := of("b")
		for _, x := range []struct {
			*admission
			waited time.Duration
		}{{second, time.Second}, {of("b"), 0}} {
			var r *Rejection
			if x.waits() {
				b.Fatal("it waits")
			}
			if err := <-x.err; !errors.As(err, &r) || r.Reason != QueueFull || r.Waiting != 2 || r.Oldest != 2*time.Second || r.Waited != x.waited || r.Allowed != 0 {
				b.Errorf("%v: %+v", err, r)
			}
		}
		for _, a := range []*admission{first, other} {
			if err := <-a.err; err != nil || !a.r.Queued() {
				b.Errorf("%v, queued: %v", err, a.r.Queued())
			}
		}
	})
}

// So many calls ask by themselves and no more.
func TestManyAskAtOnce(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		first, gate := len(b.asked()), make(chan struct{})
		b.takes(func(int, *backend.Ask) error { <-gate; return nil })
		var all []*admission
		for range mostAsking + 2 {
			all = append(all, b.start(call(1)))
		}
		if n := len(b.asked()) - first; n != mostAsking {
			b.Errorf("%d ask at once", n)
		}
		close(gate)
		for _, a := range all {
			if err := <-a.err; err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A call whose context has no end asks once, too.
func TestCallWithoutAnEnd(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		free, asks := b.free(), len(b.asked())
		if err := b.Admit(context.Background(), &Reservation{Call: *call(100)}); err != nil {
			b.Error(err)
		}
		if got := free - b.free(); got != 100 || b.costs(asks) != 1 {
			b.Errorf("%d are charged by %d asks", got, b.costs(asks))
		}
	})
}

// Once the answer to a call's ask is there, nobody leaves it: what it has found is cleared away
// by the caller.
func TestAnsweredCallIsNotAbandoned(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		r, en := &Reservation{Call: *call(100)}, entry{}
		if step, err := b.account("a").enter(b.Context(), r, &en); step != askAlone {
			b.Fatal(step, err)
		}
		answer, _, err := b.timedTake(&en.ask.Ask)
		if _, err := r.answered(b.Context(), &en, &answer, err); err != nil {
			b.Error(err)
		}
		if b.scope().abandon(&en) {
			b.Error("it is left")
		}
		r.end()
	})
}

// A call that alone exceeds a limit is rejected, by what is known here or by a backend that
// knows better; those beside it are admitted.
func TestTooLarge(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		var rejection *Rejection
		if err := b.Admit(b.Context(), &Reservation{Call: *call(tpm + 1)}); !errors.As(err, &rejection) || rejection.Reason != TooLarge ||
			rejection.Kind.Name != "tpm" || rejection.Amount != tpm || rejection.Source != "configured" {
			b.Errorf("%+v", rejection)
		}
		b.admit(call(tpm))
		time.Sleep(time.Minute)
		tooLarge := func(_ int, ask *backend.Ask) error {
			for _, c := range ask.Costs {
				if c[backend.Tokens] == 666 {
					return backend.ErrTooLarge
				}
			}
			return nil
		}
		b.takes(tooLarge)
		if err := b.Admit(b.Context(), &Reservation{Call: *call(666)}); !errors.As(err, &rejection) || rejection.Reason != TooLarge {
			b.Errorf("%v", err)
		}
		b.admit(call(tpm / 2))
		var all []*admission
		for _, n := range []int64{100, 1, 2, 666, 20} {
			all = append(all, b.start(call(n)))
		}
		time.Sleep(time.Minute)
		for i, a := range all {
			err := <-a.err
			if errors.As(err, &rejection) != (i == 3) || i == 3 && rejection.Reason != TooLarge {
				b.Errorf("%d: %v", i, err)
			}
		}
	})
}

// An account that is forgotten while a call enters is another one for it.
func TestAdmitMeetsAForgottenAccount(t *testing.T) {
	run(t, false, func(b *bench) {
		a := b.account("a")
		a.forget()
		delete(b.accounts, "a")
		step, err := a.enter(b.Context(), &Reservation{Call: *call(1)}, &entry{arrived: time.Now()})
		if err != nil || step != again {
			b.Errorf("%v, %v", step, err)
		}
		b.admit(call(1))
		if b.account("a") == a {
			b.Error("it is kept")
		}
	})
}

// A call whose context has ended is never charged, and one that waits is let go by a
// shutdown.
func TestEnds(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		asks := len(b.asked())
		err := b.Admit(ctx, &Reservation{Call: *call(1)})
		if synctest.Wait(); err != context.Canceled || len(b.asked()) != asks {
			b.Errorf("%v, %d asks", err, len(b.asked())-asks)
		}
		b.admit(call(tpm))
		a := b.start(call(500))
		var rejection *Rejection
		if err := b.Shutdown(b.Context()); err != nil {
			b.Error(err)
		}
		if !errors.As(<-a.err, &rejection) || rejection.Reason != Shutdown {
			b.Errorf("%+v", rejection)
		}
		time.Sleep(time.Minute) // the budget is free
		if err := b.Admit(b.Context(), &Reservation{Call: *call(1)}); !errors.As(err, &rejection) || rejection.Reason != Shutdown {
			b.Error(err)
		}
	})
}

// A backend that says that it may be back in a moment is asked again for five seconds, at
// growing intervals, with the same number. Who comes meanwhile waits too, and all are
// rejected together when that was in vain; those who come then find out from one ask.
func TestPatience(t *testing.T) {
	unavailable := fmt.Errorf("busy: %w", backend.ErrUnavailable)
	for _, x := range []struct {
		name     string
		away     time.Duration
		queued   bool // they wait already when it begins
		admitted bool
	}{
		{"in line, two seconds", 2 * time.Second, true, true},
		{"in line, almost as long as there is hope", 4500 * time.Millisecond, true, true},
		{"in line, longer", time.Minute, true, false},
		{"alone, two seconds", 2 * time.Second, false, true},
		{"alone, longer", time.Minute, false, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			run(t, false, func(b *bench) {
				b.open()
				var all []*admission
				if x.queued {
					b.admit(call(tpm))
					all = append(all, b.start(call(1)))
				}
				free, first, begun := b.free(), len(b.asked()), time.Now()
				fails := func(int, *backend.Ask) error {
					if time.Since(begun) < x.away {
						return unavailable
					}
					return nil
				}
				if x.queued {
					b.loses(fails)
				} else {
					b.takes(fails)
				}
				for range 3 {
					all = append(all, b.start(call(1)))
					time.Sleep(time.Second / 2)
				}
				for _, a := range all {
					err := <-a.err
					var rejection *Rejection
					if (err == nil) != x.admitted || err != nil && (!errors.As(err, &rejection) || rejection.Reason != BackendFailed || !errors.Is(rejection.Cause, unavailable)) {
						t.Errorf("after %v: %v", time.Since(begun), err)
					}
				}
				took := time.Since(begun)
				if least, most := min(x.away, patience-lastPause), min(x.away+time.Second, patience); took < least || took > most {
					t.Errorf("it took %v; want %v to %v", took, least, most)
				}
				asks := b.asked()[first:]
				if n := len(asks); n > 20 {
					t.Errorf("%d asks in %v", n, took)
				}
				if x.queued {
					if asks[0].Number != asks[min(5, len(asks)-1)].Number {
						t.Error("the number of an ask that failed changes")
					}
					if charged := free - b.free(); x.admitted && charged > int64(len(all)) {
						t.Errorf("%d charged for %d calls of one each", charged, len(all))
					}
				}
				if x.admitted {
					return
				}
				later := time.Now()
				n := len(b.asked())
				if err := b.Admit(b.Context(), &Reservation{Call: *call(1)}); err == nil || time.Since(later) > 0 {
					t.Errorf("a call that comes later: %v, after %v", err, time.Since(later))
				}
				if b.costs(n) != 1 {
					t.Errorf("it found out from %d asks", b.costs(n))
				}
			})
		})
	}
}

// When everybody has left, nobody asks on, also where the engine is shut down. Who comes
// then has as much hope as is left.
func TestPatienceEndsWithTheLast(t *testing.T) {
	for _, shut := range []bool{false, true} {
		run(t, false, func(b *bench) {
			b.open()
			b.admit(call(tpm))
			a := b.start(call(1))
			b.takes(func(int, *backend.Ask) error { return backend.ErrUnavailable })
			time.Sleep(time.Second)
			if shut {
				if err := b.Shutdown(b.Context()); err != nil {
					b.Error(err)
				}
			} else {
				a.cancel()
			}
			<-a.err
			synctest.Wait()
			first := len(b.asked())
			time.Sleep(time.Second)
			if n := b.costs(first); n > 0 {
				b.Errorf("%d asks for nobody", n)
			}
			if !shut {
				later := b.start(call(1))
				time.Sleep(time.Second)
				b.takes(nil)
				if err := <-later.err; err != nil {
					b.Errorf("while there was hope: %v", err)
				}
			}
		})
	}
}

// A call whose own ask fails after Shutdown does not join a queue that nobody looks after.
func TestShutdownWhileACallAsks(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		gate := make(chan struct{})
		b.takes(func(int, *backend.Ask) error {
			<-gate
			return backend.ErrUnavailable
		})
		a := b.start(call(1))
		shut := make(chan error)
		go func() { shut <- b.Shutdown(b.Context()) }()
		synctest.Wait()
		close(gate)
		var r *Rejection
		if err := <-a.err; !errors.As(err, &r) || r.Reason != Shutdown || r.Cost[backend.Tokens] != 1 {
			b.Error(err)
		}
		if err := <-shut; err != nil {
			b.Error(err)
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
