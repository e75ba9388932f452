package ratelimiter_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

func TestLimitsAreLearned(t *testing.T) {
	tests := []struct {
		name   string
		server openaitest.Limits
		header []openaitest.Limit
		want   map[string]int64
	}{
		{"per minute", openaitest.Limits{RPM: 500, TPM: 30_000}, nil, map[string]int64{"rpm": 500, "tpm": 30_000}},
		{"per day", openaitest.Limits{RPM: 500, RPD: 10_000, TPM: 30_000, TPD: 1_500_000},
			[]openaitest.Limit{openaitest.RPD, openaitest.TPD}, map[string]int64{"rpd": 10_000, "tpd": 1_500_000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				options := []openaitest.Option{openaitest.WithLimits("m", tt.server)}
				if tt.header != nil {
					options = append(options, openaitest.WithHeaderLimits(tt.header...))
				}
				srv := openaitest.New(options...)
				l := newLimiter(t, ratelimiter.WithAccount("a"))
				c := l.Client(srv.Direct())
				for range 5 {
					post(t, c, chatURL, chatBody("m", 100, false))
				}
				got := limitsOf(t, l, "m")
				if len(got) != len(tt.want) {
					t.Errorf("learned %+v; want %v", got, tt.want)
				}
				for name, n := range tt.want {
					if got[name].Limit != n || got[name].Source == "configured" {
						t.Errorf("%s is %+v; want %d", name, got[name], n)
					}
				}
			})
		})
	}
}

// The server's limit lowers a configured one, and never raises it.
func TestConfiguredLimitIsACeiling(t *testing.T) {
	for _, tt := range []struct{ configured, server, want int64 }{
		{1000, 500, 500}, {500, 1000, 500}, {500, 500, 500},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: tt.server}))
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: tt.configured}))
			c := l.Client(srv.Direct())
			for range 3 {
				post(t, c, chatURL, chatBody("m", 1, false))
			}
			if got := limitsOf(t, l, "m")["rpm"].Limit; got != tt.want {
				t.Errorf("configured %d, server %d: %d; want %d", tt.configured, tt.server, got, tt.want)
			}
		})
	}
}

// What others spend from the same budget is seen in the headers.
func TestForeignTrafficIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := openaitest.Limits{RPM: 600, TPM: 60_000}
		srv := openaitest.New(openaitest.WithLimits("m", limits))
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 60_000}))
		c := l.Client(srv.Direct())
		post(t, c, chatURL, chatBody("m", 100, false))
		time.Sleep(5 * time.Second)
		srv.Spend("m", openaitest.Cost{Tokens: 50_000})
		post(t, c, chatURL, chatBody("m", 100, false))
		if got := remaining(t, l, "m", "tpm"); got > 10_000 || got < 9_000 {
			t.Errorf("%d tokens remain; want what the others have left of 60,000", got)
		}
	})
}

// The first answer tells a restarted process that its budget is spent.
func TestRestartWithASpentBudget(t *testing.T) {
	for _, configured := range []bool{true, false} {
		t.Run(fmt.Sprintf("configured=%t", configured), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 60_000}), openaitest.WithRefunds(true),
					openaitest.WithLatency(200*time.Millisecond, 500*time.Millisecond))
				srv.Spend("m", openaitest.Cost{Requests: 500, Tokens: 55_000})
				var options []ratelimiter.Option
				if configured {
					options = append(options, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 60_000}))
				}
				c := newLimiter(t, options...).Client(srv.Direct())
				var wg sync.WaitGroup
				for range 300 {
					wg.Go(func() { post(t, c, chatURL, chatBody("m", 100, false)) })
				}
				wg.Wait()
				if a := srv.Account("m"); a.Throttled > 0 || a.Admitted != 300 {
					t.Errorf("%d of %d calls were refused", a.Throttled, a.Seen)
				}
			})
		})
	}
}

