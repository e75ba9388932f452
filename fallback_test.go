package ratelimiter_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
)

func TestBackendThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newStore()
		l := newWarm(t, ratelimiter.WithBackend(f))
		f.down.Store(true)
		_, err := l.Acquire(t.Context(), tokens(1))
		var e *ratelimiter.Error
		if !errors.Is(err, ratelimiter.ErrBackend) || !errors.Is(err, errAway) || !errors.As(err, &e) {
			t.Errorf("%v; want ErrBackend with its cause", err)
		}
		f.down.Store(false)
		acquire(t, l, tokens(1)).Cancel()
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestBothFallbacks(t *testing.T) {
	for _, tt := range []struct {
		name   string
		option ratelimiter.Option
		wait   time.Duration // of the second call of 60 tokens while the store is away
	}{
		{"pass", ratelimiter.WithFailOpen(), 0},
		{"fallback", ratelimiter.WithFallback(ratelimiter.Limits{TPM: 60}), time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newStore()
				var changes []error
				l := newWarm(t, ratelimiter.WithBackend(f), tt.option, ratelimiter.WithTrace(&ratelimiter.Trace{
					Backend: func(err error) { changes = append(changes, err) },
				}))
				time.Sleep(time.Minute) // whatever the warm-up has left to settle
				f.down.Store(true)
				away := acquire(t, l, tokens(60))
				start := time.Now()
				acquire(t, l, tokens(60)).Settle(ratelimiter.Usage{})
				if waited := time.Since(start); waited != tt.wait {
					t.Errorf("waited %v; want %v", waited, tt.wait)
				}
				asked := f.takes.Load()
				for range 100 {
					acquire(t, l, ratelimiter.Cost{Model: "m"}).Settle(ratelimiter.Usage{})
				}
				if n := f.takes.Load() - asked; n > 1 {
					t.Errorf("a store that is away was asked %d times by 100 calls at once", n)
				}

				f.down.Store(false)
				time.Sleep(2 * time.Second)
				acquire(t, l, tokens(500)).Settle(ratelimiter.Usage{})
				away.Cancel() // of the stand-in's budget, not of the store's
				synctest.Wait()
				if got := remaining(t, l, "m", "tpm"); got != 100 {
					t.Errorf("%d tokens remain; want 100", got)
				}
				if len(changes) != 2 || changes[0] != errAway || changes[1] != nil {
					t.Errorf("changes %+v; want away and back", changes)
				}
			})
		})
	}
}

