package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// After SetLimits what is used stays used, and calls that wait start as the new limits say.
func TestSetLimits(t *testing.T) {
	tpm := func(n int64) ratelimiter.Option {
		return ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: n})
	}
	for name, tt := range map[string]struct {
		to     []ratelimiter.Option
		least  time.Duration // the wait of a call of 300 tokens, when 600 of 600 a minute are used
		most   time.Duration
		remain int64 // before it
	}{
		"raised":        {[]ratelimiter.Option{tpm(6000)}, 0, time.Second, 5400},
		"raised little": {[]ratelimiter.Option{tpm(660)}, 20 * time.Second, 24 * time.Second, 60},
		"lowered":       {[]ratelimiter.Option{tpm(300)}, 2 * time.Minute, 121 * time.Second, -300},
		"the same":      {[]ratelimiter.Option{tpm(600)}, 30 * time.Second, 31 * time.Second, 0},
		"of a family": {[]ratelimiter.Option{ratelimiter.WithShared("f", ratelimiter.Limits{TPM: 900}, "m", "n")},
			0, time.Second, 900},
		"of the account": {[]ratelimiter.Option{tpm(6000), ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 60})}, 0, time.Second, 5400},
		"a burst": {[]ratelimiter.Option{ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 600, Burst: 30 * time.Second})},
			60 * time.Second, 61 * time.Second, -300},
		"none": {nil, 0, time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, store ratelimiter.Option) {
				l := newWarm(t, store)
				acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
				var wg sync.WaitGroup
				start := time.Now()
				wg.Go(func() {
					acquire(t, l, tokens(300)).Settle(ratelimiter.Usage{})
					if waited := time.Since(start); waited < tt.least || waited > tt.most {
						t.Errorf("waited %v; want %v to %v", waited, tt.least, tt.most)
					}
				})
				synctest.Wait()
				if waiting, _ := inLine(t, l, "m"); waiting != 1 {
					t.Fatalf("%d wait", waiting)
				}
				setLimits(t, l, tt.to...)
				for name, s := range limitsOf(t, l, "m") {
					// The call that waits may have started by now.
					if strings.HasPrefix(name, "tpm") && s.Remaining != tt.remain && s.Remaining != tt.remain-300 {
						t.Errorf("%d tokens remain; want %d", s.Remaining, tt.remain)
					}
				}
				wg.Wait()
				// Nobody stands in a line that is left: the next calls start as they come.
				time.Sleep(10 * time.Minute)
				for _, model := range []string{"m", "n"} {
					start := time.Now()
					acquire(t, l, ratelimiter.Cost{Model: model, Tokens: 100}).Settle(ratelimiter.Usage{})
					if waited := time.Since(start); waited > 0 {
						t.Errorf("a call of %s waited %v", model, waited)
					}
				}
				if err := l.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A call that waits and has become too large is rejected, and those behind it go on.
func TestSetLimitsBelowAWaitingCall(t *testing.T) {
	eachStore(t, func(t *testing.T, store ratelimiter.Option) {
		l := newWarm(t, store)
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		var wg sync.WaitGroup
		wg.Go(func() {
			start := time.Now()
			_, err := l.Acquire(t.Context(), tokens(500))
			var e *ratelimiter.Error
			if !errors.Is(err, ratelimiter.ErrTooLarge) || !errors.As(err, &e) || e.Limit != 400 || e.Source != "configured" {
				t.Errorf("error %v (%+v)", err, e)
			}
			if waited := time.Since(start); waited > time.Second {
				t.Errorf("rejected after %v", waited)
			}
		})
		synctest.Wait()
		wg.Go(func() { acquire(t, l, tokens(100)).Settle(ratelimiter.Usage{}) })
		synctest.Wait()
		setLimits(t, l, ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 400}))
		wg.Wait()
	})
}

