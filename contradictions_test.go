package ratelimiter_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Answers that now and then tell another limit, or another period, cost next to
// nothing: not the limiter's own limits, and not what they let through.
func TestFiguresThatOthersContradict(t *testing.T) {
	const rpm = 600
	tests := []struct {
		name  string
		every int64 // answer lies, or only this one where once
		once  bool
		lie   map[string]string
	}{
		{"a limit of 1", 20, false, map[string]string{"Limit": "1", "Remaining": "0", "Reset": "1m0s"}},
		{"a limit of 60", 20, false, map[string]string{"Limit": "60", "Remaining": "0", "Reset": "1m0s"}},
		{"a limit ten times as high", 20, false, map[string]string{"Limit": "6000", "Remaining": "5999", "Reset": "10ms"}},
		{"a day of the same", 50, true, map[string]string{"Remaining": "0", "Reset": "24h0m0s"}},
		{"a day of its own", 50, true, map[string]string{"Limit": "10", "Remaining": "0", "Reset": "24h0m0s"}},
		{"a day at first", 1, true, map[string]string{"Remaining": "0", "Reset": "24h0m0s"}},
		{"a day of its own at first", 1, true, map[string]string{"Limit": "10", "Remaining": "0", "Reset": "24h0m0s"}},
		{"a renewal period of a day", 50, true, map[string]string{"Renewalperiod": "86400"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := openaitest.Limits{RPM: rpm, TPM: 1_000_000}
				srv := openaitest.New(openaitest.WithLimits("m", limits), openaitest.WithLatency(300*time.Millisecond, time.Second),
					openaitest.WithHeader(func(c *openaitest.Call, _ int, h http.Header) {
						if c.Seq%tt.every == 0 && (c.Seq == tt.every || !tt.once) {
							for name, value := range tt.lie {
								h["X-Ratelimit-"+name+"-Requests"] = []string{value}
							}
						}
					}))
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: rpm, TPM: 1_000_000}))
				const minutes = 20
				n := busy(t, l.Client(srv.Direct()), 50, minutes*time.Minute, chatBody("m", 1, false))
				if n < rpm*minutes*98/100 || srv.Account("m").Throttled > int64(n)/1000 {
					t.Errorf("%d answers in %d minutes, and %d refusals; want %d a minute", n, minutes, srv.Account("m").Throttled, rpm)
				}
				got := limitsOf(t, l, "m")
				if _, ok := got["rpd"]; ok || got["rpm"].Limit != rpm {
					t.Errorf("learned %+v", got)
				}
			})
		})
	}
}

// Two buckets behind one model name: what all calls may use is the smaller one.
func TestTwoLimitsBehindOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const short, long = 1_000_000, 200_000
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{TPM: short}),
			openaitest.WithHeader(func(c *openaitest.Call, _ int, h http.Header) {
				if c.Seq%2 == 0 {
					h.Set("X-Ratelimit-Limit-Tokens", "200000")
					h.Set("X-Ratelimit-Remaining-Tokens", "150000")
					h.Set("X-Ratelimit-Reset-Tokens", "15s")
				}
			}))
		l := newLimiter(t, ratelimiter.WithAccount("a"))
		c := l.Client(srv.Direct())
		for i := range 60 {
			post(t, c, chatURL, chatBody("m", 5000, false))
			if got := limitsOf(t, l, "m")["tpm"].Limit; i >= 24 && got != long {
				t.Fatalf("%d after %d answers", got, i+1)
			}
			time.Sleep(time.Second)
		}
	})
}

// What one answer says of a limit failsWithoutLimiter no call for good.
func TestOneResponseRejectsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answers atomic.Int64
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 100_000}),
			openaitest.WithHeader(func(_ *openaitest.Call, _ int, h http.Header) {
				if answers.Add(1) == 1 {
					h.Set("X-Ratelimit-Limit-Tokens", "500")
					h.Set("X-Ratelimit-Remaining-Tokens", "400")
					h.Set("X-Ratelimit-Reset-Tokens", "12s")
				}
			}))
		c := newLimiter(t, ratelimiter.WithAccount("a")).Client(srv.Direct())
		for _, n := range []int{10, 5000, 5000, 5000} {
			if status, answer := post(t, c, chatURL, chatBody("m", n, false)); status != http.StatusOK {
				t.Errorf("%d tokens: %d %s", n, status, answer)
			}
		}
	})
}

