package redis_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

func init() { redis.RunSlots = runSlots }

// slotCallers is how many calls of a process want to be in flight.
const slotCallers = 4

// runSlots makes calls until its input ends.
func runSlots(config []string) error {
	limit, err := strconv.ParseInt(config[3], 10, 64)
	if err != nil {
		return err
	}
	client := goredis.NewClient(&goredis.Options{Addr: config[0]})
	defer client.Close()
	l, err := ratelimiter.New(ratelimiter.WithAccount("fleet"), ratelimiter.WithLimits("m", ratelimiter.Limits{Concurrent: limit}),
		ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(config[1]), redis.WithTimeout(10*time.Second))))
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	errs := make(chan error, slotCallers)
	var calls sync.WaitGroup
	for range slotCallers {
		calls.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := stream(l.Client(nil), config[2]); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	select {
	case err = <-errs:
	case <-ended:
	}
	close(stop)
	calls.Wait()
	return err
}

// stream makes one call and reads its response.
func stream(c *http.Client, url string) error {
	resp, err := c.Post(url+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"model":"m","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"x"}]}`))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, %v", resp.StatusCode, err)
	}
	return nil
}

// A slotFleet is processes that call one server.
type slotFleet struct {
	t      *testing.T
	server *openaitest.Server
	limit  int64
	store  *redistest.Server
	prefix string
	all    []*exec.Cmd
	inputs []io.Closer
}

func startSlotFleet(t *testing.T, processes int, limit int64, takes time.Duration) *slotFleet {
	f := &slotFleet{t: t, limit: limit, store: redistest.Run(t), prefix: rand.Text() + ":", server: openaitest.New(
		openaitest.WithLimits("m", openaitest.Limits{Concurrent: limit}), openaitest.WithHeaders(false), openaitest.WithLatency(takes/10, takes))}
	web := httptest.NewServer(f.server)
	t.Cleanup(web.Close)
	for range processes {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%s,%s,%d", redis.SlotsEnv, f.store.Addr, f.prefix, web.URL, limit))
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		f.all, f.inputs = append(f.all, cmd), append(f.inputs, in)
	}
	return f
}

func (f *slotFleet) inFlight() int64 { return f.server.Account("m").InFlight() }

// full waits until all slots are used.
func (f *slotFleet) full(what string) {
	f.t.Helper()
	redistest.Eventually(f.t, what, func() bool { return f.inFlight() == f.limit })
}

// used is which part of the slots the server has seen in use until so many more calls had
// been admitted.
func (f *slotFleet) used(calls int64) float64 {
	until := f.server.Account("m").Admitted + calls
	var sum, n int64
	redistest.Eventually(f.t, "calls are made", func() bool {
		a := f.server.Account("m")
		sum, n = sum+a.InFlight(), n+1
		return a.Admitted >= until
	})
	return float64(sum) / float64(n*f.limit)
}

// Processes never have more calls in flight than the limit, whoever is killed, and use it up
// again when they have. The one exception is a process that stands still beyond its lease,
// and comes back to calls that are still in flight.
func TestFleetOfSlots(t *testing.T) {
	processes, limit, takes := 10, int64(16), 300*time.Millisecond
	if os.Getenv("REDIS_LONG") != "" {
		processes, limit, takes = 64, 100, 2*time.Second
	}
	f := startSlotFleet(t, processes, limit, takes)
	f.full("all slots are used")
	used := f.used(10 * limit)
	killed := f.all[:processes/5]
	for _, cmd := range killed {
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	for _, cmd := range killed {
		_ = cmd.Wait()
	}
	f.used(limit / 2) // the server notices that their connections are gone
	f.full("the others use the slots of the killed")
	t.Logf("%d processes used %.4f of %d slots, and all of them %v after %d had been killed",
		processes, used, limit, time.Since(begun).Round(10*time.Millisecond), len(killed))
	for i, in := range f.inputs[len(killed):] {
		in.Close()
		if err := f.all[len(killed)+i].Wait(); err != nil {
			t.Error(err)
		}
	}
	if a := f.server.Account("m"); a.MostInFlight != limit || a.Throttled > 0 {
		t.Errorf("%d calls were in flight, and %d were refused; the limit is %d", a.MostInFlight, a.Throttled, limit)
	}
}