// Models move between lines while their calls wait and start. No ticket is left behind that
// others would wait for, and nothing is granted that the account does not allow.
func TestSetLimitsUnderTraffic(t *testing.T) {
	configurations := [][]ratelimiter.Option{
		{ratelimiter.WithAccountLimits(ratelimiter.Limits{TPM: 6000})},
		{ratelimiter.WithShared("f", ratelimiter.Limits{TPM: 6000}, "m", "n")},
		{ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 3000}), ratelimiter.WithLimits("n", ratelimiter.Limits{TPM: 3000})},
		{ratelimiter.WithAccountLimits(ratelimiter.Limits{TPM: 5000}), ratelimiter.WithLimits("n", ratelimiter.Limits{TPM: 3000})},
	}
	eachStore(t, func(t *testing.T, store ratelimiter.Option) {
		l := newLimiter(t, store, ratelimiter.WithAccount("a"), configurations[0][0])
		warm(t, l, "m")
		warm(t, l, "n")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		var mu sync.Mutex
		started := map[string]int64{}
		for _, model := range []string{"m", "n"} {
			for range 10 {
				wg.Go(func() {
					for {
						r, err := l.Acquire(ctx, ratelimiter.Cost{Model: model, Tokens: 100})
						if err != nil {
							return
						}
						mu.Lock()
						started[model] += 100
						mu.Unlock()
						time.Sleep(300 * time.Millisecond)
						r.Settle(ratelimiter.Usage{})
					}
				})
			}
		}
		for i := range 9 {
			time.Sleep(time.Minute + 7*time.Millisecond)
			setLimits(t, l, configurations[(i+1)%len(configurations)]...)
		}
		wg.Wait()
		// 6,000 a minute at most, but that a configuration of its own buckets begins with
		// full ones: nine times at most.
		for model, n := range started {
			if least, most := int64(10*2000), int64(10*6000+9*6000); n < least || n > most {
				t.Errorf("%d tokens of %s; want %d to %d", n, model, least, most)
			}
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// What the server has said of a limit holds only until the limit is set to another amount:
// then the next responses say it again. Their requests must be sent after that.
func TestSetLimitsForgetsWhatWasSaidBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rpm := func(n int64) ratelimiter.Option { return ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: n}) }
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 100}), openaitest.WithLatency(time.Second, time.Second))
		l := newLimiter(t, ratelimiter.WithAccount("a"), rpm(200))
		c := l.Client(srv.Direct())
		say := func(want int64, source string) {
			t.Helper()
			if got := limitsOf(t, l, "m")["rpm"]; got.Limit != want || (got.Source == "configured") != (source == "configured") {
				t.Errorf("%+v; want %d, %s", got, want, source)
			}
		}
		for range 3 {
			post(t, c, chatURL, chatBody("m", 1, false))
		}
		say(100, "a header")
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { post(t, c, chatURL, chatBody("m", 1, false)) })
		}
		time.Sleep(time.Millisecond)
		setLimits(t, l, rpm(300))
		say(300, "configured")
		wg.Wait()
		say(300, "configured") // they were sent before
		for range 3 {
			post(t, c, chatURL, chatBody("m", 1, false))
		}
		say(100, "a header")
		setLimits(t, l, rpm(300)) // nothing changes
		say(100, "a header")
		setLimits(t, l)
		say(100, "a header") // what was learned is left when the configuration goes
	})
}

// SetLimits checks as New does, and changes nothing if anything is wrong.
func TestSetLimitsFaults(t *testing.T) {
	limits := ratelimiter.Limits{RPM: 7}
	faulty := []ratelimiter.Option{
		ratelimiter.WithLimits("m", limits), ratelimiter.WithLimits("x", ratelimiter.Limits{RPM: -1}),
		ratelimiter.WithShared("f", limits), ratelimiter.WithShared("g", limits, "a"), ratelimiter.WithShared("h", limits, "a"),
		ratelimiter.WithAccountLimits(limits), ratelimiter.WithAccountLimits(limits),
	}
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 5}))
	acquire(t, l, tokens(1)).Cancel()
	_, want := ratelimiter.New(faulty...)
	got := l.SetLimits(faulty...)
	if want == nil || got == nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("SetLimits says\n%v\nNew says\n%v", got, want)
	}
	for _, o := range []ratelimiter.Option{
		ratelimiter.WithAccount("b"), ratelimiter.WithMaxWait(1), ratelimiter.WithTrace(nil), ratelimiter.WithFallback(limits),
	} {
		if err := l.SetLimits(ratelimiter.WithLimits("m", limits), nil, o); err == nil || !strings.Contains(err.Error(), "SetLimits takes") {
			t.Errorf("another option: %v", err)
		}
	}
	if got := limitsOf(t, l, "m")["rpm"].Limit; got != 5 {
		t.Errorf("the limit is %d", got)
	}
	if err := (*ratelimiter.Limiter)(nil).SetLimits(); !errors.Is(err, ratelimiter.ErrNoLimiter) {
		t.Errorf("nil: %v", err)
	}
	setLimits(t, l, nil, ratelimiter.WithLimits("m", limits))
	if got := limitsOf(t, l, "m")["rpm"].Limit; got != 7 {
		t.Errorf("the limit is %d", got)
	}
}

