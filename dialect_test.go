package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// press lets so many workers call a model one after the other for so long.
func press(t *testing.T, c *http.Client, url string, workers int, duration time.Duration, body string) {
	end := time.Now().Add(duration)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for time.Now().Before(end) {
				post(t, c, url, body)
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
		press(t, l.Client(srv.Direct()), chatURL, 50, 5*time.Minute, chatBody("m", 500, false))

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

// hosts are one of each dialect that openaitest speaks.
var hosts = []struct {
	name    string
	dialect openaitest.Dialect
	url     string // where it shows what the host is
	limits  openaitest.Limits
	want    map[string]int64 // what is learned; nothing where nothing is told
}{
	{"OpenAI", openaitest.OpenAI, chatURL, openaitest.Limits{RPM: 600, TPM: 60_000}, map[string]int64{"rpm": 600, "tpm": 60_000}},
	{"Azure", openaitest.Azure, azureURL, openaitest.Limits{RPM: 600, TPM: 60_000}, map[string]int64{"rpm": 600, "tpm": 60_000}},
	{"Groq", openaitest.Groq, chatURL, openaitest.Limits{RPD: 14_400, TPM: 60_000}, map[string]int64{"rpd": 14_400, "tpm": 60_000}},
	{"Mistral", openaitest.Mistral, chatURL, openaitest.Limits{RPM: 720, TPM: 60_000}, map[string]int64{"rpm": 720, "tpm": 60_000}},
	{"Cerebras", openaitest.Cerebras, chatURL, openaitest.Limits{RPD: 14_400, TPM: 60_000}, map[string]int64{"rpd": 14_400, "tpm": 60_000}},
	{"Cerebras, minutes and days", openaitest.Cerebras, chatURL, openaitest.Limits{RPM: 600, RPD: 14_400, TPM: 60_000, TPD: 5_000_000},
		map[string]int64{"rpm": 600, "rpd": 14_400, "tpm": 60_000, "tpd": 5_000_000}},
	{"Together", openaitest.Together, chatURL, openaitest.Limits{RPM: 600, TPM: 180_000},
		map[string]int64{"rpm": 600, "tpm": 180_000, "rpm/subwindow": 600, "tpm/subwindow": 180_000}},
	{"Fireworks", openaitest.Fireworks, chatURL, openaitest.Limits{RPM: 600, TPM: 10_000_000}, map[string]int64{}},
	{"OpenRouter", openaitest.OpenRouter, chatURL, openaitest.Limits{RPM: 600, TPM: 10_000_000}, map[string]int64{}},
	{"DigitalOcean", openaitest.DigitalOcean, chatURL, openaitest.Limits{RPM: 100_000, TPM: 60_000, TPD: 5_000_000},
		map[string]int64{"tpm": 60_000, "tpd": 5_000_000}}, // requests never show their period
	{"Anthropic", openaitest.Anthropic, chatURL, openaitest.Limits{RPM: 1000, TPM: 80_000}, map[string]int64{"rpm": 1000, "tpm": 80_000}},
}

const azureURL = "http://r.openai.azure.com/openai/deployments/m/chat/completions"

// learned is what the limiter knows of a model's limits.
func learned(t *testing.T, l *ratelimiter.Limiter, model string) map[string]int64 {
	got := map[string]int64{}
	for name, limit := range limitsOf(t, l, model) {
		got[name] = limit.Limit
	}
	return got
}

// spendAsOthers uses a part of a model's limits per minute, all the time, until ctx is done.
func spendAsOthers(ctx context.Context, srv *openaitest.Server, model string, limits openaitest.Limits, part float64) {
	const each = 200 * time.Millisecond
	var requests, tokens float64
	for tick := time.NewTicker(each); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		requests += part * float64(limits.RPM) * each.Minutes()
		tokens += part * float64(limits.TPM) * each.Minutes()
		srv.Spend(model, openaitest.Cost{Requests: int64(requests), Tokens: int64(tokens)}) // or is throttled
		requests, tokens = requests-math.Floor(requests), tokens-math.Floor(tokens)
	}
}

// Of a host that reports its limits in a dialect of its own they are learned, used and never
// overrun, also where somebody else uses 30 % of them, of which only the headers tell.
func TestDialects(t *testing.T) {
	const (
		minutes = 5
		workers = 20
	)
	for _, tt := range hosts {
		for _, part := range []float64{0, 0.3} {
			told := len(tt.want) > 0
			if part > 0 && !told {
				continue
			}
			t.Run(fmt.Sprintf("%s, %v used by others", tt.name, part), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := openaitest.New(openaitest.WithLimits("m", tt.limits), openaitest.WithDialect(tt.dialect),
						openaitest.WithRefunds(true), openaitest.WithLatency(200*time.Millisecond, 400*time.Millisecond))
					defer srv.Close()
					l := newLimiter(t, ratelimiter.WithAccount("a"))
					ctx, cancel := context.WithCancel(t.Context())
					var others sync.WaitGroup
					others.Go(func() { spendAsOthers(ctx, srv, "m", tt.limits, part) })
					press(t, l.Client(srv.Transport()), tt.url, workers, minutes*time.Minute, chatBody("m", 200, false))
					cancel()
					others.Wait()

					a := srv.Account("m")
					if got := learned(t, l, "m"); !maps.Equal(got, tt.want) {
						t.Errorf("learned %v; want %v", got, tt.want)
					}
					// When the full bucket has been spent, a correction may come too late. Of what
					// is not told, all that is in flight may be refused, and a trial each minute.
					most := max(1, a.Seen/250)
					least := 0.97 // of the time in which the load was let through, an ideal limiter needs
					if part > 0 { // what others use is told late, too
						most, least = max(1, a.Seen/150), 0.96
					}
					switch {
					case !told:
						most = workers + 2*minutes
					case tt.dialect == openaitest.Together && part > 0: // a second is over before it is told
						most = a.Seen / 15
					}
					if a.Throttled > most {
						t.Errorf("%d of %d calls were refused; want %d at most", a.Throttled, a.Seen, most)
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
}

// Over sockets the first responses of each host teach its limits, and the next one what somebody
// else has used.
func TestDialectsOverSockets(t *testing.T) {
	for _, tt := range hosts {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			limits, want := tt.limits, maps.Clone(tt.want)
			small := tt.dialect != openaitest.Together && tt.dialect != openaitest.Azure // these are paced
			if small {
				limits.TPM /= 10
				if limits.RPM < 10_000 {
					limits.RPM /= 4
				}
				for name, limit := range map[string]int64{"rpm": limits.RPM, "tpm": limits.TPM} {
					if want[name] > 0 {
						want[name] = limit
					}
				}
			}
			srv := openaitest.New(openaitest.WithLimits("m", limits), openaitest.WithDialect(tt.dialect), openaitest.WithRefunds(true))
			web := httptest.NewServer(srv)
			defer web.Close()
			base := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, web.Listener.Addr().String())
			}}
			defer base.CloseIdleConnections()
			l := newLimiter(t, ratelimiter.WithAccount("a"))
			c := l.Client(base)
			if tt.dialect != openaitest.Together { // of which a second holds less
				srv.Spend("m", openaitest.Cost{Requests: limits.RPM / 10, Tokens: limits.TPM / 10})
			}
			for range 3 {
				post(t, c, tt.url, chatBody("m", 100, false))
			}
			if got := learned(t, l, "m"); !maps.Equal(got, want) {
				t.Errorf("learned %v; want %v", got, want)
			}
			if small && len(want) > 0 {
				srv.Spend("m", openaitest.Cost{Tokens: 3 * limits.TPM / 10})
				post(t, c, tt.url, chatBody("m", 100, false))
				ours := limitsOf(t, l, "m")["tpm"].Remaining
				b := srv.Account("m").Bucket(openaitest.TPM)
				// Figures may be rounded, and refunds unproven.
				if off := float64(b.Capacity) - b.Used - float64(ours); math.Abs(off) > 0.15*float64(b.Capacity) {
					t.Errorf("%d of %d tokens are taken to be left, where %.0f are used", ours, b.Capacity, b.Used)
				}
				for sent := 0; sent < 10_000; sent++ { // until we hold one back
					req := newRequest(t, ratelimiter.ContextWithMaxWait(t.Context(), 0), tt.url, strings.NewReader(chatBody("m", 100, false)))
					resp, err := c.Do(req)
					if errors.Is(err, ratelimiter.ErrMaxWait) {
						break
					} else if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
			if a := srv.Account("m"); a.Throttled > 0 {
				t.Errorf("%d of %d calls were refused", a.Throttled, a.Seen)
			}
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
		press(t, l.Client(srv.Direct()), chatURL, 8, 4*time.Minute, chatBody("m", 1, false))
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
					press(t, l.Client(srv.Direct()), chatURL, tt.workers, minutes*time.Minute, chatBody("m", 1, false))

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
				press(t, l.Client(srv.Direct()), chatURL, 9, 2*time.Minute, chatBody("m", 200, false))
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
