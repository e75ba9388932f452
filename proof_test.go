package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// What another limiter clears, or a pause that it lifts, is noticed within a second by calls
// that would not wait for long: of the same model, and of another of its family.
func TestClearByAnotherProcess(t *testing.T) {
	for name, shared := range map[string]func() backend.Backend{
		"memory": func() backend.Backend { return memory.New() },
		"store":  func() backend.Backend { return newStore() },
		"mute": func() backend.Backend {
			s := newStore()
			s.mute = true
			return s
		},
	} {
		for _, paused := range []bool{false, true} {
			for _, other := range []string{"m", "n"} {
				for _, deadline := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/paused %v/of %s/deadline %v", name, paused, other, deadline), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							store := shared()
							options := []ratelimiter.Option{
								ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store), ratelimiter.WithMaxPause(time.Hour),
								ratelimiter.WithShared("f", ratelimiter.Limits{RPD: 100}, "m", "n"),
							}
							one, two := newLimiter(t, options...), newLimiter(t, options...)
							warm(t, one, other)
							warm(t, two, "m")
							acquire(t, two, ratelimiter.Cost{Model: "n"}).Cancel()
							if paused {
								client := one.Client(roundTripFunc(func(*http.Request) (*http.Response, error) {
									resp := throttled()
									resp.Header.Set("Retry-After", "3000")
									return resp, nil
								}))
								post(t, client, chatURL, chatBody(other, 1, false))
								time.Sleep(time.Second)
							}
							call := ratelimiter.Cost{Model: other, Requests: 90}
							again := func() error {
								ctx := ratelimiter.ContextWithMaxWait(t.Context(), 2*time.Second)
								if deadline {
									var cancel context.CancelFunc
									ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
									defer cancel()
								}
								r, err := one.Acquire(ctx, call)
								if err == nil {
									r.Settle(ratelimiter.Usage{})
								}
								return err
							}
							if !paused {
								if err := again(); err != nil {
									t.Fatal(err)
								}
							}
							if err := again(); err == nil {
								t.Fatal("was not rejected")
							}
							cleared := "m" // and with it the family
							if paused {
								cleared = other
							}
							if err := two.Clear(t.Context(), cleared); err != nil {
								t.Fatal(err)
							}
							time.Sleep(time.Second + time.Millisecond)
							call.Requests = 50
							if err := again(); err != nil {
								t.Error(err)
							}
							for _, l := range []*ratelimiter.Limiter{one, two} {
								if err := l.Shutdown(t.Context()); err != nil {
									t.Error(err)
								}
							}
						})
					})
				}
			}
		}
	}
}

// A process that has made no calls clears what others have spent all the same: of a model, of
// the account, and the ceilings of classes.
func TestClearByAProcessWithoutCalls(t *testing.T) {
	for name, options := range map[string][]ratelimiter.Option{
		"a model":    {ratelimiter.WithLimits("m", ratelimiter.Limits{RPD: 100})},
		"a family":   {ratelimiter.WithShared("f", ratelimiter.Limits{RPD: 100}, "m", "n")},
		"an account": {ratelimiter.WithAccountLimits(ratelimiter.Limits{RPD: 100})},
		"a class": {ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 6000}),
			ratelimiter.WithClasses(map[string]ratelimiter.Class{"batch": {Weight: 1, Limits: ratelimiter.Limits{RPD: 100}}})},
	} {
		for _, model := range []string{"m", ""} {
			t.Run(fmt.Sprintf("%s/of %q", name, model), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					options := append([]ratelimiter.Option{ratelimiter.WithAccount("a"), ratelimiter.WithBackend(memory.New())}, options...)
					one, two := newLimiter(t, options...), newLimiter(t, options...)
					warm(t, one, "m")
					time.Sleep(time.Minute)
					ctx := ratelimiter.ContextWithMaxWait(t.Context(), time.Second)
					if name == "a class" {
						ctx = ratelimiter.ContextWithClass(ctx, "batch")
					}
					call := ratelimiter.Cost{Model: "m", Requests: 100}
					again := func() error {
						r, err := one.Acquire(ctx, call)
						if err == nil {
							r.Settle(ratelimiter.Usage{})
						}
						return err
					}
					if err := again(); err != nil {
						t.Fatal(err)
					}
					if err := again(); err == nil {
						t.Fatal("was not rejected")
					}
					if err := two.Clear(t.Context(), model); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second + time.Millisecond)
					if err := again(); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// A retry starts before most of those who wait, and is judged by that.
func TestRetryWithADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60}))
		warm(t, l, "m")
		acquire(t, l, ratelimiter.Cost{Model: "m", Requests: 60}).Settle(ratelimiter.Usage{})
		var wg sync.WaitGroup
		for range 60 {
			wg.Go(func() { acquire(t, l, ratelimiter.Cost{Model: "m"}).Settle(ratelimiter.Usage{}) })
		}
		synctest.Wait()
		for _, x := range []struct {
			retry, within string
			ok            bool
		}{{"0", "20s", false}, {"1", "20s", true}, {"2", "500ms", false}} {
			d, _ := time.ParseDuration(x.within)
			ctx, cancel := context.WithTimeout(t.Context(), d)
			req := newRequest(t, ctx, chatURL, strings.NewReader(chatBody("m", 1, false)))
			req.Header.Set("X-Stainless-Retry-Count", x.retry)
			begun := time.Now()
			resp, err := l.Client(answering(usageBody)).Do(req)
			if err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			if took := time.Since(begun); (err == nil) != x.ok || took > 5*time.Second || !x.ok && (took > 0 || !errors.Is(err, ratelimiter.ErrDeadline)) {
				t.Errorf("retry %s within %s: %v after %v", x.retry, x.within, err, took)
			}
			cancel()
		}
		wg.Wait()
	})
}