// A class's new weight holds for its next calls, also where some always wait.
func TestSetLimitsChangesWeights(t *testing.T) {
	eachStore(t, func(t *testing.T, store ratelimiter.Option) {
		options := func(weight float64) []ratelimiter.Option {
			return []ratelimiter.Option{ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600}),
				ratelimiter.WithClasses(map[string]ratelimiter.Class{"a": {}, "b": {Weight: weight}})}
		}
		l := newLimiter(t, append(options(1), ratelimiter.WithAccount("a"), store)...)
		warm(t, l, "m")
		var started [2]atomic.Int64
		var over atomic.Bool
		var work sync.WaitGroup
		for i, class := range [...]string{"a", "b"} {
			for range 20 {
				work.Go(func() {
					ctx := ratelimiter.ContextWithClass(t.Context(), class)
					for !over.Load() {
						acquireIn(t, l, ctx, ratelimiter.Cost{Model: "m"}).Settle(ratelimiter.Usage{})
						started[i].Add(1)
					}
				})
			}
		}
		time.Sleep(time.Minute)
		if err := l.SetLimits(options(9)...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // those that waited have started
		a, b := started[0].Load(), started[1].Load()
		time.Sleep(time.Minute)
		if a, b = started[0].Load()-a, started[1].Load()-b; a < 50 || a > 70 || b < 530 || b > 550 {
			t.Errorf("%d and %d calls have started, by weights of 1 and 9", a, b)
		}
		over.Store(true)
		work.Wait()
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A model that leaves its family's line takes its ticket along, also while its ask is under
// way: the family does not wait for a call that draws on it no more.
func TestSetLimitsLeavesTheLine(t *testing.T) {
	for _, underWay := range []bool{false, true} {
		t.Run(fmt.Sprintf("under way=%t", underWay), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newStore()
				limits := ratelimiter.Limits{TPM: 600}
				l := newLimiter(t, ratelimiter.WithBackend(store), ratelimiter.WithAccount("a"), ratelimiter.WithShared("f", limits, "m", "n"))
				warm(t, l, "m")
				warm(t, l, "n")
				acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
				var slow atomic.Bool
				store.before = func(backend.Ask) error {
					if slow.Load() {
						time.Sleep(time.Second)
					}
					return nil
				}
				slow.Store(underWay)
				var wg sync.WaitGroup
				wg.Go(func() { acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{}) })
				time.Sleep(100 * time.Millisecond)
				slow.Store(false)
				setLimits(t, l, ratelimiter.WithShared("f", limits, "n"), ratelimiter.WithLimits("m", limits))
				time.Sleep(2 * time.Second)
				wg.Wait()
				start := time.Now()
				acquire(t, l, ratelimiter.Cost{Model: "n", Tokens: 300}).Settle(ratelimiter.Usage{})
				if waited := time.Since(start); waited < 27*time.Second || waited > 29*time.Second {
					t.Errorf("a call of the family waited %v; want 28s", waited)
				}
				if err := l.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What is not configured any more holds nobody back, even if it was found used up a moment
// ago.
func TestSetLimitsToNone(t *testing.T) {
	eachStore(t, func(t *testing.T, store ratelimiter.Option) {
		l := newWarm(t, store)
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := l.Acquire(ctx, tokens(600)); !errors.Is(err, ratelimiter.ErrDeadline) {
			t.Errorf("error %v", err)
		}
		setLimits(t, l)
		start := time.Now()
		if _, err := l.Acquire(ctx, tokens(600)); err != nil || time.Since(start) > 0 {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}

// What was learned of a family's limit stays while that is configured, and goes with it.
func TestSetLimitsOfAFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		family := ratelimiter.WithShared("f", ratelimiter.Limits{RPM: 200}, "m", "n")
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 100}))
		l := newLimiter(t, ratelimiter.WithAccount("a"), family)
		c := l.Client(srv.Direct())
		for range 3 {
			post(t, c, chatURL, chatBody("m", 1, false))
		}
		acquire(t, l, ratelimiter.Cost{Model: "n"}).Cancel()
		for range 2 {
			for _, model := range []string{"m", "n"} {
				if got := limitsOf(t, l, model)["rpm"]; got.Limit != 100 || got.Owner != "family:f" {
					t.Errorf("%s: %+v", model, got)
				}
			}
			setLimits(t, l, family, ratelimiter.WithLimits("x", ratelimiter.Limits{RPM: 1}))
		}
		setLimits(t, l, ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 1000}))
		if got := limitsOf(t, l, "m"); len(got) != 1 || got["tpm"].Limit != 1000 {
			t.Errorf("%+v", got)
		}
		if got := limitsOf(t, l, "n"); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}
