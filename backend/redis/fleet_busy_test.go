package redis_test

import (
	"context"
	"crypto/rand"
	"math"
	"os"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// A tally counts the calls of each process, from some after begin on until there
// are enough.
type tally struct {
	mu     sync.Mutex
	skip   int
	left   int
	calls  []int
	enough chan struct{} // closed when left falls to 0
}

func (t *tally) begin(skip, calls int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.skip, t.left = skip, calls
}

func (t *tally) started(process int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.skip--; t.skip >= 0 || t.left == 0 {
		return
	}
	t.calls[process]++
	if t.left--; t.left == 0 {
		close(t.enough)
	}
}

// A busy fleet wants far more than its budget. Each process gets its share, and
// what Redis keeps grows with the processes, not with their callers or calls.
func TestBusyFleet(t *testing.T) {
	processes, callers, calls, rate := 16, 32, 3000, 1000
	if os.Getenv("REDIS_LONG") != "" {
		processes, callers, calls, rate = 64, 64, 50_000, 500
	}
	srv := redistest.Run(t)
	prefix := rand.Text() + ":"
	count := &tally{calls: make([]int, processes), enough: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	var limiters []*ratelimiter.Limiter
	for range processes {
		client := goredis.NewClient(&goredis.Options{Addr: srv.Addr})
		t.Cleanup(func() { client.Close() })
		l, err := ratelimiter.New(ratelimiter.WithAccount("fleet"),
			ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: int64(60 * rate), Burst: time.Second}),
			ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(prefix), redis.WithTimeout(time.Minute))))
		if err != nil {
			t.Fatal(err)
		}
		warm(t, l, "m")
		limiters = append(limiters, l)
	}
	var work sync.WaitGroup
	for i, l := range limiters {
		for range callers {
			work.Go(func() {
				for {
					r, err := l.Acquire(ctx, ratelimiter.Cost{Model: "m"})
					if err != nil {
						if ctx.Err() == nil {
							t.Error(err)
						}
						return
					}
					count.started(i)
					r.Settle(ratelimiter.Usage{})
				}
			})
		}
	}
	redistest.Eventually(t, "all processes stand in line", func() bool {
		for _, l := range limiters {
			state, err := l.State(t.Context())
			if err != nil || state.Scopes[0].Waiting < callers/2 {
				return false
			}
		}
		return true
	})
	count.begin(rate, calls) // what the bucket held at first goes to those who come first
	<-count.enough
	size := bytesIn(t, srv.Addr, prefix)
	stop()
	work.Wait()

	fair := float64(calls) / float64(processes)
	tolerance := fair / 2 // a process that the machine does not run misses its turns
	if os.Getenv("REDIS_LONG") != "" {
		tolerance = max(0.05*fair, 2*backend.MaxCosts) // two turns more or less are chance
	}
	least, most := fair, fair
	for _, n := range count.calls {
		least, most = min(least, float64(n)), max(most, float64(n))
	}
	t.Logf("%d processes started %.0f to %.0f calls; %.0f would be fair; Redis holds %d bytes", processes, least, most, fair, size)
	if math.Max(fair-least, most-fair) > tolerance {
		t.Errorf("more than %.0f off", tolerance)
	}
	if bound := 4096 + 1024*processes; size > bound {
		t.Errorf("Redis holds more than %d bytes", bound)
	}
}

// bytesIn is what Redis needs for the keys with the prefix.
func bytesIn(t *testing.T, addr, prefix string) (bytes int) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: addr})
	defer client.Close()
	keys, err := client.Keys(t.Context(), prefix+"*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		n, err := client.MemoryUsage(t.Context(), k, 0).Result()
		if err != nil && err != goredis.Nil { // it has expired
			t.Fatal(err)
		}
		bytes += int(n)
	}
	return bytes
}
