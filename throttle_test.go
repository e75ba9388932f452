package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// burst makes n calls of model m at once and waits for them. It returns when each
// was admitted or refused, counted from its start.
func burst(t testing.TB, clients []*http.Client, n int) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { post(t, clients[i%len(clients)], chatURL, chatBody("m", 1, false)) })
	}
	wg.Wait()
}

// A journal notes what becomes of a server's calls.
type journal struct {
	mu      sync.Mutex
	records []openaitest.Record
}

func (j *journal) option() openaitest.Option {
	return openaitest.WithLog(func(r openaitest.Record) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.records = append(j.records, r)
	})
}

// admitted counts the calls that were, between two times.
func (j *journal) admitted(from, to time.Time) (n int) {
	for _, r := range j.records {
		if r.Outcome == openaitest.Completed && !r.Admitted.Before(from) && r.Admitted.Before(to) {
			n++
		}
	}
	return n
}

// No header shows that a limit is enforced in subwindows; refusals do.
func TestSubwindowsAreLearned(t *testing.T) {
	for _, tt := range []struct {
		name   string
		length time.Duration
		azure  bool // whose refusals tell no figures
	}{{"seconds", time.Second, false}, {"Azure's ten", 10 * time.Second, true}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := openaitest.Limits{RPM: 600, TPM: 1_000_000}
				srv := openaitest.New(openaitest.WithLimits("m", limits), openaitest.WithSubwindows(openaitest.Subwindows{
					Length: tt.length, On: []openaitest.Limit{openaitest.RPM},
				}), openaitest.WithAzure(tt.azure))
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: limits.RPM, TPM: limits.TPM}))
				c := l.Client(srv.Direct())
				burst(t, []*http.Client{c}, 400)
				known := srv.Account("m").Throttled
				subwindow, ok := limitsOf(t, l, "m")["rpm/subwindow"]
				if known > 40 || !ok || subwindow.Limit != 600 || subwindow.Burst == 0 || subwindow.Source == "configured" {
					t.Errorf("%d refusals; learned %+v", known, subwindow)
				}
				burst(t, []*http.Client{c}, 400)
				if n := srv.Account("m").Throttled - known; n > 2 {
					t.Errorf("%d refusals after the subwindows were known", n)
				}
				time.Sleep(2 * time.Hour)
				post(t, c, chatURL, chatBody("m", 1, false))
				if subwindow, ok := limitsOf(t, l, "m")["rpm/subwindow"]; ok {
					t.Errorf("hours later it still believes in %+v", subwindow)
				}
			})
		})
	}
}

// Traffic that has grown too fast is taken back, and grows slowly from there.
func TestSlowDownIsFollowedByARamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 6_000, TPM: 10_000_000}), j.option())
		l := newLimiter(t, ratelimiter.WithAccount("a"))
		c := l.Client(srv.Direct())
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 20 { // 20 a second in all
			wg.Go(func() {
				for ctx.Err() == nil {
					post(t, c, chatURL, chatBody("m", 1, false))
					time.Sleep(time.Second)
				}
			})
		}
		time.Sleep(2 * time.Minute)
		srv.Inject(1, openaitest.SlowDown(2*time.Second))
		time.Sleep(20 * time.Minute)
		cancel()
		wg.Wait()
		for _, tt := range []struct {
			from        time.Duration
			least, most int
		}{
			{time.Minute, 1150, 1200},
			{3 * time.Minute, 780, 880}, // two thirds
			{18 * time.Minute, 1100, 1200},
		} {
			n := j.admitted(start.Add(tt.from), start.Add(tt.from+time.Minute))
			if n < tt.least || n > tt.most {
				t.Errorf("%d calls in the minute from %v on; want %d to %d", n, tt.from, tt.least, tt.most)
			}
		}
	})
}

