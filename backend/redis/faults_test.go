package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// perDay refills so slowly that no test is slow enough to see it.
func perDay(limit int64) []backend.Bucket {
	return []backend.Bucket{{Owner: "model:m", Name: "rpd", Dimension: backend.Requests, Limit: limit, Period: 24 * time.Hour}}
}

func ask(number uint64, buckets []backend.Bucket, costs ...int64) backend.Ask {
	a := backend.Ask{Account: "account", Line: "model:m", Scope: "model:m", Ticket: "ticket", Number: number, Buckets: buckets}
	for _, c := range costs {
		a.Costs = append(a.Costs, backend.Amounts{c})
	}
	return a
}

// used is how much of the bucket is used, to the unit.
func used(t *testing.T, b *Backend, buckets []backend.Bucket) int64 {
	t.Helper()
	a, err := b.Look(t.Context(), ask(0, buckets))
	if err != nil {
		t.Fatal(err)
	}
	return int64(buckets[0].Capacity() - a.Levels[0] + 0.5)
}

func mustAsk(t *testing.T, b *Backend, a backend.Ask) backend.Answer {
	t.Helper()
	answer, err := b.Take(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func mustTake(t *testing.T, b *Backend, a backend.Ask) backend.Answer {
	t.Helper()
	answer := mustAsk(t, b, a)
	if answer.Granted != len(a.Costs) {
		t.Fatalf("granted %d of %v", answer.Granted, a.Costs)
	}
	return answer
}

// kinds are the ways in which clients keep to the time.
var kinds = map[string]func(o *goredis.Options) Client{
	"a client": func(o *goredis.Options) Client { return goredis.NewClient(o) },
	"a client that heeds contexts": func(o *goredis.Options) Client {
		o.ContextTimeoutEnabled = true
		return goredis.NewClient(o)
	},
	"something else": func(o *goredis.Options) Client { return struct{ Client }{goredis.NewClient(o)} },
}

func closeClient(c Client) {
	switch c := c.(type) {
	case *goredis.Client:
		c.Close()
	case struct{ Client }:
		closeClient(c.Client)
	}
}

// A reply that is lost after the script ran: no call is charged or settled twice.
func TestLostReply(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			proxy := redistest.NewProxy(t, shared.Addr)
			c := kind(&goredis.Options{Addr: proxy.Addr, Username: "limiter", Password: "secret", MaxRetries: 5})
			defer closeClient(c)
			loseReplies(t, New(c, prefix(), WithTimeout(10*time.Second)), proxy.LoseReply)
		})
	}
}

// loseReplies has the replies to an ask of either kind and to a settlement lost.
func loseReplies(t *testing.T, b *Backend, lose func()) {
	buckets := perDay(1000)
	mustTake(t, b, ask(1, buckets, 1))
	if err := b.Settle(t.Context(), backend.Settlement{Account: "account", Buckets: buckets}); err != nil {
		t.Fatal(err) // Redis knows the scripts now
	}

	fresh := ask(2, buckets, 10)
	fresh.Fresh = true
	lose()
	if _, err := b.Take(t.Context(), fresh); err == nil {
		t.Error("a fresh ask whose reply was lost did not fail")
	}
	if n := used(t, b, buckets); n != 11 {
		t.Errorf("%d used; want 11: the fresh ask was charged once", n)
	}

	lose()
	stamp := mustTake(t, b, ask(3, buckets, 100)).Stamp
	if n := used(t, b, buckets); n != 111 {
		t.Errorf("%d used; want 111: the ask was repeated and charged once", n)
	}

	lose()
	if err := b.Settle(t.Context(), backend.Settlement{Account: "account", Line: "model:m", Stamp: stamp,
		Buckets: buckets, Refund: backend.Amounts{50}}); err == nil {
		t.Error("a settlement whose reply was lost did not fail")
	}
	if n := used(t, b, buckets); n != 61 {
		t.Errorf("%d used; want 61: the settlement was applied once", n)
	}
}

