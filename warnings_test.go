package ratelimiter_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// logged is a logger without times, and what it has written.
func logged() (*slog.Logger, *lines) {
	var w lines
	return slog.New(slog.NewTextHandler(&w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})), &w
}

// lines is a buffer that may be written and read at once.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns what was written since the last call.
func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// A wait of more than half a minute is a warning in the default log, once a minute for all
// calls of the model.
func TestLongWaitsAreWarnedOf(t *testing.T) {
	logger, log := logged()
	was := slog.Default()
	slog.SetDefault(logger)
	defer slog.SetDefault(was)
	eachStore(t, func(t *testing.T, store ratelimiter.Option) {
		l := newWarm(t, store)
		log.take()
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{}) })
			synctest.Wait()
			time.Sleep(time.Second)
		}
		time.Sleep(25*time.Second - time.Millisecond)
		if got := log.take(); got != "" {
			t.Errorf("too early: %s", got)
		}
		time.Sleep(time.Second)
		want := `level=WARN msg="ratelimiter: calls wait long" ratelimiter.model=m ratelimiter.waited=30s ratelimiter.limit="600 tokens per minute" ratelimiter.wait_at_least=30s ratelimiter.ahead=0 ratelimiter.waiting=5` + "\n"
		if got := log.take(); got != want {
			t.Errorf("warned %swant   %s", got, want)
		}
		time.Sleep(59 * time.Second)
		if got := log.take(); got != "" {
			t.Errorf("too often: %s", got)
		}
		time.Sleep(2 * time.Second)
		if got := log.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "ratelimiter.ahead=0 ratelimiter.waiting=4") {
			t.Errorf("after a minute: %s", got)
		}
		wg.Wait()
		// Nobody waits, and no warning comes.
		log.take()
		time.Sleep(time.Hour)
		if got := log.take(); got != "" {
			t.Errorf("nobody waits: %s", got)
		}
	})
}

// Where no limit is known, the warning names the pace that throttles have shown.
func TestLongWaitForThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := logged()
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 2}), openaitest.WithDialect(openaitest.OpenRouter),
			openaitest.WithLatency(50*time.Millisecond, 100*time.Millisecond))
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(logger, 0))
		press(t, l.Client(srv.Direct()), chatURL, 4, 4*time.Minute, chatBody("m", 1, false))
		if got := log.take(); !strings.Contains(got, `ratelimiter.limit="the pace of the model's calls" ratelimiter.wait_at_least=`) {
			t.Errorf("warned %s", got)
		}
	})
}

// Where calls wait for one that is in flight, the warning names that limit. Nobody knows how long
// they have yet to wait.
func TestLongWaitForASlot(t *testing.T) {
	for name, tt := range map[string]struct {
		class  string
		limits ratelimiter.Option
		want   string
	}{
		"of the model": {"", ratelimiter.WithLimits("m", ratelimiter.Limits{Concurrent: 1, RPM: 6000}),
			`waited=30s ratelimiter.limit="1 call in flight" ratelimiter.wait_at_least=0s ratelimiter.ahead=0 ratelimiter.waiting=1`},
		"of a class": {"batch", ratelimiter.WithClasses(map[string]ratelimiter.Class{"batch": {Weight: 1, Limits: ratelimiter.Limits{Concurrent: 2}}}),
			`ratelimiter.limit="2 calls in flight of class batch" `},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logger, log := logged()
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(logger, 0), tt.limits)
				ctx, cancel := context.WithCancel(ratelimiter.ContextWithClass(t.Context(), tt.class))
				for {
					brief := ratelimiter.ContextWithMaxWait(ctx, 0)
					if _, err := l.Acquire(brief, ratelimiter.Cost{Model: "m", Requests: 1}); err != nil {
						break
					}
				}
				var wg sync.WaitGroup
				wg.Go(func() { _, _ = l.Acquire(ctx, ratelimiter.Cost{Model: "m", Requests: 1}) })
				time.Sleep(31 * time.Second)
				cancel()
				wg.Wait()
				if got := log.take(); !strings.Contains(got, tt.want) {
					t.Errorf("warned %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// Another logger, another time, and none.
func TestWithWarnings(t *testing.T) {
	other, log := logged()
	for name, tt := range map[string]struct {
		logger *slog.Logger
		after  time.Duration
		want   int
	}{
		"another logger": {other, 0, 1},
		"sooner":         {other, time.Second, 1},
		"later":          {other, time.Minute, 0},
		"none":           {nil, time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newWarm(t, ratelimiter.WithWarnings(tt.logger, tt.after))
				log.take()
				leave := queue(t, l, 1)
				time.Sleep(45 * time.Second)
				leave()
				if got := log.take(); strings.Count(got, "\n") != tt.want {
					t.Errorf("%q; want %d lines", got, tt.want)
				}
			})
		})
	}
	if _, err := ratelimiter.New(ratelimiter.WithWarnings(nil, -1)); err == nil {
		t.Error("a negative time is taken")
	}
}