// A pause holds for all who share the budget, and those who have waited are let
// go little by little.
func TestWakingUpAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		const pause = 20 * time.Second
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 10_000_000}), j.option())
		var clients []*http.Client
		shared := memory.New()
		for range 3 {
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(shared),
				ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600}))
			clients = append(clients, l.Client(srv.Direct()))
		}
		burst(t, clients, 100)
		time.Sleep(time.Hour)
		srv.Inject(1, openaitest.Answer{Status: http.StatusTooManyRequests, RetryAfter: pause})
		start := time.Now()
		post(t, clients[0], chatURL, chatBody("m", 1, false))
		burst(t, clients, 300)
		if n := j.admitted(start, start.Add(pause)); n > 0 {
			t.Errorf("%d calls were sent during the pause", n)
		}
		if n := j.admitted(start.Add(pause), start.Add(pause+time.Second)); n < 5 || n > 30 {
			t.Errorf("%d calls in the first second after it; want about the ten that refill", n)
		}
		if n := j.admitted(start.Add(pause), start.Add(pause+10*time.Second)); n != 300 {
			t.Errorf("%d of 300 calls in the first ten seconds", n)
		}
	})
}

// After a pause one call goes first: if the server still failsWithoutLimiter, no other has run
// into it.
func TestProbeAfterAPause(t *testing.T) {
	for _, processes := range []int{1, 5} {
		t.Run(fmt.Sprint(processes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { probeAfterAPause(t, processes) })
		})
	}
}

func probeAfterAPause(t *testing.T, processes int) {
	const pause, throttle = 20 * time.Second, 100 * time.Millisecond
	var j journal
	srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 6000, TPM: 100_000_000}), j.option(),
		openaitest.WithTiming(func(*openaitest.Call) openaitest.Timing {
			return openaitest.Timing{Throttle: throttle, Headers: 2 * time.Second, Total: 2 * time.Second}
		}))
	store := memory.New()
	fleet := make([]*http.Client, processes)
	for i := range fleet {
		l := newLimiter(t, ratelimiter.WithBackend(store), ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 6000}))
		fleet[i] = l.Client(srv.Direct())
	}
	burst(t, fleet, 100)
	time.Sleep(time.Hour)
	srv.Inject(2, openaitest.Answer{Status: http.StatusTooManyRequests, RetryAfter: pause})
	if status := postWithin(t.Context(), fleet[0], chatBody("m", 1, false)); status != http.StatusTooManyRequests {
		t.Fatalf("status %d", status)
	}
	j.records = nil
	var wg sync.WaitGroup
	for i := range 500 {
		wg.Go(func() { postWithin(t.Context(), fleet[i%processes], chatBody("m", 1, false)) })
	}
	wg.Wait()
	probe := j.records[0]
	if probe.Outcome != openaitest.Throttled || len(j.records) != 500 {
		t.Fatalf("%+v was the first of %d", probe, len(j.records))
	}
	for _, r := range j.records[1:] {
		if d := r.Arrived.Sub(probe.Arrived); d < throttle+pause {
			t.Errorf("a call came %v after the probe", d)
		}
	}
	// They do not wait for the answer to one that is let in, which may take long.
	if n := j.admitted(probe.Arrived, probe.Arrived.Add(throttle+pause+time.Second)); n < 50 {
		t.Errorf("%d calls in the second after the second pause", n)
	}
}

// Only the first process of a fleet starts cold.
func TestWhatIsLearnedReachesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 1_000_000}),
			openaitest.WithSubwindows(openaitest.Subwindows{On: []openaitest.Limit{openaitest.TPM}}))
		store := newKeeper()
		first := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store))
		burst(t, []*http.Client{first.Client(srv.Direct())}, 100)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		refused := srv.Account("m").Throttled

		second := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store))
		start := time.Now()
		post(t, second.Client(srv.Direct()), chatURL, chatBody("m", 1, false))
		want, got := limitsOf(t, first, "m"), limitsOf(t, second, "m")
		for name, w := range want {
			if g := got[name]; g.Limit != w.Limit || g.Burst != w.Burst {
				t.Errorf("%s: %+v; want %+v", name, g, w)
			}
		}
		burst(t, []*http.Client{second.Client(srv.Direct())}, 300)
		if took := time.Since(start); took > time.Second {
			t.Errorf("300 calls took the second process %v; want no opening", took)
		}
		if n := srv.Account("m").Throttled; n != refused {
			t.Errorf("%d more refusals", n-refused)
		}
	})
}

