package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A backend that does not answer is asked again at once, since only the reply may have been
// lost, and then after pauses that grow up to half a second. Whoever waits is rejected before
// five seconds have passed.
func TestPausesBetweenAsksThatFail(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		var asked []time.Duration // after the first
		begun := time.Now()
		b.takes(func(_ int, ask *backend.Ask) error {
			if len(ask.Costs) > 0 { // else it leaves the line
				asked = append(asked, time.Since(begun))
			}
			return backend.ErrUnavailable
		})
		err := b.Admit(b.Context(), &Reservation{Call: *call(1)})
		var rejection *Rejection
		if !errors.As(err, &rejection) || rejection.Reason != BackendFailed {
			t.Errorf("rejected by %v", err)
		}
		const ms = time.Millisecond
		want := []time.Duration{0, 0, 100 * ms, 300 * ms, 700 * ms}
		for at := 1200 * ms; at < 5*time.Second; at += 500 * ms {
			want = append(want, at)
		}
		if !slices.Equal(asked, want) {
			t.Errorf("asked after %v; want %v", asked, want)
		}
	})
}

// A backend that is slow to answer is asked less often, the less the longer it takes, and as
// often as before when it has been quick for a while.
func TestSlowBackendIsAskedLessOften(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		takes := time.Duration(0)
		b.takes(func(int, *backend.Ask) error {
			b.fake.mu.Lock()
			wait := takes
			b.fake.mu.Unlock()
			time.Sleep(wait)
			return nil
		})
		ctx, cancel := context.WithCancel(b.Context())
		var waiting sync.WaitGroup
		for range 4000 { // ten a second start
			waiting.Go(func() { _ = b.Admit(ctx, &Reservation{Call: *call(tpm / 600)}) })
		}
		asks := func(slow, span time.Duration) int {
			b.fake.mu.Lock()
			takes = slow
			b.fake.mu.Unlock()
			time.Sleep(10 * time.Second) // it has been like that for a while
			before := b.costs(0)
			time.Sleep(span)
			return b.costs(0) - before
		}
		quick := asks(time.Millisecond, time.Minute)
		if n := asks(usual, time.Minute); n < quick/5 {
			t.Errorf("%d asks a minute of a backend whose answers take %v; %d where they take no time", n, usual, quick)
		}
		// 300 ms leave it alone for 1.8 s, a quarter more or less.
		if n := asks(300*time.Millisecond, time.Minute); n > 100 {
			t.Errorf("%d asks a minute, of a backend that takes 300 ms", n)
		}
		if n := asks(time.Millisecond, time.Minute); n < quick*9/10 {
			t.Errorf("%d asks a minute after it was slow; %d before", n, quick)
		}
		cancel()
		waiting.Wait()
	})
}

// While a backend is slow to fail, one ask of an account speaks for all its models: also for calls
// that come after those in line have been rejected.
func TestOneAskOfAnAccountWhileTheBackendIsSlowToFail(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		of := func(model int) *Call {
			c := call(1)
			c.Model = fmt.Sprint("m", model)
			return c
		}
		const models = 20
		for i := range models {
			b.admit(of(i)).end()
		}
		var back atomic.Bool
		b.takes(func(int, *backend.Ask) error {
			if back.Load() {
				return nil
			}
			time.Sleep(time.Second)
			return backend.ErrUnavailable
		})
		before, begun := b.costs(0), time.Now()
		var all []*admission
		for i := range models {
			all = append(all, b.start(of(i)))
		}
		for i, a := range all {
			if err := <-a.err; err == nil {
				t.Errorf("model %d: admitted", i)
			}
		}
		if took := time.Since(begun); took < patience-mostRest || took > patience+mostRest+time.Second {
			t.Errorf("those in line are rejected after %v", took)
		}
		// By themselves, for the queue, and in the five seconds some for all.
		if n := b.costs(before); n > 2*models+5 {
			t.Errorf("%d asks", n)
		}
		before, begun = b.costs(0), time.Now()
		rejected := 0
		for time.Since(begun) < 20*time.Second {
			for i := range models {
				a := b.start(of(i))
				go func() { <-a.err }()
				rejected++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := b.costs(0) - before; n < 3 || n > 2*20+4 { // of one model at a time: a call's own, and the queue's
			t.Errorf("%d asks in 20 s, for %d calls", n, rejected)
		}
		back.Store(true)
		time.Sleep(mostRest + time.Second)
		b.admit(of(0)) // which finds out
		for i := range models {
			b.admit(of(i))
		}
	})
}

// As long as others of the account are answered, no call in line is rejected since its own asks
// fail.
func TestAnswersToOthersAreHope(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		other := call(1)
		other.Model = "other"
		b.admit(other).end()
		var ended atomic.Bool
		b.takes(func(_ int, ask *backend.Ask) error {
			if ask.Scope == "model:m" && !ended.Load() {
				return backend.ErrUnavailable
			}
			return nil
		})
		a := b.start(call(1))
		for range 20 {
			time.Sleep(time.Second)
			b.admit(other).end()
		}
		if !a.waits() {
			t.Fatalf("rejected: %v", <-a.err)
		}
		ended.Store(true)
		if err := <-a.err; err != nil {
			t.Error(err)
		}
	})
}

