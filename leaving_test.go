package ratelimiter_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// leaving are the ways in which a call gives up a second after it came, and the error
// that it then gets. Its limiter is shut down by end, where that is the way.
var leaving = []struct {
	name string
	ctx  func(context.Context) (context.Context, context.CancelFunc)
	end  bool
	want error
}{
	{"cancelled", func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Second, cancel)
		return ctx, cancel
	}, false, context.Canceled},
	{"longest wait", func(ctx context.Context) (context.Context, context.CancelFunc) {
		return ratelimiter.ContextWithMaxWait(ctx, time.Second), func() {}
	}, false, ratelimiter.ErrMaxWait},
	{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, time.Second)
	}, false, ratelimiter.ErrDeadline},
	{"shutdown", func(ctx context.Context) (context.Context, context.CancelFunc) {
		return ctx, func() {}
	}, true, ratelimiter.ErrShutdown},
}

// A call that stands alone is asked for at once. Its caller may leave while the store
// takes its time to grant it: the charge goes back when it has.
func TestCallThatLeavesDuringItsAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.after = func(ask backend.Ask, _ backend.Answer) error {
			if wants(ask, 100) {
				time.Sleep(2 * time.Second)
			}
			return nil
		}
		l := newWarm(t, ratelimiter.WithBackend(s))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		r, err := l.Acquire(ctx, tokens(100))
		if !errors.Is(err, context.DeadlineExceeded) || r != nil {
			t.Fatalf("%v, %v", r, err)
		}
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("the caller waited %v", waited)
		}
		time.Sleep(time.Second) // until the store has answered
		synctest.Wait()
		leftNothing(t, l)
	})
}

// leftNothing checks that calls have left all of the budget, and nobody in line or in flight.
func leftNothing(t *testing.T, l *ratelimiter.Limiter) {
	t.Helper()
	if tokens, requests := remaining(t, l, "m", "tpm"), remaining(t, l, "m", "rpm"); tokens != 600 || requests != 600 {
		t.Errorf("%d tokens and %d requests remain; want all", tokens, requests)
	}
	if state := scopeOf(t, l, "m"); state.InFlight != 0 || state.Waiting != 0 {
		t.Errorf("%+v", state)
	}
}

// A call that leaves the line while the ask is under way that grants it gets its charge
// back, however it leaves.
func TestCallThatLeavesTheLineDuringItsAsk(t *testing.T) {
	for _, way := range leaving {
		t.Run(way.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				var slow sync.Once
				asked := make(chan struct{})
				s.after = func(ask backend.Ask, answer backend.Answer) error {
					if wants(ask, 500) && answer.Granted > 0 {
						slow.Do(func() {
							close(asked)
							time.Sleep(5 * time.Second)
						})
					}
					return nil
				}
				l := newWarm(t, ratelimiter.WithBackend(s))
				all := acquire(t, l, tokens(600))
				ctx, cancel := way.ctx(t.Context())
				defer cancel()
				gone := make(chan error)
				go func() {
					_, err := l.Acquire(ctx, tokens(500))
					gone <- err
				}()
				synctest.Wait()
				time.Sleep(500 * time.Millisecond)
				all.Cancel() // so that the next ask is granted
				<-asked
				if way.end {
					go func() { _ = l.Shutdown(t.Context()) }()
				}
				if err := <-gone; !errors.Is(err, way.want) {
					t.Errorf("%v; want %v", err, way.want)
				}
				time.Sleep(6 * time.Second) // less than 500 tokens take to refill
				leftNothing(t, l)
			})
		})
	}
}

// A call that is granted in the very moment in which it gives up either starts or gets
// its charge back. Both are seen at once where its hook has kept it from looking.
func TestGrantAndGivingUpAtOnce(t *testing.T) {
	for _, way := range leaving {
		t.Run(way.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				granted, left := 0, 0
				for range 30 { // but for Shutdown the runtime picks one of the two by chance
					l := newWarm(t)
					all := acquire(t, l, tokens(600))
					time.AfterFunc(500*time.Millisecond, all.Cancel)
					if way.end {
						time.AfterFunc(time.Second, func() { _ = l.Shutdown(context.Background()) })
					}
					ctx, cancel := way.ctx(ratelimiter.ContextWithTrace(t.Context(), &ratelimiter.Trace{
						Waiting: func(context.Context, ratelimiter.WaitingInfo) { time.Sleep(2 * time.Second) },
					}))
					r, err := l.Acquire(ctx, tokens(100))
					cancel()
					switch {
					case err == nil:
						granted++
						r.Cancel()
					case errors.Is(err, way.want), errors.Is(way.want, ratelimiter.ErrDeadline) && errors.Is(err, context.DeadlineExceeded):
						left++
					default:
						t.Errorf("%v; want %v", err, way.want)
					}
					synctest.Wait()
					leftNothing(t, l)
				}
				if (left == 0) != way.end { // Shutdown rejects only those who wait still
					t.Errorf("%d have left, %d were granted", left, granted)
				}
			})
		})
	}
}