// Headers that lie, or say nothing, neither stall traffic nor open the gate
// above a configured limit.
func TestHeadersThatLie(t *testing.T) {
	for _, value := range []string{"", "-1", "0", "abc", "30,000", "99999999999999999999", "1e9", "NaN"} {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.New(openaitest.WithHeader(func(_ *openaitest.Call, _ int, h http.Header) {
				for name := range h {
					if len(name) > 11 && name[:11] == "X-Ratelimit" {
						h.Set(name, value)
					}
				}
			}), openaitest.WithLimits("m", openaitest.Limits{RPM: 1 << 30}))
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60}))
			c := l.Client(srv.Direct())
			start := time.Now()
			var wg sync.WaitGroup
			for range 120 {
				wg.Go(func() { post(t, c, chatURL, chatBody("m", 1, false)) })
			}
			wg.Wait()
			// 60 at once and 60 a minute, with the opening's few seconds.
			if took := time.Since(start); took < 59*time.Second || took > 75*time.Second {
				t.Errorf("headers of %q: 120 calls at 60 RPM took %v", value, took)
			}
		})
	}
}

// Figures that can't be true are ignored for a while, which State tells.
func TestSenselessFiguresAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600}), openaitest.WithLatency(100*time.Millisecond, 100*time.Millisecond),
			openaitest.WithHeader(func(c *openaitest.Call, _ int, h http.Header) {
				left := 599 - c.Seq*251%600
				h.Set("X-Ratelimit-Remaining-Requests", fmt.Sprint(left))
				h.Set("X-Ratelimit-Reset-Requests", (time.Minute * time.Duration(600-left) / 600).String())
			}))
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600}))
		n := busy(t, l.Client(srv.Direct()), 20, 5*time.Minute, chatBody("m", 1, false))
		if got := limitsOf(t, l, "m")["rpm"]; got.Ignored <= 0 || got.Limit != 600 {
			t.Errorf("%+v", got)
		}
		if n < 600*5*9/10 {
			t.Errorf("%d calls in five minutes", n)
		}
	})
}

// A server that tells no limits is not held back after its first answer.
func TestServerWithoutHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithHeaders(false), openaitest.WithLatency(time.Second, time.Second))
		c := newLimiter(t).Client(srv.Direct())
		start := time.Now()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { post(t, c, chatURL, chatBody("m", 1, false)) })
		}
		wg.Wait()
		if took := time.Since(start); took > 2100*time.Millisecond {
			t.Errorf("1,000 calls of a second took %v; want the first few's second and the others'", took)
		}
	})
}

// Answers that take long hold nobody up: the opening's pace doubles without them.
func TestSlowFirstAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithHeaders(false), openaitest.WithLatency(time.Minute, time.Minute))
		c := newLimiter(t).Client(srv.Direct())
		start := time.Now()
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { post(t, c, chatURL, chatBody("m", 1, false)) })
		}
		wg.Wait()
		if last := srv.Account("m").LastAdmission.Sub(start); last > 10*time.Second {
			t.Errorf("the last call was sent after %v; want it long before the first answer", last)
		}
	})
}

// Images have no header: the first throttle shows their limit, and is the last.
func TestLimitOfImagesIsLearnedFromAThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("dall-e-2", openaitest.Limits{IPM: 10}), openaitest.WithHeaders(false))
		l := newLimiter(t, ratelimiter.WithAccount("a"))
		c := l.Client(srv.Direct())
		for range 30 {
			post(t, c, "http://api.openai.test/v1/images/generations", `{"model":"dall-e-2","prompt":"a cat","n":1}`)
		}
		if a := srv.Account("dall-e-2"); a.Throttled != 1 || limitsOf(t, l, "dall-e-2")["ipm"].Limit != 10 {
			t.Errorf("%d of %d calls were refused; learned %+v", a.Throttled, a.Seen, limitsOf(t, l, "dall-e-2"))
		}
	})
}

// What the server says to one model is no limit of the whole account.
func TestHeadersOfOneModelDoNotBindTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(
			openaitest.WithLimits("small", openaitest.Limits{RPM: 60, TPM: 100_000}),
			openaitest.WithLimits("big", openaitest.Limits{RPM: 5000, TPM: 1_000_000}))
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 10_000}))
		c := l.Client(srv.Direct())
		for _, m := range []string{"small", "big"} {
			post(t, c, chatURL, chatBody(m, 1, false))
		}
		for _, s := range []struct {
			model string
			want  []int64
		}{{"small", []int64{10_000, 60}}, {"big", []int64{10_000, 5000}}} {
			var got []int64
			state, err := l.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, scope := range state.Scopes {
				for _, limit := range scope.Limits {
					if scope.Model == s.model && limit.Name == "rpm" {
						got = append(got, limit.Limit)
					}
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(s.want) {
				t.Errorf("%s is held to %v; want %v", s.model, got, s.want)
			}
		}
	})
}

