package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

func TestLB(t *testing.T) {
	limits := ratelimiter.Limits{RPM: plenty, TPM: plenty}
	body := chatBody(1_000, false)
	callers, _ := strconv.Atoi(os.Getenv("CALLERS"))
	n, _ := strconv.Atoi(os.Getenv("N"))
	c := crowdOfCallers{callers, 5 * time.Millisecond}
	server, base := serve(newUpstream(limits, body), c.takes, os.Getenv("H2") != "")
	defer server.Close()
	defer base.CloseIdleConnections()
	sides := map[string]func() error{
		"bare":    post(base, "chat/completions", body),
		"limited": post(newLimiter(limits).Transport(base), "chat/completions", body),
	}
	var order []string
	if s := os.Getenv("SIDE"); s != "" {
		order = []string{s}
	} else {
		order = []string{"bare", "limited"}
	}
	turns, _ := strconv.Atoi(os.Getenv("TURNS"))
	for turn := range turns + 1 {
		for _, s := range order {
			var a, b syscall.Rusage
			syscall.Getrusage(0, &a)
			if _, err := c.turn(sides[s], n); err != nil {
				t.Fatal(err)
			}
			syscall.Getrusage(0, &b)
			if turn == 0 {
				continue
			}
			calls := float64(n * callers)
			us := func(x, y syscall.Timeval) float64 { return float64(y.Nano()-x.Nano()) / 1e3 / calls }
			fmt.Printf("%-8s user %6.1f sys %6.1f  vcsw %.2f ivcsw %.2f\n", s, us(a.Utime, b.Utime), us(a.Stime, b.Stime), float64(b.Nvcsw-a.Nvcsw)/calls, float64(b.Nivcsw-a.Nivcsw)/calls)
		}
	}
}
