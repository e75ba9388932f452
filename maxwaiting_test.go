package ratelimiter_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// queue lets n calls wait for a budget that is used up, one a second, and returns what ends
// them.
func queue(t *testing.T, l *ratelimiter.Limiter, n int) (leave func()) {
	t.Helper()
	acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range n {
		if i > 0 {
			time.Sleep(time.Second)
		}
		wg.Go(func() {
			if _, err := l.Acquire(ctx, tokens(600)); !errors.Is(err, context.Canceled) {
				t.Errorf("a call in line: %v", err)
			}
		})
		synctest.Wait()
	}
	return func() { cancel(); wg.Wait() }
}

// wantFull fails the test unless the call is rejected at once since so many wait.
func wantFull(t *testing.T, l *ratelimiter.Limiter, ctx context.Context, waiting int, oldest time.Duration) {
	t.Helper()
	start := time.Now()
	_, err := l.Acquire(ctx, tokens(1))
	var full *ratelimiter.Error
	if !errors.Is(err, ratelimiter.ErrQueueFull) || !errors.As(err, &full) {
		t.Fatalf("error %v", err)
	}
	if full.Waiting != waiting || full.Oldest != oldest || full.Model != "m" || full.Account != "a" || full.Cost.Tokens != 1 {
		t.Errorf("%+v; want %d in line, the oldest for %v", full, waiting, oldest)
	}
	if waited := time.Since(start); waited != 0 {
		t.Errorf("rejected after %v", waited)
	}
	if waiting, oldest := inLine(t, l, "m"); waiting != full.Waiting || oldest != full.Oldest {
		t.Errorf("%d wait, the oldest for %v; the error says %+v", waiting, oldest, full)
	}
}

// A full queue rejects the next call at once, and takes one again when somebody has left.
func TestQueueFull(t *testing.T) {
	for name, options := range map[string]func() []ratelimiter.Option{
		"memory": func() []ratelimiter.Option { return nil },
		"store":  func() []ratelimiter.Option { return []ratelimiter.Option{ratelimiter.WithBackend(newStore())} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newWarm(t, append(options(), ratelimiter.WithMaxWaiting(3))...)
				leave := queue(t, l, 3)
				wantFull(t, l, t.Context(), 3, 2*time.Second)

				// Calls of another model, or of another account, have queues of their own.
				acquire(t, l, ratelimiter.Cost{Model: "n", Tokens: 1}).Cancel()
				if r, err := l.Acquire(ratelimiter.ContextWithAccount(t.Context(), "b"), tokens(1)); err != nil {
					t.Error(err)
				} else {
					r.Cancel()
				}
				leave()
				acquire(t, l, tokens(100)).Cancel() // waits, and may
			})
		})
	}
}

// A class with limits of its own has places of its own, and takes none of the others'.
func TestQueueFullOfAClassWithLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, batch := warmBatch(t, ratelimiter.WithMaxWaiting(2), batchAt(ratelimiter.Limits{TPM: 60}))
		acquireIn(t, l, batch, tokens(60)).Settle(ratelimiter.Usage{TotalTokens: 60})
		acquire(t, l, tokens(540)).Settle(ratelimiter.Usage{TotalTokens: 540})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, class := range []string{"batch", "chat"} {
			of := ratelimiter.ContextWithClass(ctx, class)
			for range 2 {
				wg.Go(func() {
					if _, err := l.Acquire(of, tokens(60)); !errors.Is(err, context.Canceled) {
						t.Errorf("a call of class %q in line: %v", class, err)
					}
				})
			}
			synctest.Wait()
			var full *ratelimiter.Error
			if _, err := l.Acquire(of, tokens(1)); !errors.As(err, &full) || full.Reason != ratelimiter.ErrQueueFull || full.Waiting != 2 || full.Class != class {
				t.Errorf("a third call of class %q: %+v", class, err)
			}
		}
		cancel()
		wg.Wait()
	})
}

// Many calls at once that ask by themselves: no more of them wait than may.
func TestQueueFullAtOnce(t *testing.T) {
	for name, options := range map[string]func() []ratelimiter.Option{
		"memory": func() []ratelimiter.Option { return nil },
		"store":  func() []ratelimiter.Option { return []ratelimiter.Option{ratelimiter.WithBackend(newStore())} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newWarm(t, append(options(), ratelimiter.WithMaxWaiting(5))...)
				acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
				var wg sync.WaitGroup
				results := make(chan error, 100)
				for range 100 {
					wg.Go(func() {
						r, err := l.Acquire(t.Context(), tokens(10))
						if err == nil {
							r.Settle(ratelimiter.Usage{})
						}
						results <- err
					})
				}
				wg.Wait()
				close(results)
				started := 0
				for err := range results {
					if err == nil {
						started++
					} else if !errors.Is(err, ratelimiter.ErrQueueFull) {
						t.Error(err)
					}
				}
				if started != 5 {
					t.Errorf("%d of 100 calls waited and started; want 5", started)
				}
			})
		})
	}
}