// A limit that is learned while levels of earlier asks are known is not taken
// for another bucket.
func TestLearnedLimitRejectsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPD: 200, TPM: 60_000}), openaitest.WithHeaderLimits(openaitest.RPD, openaitest.TPM))
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 60_000}))
		c := l.Client(srv.Direct())
		post(t, c, chatURL, chatBody("m", 20_000, false))
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			r, err := l.Acquire(ctx, ratelimiter.Cost{Model: "m", Tokens: 10})
			if err != nil {
				t.Fatal(err)
			}
			r.Cancel()
			cancel()
		}
	})
}

// One slow answer does not prove that all others come too late.
func TestSlowResponseRejectsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLatency(20*time.Second, 20*time.Second))
		l := newWarm(t)
		post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 1, false))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := l.Acquire(ctx, tokens(1))
		if err != nil {
			t.Fatal(err)
		}
		r.Cancel()
	})
}

// The server has not charged the call that it failsWithoutLimiter; we give that back once.
func TestThrottleLeavesTheServersLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 6000, TPM: 60_000}))
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 6000, TPM: 60_000}))
		c := l.Client(srv.Direct())
		post(t, c, chatURL, chatBody("m", 10, false))
		time.Sleep(10 * time.Minute)
		srv.Spend("m", openaitest.Cost{Tokens: 55_000})
		if status, _ := post(t, c, chatURL, chatBody("m", 20_000, false)); status != 429 {
			t.Fatalf("status %d", status)
		}
		if got := remaining(t, l, "m", "tpm"); got > 5001 || got < 4900 {
			t.Errorf("%d tokens remain; the server has 5,000", got)
		}
	})
}

// A client error keeps its charge where the headers tell what the server keeps.
func TestClientErrorsOnAServerThatKeepsTheirTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 6000, TPM: 6000}),
			openaitest.WithAnswer(func(*openaitest.Call) openaitest.Answer { return openaitest.Answer{Status: 400} }))
		c := newLimiter(t, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 6000, TPM: 6000})).Client(srv.Direct())
		for range 60 {
			post(t, c, chatURL, chatBody("m", 200, false))
		}
		if a := srv.Account("m"); a.Throttled > 0 {
			t.Errorf("%d of %d calls were refused", a.Throttled, a.Seen)
		}
	})
}

// Whether the server gives back what large calls have declared and not used shows
// in the headers of small ones. Then only what it gives back is used again. What a
// stream does not show of its reasoning is not unused.
func TestUnusedOutput(t *testing.T) {
	for _, tt := range []struct {
		model   string
		refunds bool
		large   openaitest.Answer
	}{
		{"gpt-4o", true, openaitest.Answer{}},
		{"gpt-4o", false, openaitest.Answer{}},
		{"gpt-5", true, openaitest.Answer{Text: "That is all.", OutputTokens: 16_000}},
	} {
		synctest.Test(t, func(t *testing.T) {
			const tpm, large = 60_000, 20_000
			srv := openaitest.New(openaitest.WithLimits(tt.model, openaitest.Limits{TPM: tpm}), openaitest.WithRefunds(tt.refunds),
				openaitest.WithAnswer(func(c *openaitest.Call) openaitest.Answer {
					if c.Declared == large {
						return tt.large
					}
					return openaitest.Answer{}
				}),
				openaitest.WithTiming(func(c *openaitest.Call) openaitest.Timing {
					if c.Declared == large {
						return openaitest.Timing{Headers: time.Second, Total: 4 * time.Second}
					}
					return openaitest.Timing{Headers: 300 * time.Millisecond, Total: 300 * time.Millisecond}
				}))
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits(tt.model, ratelimiter.Limits{TPM: tpm}))
			c := l.Client(srv.Direct())
			var wg sync.WaitGroup
			for i := range 300 {
				size := 300
				if i%10 == 0 {
					size = large
				}
				wg.Go(func() {
					if status, answer := post(t, c, chatURL, chatBody(tt.model, size, true)); status != http.StatusOK {
						t.Errorf("%d: %s", status, answer)
					}
				})
				time.Sleep(time.Second)
			}
			wg.Wait()
			if tokens := limitsOf(t, l, tt.model)["tpm"]; tokens.KeepsUnused == tt.refunds {
				t.Errorf("%s, given back: %v, learned: %+v", tt.model, tt.refunds, tokens)
			}
		})
	}
}