// One slow answer alone leaves the rhythm of asks as it is, two do not, and what they leave wears
// off.
func TestStrain(t *testing.T) {
	const ms = time.Millisecond
	var s strained
	now := time.Now()
	for i, x := range []struct{ after, took, rest time.Duration }{
		{0, ms, 0},
		{ms, time.Second, 0},
		{ms, ms, 0},
		{ms, 250 * ms, 0},
		{ms, 200 * ms, 600 * ms},
		{0, ms, 600 * ms},        // it has had no rest
		{600 * ms, ms, 450 * ms}, // what it asks after it has
		{450 * ms, usual, 337500 * time.Microsecond},
		{900 * ms, ms, 112500 * time.Microsecond}, // and more
		{ms, 10 * time.Second, 112250 * time.Microsecond},
		{ms, 10 * time.Second, mostStrain},
		{16 * time.Second, 10 * time.Second, mostStrain},
		{16*time.Second - 200*ms, ms, usual / 3},
		{ms, ms, 0},
		{time.Second, ms, 0},
	} {
		now = now.Add(x.after)
		if s.asked(now, x.took); s.rest != x.rest {
			t.Errorf("ask %d leaves the backend alone for %v; want %v", i, s.rest, x.rest)
		}
	}
	for range 100 {
		if d := varied(time.Second); d < 3*time.Second/4 || d > 5*time.Second/4 {
			t.Errorf("%v of a second", d)
		}
	}
}

// What fails at once is asked again at once, since only its reply may be lost; what is slow to
// fail is not.
func TestAskThatIsSlowToFail(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		a := b.start(call(tpm / 10))
		before := b.costs(0)
		b.takes(func(int, *backend.Ask) error {
			time.Sleep(time.Second)
			return backend.ErrUnavailable
		})
		for b.costs(before) == 0 {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(1050 * time.Millisecond)
		if n := b.costs(before); n != 1 {
			t.Errorf("%d asks when the first has just failed", n)
		}
		a.cancel()
		<-a.err
	})
}

// A call that is granted what its caller waits for no more leaves its flow what it did not use:
// once.
func TestCreditOfAnAbandonedCall(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		of := call(100)
		of.Flow = backend.Flow{Class: "c", Weight: 1}
		first := b.start(of)
		s := b.scope()
		b.account("a").mu.Lock()
		f := s.queue.known[flowKey{class: "c"}]
		f.credit = 60
		b.account("a").mu.Unlock()
		second := b.start(of)
		release := make(chan struct{})
		b.takes(func(_ int, ask *backend.Ask) error {
			if len(ask.Costs) > 0 && ask.Flows[len(ask.Flows)-1].Credit == 60 {
				<-release
			}
			return nil
		})
		time.Sleep(10 * time.Second) // both fit
		synctest.Wait()
		second.cancel()
		<-second.err
		close(release)
		if err := <-first.err; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		b.account("a").mu.Lock()
		defer b.account("a").mu.Unlock()
		if f.credit != 100 {
			t.Errorf("a credit of %d is left; want 60, and the 40 that it counted for nothing", f.credit)
		}
	})
}

// While one call looks whether the backend is back, others of its model wait for what it
// finds, those of other models are rejected, and once it is back nobody is.
func TestWhoLooksWhetherTheBackendIsBack(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		of := func(model string) *Call {
			c := call(1)
			c.Model = model
			return c
		}
		for _, model := range []string{"m", "n"} {
			b.admit(of(model)).end()
		}
		var back atomic.Bool
		b.takes(func(int, *backend.Ask) error {
			time.Sleep(time.Second)
			if back.Load() {
				return nil
			}
			return backend.ErrUnavailable
		})
		for _, a := range []*admission{b.start(of("m")), b.start(of("n"))} {
			if err := <-a.err; err == nil {
				t.Fatal("admitted")
			}
		}
		time.Sleep(mostRest)
		look := b.start(of("m"))
		synctest.Wait()
		beside, other := b.start(of("m")), b.start(of("n"))
		synctest.Wait()
		select {
		case err := <-other.err:
			if err == nil {
				t.Error("a call of another model is admitted")
			}
		default:
			t.Error("a call of another model asks too")
		}
		back.Store(true)
		for _, a := range []*admission{look, beside} {
			if err := <-a.err; err != nil {
				t.Errorf("it waited for a backend that is back: %v", err)
			}
		}
		again := b.start(of("m"))
		synctest.Wait()
		other = b.start(of("n"))
		for _, a := range []*admission{again, other} {
			if err := <-a.err; err != nil {
				t.Errorf("the backend is back: %v", err)
			}
		}
	})
}

// An account leaves a backend alone that is slow to fail: for as long as that took, then for twice as
// long, within bounds. An answer, or a failure that comes soon, ends that.
func TestRestOfAnAccount(t *testing.T) {
	s := newAccount(New(Config{}), "a").scopeLocked(scopeKey{model: "m"})
	a := s.account
	for i, x := range []struct {
		err    error
		took   time.Duration
		failed bool
		rest   time.Duration
	}{
		{nil, time.Second, false, 0},
		{errAway, usual, true, 0},
		{errAway, usual + 1, true, usual + 1},
		{errAway, usual + 1, true, 2 * (usual + 1)},
		{errAway, usual, true, 0},
		{errAway, time.Second, true, time.Second},
		{backend.ErrTooLarge, time.Second, false, 0},
		{errAway, time.Second, true, time.Second},
		{errAway, time.Hour, true, mostRest},
		{errAway, time.Second, true, mostRest},
		{nil, time.Second, false, 0},
	} {
		at := now.Add(time.Duration(i) * time.Minute)
		if got := s.failedLocked(at, x.err, now, x.took); got != x.failed || a.rest != x.rest {
			t.Errorf("ask %d: failed is %v, a rest of %v; want %v, %v", i, got, a.rest, x.failed, x.rest)
		}
		if x.failed != (s.away != nil) || x.rest > 0 && a.restsUntil != at.Add(x.rest) || !x.failed && a.answered != at {
			t.Errorf("ask %d: %v, until %v, answered at %v", i, s.away, a.restsUntil, a.answered)
		}
	}
}