// A call that nobody was given has used nothing, but that says nothing about calls: how
// long those wait that use all they are charged is as certain as before.
func TestCallThatLeftTeachesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.after = func(ask backend.Ask, _ backend.Answer) error {
			if wants(ask, 200) {
				time.Sleep(2 * time.Second)
			}
			return nil
		}
		l := newWarm(t, ratelimiter.WithBackend(s))
		for range 30 {
			acquire(t, l, tokens(10)).Settle(ratelimiter.Usage{TotalTokens: 10})
		}
		rejected := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			start := time.Now()
			_, err := l.Acquire(ctx, tokens(500))
			if waited := time.Since(start); waited > 0 {
				t.Errorf("rejected after %v", waited)
			}
			return err
		}
		if err := rejected(); !errors.Is(err, ratelimiter.ErrDeadline) {
			t.Fatal(err)
		}
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := l.Acquire(ctx, tokens(200)); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			cancel()
		}
		synctest.Wait()
		acquire(t, l, tokens(300)).Settle(ratelimiter.Usage{TotalTokens: 300})
		if err := rejected(); !errors.Is(err, ratelimiter.ErrDeadline) {
			t.Errorf("%v; want ErrDeadline", err)
		}
	})
}

// Where several calls are granted at once, what the first response says of the server's
// bucket is compared to where ours stood after its own call, not after the last.
func TestGrantOfSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rpm, tpm = 100_000, 100_000_000 // so many that a turn is of as many calls as there may be
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: rpm, TPM: tpm}),
			openaitest.WithPromptEstimate(func(c *openaitest.Call) int64 { return c.PromptTokens }),
			openaitest.WithAnswer(func(c *openaitest.Call) openaitest.Answer { return openaitest.Answer{OutputTokens: c.Declared} }),
			openaitest.WithTiming(func(c *openaitest.Call) openaitest.Timing {
				if c.Seq == 1 { // whose ticket was in line before the others came: it is granted alone
					return openaitest.Timing{Total: time.Second}
				}
				return openaitest.Timing{}
			}))
		s := newStore()
		most := 0
		s.after = func(_ backend.Ask, answer backend.Answer) error { most = max(most, answer.Granted); return nil }
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(s), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: rpm, TPM: tpm}))
		warm(t, l, "m")
		all := acquire(t, l, tokens(tpm))
		var wg sync.WaitGroup
		for i := range 1 + backend.MaxCosts {
			client := l.Client(roundTripFunc(func(r *http.Request) (*http.Response, error) {
				time.Sleep(time.Duration(i) * time.Microsecond) // the server gets them in order
				return srv.Direct().RoundTrip(r)
			}))
			wg.Go(func() { post(t, client, chatURL, chatBody("m", 2000, false)) })
			synctest.Wait()
		}
		all.Cancel() // which lets all of them start
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if most != backend.MaxCosts {
			t.Fatalf("%d were granted at once; want %d", most, backend.MaxCosts)
		}
		got := limitsOf(t, l, "m")
		for name, limit := range map[string]openaitest.Limit{"rpm": openaitest.RPM, "tpm": openaitest.TPM} {
			there := srv.Account("m").Bucket(limit)
			// A call's tokens more or less show; what refills while they are on their way does
			// not, nor does half a request, for Remaining is a whole number.
			call := map[string]float64{"rpm": 2, "tpm": 2012}[name]
			used := float64(got[name].Limit - got[name].Remaining)
			if used < there.Used-call/2 || used > there.Used+call/2 {
				t.Errorf("%s: %v are used; %v are at the server", name, used, there.Used)
			}
		}
		wg.Wait()
	})
}
