package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
)

// A server holds the requests against a bucket like the API's. Its answers, and
// the tokens that come back with them, take late and up to spread more.
type server struct {
	mu       sync.Mutex
	rate     float64 // a second
	capacity float64
	used     float64
	at       time.Time
	cost     float64 // of a request
	refund   float64
	late     time.Duration
	spread   time.Duration

	accepted, refused int
	starts            []time.Time
}

// RoundTrip implements [http.RoundTripper].
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	s.mu.Lock()
	now := time.Now()
	s.used = max(0, s.used-s.rate*now.Sub(s.at).Seconds())
	s.at = now
	ok := s.used+s.cost <= s.capacity
	if ok {
		s.used += s.cost
		s.accepted++
		s.starts = append(s.starts, now)
	} else {
		s.refused++
	}
	s.mu.Unlock()
	body, code := `{"usage":{"prompt_tokens":8,"completion_tokens":0,"total_tokens":8}}`, http.StatusOK
	if !ok {
		body, code = `{"error":{"type":"requests","code":"rate_limit_exceeded"}}`, http.StatusTooManyRequests
	}
	if s.late+s.spread > 0 {
		time.Sleep(s.late + rand.N(s.spread+1))
		s.mu.Lock()
		s.used = max(0, s.used-s.refund)
		s.mu.Unlock()
		body = fmt.Sprintf(`{"usage":{"total_tokens":%d}}`, int(s.cost-s.refund))
	}
	return &http.Response{
		StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// A fleet is some limiters over one Redis, each with a client of its own as in a
// process of its own.
type fleet struct {
	limiters []*ratelimiter.Limiter
	links    []*link
	closers  []io.Closer
}

func (b *bench) fleet(processes int, rtt time.Duration, limits ratelimiter.Limits) *fleet {
	f := &fleet{}
	prefix := fmt.Sprint("bench", time.Now().UnixNano(), ":")
	for range processes {
		client := b.client()
		l := &link{Client: client, rtt: rtt}
		var c redis.Client = l
		limiter, err := ratelimiter.New(ratelimiter.WithAccount("bench"), ratelimiter.WithLimits("gpt-4o", limits),
			ratelimiter.WithWarnings(nil, 0), ratelimiter.WithBackend(redis.New(c, redis.WithPrefix(prefix))))
		must(err)
		f.limiters, f.links, f.closers = append(f.limiters, limiter), append(f.links, l), append(f.closers, client)
	}
	return f
}

func (f *fleet) close() {
	for i, l := range f.limiters {
		must(l.Shutdown(background))
		_ = f.closers[i].Close()
	}
}

func (f *fleet) trips() (takes, settles int64) {
	for _, l := range f.links {
		takes += l.takes.Load()
		settles += l.settles.Load()
	}
	return
}

// post makes one call through the limiter.
func post(ctx context.Context, client *http.Client, maxTokens int) error {
	return postTo(ctx, client, "https://api.openai.com", maxTokens)
}

func postTo(ctx context.Context, client *http.Client, base string, maxTokens int) error {
	body := fmt.Sprintf(`{"model":"gpt-4o","max_tokens":%d,"messages":[{"role":"user","content":"hi"}]}`, maxTokens)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return cmpErr(err, answer.Body.Close())
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// work keeps so many callers in each process busy until the context ends.
func (f *fleet) work(ctx context.Context, callers, maxTokens int, s *server) *sync.WaitGroup {
	var work sync.WaitGroup
	for _, l := range f.limiters {
		client := l.Client(s)
		for range callers {
			work.Go(func() {
				for ctx.Err() == nil {
					if err := post(ctx, client, maxTokens); err != nil && ctx.Err() == nil {
						must(err)
					}
				}
			})
		}
	}
	return &work
}

// scarce has eight processes share less than they want, over a link of 3 ms on
// which one reply in a hundred takes 200 ms longer. Calls take a while, so that
// most of them end while others wait.
func (b *bench) scarce() {
	fmt.Println("| 8 processes, 3 ms RTT, 1 % slow | of the budget used | Takes per admission | settles per admission | 429s | bars |\n|---|--:|--:|--:|--:|---|")
	for _, rate := range []int64{10, 100, 500, 1000, 2500} {
		f := b.fleet(8, 3*time.Millisecond, ratelimiter.Limits{RPM: rate * 60, TPM: 1e9, Burst: time.Second})
		s := &server{rate: float64(rate), capacity: float64(rate), cost: 1, spread: time.Second, at: time.Now()}
		ctx, cancel := context.WithCancel(background)
		work := f.work(ctx, max(16, int(rate/6)), 16, s)
		time.Sleep(10 * time.Second) // the opening
		t0, s0 := f.trips()
		s.mu.Lock()
		a0 := s.accepted
		s.mu.Unlock()
		start := time.Now()
		time.Sleep(b.span * time.Duration(max(1, 100/rate))) // enough calls to count
		t1, s1 := f.trips()
		s.mu.Lock()
		admitted := float64(s.accepted - a0)
		passed := time.Since(start)
		s.mu.Unlock()
		cancel()
		work.Wait()
		f.close()
		used, takes := 100*admitted/(float64(rate)*passed.Seconds()), float64(t1-t0)/admitted
		settles := float64(s1-s0) / admitted // as many calls end as start, to within 2 %
		bars := []bar{atLeast(99.5, used, " %")}
		if rate > 1000 {
			bars[0] = atLeast(95, used, " %")
		}
		if rate >= 100 {
			bars = append(bars, atMost(1.1, takes, ""))
		}
		bars = append(bars, atMost(1.02, settles, ""), atMost(0, float64(s.refused), ""))
		fmt.Printf("| %d a second | %.1f %% | %.2f | %.2f | %d | %s |\n", rate, used, takes, settles, s.refused, b.bars(fmt.Sprint(rate, " a second"), bars...))
	}
}

// hot has 8 × 125 callers on one scope over loopback: how late they start where the
// budget does not allow all they want.
func (b *bench) hot() {
	fmt.Println("| 8 × 125 callers, scarce | start later than an ideal FIFO's: p50 | p99 | worst | of the budget used | smallest and largest share of a process | Redis CPU | bar of p99 |\n|---|--:|--:|--:|--:|--:|--:|---|")
	for _, rate := range []int64{1000, 4000} {
		f := b.fleet(8, 0, ratelimiter.Limits{RPM: rate * 60, Burst: time.Second})
		ctx, cancel := context.WithTimeout(background, 9*time.Second+b.span)
		from := time.Now().Add(9 * time.Second)
		var mu sync.Mutex
		var calls [][2]time.Time
		cpu := make(chan float64, 1)
		go func() {
			time.Sleep(time.Until(from))
			c := b.cpu()
			time.Sleep(b.span - 100*time.Millisecond)
			cpu <- (b.cpu() - c) / (b.span - 100*time.Millisecond).Seconds()
		}()
		shares := make([]int, 8)
		f.acquire(ctx, 125, func(process int, arrived, started time.Time) {
			if started.After(from) {
				mu.Lock()
				shares[process]++
				calls = append(calls, [2]time.Time{arrived, started})
				mu.Unlock()
			}
		})
		cancel()
		f.close()
		late := lateness(calls, float64(rate))
		fmt.Printf("| %d a second | %v | %v | %v | %.1f %% | %.1f, %.1f %% | %.0f %% | %s |\n", rate, late[len(late)/2], late[len(late)*99/100], late[len(late)-1],
			100*float64(len(calls))/(float64(rate)*b.span.Seconds()),
			100*float64(slices.Min(shares))/float64(len(calls)), 100*float64(slices.Max(shares))/float64(len(calls)), 100*<-cpu,
			b.bars(fmt.Sprint(rate, " a second"), atMost(50, float64(late[len(late)*99/100].Milliseconds()), " ms")))
	}
}

// acquire keeps callers of each limiter busy with calls that cost one request.
func (f *fleet) acquire(ctx context.Context, callers int, started func(process int, arrived, started time.Time)) {
	var work sync.WaitGroup
	for i, l := range f.limiters {
		for range callers {
			work.Go(func() {
				for ctx.Err() == nil {
					arrived := time.Now()
					r, err := l.Acquire(ctx, ratelimiter.Cost{Model: "gpt-4o"})
					if errors.Is(err, context.DeadlineExceeded) {
						return
					}
					must(err)
					started(i, arrived, time.Now())
					r.Settle(ratelimiter.Usage{})
				}
			})
		}
	}
	work.Wait()
}

// lateness is how much later each call started than it would have from one queue
// in the order of arrival, served at the rate from the first start on; sorted.
func lateness(calls [][2]time.Time, rate float64) []time.Duration {
	slices.SortFunc(calls, func(a, b [2]time.Time) int { return a[0].Compare(b[0]) })
	first := slices.MinFunc(calls, func(a, b [2]time.Time) int { return a[1].Compare(b[1]) })[1]
	late := make([]time.Duration, len(calls))
	for i, c := range calls {
		ideal := first.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if c[0].After(ideal) {
			ideal = c[0]
		}
		late[i] = max(0, c[1].Sub(ideal)).Round(time.Millisecond)
	}
	slices.Sort(late)
	return late
}

// refunds has eight processes declare eight times what they use. The server
// gives the rest back with its answer after a second.
func (b *bench) refunds() {
	const rate, declared, calls = 8000.0, 800, 1000
	ideal := b.makespan(declared, calls, nil, rate)
	limits := ratelimiter.Limits{TPM: int64(rate * 60), Burst: 10 * time.Second}
	f := b.fleet(8, 3*time.Millisecond, limits)
	got := b.makespan(declared, calls, f, rate)
	f.close()
	fmt.Printf("declared 8 × the use, given back after 1 s: %d calls took %.1f s, %.2f × what the server's own bucket allows (%.1f s; %s)\n",
		calls, got.Seconds(), got.Seconds()/ideal.Seconds(), ideal.Seconds(), b.bars("the makespan", atMost(1.05, got.Seconds()/ideal.Seconds(), "")))
}

// makespan is how long the calls take; without a fleet, how long they take if
// each is sent as soon as the server would accept it.
func (b *bench) makespan(declared, calls int, f *fleet, rate float64) time.Duration {
	cost := float64(declared + 8) // and the prompt
	s := &server{rate: rate, capacity: rate * 10, cost: cost, refund: cost - cost/8, late: time.Second, at: time.Now()}
	if f == nil {
		used, at, done, back := 0.0, 0.0, 0, []float64{}
		for done < calls {
			for len(back) > 0 && back[0] <= at {
				used, back = max(0, used-s.refund), back[1:]
			}
			if used+cost <= s.capacity {
				used, done, back = used+cost, done+1, append(back, at+1)
				continue
			}
			at += 0.001
			used = max(0, used-rate*0.001)
		}
		return time.Duration(at * float64(time.Second))
	}
	for _, l := range f.limiters { // the opening is over with the first answer
		must(post(background, l.Client(&server{capacity: 1e12, at: time.Now()}), 1))
	}
	time.Sleep(9 * time.Second)
	var left atomic.Int64
	left.Store(int64(calls))
	start := time.Now()
	var work sync.WaitGroup
	for _, l := range f.limiters {
		client := l.Client(s)
		for range 125 {
			work.Go(func() {
				for left.Add(-1) >= 0 {
					must(post(background, client, declared))
				}
			})
		}
	}
	work.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused > 0 {
		fmt.Printf("(%d 429s) ", s.refused)
	}
	return s.starts[len(s.starts)-1].Sub(start)
}
