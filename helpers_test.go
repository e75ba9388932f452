package ratelimiter_test

import (
	"flag"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// newLimiter fails the test where New does.
func newLimiter(t testing.TB, options ...ratelimiter.Option) *ratelimiter.Limiter {
	t.Helper()
	l, err := ratelimiter.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// warm ends a scope's slow start, so that tests of something else see whole buckets: a response
// without rate-limit headers does.
func warm(t testing.TB, l *ratelimiter.Limiter, model string) {
	t.Helper()
	srv := openaitest.New(openaitest.WithHeaders(false))
	if status, _ := post(t, l.Client(srv.Direct()), chatURL, chatBody(model, 1, false)); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if err := l.Clear(t.Context(), model); err != nil {
		t.Fatal(err)
	}
}

// acquire fails the test on an error.
func acquire(t testing.TB, l *ratelimiter.Limiter, call ratelimiter.Call) *ratelimiter.Reservation {
	t.Helper()
	r, err := l.Acquire(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tokens(n int64) ratelimiter.Cost { return ratelimiter.Cost{Model: "m", Tokens: n} }

// newWarm is a limiter whose model "m" has 600 tokens a minute, all of them free.
func newWarm(t testing.TB, options ...ratelimiter.Option) *ratelimiter.Limiter {
	t.Helper()
	l := newLimiter(t, append(options, ratelimiter.WithAccount("a"),
		ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 600}))...)
	warm(t, l, "m")
	return l
}

func stateOf(t testing.TB, l *ratelimiter.Limiter) ratelimiter.State {
	t.Helper()
	state, err := l.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// scopeOf is the state of a model.
func scopeOf(t testing.TB, l *ratelimiter.Limiter, model string) ratelimiter.ScopeState {
	t.Helper()
	state := stateOf(t, l)
	for _, s := range state.Scopes {
		if s.Model == model {
			return s
		}
	}
	t.Fatalf("%s is not in %+v", model, state)
	return ratelimiter.ScopeState{}
}

// limitsOf is what the limiter knows of a model's limits, by their names. Without any it is
// empty.
func limitsOf(t testing.TB, l *ratelimiter.Limiter, model string) map[string]ratelimiter.LimitState {
	t.Helper()
	limits := map[string]ratelimiter.LimitState{}
	for _, s := range stateOf(t, l).Scopes {
		if s.Model == model {
			for _, limit := range s.Limits {
				limits[limit.Name] = limit
			}
		}
	}
	return limits
}

// remaining is what is left of a limit, by its name.
func remaining(t testing.TB, l *ratelimiter.Limiter, model, name string) int64 {
	t.Helper()
	state := stateOf(t, l)
	for _, s := range state.Scopes {
		for _, limit := range s.Limits {
			if s.Model == model && limit.Name == name {
				return limit.Remaining
			}
		}
	}
	t.Fatalf("%s has no %s in %+v", model, name, state)
	return 0
}

// inLine is how many calls of a model wait, and for how long the oldest has. A model that no
// call has come for has none.
func inLine(t testing.TB, l *ratelimiter.Limiter, model string) (int, time.Duration) {
	t.Helper()
	for _, s := range stateOf(t, l).Scopes {
		if s.Model == model {
			return s.Waiting, s.Oldest
		}
	}
	return 0, 0
}

func setLimits(t *testing.T, l *ratelimiter.Limiter, options ...ratelimiter.Option) {
	t.Helper()
	if err := l.SetLimits(options...); err != nil {
		t.Fatal(err)
	}
}

// stores are the kinds of backends.
var stores = map[string]func() ratelimiter.Option{
	"memory": func() ratelimiter.Option { return ratelimiter.WithBackend(memory.New()) },
	"store":  func() ratelimiter.Option { s := newStore(); s.mute = true; return ratelimiter.WithBackend(s) },
}

func eachStore(t *testing.T, f func(t *testing.T, store ratelimiter.Option)) {
	for name, store := range stores {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, store()) }) })
	}
}

func heapNow() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// property checks a property on random draws, as many as -rapid.checks says.
//
// It keeps no fail files. rapid replays every one that it finds, whatever it is told,
// and one that was left by another version of the test draws something else, and
// fails for no reason. So it looks in an empty directory. A failure names its seed
// instead: -rapid.seed=N draws the same again.
func property(t *testing.T, holds func(*rapid.T)) {
	t.Helper()
	kept := flag.Lookup("rapid.nofailfile")
	was := kept.Value.String()
	if err := kept.Value.Set("true"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kept.Value.Set(was) }()
	t.Chdir(t.TempDir())
	rapid.Check(t, holds)
}
