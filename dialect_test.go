package ratelimiter_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// press lets so many workers call a model one after the other for so long.
func press(t *testing.T, l *ratelimiter.Limiter, srv *openaitest.Server, workers int, duration time.Duration, body string) {
	c := l.Client(srv.Direct())
	end := time.Now().Add(duration)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for time.Now().Before(end) {
				post(t, c, chatURL, body)
			}
		})
	}
	wg.Wait()
}

// A project of 60,000 tokens a minute, in an organization of two million, is followed
// although nothing but its own headers tells of it.
func TestAProjectsLimitIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(
			openaitest.WithLimits("m", openaitest.Limits{RPM: 10_000, TPM: 2_000_000}),
			openaitest.WithProjectLimits("m", openaitest.Limits{TPM: 60_000}),
			openaitest.WithRefunds(true), openaitest.WithLatency(200*time.Millisecond, 500*time.Millisecond))
		l := newLimiter(t, ratelimiter.WithAccount("a"))
		press(t, l, srv, 50, 5*time.Minute, chatBody("m", 500, false))

		a := srv.Account("m")
		// When the full bucket has been spent, a correction may come too late.
		if a.Throttled*250 > a.Seen {
			t.Errorf("%d of %d calls were refused; want four in a thousand at most", a.Throttled, a.Seen)
		}
		var project openaitest.Bucket
		for _, b := range a.Buckets {
			if b.Name != "m" {
				project = b
			}
		}
		if used, could := project.Net(), int64(6*60_000); float64(used) < 0.95*float64(could) {
			t.Errorf("%d of the project's %d tokens were used", used, could)
		}
		got := limitsOf(t, l, "m")
		if got["tpm/project"].Limit != 60_000 || got["tpm"].Limit != 2_000_000 || got["rpm"].Limit != 10_000 {
			t.Errorf("learned %+v", got)
		}
	})
}

// Of a host that reports its limits in a dialect of its own they are learned, and never
// overrun.
func TestDialects(t *testing.T) {
	const (
		minutes = 5
		least   = 0.97 // of the time in which the load was let through, an ideal limiter needs
	)
	for _, tt := range []struct {
		name    string
		dialect openaitest.Dialect
		limits  openaitest.Limits
		want    map[string]int64
	}{
		{"OpenAI", openaitest.OpenAI, openaitest.Limits{RPM: 600, TPM: 60_000}, map[string]int64{"rpm": 600, "tpm": 60_000}},
		{"Groq", openaitest.Groq, openaitest.Limits{RPD: 14_400, TPM: 60_000}, map[string]int64{"rpd": 14_400, "tpm": 60_000}},
		{"Mistral", openaitest.Mistral, openaitest.Limits{RPM: 720, TPM: 60_000}, map[string]int64{"rpm": 720, "tpm": 60_000}},
		{"Cerebras", openaitest.Cerebras, openaitest.Limits{RPD: 14_400, TPM: 60_000}, map[string]int64{"rpd": 14_400, "tpm": 60_000}},
		{"Cerebras, minutes and days", openaitest.Cerebras, openaitest.Limits{RPM: 600, RPD: 14_400, TPM: 60_000, TPD: 5_000_000},
			map[string]int64{"rpm": 600, "rpd": 14_400, "tpm": 60_000, "tpd": 5_000_000}},
		{"Together", openaitest.Together, openaitest.Limits{RPM: 600, TPM: 180_000},
			map[string]int64{"rpm": 600, "tpm": 180_000, "rpm/subwindow": 600, "tpm/subwindow": 180_000}},
		{"DigitalOcean", openaitest.DigitalOcean, openaitest.Limits{RPM: 100_000, TPM: 60_000, TPD: 5_000_000},
			map[string]int64{"tpm": 60_000, "tpd": 5_000_000}}, // requests never show their period
		{"Anthropic", openaitest.Anthropic, openaitest.Limits{RPM: 1000, TPM: 80_000}, map[string]int64{"rpm": 1000, "tpm": 80_000}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("m", tt.limits), openaitest.WithDialect(tt.dialect),
					openaitest.WithRefunds(true), openaitest.WithLatency(200*time.Millisecond, 400*time.Millisecond))
				l := newLimiter(t, ratelimiter.WithAccount("a"))
				press(t, l, srv, 20, minutes*time.Minute, chatBody("m", 200, false))

				a := srv.Account("m")
				got := map[string]int64{}
				for name, limit := range limitsOf(t, l, "m") {
					got[name] = limit.Limit
				}
				if !maps.Equal(got, tt.want) {
					t.Errorf("learned %v; want %v", got, tt.want)
				}
				// When the full bucket has been spent, a correction may come too late.
				if a.Throttled > max(1, a.Seen/250) {
					t.Errorf("%d of %d calls were refused; want four in a thousand at most", a.Throttled, a.Seen)
				}
				ideal := a.IdealMakespan()
				if tt.dialect == openaitest.Together { // nothing can be used at once
					ideal += time.Minute
				}
				if part := ideal.Seconds() / a.LastAdmission.Sub(a.FirstAdmission).Seconds(); part < least {
					t.Errorf("%d calls were let through, %.3f of what could have been", a.Admitted, part)
				}
			})
		})
	}
}