// A black hole: calls end with the backend's timeout, whatever the client's are.
func TestBlackHole(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			proxy := redistest.NewProxy(t, shared.Addr)
			c := kind(&goredis.Options{Addr: proxy.Addr, Username: "limiter", Password: "secret",
				ReadTimeout: 5 * time.Minute, WriteTimeout: 5 * time.Minute, DialTimeout: 5 * time.Minute, PoolTimeout: 5 * time.Minute})
			defer closeClient(c)
			b := New(c, prefix(), WithTimeout(100*time.Millisecond))
			buckets := perDay(1000)
			redistest.Eventually(t, "the first call has an answer", func() bool { // machines may be slow
				_, err := b.Take(t.Context(), ask(1, buckets, 1))
				return err == nil
			})
			proxy.Hold(true)
			for n, fresh := range []bool{true, false} {
				a := ask(uint64(n+2), buckets, 1)
				a.Fresh = fresh
				start := time.Now()
				_, err := b.Take(t.Context(), a)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v; want a timeout", err)
				}
				if took := time.Since(start); took > time.Minute { // the client's own timeouts are five
					t.Errorf("it took %v", took)
				}
			}
			proxy.Hold(false)
			redistest.Eventually(t, "calls are answered again", func() bool {
				_, err := b.Look(t.Context(), ask(0, buckets))
				return err == nil
			})
		})
	}
}

func TestScriptsAreLoadedAgain(t *testing.T) {
	s := redistest.Run(t)
	c := admin(t, s)
	b := New(c, prefix(), WithTimeout(10*time.Second))
	buckets := perDay(1000)
	for i := range uint64(3) {
		mustTake(t, b, ask(i+1, buckets, 1))
		c.ScriptFlush(t.Context())
	}
	if n := used(t, b, buckets); n != 3 {
		t.Errorf("%d used; want 3", n)
	}
}

func TestKilledConnections(t *testing.T) {
	s := redistest.Run(t)
	c, other := admin(t, s), admin(t, s)
	b := New(c, prefix(), WithTimeout(10*time.Second))
	buckets := perDay(1000)
	for i := range uint64(20) {
		mustTake(t, b, ask(i+1, buckets, 1))
		if err := other.Do(t.Context(), "client", "kill", "type", "normal").Err(); err != nil {
			t.Fatal(err)
		}
	}
	if n := used(t, b, buckets); n != 20 {
		t.Errorf("%d used; want 20", n)
	}
}

// A store that lost its data starts from the last levels that were seen; charges
// from before are not given back to it.
func TestLostData(t *testing.T) {
	s := redistest.Run(t)
	c := admin(t, s)
	lose := map[string]func() error{
		"FLUSHALL": func() error { return c.FlushAll(t.Context()).Err() },
		"restart": func() error {
			s.Kill()
			return s.Restart()
		},
	}
	for name, f := range lose {
		t.Run(name, func(t *testing.T) {
			b := New(c, prefix(), WithTimeout(10*time.Second))
			buckets := perDay(1000)
			stamp := mustTake(t, b, ask(1, buckets, 900)).Stamp
			if err := f(); err != nil {
				t.Fatal(err)
			}
			if err := b.Settle(t.Context(), backend.Settlement{Account: "account", Line: "model:m", Stamp: stamp,
				Buckets: buckets, Refund: backend.Amounts{900}}); err != nil {
				t.Fatal(err)
			}
			if n := used(t, b, buckets); n != 900 {
				t.Errorf("%d used; want the 900 that were seen last", n)
			}
			if answer, err := b.Take(t.Context(), ask(2, buckets, 200)); err != nil || answer.Granted != 0 {
				t.Errorf("granted %d of a bucket that had 100 left (%v)", answer.Granted, err)
			}
		})
	}
}

func TestRestartWithData(t *testing.T) {
	s := redistest.Run(t, "--appendonly", "yes", "--appendfsync", "always")
	c := admin(t, s)
	p := prefix()
	buckets := perDay(1000)
	b := New(c, p, WithTimeout(10*time.Second))
	stamp := mustTake(t, b, ask(1, buckets, 900)).Stamp
	mustTake(t, b, ask(2, buckets)) // nothing
	s.Kill()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	b = New(c, p, WithTimeout(10*time.Second)) // that has seen nothing
	if n := used(t, b, buckets); n != 900 {
		t.Errorf("%d used; want 900", n)
	}
	if err := b.Settle(t.Context(), backend.Settlement{Account: "account", Line: "model:m", Stamp: stamp,
		Buckets: buckets, Refund: backend.Amounts{400}}); err != nil {
		t.Fatal(err)
	}
	if n := used(t, b, buckets); n != 500 {
		t.Errorf("%d used; want 500", n)
	}
}