// Three in ten responses, at random, report another limit. They cost next to nothing, and
// what really falls is followed within a minute, with them and without.
func TestMinorityIsNotAdopted(t *testing.T) {
	for _, x := range []struct {
		name  string
		part  float64
		times int64
		rest  bool // of the headers is right
		day   bool // they tell of a day instead
	}{
		{"none", 0, 1, true, false},
		{"a tenth", 0.3, 10, false, false},
		{"a hundredth", 0.3, 100, false, false},
		{"a tenth, the rest is right", 0.3, 10, true, false},
		{"a day's", 0.3, 1, true, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const rpm = 600
				random := rand.New(rand.NewPCG(1, uint64(x.times)))
				var mu sync.Mutex
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: rpm, TPM: 1_000_000}),
					openaitest.WithLatency(300*time.Millisecond, time.Second),
					openaitest.WithHeader(func(_ *openaitest.Call, _ int, h http.Header) {
						mu.Lock()
						lies := random.Float64() < x.part
						mu.Unlock()
						if !lies {
							return
						}
						for _, kind := range []string{"Requests", "Tokens"} {
							if x.day {
								h.Set("X-Ratelimit-Limit-"+kind, "10000")
								h.Set("X-Ratelimit-Remaining-"+kind, "9999")
								h.Set("X-Ratelimit-Reset-"+kind, "8.64s")
								continue
							}
							limit, _ := strconv.ParseInt(h.Get("X-Ratelimit-Limit-"+kind), 10, 64)
							h.Set("X-Ratelimit-Limit-"+kind, strconv.FormatInt(limit/x.times, 10))
							if !x.rest {
								h.Set("X-Ratelimit-Remaining-"+kind, "0")
								h.Set("X-Ratelimit-Reset-"+kind, "1m0s")
							}
						}
					}))
				l := newLimiter(t, ratelimiter.WithAccount("a"))
				const minutes = 15
				// The first report may be one of them, and each call then takes long.
				busy(t, l.Client(srv.Direct()), 40, 5*time.Minute, chatBody("m", 1200, false))
				n := busy(t, l.Client(srv.Direct()), 40, minutes*time.Minute, chatBody("m", 1200, false))
				if want := rpm * minutes; n < want*95/100 {
					t.Errorf("%d responses in %d minutes; want %d at least", n, minutes, want*95/100)
				}
				if refused := srv.Account("m").Throttled; refused > rpm*minutes/200 {
					t.Errorf("%d were refused", refused)
				}
				srv.SetLimits("m", openaitest.Limits{RPM: rpm / 2, TPM: 500_000})
				busy(t, l.Client(srv.Direct()), 40, time.Minute, chatBody("m", 1200, false))
				if got := limitsOf(t, l, "m"); got["rpm"].Limit != rpm/2 {
					t.Errorf("a minute after the limits fell: %+v", got)
				}
				// Most calls were refused in that minute, and tell nothing of tokens.
				busy(t, l.Client(srv.Direct()), 40, time.Minute, chatBody("m", 1200, false))
				if got := limitsOf(t, l, "m"); got["tpm"].Limit != 500_000 || len(got) != 2 {
					t.Errorf("two minutes after: %+v", got)
				}
			})
		})
	}
}
