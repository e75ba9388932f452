package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
)

// processVariable is where a real process finds its configuration.
const processVariable = "SIMULATE_PROCESS"

// processConfig is what a real process is told.
type processConfig struct {
	Part          string
	ID, Processes int
	Host, Redis   string
}

// processReport is what it says in the end.
type processReport struct{ Calls, GivenUp int }

// runProcess is one of the processes of a run in real time. It makes its share of
// the calls until its standard input ends.
func runProcess(config string) error {
	var c processConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	p := partNamed(c.Part)
	if p == nil {
		return fmt.Errorf("nothing is played in real time that is called %q", c.Part)
	}
	store := goredis.NewClient(&goredis.Options{Addr: c.Redis})
	defer store.Close()
	limiter, err := ratelimiter.New(
		ratelimiter.WithAccount("simulated"),
		ratelimiter.WithLimits(model, ratelimiter.Limits{RPM: p.limits.RPM, TPM: p.limits.TPM}),
		ratelimiter.WithClasses(p.classes),
		ratelimiter.WithWarnings(nil, 0),
		ratelimiter.WithBackend(redis.New(store)))
	if err != nil {
		return err
	}
	callers := 0
	for _, g := range p.groups {
		callers += g.waiting
	}
	transport := limiter.Transport(&http.Transport{MaxIdleConnsPerHost: callers})
	defer transport.CloseIdleConnections()

	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it, or is gone
	}()
	var r processReport
	var mu sync.Mutex
	var workers sync.WaitGroup
	for i := range p.groups {
		g := &p.groups[i]
		var drawn atomic.Int64
		for range g.waiting {
			workers.Go(func() {
				for ctx.Err() == nil {
					n := c.ID + c.Processes*int(drawn.Add(1)-1)
					o := send(g.context(ctx), stamped{transport, time.Now()}, c.Host, p.job(i+n*len(p.groups)))
					mu.Lock()
					if ctx.Err() == nil {
						r.Calls++
					}
					if o == givenUp || o == failed {
						r.GivenUp++
					}
					mu.Unlock()
				}
			})
		}
	}
	workers.Wait()
	if err := limiter.Shutdown(context.Background()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// stamped says in each request when its call began.
type stamped struct {
	http.RoundTripper
	begun time.Time
}

// RoundTrip implements http.RoundTripper.
func (t stamped) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Header.Set(submittedHeader, strconv.FormatInt(t.begun.UnixMicro(), 10))
	return t.RoundTripper.RoundTrip(req)
}
