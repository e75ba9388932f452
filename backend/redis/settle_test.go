package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

func refund(buckets []backend.Bucket, units int64) backend.Settlement {
	return backend.Settlement{Account: "account", Line: "model:m", Stamp: 1 << 60, Buckets: buckets, Refund: backend.Amounts{units}}
}

// A gate holds back settlements, counts their trips, and may lose replies.
type gate struct {
	Client
	mu    sync.Mutex
	trips int
	fail  error
	hold  chan struct{} // until it is closed, or nil
	came  chan struct{}
}

func (g *gate) Process(ctx context.Context, cmd goredis.Cmder) error {
	if args := cmd.Args(); args[1] != settleScript.sha {
		return g.Client.Process(ctx, cmd)
	}
	hold, fail := g.enter()
	if hold != nil {
		g.came <- struct{}{}
		<-hold
	}
	if err := g.Client.Process(ctx, cmd); err != nil {
		return err
	}
	return fail
}

func (g *gate) enter() (hold chan struct{}, fail error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trips++
	return g.hold, g.fail
}

// set changes what happens to the settlements that come from now on.
func (g *gate) set(hold chan struct{}, fail error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trips, g.hold, g.fail = 0, hold, fail
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.trips
}

func newGate(t *testing.T) (*gate, *Backend, []backend.Bucket) {
	g := &gate{Client: client(t), came: make(chan struct{}, 100)}
	b := New(g, prefix(), WithTimeout(10*time.Second), withClock(func() int64 { return 1e15 })) // nothing refills
	buckets := perDay(100_000)
	mustTake(t, b, ask(1, buckets, 10_000))
	if err := b.Settle(t.Context(), refund(buckets, 0)); err != nil {
		t.Fatal(err) // Redis knows the script now
	}
	g.set(nil, nil)
	return g, b, buckets
}