// A limit that a call was refused for is tried again when it may have been raised.
func TestRaisedLimitIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 10_000}))
		l := newLimiter(t, ratelimiter.WithAccount("a"))
		c := l.Client(srv.Direct())
		body := chatBody("m", 12_000, false)
		if status, _ := post(t, c, chatURL, body); status != http.StatusTooManyRequests {
			t.Fatalf("status %d of a call above the limit", status)
		}
		if _, err := c.Post(chatURL, "application/json", strings.NewReader(body)); !errors.Is(err, ratelimiter.ErrTooLarge) {
			t.Errorf("%v; want it refused without asking again", err)
		}
		srv.SetLimits("m", openaitest.Limits{RPM: 600, TPM: 1_000_000})
		time.Sleep(2 * time.Minute)
		if status, answer := post(t, c, chatURL, body); status != http.StatusOK {
			t.Errorf("%d after the limit was raised: %s", status, answer)
		}
	})
}

// A slow_down in quiet times holds nothing back that may always be sent, can be
// cleared, and holds for all processes.
func TestSlowDownOfAFleet(t *testing.T) {
	const rpm = 6000
	synctest.Test(t, func(t *testing.T) {
		var j journal
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: rpm, TPM: 10_000_000_000}), j.option())
		store := newKeeper()
		var clients []*http.Client
		var limiters []*ratelimiter.Limiter
		for range 4 {
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store),
				ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: rpm, TPM: 10_000_000_000}))
			limiters, clients = append(limiters, l), append(clients, l.Client(srv.Direct()))
		}
		each := func(d time.Duration) {
			var wg sync.WaitGroup
			for _, c := range clients {
				wg.Go(func() { busy(t, c, 10, d, chatBody("m", 1, false)) })
			}
			wg.Wait()
		}
		post(t, clients[0], chatURL, chatBody("m", 1, false))
		time.Sleep(10 * time.Minute)
		srv.Inject(1, openaitest.SlowDown(2*time.Second))
		post(t, clients[0], chatURL, chatBody("m", 1, false))
		if got := limitsOf(t, limiters[0], "m")["rpm"].Ramp; got != rpm/10 {
			t.Errorf("a ramp from %d a minute; want a tenth of the limit", got)
		}
		start := time.Now()
		each(time.Minute)
		if n := j.admitted(start.Add(20*time.Second), start.Add(50*time.Second)); n < rpm/10/2 || n > rpm/10/2*12/10 {
			t.Errorf("%d calls of four processes in half a minute; want about %d", n, rpm/10/2)
		}
		for _, l := range limiters {
			if err := l.Clear(t.Context(), "m"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		each(time.Second) // they exchange notes
		synctest.Wait()
		for i, l := range limiters {
			if ramp := limitsOf(t, l, "m")["rpm"].Ramp; ramp != 0 {
				t.Errorf("process %d: a ramp from %d a minute after Clear", i, ramp)
			}
		}
	})
}

// A subwindow that failsWithoutLimiter nothing for an hour is forgotten, by a fleet too.
func TestSubwindowsOfAFleetAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := openaitest.Limits{RPM: 600, TPM: 1_000_000}
		subwindowed := openaitest.New(openaitest.WithLimits("m", limits), openaitest.WithSubwindows(openaitest.Subwindows{On: []openaitest.Limit{openaitest.RPM}}))
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(newKeeper()))
		burst(t, []*http.Client{l.Client(subwindowed.Direct())}, 200)
		if _, ok := limitsOf(t, l, "m")["rpm/subwindow"]; !ok {
			t.Fatal("no subwindow was learned")
		}
		whole := l.Client(openaitest.New(openaitest.WithLimits("m", limits)).Direct())
		for range 70 {
			time.Sleep(time.Minute)
			post(t, whole, chatURL, chatBody("m", 1, false))
			synctest.Wait()
		}
		if subwindow, ok := limitsOf(t, l, "m")["rpm/subwindow"]; ok {
			t.Errorf("after 70 minutes: %+v", subwindow)
		}
	})
}

// Calls that all look the same leave no room for chance: even where the first answer
// says less than is charged, what goes wrong later is learned from.
func TestMarginOfEqualCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 100_000}), openaitest.WithLatency(300*time.Millisecond, time.Second))
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 100_000}))
		n := busy(t, l.Client(srv.Direct()), 60, 20*time.Minute, chatBody("m", 500, false))
		if refused := srv.Account("m").Throttled; refused > 10 {
			t.Errorf("%d refusals beside %d answers", refused, n)
		}
	})
}
