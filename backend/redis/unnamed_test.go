package redis_test

import (
	"crypto/rand"
	"net/http"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// What calls without an account have used in Redis is charged once to the account that gets
// known first, whether or not another process has called for it before.
func TestUnnamedAccountIsTakenOver(t *testing.T) {
	server, err := redistest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for name, known := range map[string]bool{"new": false, "known": true} {
		t.Run(name, func(t *testing.T) {
			prefix := "test:" + rand.Text() + ":"
			newMember := func() *ratelimiter.Limiter {
				client := goredis.NewClient(&goredis.Options{Addr: server.Addr})
				t.Cleanup(func() { client.Close() })
				l, err := ratelimiter.New(ratelimiter.WithLimits("m", ratelimiter.Limits{TPD: 10_000}),
					ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(prefix))))
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
			upstream := openaitest.New(openaitest.WithHeaders(false)).Direct()
			used := int64(0)
			if known {
				other := newMember()
				post(t, other, "m", upstream)
				acquire(t, other, ratelimiter.Cost{Model: "m", Tokens: 2000}).Settle(ratelimiter.Usage{})
				if err := other.Shutdown(t.Context()); err != nil {
					t.Fatal(err)
				}
				used = 2000
			}
			l := newMember()
			acquire(t, l, ratelimiter.Cost{Model: "m", Tokens: 3000}).Settle(ratelimiter.Usage{})
			held := acquire(t, l, ratelimiter.Cost{Model: "m", Tokens: 1000})
			if status := post(t, l, "m", upstream); status != http.StatusOK {
				t.Fatal(status)
			}
			acquire(t, l, ratelimiter.Cost{Model: "m", Tokens: 500}).Settle(ratelimiter.Usage{})
			held.Cancel()
			if err := l.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			state, err := l.State(t.Context())
			if err != nil || len(l.Accounts()) != 1 || l.Accounts()[0] == "unnamed" {
				t.Fatalf("%v, %v", l.Accounts(), err)
			}
			used += 3500
			// A refund that is on its way to the old name may be lost.
			if left := state.Scopes[0].Limits[0].Remaining; left < 10_000-used-1100 || left > 10_000-used+10 {
				t.Errorf("%d tokens left; want %d, or less if the refund of 1,000 was lost", left, 10_000-used)
			}
		})
	}
}
