package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// An ask is as much work behind ten thousand tickets as behind ten.
func TestLengthOfTheLineCostsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a long line")
	}
	s := redistest.Run(t)
	c := admin(t, s)
	work := map[int]map[string]string{}
	// Odd, so that no patrol ends at the end of the line and finds nobody.
	for _, n := range []int{11, 10_001} {
		b := newVirtual(c)
		buckets := perDay(1000)
		take := func(ticket int, number uint64, costs ...int64) backend.Answer {
			a := ask(number, buckets, costs...)
			a.Ticket = fmt.Sprint(ticket)
			answer, err := b.Take(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
		take(-1, 1, 1000)
		for i := range n {
			take(i, 1, 1, 1)
		}
		if err := c.ConfigResetStat(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		for i := range uint64(10) {
			if a := take(n-1, i+2, 1, 1); a.Granted != 0 || a.Tickets != n-1 {
				t.Fatalf("granted %d, %d ahead", a.Granted, a.Tickets)
			}
		}
		work[n] = calls(t, c)
	}
	for command, n := range work[11] {
		if work[10_001][command] != n {
			t.Errorf("%s: called %s times behind 11 tickets, %s times behind 10,001", command, n, work[10_001][command])
		}
	}
	if len(work[10_001]) != len(work[11]) {
		t.Errorf("%v behind 11 tickets, %v behind 10,001", work[11], work[10_001])
	}
}

// A clock that is set back (or a failover to a server that is behind) lets no pause
// last longer, and no dead ticket hold the line longer than its lease.
func TestClockSetBack(t *testing.T) {
	for _, back := range []time.Duration{500 * time.Millisecond, 3 * time.Second, time.Hour} {
		t.Run(back.String(), func(t *testing.T) {
			b := newVirtual(client(t))
			buckets := perDay(100)
			number := uint64(0)
			take := func(ticket string, costs ...int64) backend.Answer {
				t.Helper()
				number++
				a := ask(number, buckets, costs...)
				a.Ticket = ticket
				answer, err := b.Take(t.Context(), a)
				if err != nil {
					t.Fatal(err)
				}
				return answer
			}
			take("x", 50)
			take("dead", 100)
			take("p", 100)
			b.now -= back.Microseconds()
			for n := range 10 {
				if a := take("q", 1); a.Granted != 0 {
					t.Errorf("granted after %d tenths of a second, before the lease is over", n)
				}
				b.now += 100_000
				take("p", 100)
			}
			b.now++
			if a := take("p", 1); a.Granted != 1 || a.Tickets != 0 {
				t.Errorf("granted %d behind %d", a.Granted, a.Tickets)
			}

			err := b.Settle(t.Context(), backend.Settlement{Account: "account", PauseOwner: "model:m", Pause: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			b.now -= back.Microseconds()
			if a := take("p", 1); a.Granted != 0 || a.Paused != 5*time.Second {
				t.Errorf("granted %d, paused for %v; want 5s", a.Granted, a.Paused)
			}
			b.now += 5e6
			if a := take("p", 1); a.Granted != 1 {
				t.Errorf("still paused for %v", a.Paused)
			}
		})
	}
}

// calls is how often each command was called, by scripts too.
func calls(t *testing.T, c *goredis.Client) map[string]string {
	t.Helper()
	info, err := c.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, line := range strings.Split(info, "\r\n") {
		command, figures, ok := strings.Cut(line, ":calls=")
		if n, _, _ := strings.Cut(figures, ","); ok {
			out[command] = n
		}
	}
	return out
}
