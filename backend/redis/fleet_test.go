package redis_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// The limits of the fleet's tests: 100 calls at once and 100 a second. Tokens last
// for half as many, but half of them come back when a call ends.
var fleetLimits = ratelimiter.Limits{RPM: 6000, TPM: 60_000, Burst: time.Second}

const (
	fleetCalls  = 150                    // of each process
	fleetAtOnce = 25                     // of its calls wait or are in flight
	fleetTakes  = 200 * time.Millisecond // is how long each is in flight
)

// A member is a process of a fleet: this test's binary, told by its environment
// to make calls.
type member struct {
	cmd      *exec.Cmd
	lines    *bufio.Scanner
	calls    int // have started
	inFlight int // of them, as far as it has said
}

func init() { redis.RunMember = runMember }

// runMember is what a member does: it prints a line for each call that starts, and
// one for each that ends.
func runMember(addr, prefix string) error {
	client := goredis.NewClient(&goredis.Options{Addr: addr})
	defer client.Close()
	l, err := ratelimiter.New(ratelimiter.WithAccount("fleet"), ratelimiter.WithLimits("m", fleetLimits),
		ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(prefix))))
	if err != nil {
		return err
	}
	work := make(chan int)
	var wg sync.WaitGroup
	errs := make(chan error, fleetAtOnce)
	for range fleetAtOnce {
		wg.Go(func() {
			for i := range work {
				r, err := l.Acquire(context.Background(), ratelimiter.Cost{Model: "m", Tokens: 20})
				if err != nil {
					errs <- err
					return
				}
				fmt.Println("start", i)
				time.Sleep(fleetTakes)
				fmt.Println("end", i)
				r.Settle(ratelimiter.Usage{TotalTokens: 10})
			}
		})
	}
	for i := range fleetCalls {
		select {
		case work <- i:
		case err := <-errs:
			return err
		}
	}
	close(work)
	wg.Wait()
	return l.Shutdown(context.Background())
}

// startFleet starts members on a Redis of their own.
func startFleet(t *testing.T, n int) []*member {
	t.Helper()
	srv := redistest.Run(t)
	prefix := rand.Text() + ":"
	var fleet []*member
	for range n {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), redis.FleetEnv+"="+srv.Addr+","+prefix)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		fleet = append(fleet, &member{cmd: cmd, lines: bufio.NewScanner(out)})
	}
	return fleet
}

// read counts n more of the member's starts, or all of them with n < 0.
func (m *member) read(n int) int {
	for n != 0 && m.lines.Scan() {
		if strings.HasPrefix(m.lines.Text(), "end") {
			m.inFlight--
			continue
		}
		m.calls++
		m.inFlight++
		n--
	}
	return m.calls
}

func (m *member) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := m.cmd.Process.Signal(s); err != nil {
		t.Error(err)
	}
}

// Whatever happens to one process, the others make all their calls, and
// together they never get more than the budget.
func TestFleet(t *testing.T) {
	tests := map[string]struct {
		harm, heal func(*testing.T, *member) // heal comes when the others are done
		all        bool                      // the harmed one makes all its calls too
	}{
		"in peace": {all: true},
		"one is killed": {harm: func(t *testing.T, m *member) {
			m.read(20)
			m.signal(t, syscall.SIGKILL)
			m.read(-1)
			if m.inFlight == 0 || m.inFlight == fleetAtOnce {
				t.Errorf("%d calls were in flight; want some, and that others wait", m.inFlight)
			}
		}},
		"one stands still for longer than its lease": {harm: func(t *testing.T, m *member) {
			m.read(20)
			m.signal(t, redistest.StandStill)
		}, heal: func(t *testing.T, m *member) { m.signal(t, redistest.GoOn) }, all: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			fleet := startFleet(t, 3)
			if tt.harm != nil {
				tt.harm(t, fleet[0])
			}
			total := 0
			for _, m := range fleet[1:] {
				n := m.read(-1)
				if err := m.cmd.Wait(); err != nil || n != fleetCalls {
					t.Errorf("a member made %d of %d calls: %v", n, fleetCalls, err)
				}
				total += n
			}
			if tt.heal != nil {
				tt.heal(t, fleet[0])
			}
			n := fleet[0].read(-1)
			if err := fleet[0].cmd.Wait(); tt.all && (err != nil || n != fleetCalls) {
				t.Errorf("the member made %d of %d calls: %v", n, fleetCalls, err)
			}
			// The clock ran for longer than the fleet, so this can only be too
			// generous.
			if most := 100 + 100*time.Since(start).Seconds(); float64(total+n) > most {
				t.Errorf("%d calls started; the budget was %.0f", total+n, most)
			}
		})
	}
}