// What calls have not used comes back to the fallback, and what they have used in addition is
// charged to it.
func TestFallbackIsSettled(t *testing.T) {
	for name, x := range map[string]struct {
		end  func(*ratelimiter.Reservation)
		wait time.Duration // of a call of 40 tokens behind one of 60; a tenth of one is held back
	}{
		"nothing said": {func(r *ratelimiter.Reservation) { r.Settle(ratelimiter.Usage{}) }, 40*time.Second + time.Second/10},
		"cancelled":    {(*ratelimiter.Reservation).Cancel, 0},
		"less":         {func(r *ratelimiter.Reservation) { r.Settle(ratelimiter.Usage{TotalTokens: 10}) }, 0},
		"more":         {func(r *ratelimiter.Reservation) { r.Settle(ratelimiter.Usage{TotalTokens: 120}) }, 100*time.Second + time.Second/10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newStore()
				l := newWarm(t, ratelimiter.WithBackend(f), ratelimiter.WithFallback(ratelimiter.Limits{TPM: 60}))
				f.down.Store(true)
				x.end(acquire(t, l, tokens(60)))
				synctest.Wait()
				start := time.Now()
				acquire(t, l, tokens(40)).Settle(ratelimiter.Usage{})
				if waited := time.Since(start).Truncate(time.Millisecond); waited != x.wait {
					t.Errorf("waited %v; want %v", waited, x.wait)
				}
				if err := l.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// One ask that is lost is no outage if others are answered meanwhile.
func TestLostAskIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Int64
		f := newStore()
		f.before = func(ask backend.Ask) error {
			if !wants(ask, 300) {
				return nil
			}
			time.Sleep(time.Second) // until that is noticed
			return errAway
		}
		l := newWarm(t, ratelimiter.WithBackend(f), ratelimiter.WithFallback(ratelimiter.Limits{TPM: 60}),
			ratelimiter.WithTrace(&ratelimiter.Trace{Backend: func(error) { away.Add(1) }}))
		var work sync.WaitGroup
		work.Go(func() { acquire(t, l, tokens(300)).Settle(ratelimiter.Usage{}) })
		time.Sleep(time.Second / 2)
		acquire(t, l, tokens(100)).Settle(ratelimiter.Usage{})
		work.Wait()
		if got := remaining(t, l, "m", "tpm"); got != 505 || away.Load() > 0 {
			t.Errorf("%d tokens remain in a store that was said to be away or back %d times", got, away.Load())
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// What stood in line in one outage is in nobody's way in the next.
func TestNextOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newStore()
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(f),
			ratelimiter.WithShared("f", ratelimiter.Limits{RPM: 600}, "m", "n"),
			ratelimiter.WithFallback(ratelimiter.Limits{RPM: 4}))
		warm(t, l, "m")
		warm(t, l, "n")
		calls := func(model string, n int) *sync.WaitGroup {
			var work sync.WaitGroup
			for range n {
				work.Go(func() {
					acquire(t, l, ratelimiter.Cost{Model: model}).Settle(ratelimiter.Usage{})
				})
			}
			return &work
		}
		f.down.Store(true)
		work := calls("m", 8)
		time.Sleep(2 * time.Second)
		f.down.Store(false)
		start := time.Now()
		work.Wait()
		if waited := time.Since(start); waited > 2*time.Second {
			t.Errorf("served %v after the store was back", waited)
		}
		time.Sleep(time.Minute)
		f.down.Store(true)
		start = time.Now()
		calls("n", 4).Wait()
		if waited := time.Since(start); waited > time.Second {
			t.Errorf("waited %v in the next outage", waited)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A call above the fallback's limits starts on a full bucket, leaves its whole
// debt, and harms nobody beside it.
func TestCallAboveTheFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newStore()
		l := newWarm(t, ratelimiter.WithBackend(f), ratelimiter.WithFallback(ratelimiter.Limits{TPM: 60}))
		f.down.Store(true)
		start := time.Now()
		acquire(t, l, tokens(60)).Settle(ratelimiter.Usage{})
		want := map[int64]time.Duration{ // a token a second; a tenth of one is held back
			5:   5100 * time.Millisecond,
			500: 65 * time.Second,
			6:   (65+500-60+6)*time.Second + 100*time.Millisecond,
		}
		var work sync.WaitGroup
		for _, n := range []int64{5, 500, 6} {
			work.Go(func() {
				acquire(t, l, tokens(n)).Settle(ratelimiter.Usage{})
				if waited := time.Since(start); waited < want[n] || waited > want[n]+time.Second {
					t.Errorf("%d tokens: waited %v; want %v", n, waited, want[n])
				}
			})
			synctest.Wait()
		}
		work.Wait()
		if d, err := l.Delay(t.Context(), tokens(600)); err != nil || d < 54*time.Second {
			t.Errorf("a delay of %v, %v; want until the bucket is full", d, err)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The server's word that it is to be left alone is not lost with the store that
// should have kept it: neither here nor, when that is back, for the others.
func TestPauseWhileTheStoreIsAway(t *testing.T) {
	const pause = 30 * time.Second
	for name, option := range map[string]ratelimiter.Option{
		"refuse": nil, "pass": ratelimiter.WithFailOpen(), "fallback": ratelimiter.WithFallback(ratelimiter.Limits{RPM: 60}),
	} {
		for _, away := range []time.Duration{0, 500 * time.Millisecond, 5 * time.Second} {
			t.Run(fmt.Sprintf("%s, %v", name, away), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newStore()
					l := newWarm(t, ratelimiter.WithBackend(f), option)
					other := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(f),
						ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 600}))
					spent := acquire(t, l, tokens(400))
					answer := make(chan bool)
					client := l.Client(roundTripFunc(func(*http.Request) (*http.Response, error) {
						<-answer
						return throttled(), nil
					}))
					var work sync.WaitGroup
					call := func() {
						work.Go(func() { post(t, client, chatURL, chatBody("m", 1, false)) })
						synctest.Wait()
					}
					charged := option == nil || name == "fallback" && away == 0 // by the store, else by who stands in
					if charged {
						call()
					}
					f.down.Store(true)
					if !charged {
						call()
					}
					if _, err := l.Acquire(t.Context(), tokens(1)); (err != nil) != (option == nil) {
						t.Fatal(err)
					}
					if away == 0 {
						f.down.Store(false)
						spent.Cancel()
					}
					close(answer)
					told := time.Now()
					work.Wait()
					synctest.Wait()
					if away == 0 || name == "fallback" {
						work.Go(func() { startsAt(t, l, told.Add(pause)) })
					}
					time.Sleep(away)
					f.down.Store(false)
					if away > 0 {
						time.Sleep(pause / 2) // the pause is told again
					}
					startsAt(t, other, told.Add(pause))
					startsAt(t, l, told.Add(pause))
					work.Wait()
					if got := remaining(t, l, "m", "tpm"); away == 0 && got < 590 {
						t.Errorf("%d tokens remain: what a call gave back in that second is lost", got)
					}
					for _, l := range []*ratelimiter.Limiter{l, other} {
						if err := l.Shutdown(t.Context()); err != nil {
							t.Error(err)
						}
					}
				})
			})
		}
	}
}