// A handler that panics does so in the call that waits, and costs nobody else anything.
func TestWarningThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t, ratelimiter.WithWarnings(slog.New(panicking{}), 0))
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		if p := panics(func() { acquire(t, l, tokens(600)) }); p != "handler" {
			t.Errorf("recovered %v", p)
		}
		if waiting, _ := inLine(t, l, "m"); waiting != 0 {
			t.Errorf("%d wait", waiting)
		}
		acquire(t, l, tokens(100)).Cancel()
	})
}

type panicking struct{ slog.Handler }

func (panicking) Enabled(context.Context, slog.Level) bool  { return true }
func (panicking) Handle(context.Context, slog.Record) error { panic("handler") }

// WaitingInfo.Wait is how long the call will wait at least, for all who wait, and about what
// Delay has said.
func TestWaitOfAll(t *testing.T) {
	eachStore(t, func(t *testing.T, store ratelimiter.Option) {
		l := newWarm(t, store)
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		var wg sync.WaitGroup
		for i := range 20 {
			forecast, err := l.Delay(t.Context(), tokens(200))
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				begun := time.Now()
				var said time.Duration
				ctx := ratelimiter.ContextWithTrace(t.Context(), &ratelimiter.Trace{
					Waiting: func(_ context.Context, i ratelimiter.WaitingInfo) { said = i.Wait },
				})
				r, err := l.Acquire(ctx, tokens(200))
				if err != nil {
					t.Error(err)
				}
				r.Settle(ratelimiter.Usage{})
				waited := time.Since(begun)
				if said < forecast-time.Second || said > waited+time.Second || said < waited-2*time.Second {
					t.Errorf("call %d: said %v, Delay %v, waited %v", i, said, forecast, waited)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
	})
}

// A call whose time is up says for what it waited, and how long it still would.
func TestWaitThatTimesOut(t *testing.T) {
	for name, ctx := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"max wait": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return ratelimiter.ContextWithMaxWait(ctx, 45*time.Second), func() {}
		},
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 45*time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, store ratelimiter.Option) {
				l := newWarm(t, store, ratelimiter.WithWarnings(nil, 0))
				held := acquire(t, l, tokens(600)) // may come back, so that the wait is not hopeless
				leave := make(chan struct{})
				go func() {
					defer close(leave)
					first, err := l.Acquire(t.Context(), tokens(500))
					if err != nil {
						t.Error(err)
					}
					first.Cancel()
				}()
				synctest.Wait()
				ctx, cancel := ctx(t.Context())
				defer cancel()
				_, err := l.Acquire(ctx, tokens(300))
				var e *ratelimiter.Error
				if !errors.As(err, &e) {
					t.Fatal(err)
				}
				// 800 tokens at ten a second, of which 45 s have passed.
				if e.Unit != "tokens" || e.Limit != 600 || e.Need != 300 || e.Waited < 44*time.Second ||
					e.RetryAfter() < 34*time.Second || e.RetryAfter() > 37*time.Second {
					t.Errorf("%+v, RetryAfter %v", e, e.RetryAfter())
				}
				for _, want := range []string{"it has waited 45s, and would wait at least 35s more for 300 tokens of 600 per minute"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q does not contain %q", err, want)
					}
				}
				held.Cancel()
				<-leave
			})
		})
	}
}