// Where a reservation was made long before its request is sent, the answer says
// nothing about where the bucket stood then.
func TestReservationSentLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600}))
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600}))
		c := l.Client(srv.Direct())
		post(t, c, chatURL, chatBody("m", 1, false))
		time.Sleep(time.Minute)
		r, err := l.Acquire(t.Context(), ratelimiter.JSON("chat/completions", []byte(chatBody("m", 1, false))))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		burst(t, []*http.Client{c}, 500)
		req := newRequest(t, ratelimiter.ContextWithReservation(t.Context(), r), chatURL, strings.NewReader(chatBody("m", 1, false)))
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := remaining(t, l, "m", "rpm"); got < 90 {
			t.Errorf("%d calls remain; want the 100 that were not made, nearly", got)
		}
	})
}

// Whoever configures less than the server would give gets what is configured.
func TestConfiguredTokensBelowTheServers(t *testing.T) {
	const minutes, tpm, workers = 40, 60_000, 10
	for _, percent := range []int64{110, 150, 200, 2000} {
		t.Run(fmt.Sprint(percent, " %"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 100_000, TPM: tpm * percent / 100}),
					openaitest.WithLatency(300*time.Millisecond, time.Second),
					openaitest.WithAnswer(func(c *openaitest.Call) openaitest.Answer {
						return openaitest.Answer{OutputTokens: c.Declared}
					}))
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: tpm}))
				client := l.Client(srv.Direct())
				start := time.Now()
				var mu sync.Mutex
				spent := 0
				var wg sync.WaitGroup
				for i := range workers {
					random := rand.New(rand.NewPCG(1, uint64(i)))
					wg.Go(func() {
						for time.Since(start) < minutes*time.Minute {
							n := 20 + random.IntN(500)
							if postWithin(t.Context(), client, chatBody("m", n, false)) == 200 {
								mu.Lock()
								spent += n + 5
								mu.Unlock()
							}
						}
					})
				}
				wg.Wait()
				t.Logf("%d tokens in %d minutes of %d", spent, minutes, tpm)
				if spent > tpm*(minutes+1)*102/100 || spent < tpm*minutes*95/100 {
					t.Error("too many or too few")
				}
				if ignored := limitsOf(t, l, "m")["tpm"].Ignored; ignored > 0 {
					t.Errorf("the server's figures are ignored for %v", ignored)
				}
			})
		})
	}
}

// reporting answers every call after took: with a 429 whose body states the limit of
// requests a minute, or with a success whose headers do.
func reporting(limit int, throttled bool, took time.Duration) http.RoundTripper {
	return roundTripFunc(func(*http.Request) (*http.Response, error) {
		time.Sleep(took)
		if throttled {
			return response(http.StatusTooManyRequests, "application/json", io.NopCloser(strings.NewReader(fmt.Sprintf(
				`{"error":{"message":"Rate limit reached for m in organization org-x on requests per min (RPM): Limit %d, Used %d, Requested 1. Please try again in 1ms.","type":"requests","code":"rate_limit_exceeded"}}`, limit, limit)))), nil
		}
		resp := response(http.StatusOK, "application/json", io.NopCloser(strings.NewReader(usageBody)))
		resp.Header[limitHeader+"Requests"] = []string{fmt.Sprint(limit)}
		resp.Header[leftHeader+"Requests"] = []string{fmt.Sprint(limit - 1)}
		resp.Header[resetHeader+"Requests"] = []string{(time.Minute / time.Duration(limit)).Truncate(time.Millisecond).String()}
		return resp, nil
	})
}

