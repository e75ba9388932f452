package invisible

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// An outcome is all that can be seen of a play.
type outcome struct {
	wire, program string
	conns         int
}

// A way is how a program sends: what it makes of a base.
type way[T any] struct {
	name string
	over func(base http.RoundTripper) T
}

// wideLimiter returns one with limits that nobody reaches.
func wideLimiter(t *testing.T) *ratelimiter.Limiter {
	t.Helper()
	const plenty = 1_000_000_000
	return newLimiter(t, ratelimiter.WithAccountLimits(ratelimiter.Limits{
		RPM: plenty, TPM: plenty, IPM: plenty, RPD: 100 * plenty, TPD: 100 * plenty, Concurrent: plenty}))
}

// compare plays in every way, and reports what differs from the first. Some of what net/http
// does is chance, such as which of two errors it returns, or whether a connection comes back
// in time for the next request. So what differs is compared with more plays of the first, and
// is wrong only if none of them comes out so, twice.
func compare[T any](t *testing.T, play func(way[T]) outcome, alone way[T], others ...way[T]) {
	t.Helper()
	const plays = 40
	bare := []outcome{play(alone)}
	for _, w := range others {
		var got outcome
		seen := false
		for tries := 0; tries < 2 && !seen && !t.Failed(); tries++ {
			got = play(w)
			for !slices.Contains(bare, got) && len(bare) < plays && !t.Failed() {
				bare = append(bare, play(alone))
			}
			seen = slices.Contains(bare, got)
		}
		if seen {
			continue
		}
		same(t, w.name+": the wire", got.wire, bare[0].wire)
		same(t, w.name+": the program", got.program, bare[0].program)
		if got.conns != bare[0].conns {
			t.Errorf("%s: %d connections; want %d", w.name, got.conns, bare[0].conns)
		}
	}
}

// newLimiter returns one that has nothing left of any call when the test ends.
func newLimiter(t *testing.T, options ...ratelimiter.Option) *ratelimiter.Limiter {
	t.Helper()
	l, err := ratelimiter.New(append(options, ratelimiter.WithAccount("test"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if len(l.Accounts()) == 0 {
			return
		}
		// Some libraries close a body on a goroutine of their own.
		left := func() (calls []string) {
			state, err := l.State(context.Background())
			if err != nil {
				return []string{err.Error()}
			}
			for _, s := range state.Scopes {
				if s.InFlight != 0 || s.Waiting != 0 {
					calls = append(calls, fmt.Sprintf("%s: %d calls in flight and %d in line", s.Model, s.InFlight, s.Waiting))
				}
			}
			return calls
		}
		for began := time.Now(); len(left()) > 0 && time.Since(began) < 10*time.Second; {
			runtime.Gosched()
		}
		for _, calls := range left() {
			t.Error(calls + " are left")
		}
	})
	return l
}

// same reports where two texts differ.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := []byte(got), []byte(want)
	n := 0
	for n < min(len(g), len(w)) && g[n] == w[n] {
		n++
	}
	from := max(0, bytes.LastIndexByte(g[:n], '\n'), n-200)
	cut := func(b []byte) []byte { return b[from:min(len(b), n+300)] }
	t.Errorf("%s:\n%q; want\n%q", what, cut(g), cut(w))
}
