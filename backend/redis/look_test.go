package redis

import (
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// changes is how many changes Redis has made to its data: what it tells its replicas.
func changes(t *testing.T, c *goredis.Client) int {
	t.Helper()
	for line := range strings.SplitSeq(c.Info(t.Context(), "persistence").Val(), "\r\n") {
		if v, ok := strings.CutPrefix(line, "rdb_changes_since_last_save:"); ok {
			n, err := strconv.Atoi(v)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("Redis does not tell")
	return 0
}

// A look writes nothing, neither with a line nor without one, of buckets that are known,
// unknown or described anew, and at whatever time. Only who takes a silent ticket out of
// the others' way, or knows more of a bucket that was lost, writes that.
func TestLookWritesNothing(t *testing.T) {
	c := admin(t, redistest.Run(t))
	b := newVirtual(c)
	buckets, number := perDay(1000), uint64(1)
	look := func(buckets []backend.Bucket) backend.Answer {
		t.Helper()
		a, err := b.Look(t.Context(), ask(0, buckets, 10))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	dumps := func() map[string]string {
		all := map[string]string{}
		for _, k := range c.Keys(t.Context(), "*").Val() {
			all[k] = c.Dump(t.Context(), k).Val()
		}
		return all
	}
	unchanged := func(what string, buckets []backend.Bucket, tickets int) {
		t.Helper()
		n, was := changes(t, c), dumps()
		if a := look(buckets); a.Tickets != tickets {
			t.Errorf("%s: %d tickets; want %d", what, a.Tickets, tickets)
		}
		if now := changes(t, c); now != n || !maps.Equal(was, dumps()) {
			t.Errorf("%s: %d changes", what, now-n)
		}
	}
	unchanged("an empty Redis", buckets, 0)
	mustTake(t, b.Backend, ask(1, buckets, 995))
	unchanged("a known bucket", buckets, 0)
	b.now += 1e6
	unchanged("a second later", buckets, 0)
	other := perDay(500)
	other[0].Owner = "model:other"
	unchanged("an unknown bucket", other, 0)
	unchanged("a limit that has changed", perDay(2000), 0)
	take := func(ticket string) {
		t.Helper()
		number++
		waits := ask(number, buckets, 100)
		waits.Ticket = ticket
		if a, err := b.Take(t.Context(), waits); err != nil || a.Granted != 0 {
			t.Fatal(a, err)
		}
	}
	take("silent")
	unchanged("a line", buckets, 1)
	b.now += 300_000
	unchanged("a line, later", buckets, 1)
	b.now -= 5e6
	unchanged("a clock that was set back", buckets, 1)
	b.now += 5e6
	for range 2 {
		b.now += 300_000
		take("alive")
	}
	b.now += 300_000 // more than the lease since the first asked, by the line's clock
	unchanged("a line in which one is silent", buckets, 2)
	if ttl := c.PTTL(t.Context(), b.accountKey("account")).Val(); ttl < 20*time.Hour {
		t.Errorf("the account expires in %v", ttl)
	}
}
