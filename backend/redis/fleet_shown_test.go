package redis_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// Whoever asks sees the processes of a fleet, and one that was killed no more after some
// seconds. Looking at them writes nothing, and nothing that they say outlives them for long.
func TestFleetIsShown(t *testing.T) {
	const processes, limit = 5, 8
	f := startSlotFleet(t, processes, limit, 300*time.Millisecond)
	client := goredis.NewClient(&goredis.Options{Addr: f.store.Addr})
	defer client.Close()
	l, err := ratelimiter.New(ratelimiter.WithAccount("fleet"),
		ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(f.prefix), redis.WithTimeout(10*time.Second))))
	if err != nil {
		t.Fatal(err)
	}
	fleet := func() ratelimiter.FleetState {
		t.Helper()
		s, err := l.Fleet(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	// All callers of all processes either wait or are in flight, give or take those that are
	// between two calls.
	shown := func(n int) func() bool {
		return func() bool {
			s := fleet()
			if len(s.Processes) != n || s.Waiting == 0 || s.InFlight == 0 || s.Waiting+s.InFlight < slotCallers*n*3/4 {
				return false
			}
			for _, p := range s.Processes {
				if p.Own || p.Charged == 0 || len(p.Models) != 1 || p.Models[0].Model != "m" {
					return false
				}
			}
			return true
		}
	}
	redistest.Eventually(t, "all processes are shown", shown(processes))
	before := fleet()
	held, share := int64(0), 0.0
	for _, p := range before.Processes {
		for _, s := range p.Slots {
			if s.Owner != "m" || s.Used > s.Held {
				t.Errorf("slots %+v", s)
			}
			held += s.Held
		}
		share += p.Share
	}
	if held == 0 || share < 0.999 || share > 1.001 {
		t.Errorf("%d slots are held, and shares add up to %v: %+v", held, share, before)
	}
	if err := f.all[0].Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = f.all[0].Wait()
	begun := time.Now()
	redistest.Eventually(t, "the killed one is shown no more", shown(processes-1))
	t.Logf("gone after %v", time.Since(begun).Round(100*time.Millisecond))
	known := map[string]bool{}
	for _, p := range before.Processes {
		known[p.ID] = true
	}
	for _, p := range fleet().Processes {
		if !known[p.ID] || p.Age > 6*time.Second {
			t.Errorf("%+v was not there before", p)
		}
	}

	var keys []string
	for _, cmd := range f.all[1:] {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if keys, err = client.Keys(t.Context(), f.prefix+"*").Result(); err != nil {
		t.Fatal(err)
	}
	reports := 0
	for _, key := range keys {
		ttl, err := client.PTTL(t.Context(), key).Result()
		if err != nil || ttl <= 0 {
			t.Errorf("%s expires in %v, %v", key, ttl, err)
		}
		if strings.HasSuffix(key, ":fleet") || strings.HasSuffix(key, ":reports") {
			if reports++; ttl > time.Minute {
				t.Errorf("%s lives for %v", key, ttl)
			}
		}
	}
	if reports != 2 {
		t.Errorf("%d keys of reports in %q", reports, keys)
	}
	redistest.Eventually(t, "nobody is shown", func() bool { return len(fleet().Processes) == 0 })
	fields, err := client.HLen(t.Context(), keyOf(keys, ":fleet")).Result()
	if err != nil || fields == 0 {
		t.Errorf("looking has taken out what dead processes have said: %d, %v", fields, err)
	}
}

func keyOf(keys []string, suffix string) string {
	for _, key := range keys {
		if strings.HasSuffix(key, suffix) {
			return key
		}
	}
	return ""
}