// What a server says counts from when the request was sent: reports on earlier requests
// that come late, in headers or in 429s, change nothing that later ones have told.
func TestLateReportsChangeNothing(t *testing.T) {
	for _, throttled := range []bool{false, true} {
		for _, tt := range []struct {
			name string
			late time.Duration
			want int64
		}{{"late", 10 * time.Second, 600}, {"in time", time.Millisecond, 300}} {
			t.Run(fmt.Sprintf("throttled=%t/%s", throttled, tt.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600}))
					warm(t, l, "m")
					send := func(n int, base http.RoundTripper) *sync.WaitGroup {
						var wg sync.WaitGroup
						for range n {
							wg.Go(func() { post(t, l.Client(base), chatURL, chatBody("m", 1, false)) })
						}
						return &wg
					}
					early := send(20, reporting(300, throttled, tt.late))
					if tt.late < time.Second {
						early.Wait()
						time.Sleep(time.Minute)
					} else {
						time.Sleep(5 * time.Second)
						send(20, reporting(600, false, time.Millisecond)).Wait()
						early.Wait()
					}
					if got := limitsOf(t, l, "m")["rpm"].Limit; got != tt.want {
						t.Errorf("%d requests a minute; want %d", got, tt.want)
					}
				})
			})
		}
	}
}

// A limit below what the server has just let through can't be the call's, however often
// it is told.
func TestLimitBelowWhatWasLetThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 1_000_000}),
			openaitest.WithHeader(func(_ *openaitest.Call, _ int, h http.Header) {
				h.Set(limitHeader+"Tokens", "500")
				h.Set(leftHeader+"Tokens", "400")
				h.Set(resetHeader+"Tokens", "12s")
			}))
		for _, configured := range []bool{false, true} {
			options := []ratelimiter.Option{ratelimiter.WithAccount("a")}
			if configured {
				options = append(options, ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 1_000_000}))
			}
			l := newLimiter(t, options...)
			for range 20 {
				post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 5_000, false))
			}
			if got, ok := limitsOf(t, l, "m")["tpm"]; ok != configured || configured && got.Limit != 1_000_000 {
				t.Errorf("learned %+v", got)
			}
			// Of calls that are no larger it may be true.
			for range 20 {
				post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 100, false))
			}
			if got := limitsOf(t, l, "m")["tpm"]; got.Limit != 500 {
				t.Errorf("learned %+v", got)
			}
		}
	})
}

// Where the server's bucket stood at the first report is where ours begins, once. A
// store that loses the bucket later begins with a full one, not with what was used
// long ago.
func TestFirstLevelIsUsedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 60_000}))
		srv.Spend("m", openaitest.Cost{Tokens: 50_000})
		s := newStore()
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(s))
		c := l.Client(srv.Direct())
		post(t, c, chatURL, chatBody("m", 100, false))
		synctest.Wait()
		if got := remaining(t, l, "m", "tpm"); got > 10_000 || got < 9_500 {
			t.Errorf("%d tokens remain; want what the server has left", got)
		}
		post(t, c, chatURL, chatBody("m", 100, false))
		synctest.Wait()
		if got := remaining(t, l, "m", "tpm"); got > 10_000 || got < 9_500 {
			t.Errorf("%d tokens remain; want what the server has left", got)
		}
		s.Backend = memory.New()
		if got := remaining(t, l, "m", "tpm"); got != 60_000 {
			t.Errorf("%d tokens remain in a store that has lost what was used; want all", got)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The headers of a 429 lack the tokens of the call that it failsWithoutLimiter, which we have charged
// and give back: what is left is what they say.
func TestHeadersOfA429LackItsOwnTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 6000, TPM: 60_000}))
		warm(t, l, "m")
		c := l.Client(roundTripFunc(func(*http.Request) (*http.Response, error) {
			// Its body has no figures.
			resp := response(http.StatusTooManyRequests, "application/json", io.NopCloser(strings.NewReader(`{"error":{"message":"Too many tokens","type":"tokens","code":"rate_limit_exceeded"}}`)))
			resp.Header[limitHeader+"Tokens"] = []string{"60000"}
			resp.Header[leftHeader+"Tokens"] = []string{"5000"}
			resp.Header[resetHeader+"Tokens"] = []string{"55s"}
			return resp, nil
		}))
		post(t, c, chatURL, chatBody("m", 20_000, false))
		if got := remaining(t, l, "m", "tpm"); got < 4_900 || got > 5_001 {
			t.Errorf("%d tokens remain; the server has 5,000", got)
		}
	})
}
