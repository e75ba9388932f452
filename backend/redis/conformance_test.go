package redis

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend/backendtest"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// conformance runs the suite in a time that only the test moves.
func conformance(t *testing.T, c Client) {
	backendtest.Run(t, func(*testing.T) backendtest.Subject {
		var now atomic.Int64
		now.Store(1_700_000_000_000_000)
		return backendtest.Subject{
			Backend: New(c, prefix(), WithTimeout(10*time.Second), withClock(now.Load)),
			Advance: func(d time.Duration) { now.Add(int64((d + time.Microsecond - 1) / time.Microsecond)) },
			Shared:  true,
		}
	})
}

func TestConformance(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", protocol), func(t *testing.T) {
			c := goredis.NewClient(&goredis.Options{Addr: shared.Addr, Username: "limiter", Password: "secret", Protocol: protocol})
			defer c.Close()
			conformance(t, c)
		})
	}
}

func TestConformanceOverTLS(t *testing.T) {
	addr, config := redistest.TLS(t)
	c := goredis.NewClient(&goredis.Options{Addr: addr, TLSConfig: config})
	defer c.Close()
	conformance(t, c)
}

func TestConformanceOnCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	var addrs []string
	servers := redistest.Cluster(t)
	for _, s := range servers {
		addrs = append(addrs, s.Addr)
	}
	c := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: addrs})
	defer c.Close()
	conformance(t, c)
	loseRepliesOfCluster(t, addrs)
	moveSlot(t, servers, c)
	failOver(t, servers, c)
}

// loseRepliesOfCluster has the master that keeps the account run scripts and not be
// heard.
func loseRepliesOfCluster(t *testing.T, addrs []string) {
	proxies := map[string]*redistest.Proxy{}
	for _, a := range addrs {
		proxies[a] = redistest.NewProxy(t, a)
	}
	c := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: addrs, MaxRedirects: 5,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, proxies[addr].Addr)
		}})
	defer c.Close()
	b := New(c, prefix(), WithTimeout(10*time.Second))
	loseReplies(t, b, func() {
		master, err := c.MasterForKey(t.Context(), b.accountKey("account"))
		if err != nil {
			t.Fatal(err)
		}
		proxies[master.Options().Addr].LoseReply()
	})
}

// moveSlot moves an account to another master while it is asked for: the ask
// waits, and is charged once (TRYAGAIN, ASK and MOVED).
func moveSlot(t *testing.T, servers []*redistest.Server, c *goredis.ClusterClient) {
	b := New(c, prefix(), WithTimeout(time.Minute))
	buckets := perDay(1000)
	mustTake(t, b, ask(1, buckets, 1))
	key := b.accountKey("account")
	cli := func(s *redistest.Server, args ...string) string {
		t.Helper()
		out, err := s.Cli(args...)
		if err != nil || strings.HasPrefix(out, "ERR") {
			t.Fatalf("%q: %v %s", args, err, out)
		}
		return strings.TrimSpace(out)
	}
	slot := cli(servers[0], "cluster", "keyslot", key)
	owner, err := c.MasterForKey(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var from, to *redistest.Server
	for _, s := range servers {
		switch {
		case s.Addr == owner.Options().Addr:
			from = s
		case strings.Contains(cli(s, "role"), "master"):
			to = s
		}
	}
	fromID, toID := cli(from, "cluster", "myid"), cli(to, "cluster", "myid")
	cli(to, "cluster", "setslot", slot, "importing", fromID)
	cli(from, "cluster", "setslot", slot, "migrating", toID)
	asked := make(chan error, 1)
	go func() {
		answer, err := b.Take(t.Context(), ask(2, buckets, 10))
		if err == nil && answer.Granted != 1 {
			err = fmt.Errorf("granted %d", answer.Granted)
		}
		asked <- err
	}()
	for _, k := range strings.Fields(cli(from, "cluster", "getkeysinslot", slot, "100")) {
		cli(from, "migrate", "127.0.0.1", fmt.Sprint(to.Port), k, "0", "5000")
	}
	for _, s := range []*redistest.Server{to, from} {
		cli(s, "cluster", "setslot", slot, "node", toID)
	}
	if err := <-asked; err != nil {
		t.Error(err)
	}
	mustTake(t, b, ask(3, buckets, 100))
	if n := used(t, b, buckets); n != 111 {
		t.Errorf("%d used; want 111", n)
	}
}

// failOver kills the master of an account: its replica goes on where it was.
func failOver(t *testing.T, servers []*redistest.Server, c *goredis.ClusterClient) {
	b := New(c, prefix(), WithTimeout(10*time.Second))
	buckets := perDay(1000)
	mustTake(t, b, ask(1, buckets, 900))
	master, err := c.MasterForKey(t.Context(), b.accountKey("account"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		if s.Addr != master.Options().Addr {
			continue
		}
		redistest.Eventually(t, "the replica has the charge", func() bool {
			out, err := s.Cli("wait", "1", "1000")
			return err == nil && strings.TrimSpace(out) == "1"
		})
		s.Kill()
	}
	newcomer := New(c, WithPrefix(b.prefix)) // that remembers nothing
	number := uint64(2)
	redistest.Eventually(t, "calls are answered again", func() bool {
		a, err := newcomer.Take(t.Context(), ask(number, buckets, 50))
		number++
		return err == nil && a.Granted == 1
	})
	if n := used(t, newcomer, buckets); n < 950 || n > 1000 {
		t.Errorf("%d used; want the 900 of before, and 50", n)
	}
}

// And in Redis's own time.
func TestConformanceInRealTime(t *testing.T) {
	if os.Getenv("REDIS_LONG") == "" {
		t.Skip("takes half a minute; set REDIS_LONG")
	}
	t.Parallel()
	c := client(t)
	backendtest.Run(t, func(*testing.T) backendtest.Subject {
		return backendtest.Subject{Backend: New(c, prefix(), WithTimeout(10*time.Second)), Shared: true}
	})
}
