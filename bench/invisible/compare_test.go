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

// An outcome is all that can be seen of a play, part by part: what was sent, what the program
// saw, and so on.
type outcome map[string]string

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
// in time for the next request. So a part that differs is compared with more plays of the
// first, and is wrong only if it comes out so in none of them, in three plays on end.
func compare[T any](t *testing.T, play func(way[T]) outcome, alone way[T], others ...way[T]) {
	t.Helper()
	const plays = 60
	bare := []outcome{play(alone)}
	for _, w := range others {
		var wrong []string
		var got outcome
		for tries := 0; tries == 0 || len(wrong) > 0 && tries < 3 && !t.Failed(); tries++ {
			got = play(w)
			wrong = unseen(got, bare)
			for len(wrong) > 0 && len(bare) < plays && !t.Failed() {
				bare = append(bare, play(alone))
				wrong = unseen(got, bare)
			}
		}
		for _, part := range wrong {
			same(t, w.name+": "+part, got[part], bare[0][part])
		}
	}
}

// unseen are the parts of an outcome that none of the others has.
func unseen(got outcome, others []outcome) (parts []string) {
	for part, text := range got {
		if !slices.ContainsFunc(others, func(o outcome) bool { return o[part] == text }) {
			parts = append(parts, part)
		}
	}
	return parts
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