// Each of these is rejected with an error that says what is wrong, changes nothing,
// and is over as soon as its cause is.
func TestRejections(t *testing.T) {
	s := redistest.Run(t)
	c := admin(t, s)
	do := func(args ...any) {
		t.Helper()
		if err := c.Do(context.Background(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	type rejection struct {
		name        string
		want        error
		cause, cure func(b *Backend)
	}
	key := func(b *Backend, i int) string {
		return lineKeys(b.accountKey("account"), lineField("model:m"), ticketField("ticket"))[i]
	}
	cases := []rejection{
		{"out of memory", ErrFull,
			func(*Backend) { do("config", "set", "maxmemory", "1") },
			func(*Backend) { do("config", "set", "maxmemory", "0") }},
		{"a replica", ErrReadOnly,
			func(*Backend) { do("replicaof", "127.0.0.1", "1") },
			func(*Backend) { do("replicaof", "no", "one") }},
		{"another version", ErrVersion,
			func(b *Backend) { do("hset", key(b, 0), "m", numbersOf(version-1, 1e18, 0, 0)) },
			func(b *Backend) { do("hset", key(b, 0), "m", numbersOf(version, 0, 0, 0)) }},
	}
	for i, name := range []string{"account", "line", "tickets", "reply"} {
		var kept string
		cases = append(cases, rejection{"something else in the key of the " + name, ErrOccupied,
			func(b *Backend) {
				kept = key(b, i) + "kept"
				c.Rename(t.Context(), key(b, i), kept) // where there is one
				do("rpush", key(b, i), "x")
			},
			func(b *Backend) {
				do("del", key(b, i))
				c.Rename(t.Context(), kept, key(b, i))
			}})
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			b := New(c, prefix(), WithTimeout(10*time.Second))
			buckets := perDay(1000)
			mustTake(t, b, ask(1, buckets, 1))
			x.cause(b)
			waits := New(c, WithPrefix(b.prefix), WithTimeout(3*time.Second)) // until the cause is over
			_, err := waits.Take(t.Context(), ask(2, buckets, 10, 995))       // leaves a ticket
			if !errors.Is(err, x.want) {
				t.Errorf("take: %v; want %v", err, x.want)
			}
			x.cure(b)
			if n := used(t, b, buckets); n != 1 {
				t.Errorf("%d used; want 1: what was rejected changed nothing", n)
			}
			mustTake(t, b, ask(3, buckets, 10))
		})
	}
}

func numbersOf(values ...float64) string {
	var n numbers
	n.add(values...)
	return string(n)
}

func TestPrefixWithBraces(t *testing.T) {
	c := client(t)
	for _, prefix := range []string{"ratelimiter:{x}:", "ratelimiter:{", "ratelimiter:}"} {
		b := New(c, WithPrefix(prefix))
		_, take := b.Take(t.Context(), ask(1, perDay(10), 1))
		_, look := b.Look(t.Context(), ask(1, perDay(10), 1))
		for op, err := range map[string]error{
			"take": take, "look": look,
			"settle": b.Settle(t.Context(), backend.Settlement{Account: "account", Buckets: perDay(10)}),
			"clear":  b.Clear(t.Context(), "account", []string{"model:m"}),
			"keep":   b.Keep(t.Context(), "account", "model:m", nil, time.Minute),
		} {
			var e *Error
			if !errors.As(err, &e) || e.Op != op || !strings.Contains(err.Error(), prefix) {
				t.Errorf("%s with the prefix %q: %v", op, prefix, err)
			}
		}
	}
	if _, err := New(c, WithPrefix("{"), prefix()).Take(t.Context(), ask(1, perDay(10), 1)); err != nil {
		t.Errorf("the last prefix counts: %v", err)
	}
}

// Everything in Redis expires, and none of it can be read.
func TestKeys(t *testing.T) {
	s := redistest.Run(t)
	c := admin(t, s)
	b := New(c, WithTimeout(10*time.Second))
	buckets := perDay(1000)
	mustTake(t, b, ask(1, buckets, 900))
	if a, err := b.Take(t.Context(), ask(2, buckets, 900)); err != nil || a.Granted != 0 {
		t.Fatal(a, err)
	}
	if err := b.Keep(t.Context(), "account", "model:m", []byte("{}"), time.Hour); err != nil {
		t.Fatal(err)
	}
	keys := c.Keys(t.Context(), "*").Val()
	if len(keys) != 6 {
		t.Errorf("keys %q; want the account, its line, the tickets, when they asked, a reply and a note", keys)
	}
	for _, k := range keys {
		ttl := c.PTTL(t.Context(), k).Val()
		if ttl <= 0 {
			t.Errorf("%s does not expire", k)
		}
		if !strings.Contains(k[1:], "}") || !strings.HasPrefix(k, DefaultPrefix+"{") {
			t.Errorf("%s has not the prefix and the hash tag", k)
		}
		if strings.HasSuffix(k, ":note") && ttl > time.Hour {
			t.Errorf("a note for an hour expires in %v", ttl)
		}
		if strings.HasSuffix(k, "}") && ttl < 21*time.Hour {
			t.Errorf("the account expires in %v, before its bucket is full", ttl)
		}
		dump := c.Dump(t.Context(), k).Val()
		for _, secret := range []string{"account", "model:m", "ticket"} {
			if strings.Contains(dump, secret) || strings.Contains(strings.TrimSuffix(k, ":tickets"), secret) {
				t.Errorf("%s holds %q", k, secret)
			}
		}
	}
}

// Whatever happens in a line, and whichever of its keys is evicted, all expire,
// and what is kept grows with those who stand there, not with those who did.
func TestKeysOfALine(t *testing.T) {
	s := redistest.Run(t)
	c := admin(t, s)
	seed := newSeed()
	r := rand.New(rand.NewPCG(seed, 0))
	b := newVirtual(c)
	buckets := perDay(1000)
	number := uint64(0)
	take := func(ticket int, fresh bool, costs ...int64) {
		t.Helper()
		number++
		a := ask(number, buckets, costs...)
		a.Ticket, a.Fresh, a.Leave = fmt.Sprint("ticket", ticket), fresh, len(costs) == 0
		if _, err := b.Take(t.Context(), a); err != nil {
			t.Fatalf("%v (-seed %d)", err, seed)
		}
	}
	keys := lineKeys(b.accountKey("account"), lineField("model:m"), ticketField("ticket"))
	tickets := 0
	var steps []string
	check := func(step string) {
		t.Helper()
		steps = append(steps, step)
		for _, k := range c.Keys(t.Context(), "*").Val() {
			if c.PTTL(t.Context(), k).Val() == -1 {
				t.Fatalf("%s does not expire after %q (-seed %d)", k, steps[max(0, len(steps)-12):], seed)
			}
		}
	}
	take(-1, true, 999)
	for range 3000 {
		switch r.IntN(8) {
		case 0: // somebody comes
			tickets++
			take(tickets, r.IntN(2) == 0, 10)
			check("come")
		case 1:
			b.now += r.Int64N(3e6)
			check("tick")
		case 2: // somebody leaves
			take(tickets-r.IntN(8), false)
			check("leave")
		case 3:
			if _, err := b.Look(t.Context(), ask(0, buckets, 10)); err != nil {
				t.Fatal(err)
			}
			check("look")
		case 4:
			if k := r.IntN(40); k < len(keys) {
				c.Del(t.Context(), keys[k])
				check("evict " + keys[k][len(keys[0]):])
			}
		case 5: // somebody gets what little there is
			take(tickets-r.IntN(8), r.IntN(2) == 0, 1)
			check("take one")
		default:
			take(tickets-r.IntN(8), false, 10)
			check("ask")
		}
	}
	// All but one die.
	for range 30 {
		b.now += 500_000
		take(-2, false, 10)
		check("ask")
	}
	if n, asked := c.ZCard(t.Context(), keys[1]).Val(), c.ZCard(t.Context(), keys[4]).Val(); n != 1 || asked != 1 {
		t.Errorf("%d and %d members; want one ticket's place, and when it asked (-seed %d)", n, asked, seed)
	}
	if n := c.ZLexCount(t.Context(), keys[1], "[s", "(t").Val(); n != 0 {
		t.Errorf("%d have been stepped over; want none (-seed %d)", n, seed)
	}
	if n := c.HLen(t.Context(), keys[2]).Val(); n != 3 {
		t.Errorf("%d records; want a ticket, its node and its shape (-seed %d)", n, seed)
	}
}

// All keys of a line expire also where the only one that stands there has died, and is stepped
// over.
func TestKeysOfALineWhoseOnlyTicketIsSilent(t *testing.T) {
	c := admin(t, redistest.Run(t))
	b := newVirtual(c)
	take := func(ticket string, leave bool, cost int64) {
		t.Helper()
		a := ask(1, perDay(100), cost)
		a.Ticket, a.Fresh, a.Leave = ticket, true, leave
		if _, err := b.Take(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	take("alive", true, 99)
	take("dead", false, 100)
	for range 4 {
		b.now += 600_000
		take("alive", true, 1)
		for _, k := range c.Keys(t.Context(), "*").Val() {
			if c.PTTL(t.Context(), k).Val() == -1 {
				t.Errorf("%s does not expire", k)
			}
		}
	}
}

// The keys of a line live as long as somebody asks, and go with the last ticket.
func TestKeysOfALineAreRenewed(t *testing.T) {
	c := admin(t, redistest.Run(t))
	b := newVirtual(c)
	number := uint64(0)
	take := func(ticket string, costs ...int64) {
		t.Helper()
		number++
		a := ask(number, perDay(100), costs...)
		a.Ticket, a.Leave = ticket, len(costs) == 0
		if _, err := b.Take(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	keys := lineKeys(b.accountKey("account"), lineField("model:m"), ticketField("x"))
	take("x", 100)
	take("alive", 50)
	line := []string{keys[1], keys[2], keys[4]}
	for _, k := range line {
		if !c.PExpire(t.Context(), k, 20*time.Second).Val() {
			t.Fatalf("no key %s", k)
		}
	}
	for range 40 {
		b.now += 1e6
		take("alive", 50)
	}
	for _, k := range line {
		if ttl := c.PTTL(t.Context(), k).Val(); ttl < 25*time.Second || ttl > time.Minute {
			t.Errorf("%s expires in %v; want it to live for half a minute to a minute", k, ttl)
		}
	}
	take("alive")
	if n := c.Exists(t.Context(), line...).Val(); n != 0 {
		t.Errorf("%d keys are left of a line in which nobody stands", n)
	}
	if c.HExists(t.Context(), keys[0], lineField("model:m")).Val() {
		t.Error("the account still has the line")
	}
}

// Nothing stays of a line that the account's hash has lost.
func TestLineWhoseFieldIsLost(t *testing.T) {
	c := admin(t, redistest.Run(t))
	b := newVirtual(c)
	keys := lineKeys(b.accountKey("account"), lineField("model:m"), ticketField("x"))
	for i, ticket := range []string{"x", "y"} {
		a := ask(1, perDay(100), 100-int64(i), 100)
		a.Ticket = ticket
		mustAsk(t, b.Backend, a)
		if i == 0 && c.HDel(t.Context(), keys[0], lineField("model:m")).Val() != 1 {
			t.Fatal("the account does not have the line")
		}
	}
	if n, members, asked := c.HLen(t.Context(), keys[2]).Val(), c.ZCard(t.Context(), keys[1]).Val(), c.ZCard(t.Context(), keys[4]).Val(); n != 3 || members != 1 || asked != 1 {
		t.Errorf("%d records, %d members, %d that asked; want a ticket, its node and its shape, one and one", n, members, asked)
	}
}

// A hash that never comes to rest loses the owners and lines that do.
func TestIdleOwnersAreDropped(t *testing.T) {
	c := client(t)
	var now int64 = 1_700_000_000_000_000
	b := New(c, prefix(), WithTimeout(10*time.Second), withClock(func() int64 { return now }))
	take := func(owner string) {
		t.Helper()
		a := ask(1, []backend.Bucket{{Owner: owner, Name: "rpm", Limit: 10, Period: time.Minute}}, 10)
		a.Scope, a.Line, a.Ticket, a.Fresh = owner, owner, owner, true
		mustTake(t, b, a)
		mustAsk(t, b, a) // it is left in line
	}
	for i := range 200 {
		take("model:" + strings.Repeat("x", i+1))
	}
	now += 20 * 60 * 1e6
	take("model:m")
	if n := c.HLen(t.Context(), b.accountKey("account")).Val(); n > 4 { // of the last one its buckets, their description and its line
		t.Errorf("the account still has %d fields", n)
	}
}

func TestSentinelFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	master, replica, sentinels := redistest.Sentinel(t)
	c := goredis.NewFailoverClient(&goredis.FailoverOptions{MasterName: "main", SentinelAddrs: sentinels})
	defer c.Close()
	b := New(c, prefix())
	buckets := perDay(1000)
	mustTake(t, b, ask(1, buckets, 900))
	redistest.Eventually(t, "the replica has the charge", func() bool {
		out, err := replica.Cli("dbsize")
		return err == nil && strings.TrimSpace(out) == "2"
	})
	master.Kill()
	number := uint64(2)
	redistest.Eventually(t, "calls are answered again", func() bool {
		a, err := b.Take(t.Context(), ask(number, buckets, 50))
		number++
		return err == nil && a.Granted == 1
	})
	if n := used(t, b, buckets); n < 950 || n > 1000 {
		t.Errorf("%d used; want the 900 of before, and 50", n)
	}
}
