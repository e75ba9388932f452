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
	Scenario    string
	ID          int
	Host, Redis string
}

// processReport is what it says in the end.
type processReport struct{ Calls, GivenUp int }

// runProcess is one of the processes of a real scenario. It makes its share of
// the calls until its standard input ends.
func runProcess(config string) error {
	var c processConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	s := realScenario(c.Scenario)
	if s == nil {
		return fmt.Errorf("there is no scenario %q", c.Scenario)
	}
	store := goredis.NewClient(&goredis.Options{Addr: c.Redis})
	defer store.Close()
	limiter, err := ratelimiter.New(
		ratelimiter.WithAccount("simulated"),
		ratelimiter.WithLimits(model, ratelimiter.Limits{RPM: s.limits.RPM, TPM: s.limits.TPM}),
		ratelimiter.WithWarnings(nil, 0),
		ratelimiter.WithBackend(redis.New(store)))
	if err != nil {
		return err
	}
	transport := limiter.Transport(&http.Transport{MaxIdleConnsPerHost: s.load.workers})
	defer transport.CloseIdleConnections()

	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it, or is gone
	}()
	var r processReport
	var mu sync.Mutex
	var drawn atomic.Int64
	var workers sync.WaitGroup
	for range s.load.workers {
		workers.Go(func() {
			for ctx.Err() == nil {
				j := s.job(c.ID + s.processes*int(drawn.Add(1)-1))
				o := send(ctx, stamped{transport, time.Now()}, c.Host, j)
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

func realScenario(name string) *scenario {
	for i := range realScenarios {
		if realScenarios[i].name == name {
			return &realScenarios[i]
		}
	}
	return nil
}