// A limit of which neither headers nor throttles tell anything is tried ever more rarely: two
// thousand requests a day are one in 43 s once they are used up.
func TestUntoldLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 10_000, RPD: 2000, TPM: 200_000}),
			openaitest.WithDialect(openaitest.Mistral), openaitest.WithLatency(50*time.Millisecond, 100*time.Millisecond))
		l := newLimiter(t, ratelimiter.WithAccount("a"))
		press(t, l, srv, 8, 4*time.Minute, chatBody("m", 1, false))
		if a := srv.Account("m"); a.Throttled > 40 || a.Admitted < 2005 {
			t.Errorf("%d of %d calls were refused", a.Throttled, a.Seen)
		}
	})
}

// Where limits are not told, throttles show how many calls pass, whether they name a wait or not;
// and where only a limit's period is not, that too.
func TestUntoldRates(t *testing.T) {
	const minutes = 8
	for _, tt := range []struct {
		dialect openaitest.Dialect
		rpm     int64
		workers int
		latency time.Duration
		part    float64 // of the ideal, at least
	}{
		{openaitest.OpenRouter, 10, 8, 50 * time.Millisecond, 0.85},
		{openaitest.OpenRouter, 60, 1, 50 * time.Millisecond, 0.98},
		{openaitest.OpenRouter, 60, 40, 50 * time.Millisecond, 0.98},
		{openaitest.OpenRouter, 60, 8, 2 * time.Second, 0.98},
		{openaitest.OpenRouter, 600, 40, 50 * time.Millisecond, 0.98},
		{openaitest.DigitalOcean, 10, 8, 2 * time.Second, 0.97},
		{openaitest.DigitalOcean, 60, 40, 50 * time.Millisecond, 0.98},
		{openaitest.DigitalOcean, 600, 40, 50 * time.Millisecond, 0.98},
	} {
		for _, waits := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v %d %d %v %v", tt.dialect, tt.rpm, tt.workers, tt.latency, waits), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: tt.rpm, TPM: 10_000_000}),
						openaitest.WithDialect(tt.dialect), openaitest.WithLatency(tt.latency, 2*tt.latency),
						openaitest.WithHeader(func(_ *openaitest.Call, _ int, h http.Header) {
							if !waits {
								h.Del("X-Ratelimit-Reset")
								h.Del("X-Ratelimit-Reset-Requests")
							}
						}))
					l := newLimiter(t, ratelimiter.WithAccount("a"))
					press(t, l, srv, tt.workers, minutes*time.Minute, chatBody("m", 1, false))

					a := srv.Account("m")
					// All may be in flight when the first is refused. Then a trial ends with a
					// refusal each minute.
					if most := tt.workers + 2*minutes; a.Throttled > int64(most) {
						t.Errorf("%d of %d calls were refused; want %d at most", a.Throttled, a.Seen, most)
					}
					if part := a.IdealMakespan().Seconds() / a.LastAdmission.Sub(a.FirstAdmission).Seconds(); part < tt.part {
						t.Errorf("%d calls were let through, %.3f of what could have been", a.Admitted, part)
					}
					if got := limitsOf(t, l, "m")["rpm"].Limit; tt.dialect == openaitest.DigitalOcean && got != tt.rpm {
						t.Errorf("learned %d requests a minute", got)
					}
				})
			})
		}
	}
}

