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

// A role is that of a member. Those of a fleet of which half is in shadow have a day's
// requests, too, which last for three members and a few more.
type role string

const (
	alike    role = "alike"
	earnest  role = "earnest"
	inShadow role = "in shadow"

	daily = 500
)

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
func runMember(config []string) error {
	client := goredis.NewClient(&goredis.Options{Addr: config[0]})
	defer client.Close()
	var started sync.WaitGroup // also of calls that would have waited
	started.Add(fleetCalls)
	l, err := newMember(client, config[1], role(config[2]), ratelimiter.WithTrace(&ratelimiter.Trace{
		Started: func(context.Context, ratelimiter.StartedInfo) { started.Done() },
	}))
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
	started.Wait()
	return l.Shutdown(context.Background())
}

// newMember is a member's limiter.
func newMember(client *goredis.Client, prefix string, r role, more ...ratelimiter.Option) (*ratelimiter.Limiter, error) {
	options := append(more,
		ratelimiter.WithAccount("fleet"), ratelimiter.WithLimits("m", fleetLimits), ratelimiter.WithWarnings(nil, 0),
		ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(prefix))))
	if r != alike {
		options = append(options, ratelimiter.WithAccountLimits(ratelimiter.Limits{RPD: daily}))
	}
	if r == inShadow {
		options = append(options, ratelimiter.WithShadow())
	}
	return ratelimiter.New(options...)
}

// startFleet starts members on a Redis of their own.
func startFleet(t *testing.T, n int) (fleet []*member) {
	t.Helper()
	srv := redistest.Run(t)
	prefix := rand.Text() + ":"
	for range n {
		fleet = append(fleet, startMember(t, srv.Addr, prefix, alike))
	}
	return fleet
}

func startMember(t *testing.T, addr, prefix string, r role) *member {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%s,%s", redis.FleetEnv, addr, prefix, r))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &member{cmd: cmd, lines: bufio.NewScanner(out)}
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

// Half of a fleet runs in shadow. What it does is on a ledger that its own half shares, and
// the budget of the others is as full as if they were alone: it would not last for both.
func TestFleetHalfInShadow(t *testing.T) {
	srv := redistest.Run(t)
	prefix := rand.Text() + ":"
	var fleet []*member
	for _, r := range []role{earnest, inShadow, earnest, inShadow} {
		fleet = append(fleet, startMember(t, srv.Addr, prefix, r))
	}
	for _, m := range fleet {
		if n := m.read(-1); m.cmd.Wait() != nil || n != fleetCalls {
			t.Errorf("a member made %d of %d calls", n, fleetCalls)
		}
	}
	client := goredis.NewClient(&goredis.Options{Addr: srv.Addr})
	defer client.Close()
	for _, r := range []role{earnest, inShadow} {
		l, err := newMember(client, prefix, r)
		if err != nil {
			t.Fatal(err)
		}
		state, err := l.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, limit := range state.Scopes[0].Limits {
			// A day's refill is 1 in three minutes. A reply that a busy machine has lost leaves
			// its charge.
			if left := int64(daily - 2*fleetCalls); limit.Name == "rpd" && (limit.Remaining < left/2 || limit.Remaining > left+1) {
				t.Errorf("%s: %d of %d requests remain, want %d or a little less", r, limit.Remaining, limit.Limit, left)
			}
		}
	}
}
