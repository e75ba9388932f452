package redis

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// helperEnv makes a process of the test binary one of a fleet: address, prefix,
// name and how far its wall clock is off.
const helperEnv = "RATELIMITER_TEST_HELPER"

// fleetRate is how many of its calls a fleet gets in a second.
const fleetRate = 400

// fleetBuckets hold 1,000 calls for the day.
func fleetBuckets() []backend.Bucket {
	return append(perDay(1000), backend.Bucket{Owner: "account", Name: "rps", Limit: 60 * fleetRate, Period: time.Minute, Burst: 50 * time.Millisecond})
}

// runHelper is one process: it asks for four calls at a time and prints how many
// it was granted.
func runHelper() bool {
	config := strings.Split(os.Getenv(helperEnv), ",")
	if len(config) != 4 {
		return false
	}
	c := goredis.NewClient(&goredis.Options{Addr: config[0], Username: "limiter", Password: "secret"})
	defer c.Close()
	b := New(c, WithPrefix(config[1]))
	skew, _ := strconv.ParseInt(config[3], 10, 64)
	clock := b.now
	b.now = func() int64 { return clock() + skew }
	turn := ask(0, fleetBuckets(), 1, 1, 1, 1).Costs
	a := ask(0, fleetBuckets())
	a.Ticket = config[2]
	for {
		if len(a.Costs) == 0 {
			a.Costs = turn
		}
		a.Number++
		answer, err := b.Take(context.Background(), a)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		fmt.Println(answer.Granted)
		a.Costs = a.Costs[answer.Granted:]
		time.Sleep(answer.Hint)
	}
}

// A member is a running helper.
type member struct {
	*exec.Cmd
	mu      sync.Mutex
	granted int
	read    chan struct{} // closed at the end of its output
}

func (m *member) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.granted
}

func startMember(t *testing.T, addr, prefix, name string, skew time.Duration) *member {
	t.Helper()
	m := &member{Cmd: exec.Command(os.Args[0]), read: make(chan struct{})}
	m.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%s,%s,%d", helperEnv, addr, prefix, name, skew.Microseconds()))
	m.Stderr = os.Stderr
	out, err := m.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	go m.listen(out)
	t.Cleanup(m.end)
	return m
}

func (m *member) listen(out io.Reader) {
	defer close(m.read)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if n, err := strconv.Atoi(lines.Text()); err == nil {
			m.mu.Lock()
			m.granted += n
			m.mu.Unlock()
		}
	}
}

// end kills the process and waits for the last of what it has said.
func (m *member) end() {
	_ = m.Process.Kill()
	<-m.read
	_ = m.Wait()
}

// A fleet that loses its data, some of whose processes have clocks that are far off, goes on from
// what they saw last. What each loss may cost is the calls that others were granted since the
// process that asks next has last heard: of an eighth of a second, for the asks of those in line
// come sooner. A process whose view depended on its clock would begin with a full budget each
// time.
func TestClocksOfAFleetThatLosesItsData(t *testing.T) {
	s := redistest.Run(t, append([]string{"--user", "limiter", "on", ">secret"}, strings.Fields(rules)...)...)
	p := DefaultPrefix + rand.Text() + ":"
	fleet := []*member{
		startMember(t, s.Addr, p, "ahead", 1000*time.Hour), startMember(t, s.Addr, p, "behind", -1000*time.Hour),
		startMember(t, s.Addr, p, "far ahead", 2000*time.Hour), startMember(t, s.Addr, p, "far behind", -2000*time.Hour),
	}
	b := New(admin(t, s), WithPrefix(p), WithTimeout(10*time.Second))
	const losses = 5
	for i := range losses {
		redistest.Eventually(t, "the fleet spends its budget", func() bool { return sum(fleet) >= 200+150*i })
		used(t, b, fleetBuckets()) // or its next look would find a Redis that knows as little as it does
		if err := admin(t, s).FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	redistest.Eventually(t, "the budget is spent", func() bool { return used(t, b, fleetBuckets()) >= 999 })
	for _, m := range fleet {
		m.end()
	}
	n := sum(fleet)
	t.Logf("%d calls of 1000 were granted", n)
	if most := 1000 + losses*fleetRate/8; n > most {
		t.Errorf("%d calls were granted; want at most %d", n, most)
	}
}

// sum is how many calls the fleet was granted.
func sum(fleet []*member) (n int) {
	for _, m := range fleet {
		n += m.count()
	}
	return n
}

// Four processes spend one budget. One is killed while it waits, one is stopped
// past its lease and goes on. Every call is granted once; nothing is lost but what
// the killed one was being told.
func TestFleetOfProcesses(t *testing.T) {
	p := DefaultPrefix + rand.Text() + ":"
	fleet := []*member{
		startMember(t, shared.Addr, p, "killed", 0), startMember(t, shared.Addr, p, "stopped", 0),
		startMember(t, shared.Addr, p, "one", 0), startMember(t, shared.Addr, p, "another", 0),
	}
	total := func() int { return sum(fleet) }
	signal := func(m *member, s syscall.Signal) {
		t.Helper()
		if err := m.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	redistest.Eventually(t, "all have been granted something", func() bool {
		for _, m := range fleet {
			if m.count() == 0 {
				return false
			}
		}
		return total() > 100
	})
	signal(fleet[0], syscall.SIGKILL)
	signal(fleet[1], redistest.StandStill)
	before := [...]int{fleet[2].count(), fleet[3].count()}
	redistest.Eventually(t, "the others go on without the two that are silent", func() bool {
		return fleet[2].count() > before[0]+100 && fleet[3].count() > before[1]+100
	})
	silent := fleet[1].count()
	signal(fleet[1], redistest.GoOn)
	redistest.Eventually(t, "the stopped one goes on", func() bool { return fleet[1].count() > silent })

	c := client(t)
	b := New(c, WithPrefix(p), WithTimeout(10*time.Second))
	redistest.Eventually(t, "the budget is spent", func() bool { return used(t, b, fleetBuckets()) >= 999 })
	redistest.Eventually(t, "all have heard of it", func() bool { return total() >= 996 })
	for _, m := range fleet {
		m.end()
	}
	if n := total(); n > 1000 {
		t.Errorf("%d calls of 1000 were granted", n)
	}
	for i, m := range fleet {
		t.Logf("process %d was granted %d", i, m.count())
	}
}