// The first report of a small limit includes the call that it answers, also where no reset
// says how much of it is used.
func TestSmallLimitsOfDialects(t *testing.T) {
	for _, dialect := range []openaitest.Dialect{openaitest.Mistral, openaitest.Cerebras, openaitest.Anthropic} {
		for _, rpm := range []int64{3, 5} {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: rpm, TPM: 1_000_000}), openaitest.WithDialect(dialect),
					openaitest.WithLatency(100*time.Millisecond, 300*time.Millisecond))
				l := newLimiter(t, ratelimiter.WithAccount("a"))
				for range 4 * rpm {
					post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 1, false))
				}
				if a := srv.Account("m"); a.Throttled > 0 || a.Admitted != 4*rpm {
					t.Errorf("%v, %d a minute: %d of %d calls were refused", dialect, rpm, a.Throttled, a.Seen)
				}
			})
		}
	}
}

// Of a host whose figures are doubtful nothing is learned, so that they hold nothing back.
func TestDoubtfulDialects(t *testing.T) {
	for _, dialect := range []openaitest.Dialect{openaitest.Fireworks, openaitest.OpenRouter} {
		t.Run(fmt.Sprint(dialect), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 600_000}), openaitest.WithDialect(dialect),
					openaitest.WithRefunds(true), openaitest.WithLatency(200*time.Millisecond, time.Second))
				l := newLimiter(t, ratelimiter.WithAccount("a"))
				press(t, l, srv, 9, 2*time.Minute, chatBody("m", 200, false))
				if got := limitsOf(t, l, "m"); len(got) > 0 {
					t.Errorf("learned %v; want nothing", got)
				}
				if a := srv.Account("m"); a.Throttled > 0 || a.Admitted < 9*115 {
					t.Errorf("%d of %d calls were refused", a.Throttled, a.Seen)
				}
			})
		})
	}
}

// The moment that a 429 names is its wait where nothing else says one.
func TestAMomentIsAWait(t *testing.T) {
	for _, dialect := range []openaitest.Dialect{openaitest.OpenRouter, openaitest.DigitalOcean} {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 3, TPM: 600_000}), openaitest.WithDialect(dialect))
			var waits []time.Duration
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(&ratelimiter.Trace{
				Paused: func(_ context.Context, info ratelimiter.PausedInfo) { waits = append(waits, info.For) },
			}))
			c := l.Client(srv.Direct())
			for range 4 {
				post(t, c, chatURL, chatBody("m", 1, false))
			}
			if len(waits) != 1 || waits[0] < 19*time.Second || waits[0] > 21*time.Second {
				t.Errorf("%v: paused for %v; want 20s", dialect, waits)
			}
		})
	}
}

// An Azure response that spilled over speaks of another deployment's bucket.
func TestSpillOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const url = "http://r.openai.azure.com/openai/deployments/ptu/chat/completions"
		srv := openaitest.New(openaitest.WithLimits("ptu", openaitest.Limits{RPM: 600, TPM: 60_000}),
			openaitest.WithHeader(func(_ *openaitest.Call, _ int, h http.Header) {
				h["X-Ms-Spillover-From-Deployment"] = []string{"ptu"}
				h["X-Ratelimit-Limit-Tokens"], h["X-Ratelimit-Remaining-Tokens"] = []string{"1000"}, []string{"0"}
			}))
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("ptu", ratelimiter.Limits{RPM: 600, TPM: 60_000}))
		begun := time.Now()
		for range 20 {
			post(t, l.Client(srv.Direct()), url, chatBody("m", 100, false))
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("20 calls took %v", took)
		}
		if got := limitsOf(t, l, "ptu"); got["tpm"].Limit != 60_000 || got["tpm"].Remaining < 55_000 {
			t.Errorf("%+v", got["tpm"])
		}
	})
}

// What the server says it has charged for a call is reported.
func TestChargedIsObserved(t *testing.T) {
	srv := openaitest.New(openaitest.WithDialect(openaitest.Mistral), openaitest.WithLimits("m", openaitest.Limits{RPM: 60, TPM: 6000}))
	var got ratelimiter.ObservedInfo
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(&ratelimiter.Trace{
		Observed: func(_ context.Context, info ratelimiter.ObservedInfo) { got = info },
	}))
	post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 100, false))
	if got.Charged != 107 || got.Tokens.Limit != 6000 || got.Tokens.Remaining != 5893 {
		t.Errorf("%+v; want a charge of 107", got)
	}
}