// What can never start, and who waits for nothing, learns that instead.
func TestQueueFullIsTheLastReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t, ratelimiter.WithMaxWaiting(1))
		defer queue(t, l, 1)()
		if _, err := l.Acquire(t.Context(), tokens(601)); !errors.Is(err, ratelimiter.ErrTooLarge) {
			t.Errorf("a call that is too large: %v", err)
		}
		if _, err := l.Acquire(ratelimiter.ContextWithMaxWait(t.Context(), 0), tokens(1)); !errors.Is(err, ratelimiter.ErrMaxWait) {
			t.Errorf("a call that may not wait: %v", err)
		}
		wantFull(t, l, t.Context(), 1, 0)
	})
}

// Over HTTP the request is not sent, and its body is closed. A retry counts like any other.
func TestQueueFullOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t, ratelimiter.WithMaxWaiting(2))
		defer queue(t, l, 2)()
		srv := openaitest.New()
		body := &trackedBody{Reader: strings.NewReader(chatBody("m", 1, false))}
		req := newRequest(t, t.Context(), chatURL, body)
		req.Header.Set("X-Stainless-Retry-Count", "1")
		_, err := l.Client(srv.Direct()).Do(req)
		if !errors.Is(err, ratelimiter.ErrQueueFull) {
			t.Errorf("error %v", err)
		}
		if want := "ratelimiter: m: too many calls wait already: 2, the oldest for 1s: try again later, or raise WithMaxWaiting"; !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not contain %q", err, want)
		}
		if seen := srv.Account("m").Seen; seen != 0 || body.closed.Load() == 0 {
			t.Errorf("%d requests sent, the body closed %d times", seen, body.closed.Load())
		}
	})
}

// Whoever has most of the places for its share gives them up to those who have less: tenants
// get equal parts, classes by weight, and what one does not need another may have.
func TestQueueFullOfOneTenant(t *testing.T) {
	for name, tt := range map[string]struct {
		comes  [][3]string // class, tenant and how many calls, in this order
		waits  map[string]int
		places int // 12 if it is 0
	}{
		"one alone":                     {comes: [][3]string{{"", "flood", "40"}}, waits: map[string]int{"/flood": 12}},
		"a second":                      {comes: [][3]string{{"", "flood", "40"}, {"", "a", "3"}}, waits: map[string]int{"/flood": 9, "/a": 3}},
		"two floods":                    {comes: [][3]string{{"", "flood", "40"}, {"", "a", "40"}}, waits: map[string]int{"/flood": 6, "/a": 6}},
		"calls of no tenant":            {comes: [][3]string{{"", "flood", "40"}, {"", "", "40"}}, waits: map[string]int{"/flood": 6, "/": 6}},
		"four":                          {comes: [][3]string{{"", "flood", "40"}, {"", "a", "40"}, {"", "b", "3"}, {"", "c", "9"}}, waits: map[string]int{"/flood": 3, "/a": 3, "/b": 3, "/c": 3}},
		"a class of weight 3":           {comes: [][3]string{{"", "", "40"}, {"chat", "", "40"}}, waits: map[string]int{"/": 3, "chat/": 9}},
		"one of weight 3 that is first": {comes: [][3]string{{"chat", "", "40"}, {"", "", "40"}}, waits: map[string]int{"/": 3, "chat/": 9}},
		"a second, of two places":       {comes: [][3]string{{"", "flood", "9"}, {"", "a", "1"}}, waits: map[string]int{"/flood": 1, "/a": 1}, places: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				places := cmp.Or(tt.places, 12)
				l := newWarm(t, ratelimiter.WithMaxWaiting(places), ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {Weight: 3}}))
				acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				waits := map[string]int{}
				var mu sync.Mutex
				count := func(name string, n int) {
					mu.Lock()
					defer mu.Unlock()
					if waits[name] += n; waits[name] == 0 {
						delete(waits, name)
					}
				}
				for _, c := range tt.comes {
					n, err := strconv.Atoi(c[2])
					if err != nil {
						t.Fatal(err)
					}
					for range n {
						wg.Go(func() {
							name := c[0] + "/" + c[1]
							count(name, 1)
							_, err := l.Acquire(ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, c[0]), c[1]), tokens(600))
							var full *ratelimiter.Error
							switch {
							case errors.As(err, &full) && full.Reason == ratelimiter.ErrQueueFull:
								if full.Waiting != places || full.Class != c[0] || full.Tenant != c[1] {
									t.Errorf("%+v", full)
								}
								count(name, -1)
							case !errors.Is(err, context.Canceled):
								t.Error(err)
							}
						})
						synctest.Wait()
					}
				}
				mu.Lock()
				if !maps.Equal(waits, tt.waits) {
					t.Errorf("%v wait; want %v", waits, tt.waits)
				}
				mu.Unlock()
				cancel()
				wg.Wait()
			})
		})
	}
}