// waiting is how many settlements wait for one that is under way.
func waiting(b *Backend, s backend.Settlement) int {
	g := b.settlings.get(b, &s)
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// What comes while a settlement is under way goes together, in as few trips as may be, and
// each has the outcome of its own trip. With an answer each is applied once, without one
// once at most.
func TestSettlementsGoTogether(t *testing.T) {
	lost := errors.New("lost")
	for name, fail := range map[string]error{"answered": nil, "the reply is lost": lost} {
		t.Run(name, func(t *testing.T) {
			g, b, buckets := newGate(t)
			hold := make(chan struct{})
			g.set(hold, nil)
			done := make(chan error, 200)
			settle := func(s backend.Settlement) { go func() { done <- b.Settle(t.Context(), s) }() }
			settle(refund(buckets, 1))
			<-g.came
			for range mostSettlements + 36 {
				settle(refund(buckets, 10))
			}
			redistest.Eventually(t, "they wait", func() bool { return waiting(b, refund(buckets, 0)) == mostSettlements+36 })
			if n := g.count(); n != 1 {
				t.Errorf("%d trips while one is under way", n)
			}
			other := refund(perDay(100_000), 3)
			other.Buckets[0].Owner = "model:other"
			g.set(nil, nil)
			if err := b.Settle(t.Context(), other); err != nil {
				t.Errorf("of other buckets: %v", err)
			}
			g.set(nil, fail)
			close(hold)
			failed := 0
			for range mostSettlements + 37 {
				switch err := <-done; {
				case errors.Is(err, lost):
					failed++
				case err != nil:
					t.Error(err)
				}
			}
			if want := mostSettlements + 36; fail != nil && failed != want || fail == nil && failed != 0 {
				t.Errorf("%d failed", failed)
			}
			if n := g.count(); n != 2 {
				t.Errorf("%d trips for %d that waited; want 2", n, mostSettlements+36)
			}
			if n := used(t, b, buckets); n != 10_000-1-10*(mostSettlements+36) {
				t.Errorf("%d used; want %d", n, 10_000-1-10*(mostSettlements+36))
			}
		})
	}
}

// Who does not wait for its settlement takes it out of those that wait, and none of the
// others.
func TestSettlementThatIsGivenUp(t *testing.T) {
	g, b, buckets := newGate(t)
	hold := make(chan struct{})
	g.set(hold, nil)
	done := make(chan error, 3)
	go func() { done <- b.Settle(t.Context(), refund(buckets, 1)) }()
	<-g.came
	go func() { done <- b.Settle(t.Context(), refund(buckets, 10)) }()
	redistest.Eventually(t, "one waits", func() bool { return waiting(b, refund(buckets, 0)) == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { left <- b.Settle(ctx, refund(buckets, 100)) }()
	redistest.Eventually(t, "two wait", func() bool { return waiting(b, refund(buckets, 0)) == 2 })
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go func() { done <- b.Settle(t.Context(), refund(buckets, 1000)) }()
	redistest.Eventually(t, "two wait again", func() bool { return waiting(b, refund(buckets, 0)) == 2 })
	g.set(nil, nil)
	close(hold)
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := used(t, b, buckets); n != 10_000-1011 {
		t.Errorf("%d used; want %d", n, 10_000-1011)
	}
}

// However many settle at once, alone or together, nothing is lost or counted twice; a
// pause neither waits nor is waited for.
func TestSettlementsAreExact(t *testing.T) {
	_, b, buckets := newGate(t)
	var work sync.WaitGroup
	for range 50 {
		work.Go(func() {
			for range 20 {
				s := refund(buckets, 1)
				if rand.IntN(10) == 0 {
					s.PauseOwner, s.Pause = "model:m", time.Microsecond
				}
				if err := b.Settle(t.Context(), s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	if n := used(t, b, buckets); n != 9000 {
		t.Errorf("%d used; want 9000", n)
	}
}

// A settlement of buckets that Redis knows takes three commands, however many go together
// and whatever they correct: one that reads, the clock's, and one that writes.
func TestSettlingIsShort(t *testing.T) {
	s := redistest.Run(t)
	c := admin(t, s)
	b := New(c, prefix(), WithTimeout(10*time.Second))
	buckets := []backend.Bucket{
		{Owner: "model:m", Name: "rpd", Dimension: backend.Requests, Limit: 1000, Period: 24 * time.Hour},
		{Owner: "model:m", Name: "tpd", Dimension: backend.Tokens, Limit: 1000, Period: 24 * time.Hour},
		{Owner: "account", Name: "rpd", Dimension: backend.Requests, Limit: 5000, Period: 24 * time.Hour},
	}
	mustTake(t, b, ask(1, buckets, 900))
	plain := &settlement{Settlement: refund(buckets, 1)}
	correcting := &settlement{Settlement: refund(buckets, 1)}
	correcting.Corrections = []backend.Correction{{From: 0, To: 5}, {}, {From: 0, To: -3}}
	for name, batch := range map[string][]*settlement{
		"one": {plain}, "one that corrects": {correcting}, "several": {plain, correcting, plain, plain},
	} {
		g := b.settlings.get(b, &plain.Settlement)
		if err := b.settle(t.Context(), g, batch); err != nil {
			t.Fatal(err)
		}
		n := commands(t, c, func() {
			if err := b.settle(t.Context(), g, batch); err != nil {
				t.Fatal(err)
			}
		})
		if n != 3 {
			t.Errorf("%s: %d commands; want 3", name, n)
		}
	}
}

// What is charged is kept until it has refilled, and ten minutes longer for whatever the clock
// may do: by many asks, and by many settlements, of which each lets the last one live on.
func TestDebitsAreKept(t *testing.T) {
	for name, charge := range map[string]func(b *Backend, buckets []backend.Bucket) error{
		"ask": func(b *Backend, buckets []backend.Bucket) error {
			a := ask(0, buckets, 1)
			a.Fresh, a.Leave = true, true
			_, err := b.Take(t.Context(), a)
			return err
		},
		"settlement": func(b *Backend, buckets []backend.Bucket) error {
			return b.Settle(t.Context(), refund(buckets, -1))
		},
	} {
		c := client(t)
		b := New(c, prefix(), WithTimeout(10*time.Second))
		buckets := perDay(1000)
		for n := range 60 {
			if err := charge(b, buckets); err != nil {
				t.Fatal(err)
			}
			full := time.Duration(n+1)*buckets[0].Period/1000 - time.Minute // what refills meanwhile
			if ttl := admin(t, shared).PTTL(t.Context(), b.accountKey("account")).Val(); ttl < full+10*time.Minute {
				t.Fatalf("%s %d: the account expires in %v, and its bucket is full in %v", name, n, ttl, full)
			}
		}
	}
}

// commands is how many commands scripts run meanwhile.
func commands(t *testing.T, c *goredis.Client, f func()) (n int) {
	t.Helper()
	if err := c.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	f()
	for name, calls := range commandStats(t, c) {
		if !strings.HasPrefix(name, "eval") && !strings.HasPrefix(name, "config") && !strings.HasPrefix(name, "client") && name != "hello" && name != "info" {
			n += calls
		}
	}
	return n
}