// Where nothing is given back, a call knows when it comes whether it will be
// served in time.
func TestDeadlineBehindALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		use := func(ctx context.Context, n int64) error {
			r, err := l.Acquire(ctx, tokens(n))
			if err == nil {
				r.Settle(ratelimiter.Usage{TotalTokens: n})
			}
			return err
		}
		for range 30 {
			if err := use(t.Context(), 20); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		var late, served, refused int
		var mu sync.Mutex
		for range 60 { // of ten tokens, a second's worth each
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			wg.Go(func() {
				start := time.Now()
				err := use(ctx, 10)
				var e *ratelimiter.Error
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					served++
				case errors.As(err, &e) && errors.Is(e, ratelimiter.ErrDeadline) && time.Since(start) == 0 && e.Wait > 29*time.Second:
					refused++
				default:
					late++
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if late > 0 || served < 28 || served > 30 || served+refused != 60 {
			t.Errorf("%d served, %d refused at once, %d late; want about 29 served and the others refused", served, refused, late)
		}
	})
}

// A 429 whose body takes its time is not taken for one about rates: the kind is decided
// when the body has come. What the headers say holds at once.
func TestKindIsDecidedByTheBody(t *testing.T) {
	const quota = `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}`
	const rate = `{"error":{"message":"Rate limit reached. Please try again in 20s.","type":"requests","code":"rate_limit_exceeded"}}`
	for _, x := range []struct {
		name, body string
		header     http.Header
		reads      bool
		want       time.Duration // of the pause, after a second
		kind       string
	}{
		{"quota", quota, nil, true, 0, "quota"},
		{"rate", rate, nil, true, 20 * time.Second, "rate_limit"},
		{"nobody reads", rate, nil, false, 0, ""},
		{"headers", quota, http.Header{"Retry-After": {"7"}}, true, 7 * time.Second, "rate_limit"},
		{"nothing in it", "", nil, true, time.Second, "rate_limit"},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var kinds []string
				var paused time.Duration
				l := newWarm(t, ratelimiter.WithTrace(&ratelimiter.Trace{Paused: func(_ context.Context, info ratelimiter.PausedInfo) {
					kinds, paused = append(kinds, info.Kind), info.For
				}}))
				pr, pw := io.Pipe()
				client := l.Client(roundTripFunc(func(r *http.Request) (*http.Response, error) {
					resp := response(429, "application/json", pr)
					for k, v := range x.header {
						resp.Header[k] = v
					}
					return resp, nil
				}))
				begun := time.Now()
				resp, err := client.Do(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 10, false))))
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took > 250*time.Millisecond {
					t.Errorf("the response was kept for %v", took)
				}
				if state := scopeOf(t, l, "m"); state.InFlight != 0 || x.header == nil && state.Paused != 0 {
					t.Errorf("before the body: %+v", state)
				}
				if x.reads {
					go func() {
						time.Sleep(500 * time.Millisecond)
						io.WriteString(pw, x.body)
						pw.Close()
					}()
					got, err := io.ReadAll(resp.Body)
					if string(got) != x.body || err != nil {
						t.Errorf("%q, %v", got, err)
					}
				}
				resp.Body.Close()
				if paused != x.want {
					t.Errorf("paused %v; want %v", paused, x.want)
				}
				if got := strings.Join(kinds, " "); got != x.kind {
					t.Errorf("kinds %q; want %q", got, x.kind)
				}
			})
		})
	}
}