// A pause of a family holds for all its models, although the fallback of an account
// knows no families.
func TestPauseOfAFamilyInTheFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newStore()
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(f),
			ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 600}),
			ratelimiter.WithShared("f", ratelimiter.Limits{TPM: 600}, "m", "n"),
			ratelimiter.WithFallback(ratelimiter.Limits{RPM: 60}))
		warm(t, l, "m")
		f.down.Store(true)
		client := l.Client(roundTripFunc(func(*http.Request) (*http.Response, error) { return throttled(), nil }))
		post(t, client, chatURL, chatBody("m", 1, false))
		told := time.Now()
		synctest.Wait()
		acquire(t, l, ratelimiter.Cost{Model: "n"}).Settle(ratelimiter.Usage{})
		if waited := time.Since(told); waited < 30*time.Second {
			t.Errorf("waited %v", waited)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Shutdown does not wait until a store that is away can be told of a pause.
func TestShutdownWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newStore()
		l := newWarm(t, ratelimiter.WithBackend(f))
		client := l.Client(roundTripFunc(func(*http.Request) (*http.Response, error) {
			f.down.Store(true)
			return throttled(), nil
		}))
		post(t, client, chatURL, chatBody("m", 1, false))
		start := time.Now()
		if err := l.Shutdown(t.Context()); err != nil || time.Since(start) > time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// throttled is a 429 that asks for a pause of half a minute.
func throttled() *http.Response {
	return &http.Response{
		StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"30"}},
		Body: io.NopCloser(strings.NewReader(`{"error":{"message":"Rate limit reached for m on tokens per min (TPM): Limit 600, Used 600, Requested 300. Please try again in 30s."}}`)),
	}
}

// startsAt makes a call that must not start before that time, but soon after.
func startsAt(t *testing.T, l *ratelimiter.Limiter, at time.Time) {
	t.Helper()
	acquire(t, l, tokens(1)).Settle(ratelimiter.Usage{})
	if late := time.Since(at); late < 0 || late > 5*time.Second {
		t.Errorf("started %v after the pause", late)
	}
}

// While the fallback stands in nobody knows how the buckets stand, and State says so.
func TestStateWhileTheFallbackStandsIn(t *testing.T) {
	for name, option := range map[string]ratelimiter.Option{
		"fallback":  ratelimiter.WithFallback(ratelimiter.Limits{RPM: 2000, TPM: 100_000}),
		"fail open": ratelimiter.WithFailOpen(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newStore()
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(f), option,
					ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60, TPM: 600}))
				warm(t, l, "m")
				check := func(unknown bool, rpm, tpm int64) {
					t.Helper()
					limits := limitsOf(t, l, "m")
					for name, want := range map[string]int64{"rpm": rpm, "tpm": tpm} {
						got := limits[name]
						if got.Unknown != unknown || got.Remaining != want || got.Reset < 0 || got.Remaining > got.Limit {
							t.Errorf("%+v; want %d remaining", got, want)
						}
						if unknown && got.Reset != 0 {
							t.Errorf("%s is full in %v", name, got.Reset)
						}
					}
				}
				check(false, 60, 600)
				f.down.Store(true)
				for range 10 {
					acquire(t, l, tokens(10)).Settle(ratelimiter.Usage{})
				}
				check(true, 0, 0)
				if d, err := l.Delay(t.Context(), tokens(10)); d != 0 || err != nil {
					t.Errorf("%v, %v", d, err)
				}
				f.down.Store(false)
				time.Sleep(2 * time.Second)
				acquire(t, l, tokens(0)).Cancel()
				synctest.Wait()
				check(false, 60, 600)
				if err := l.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
