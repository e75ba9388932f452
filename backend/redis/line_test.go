package redis

import (
	"fmt"
	"strings"
	"testing"

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
	for _, n := range []int{10, 10_000} {
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
	for command, n := range work[10] {
		if work[10_000][command] != n {
			t.Errorf("%s: called %s times behind 10 tickets, %s times behind 10,000", command, n, work[10_000][command])
		}
	}
	if len(work[10_000]) != len(work[10]) {
		t.Errorf("%v behind 10 tickets, %v behind 10,000", work[10], work[10_000])
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
