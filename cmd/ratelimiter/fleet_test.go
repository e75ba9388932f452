package main

import (
	"net/http"
	"sync"
	"syscall"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Two processes spend one budget in Redis, which a strict API has no reason to complain of; and
// what one has used the other one knows.
func TestFleet(t *testing.T) {
	server := redistest.Run(t, "--requirepass", secretPassword+"@")
	var mu sync.Mutex
	outcomes := map[openaitest.Outcome]int{}
	a := serveAPI(t, nil, openaitest.WithLimits("m", openaitest.Limits{RPM: 120}),
		openaitest.WithLimits("n", openaitest.Limits{RPM: 3}),
		openaitest.WithLog(func(r openaitest.Record) {
			mu.Lock()
			defer mu.Unlock()
			outcomes[r.Outcome]++
		}))
	t.Setenv(redisVariable, "redis://:"+secretPassword+"%40@"+server.Addr)
	args := []string{"-upstream", a.url, "-limits", "m=rpm:120", "-limits", "n=rpm:3", "-account", "team"}
	fleet := []*running{launch(t, args...), launch(t, args...)}
	const calls = 124 // four more than the bucket holds
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			if resp := do(t, chat(t, fleet[i%2].url, "m")); all(t, resp) == "" || resp.StatusCode != http.StatusOK {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	wg.Wait()
	mu.Lock()
	if outcomes[openaitest.Completed] != calls || len(outcomes) != 1 {
		t.Errorf("the API's outcomes are %v", outcomes)
	}
	mu.Unlock()

	for range 3 {
		all(t, do(t, chat(t, fleet[0].url, "n")))
	}
	fleet[0].signal(syscall.SIGTERM) // settles what was used
	fleet[0].exit(exitOK)
	for _, s := range fleet[1].status()[0].Scopes {
		if s.Model == "n" && s.Limits[0].Remaining > 0 {
			t.Errorf("the other process has used 3 of 3, and this one has %d left", s.Limits[0].Remaining)
		}
	}
}
