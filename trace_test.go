package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// A keptStore is a store that keeps notes.
type keptStore struct {
	*store
	keeper *keeper
}

func (k keptStore) Keep(ctx context.Context, account, scope string, note []byte, ttl time.Duration) error {
	return k.keeper.Keep(ctx, account, scope, note, ttl)
}

func (k keptStore) Recall(ctx context.Context, account string, scopes []string) ([]backend.Note, error) {
	return k.keeper.Recall(ctx, account, scopes)
}

// Two that lend slots.
type lendingStore struct {
	*store
	lends
}

type keptLendingStore struct {
	keptStore
	lends
}

type lends struct{ slots *memory.Backend }

func (l lends) Lease(ctx context.Context, c backend.Claim) (backend.Lease, error) {
	return l.slots.Lease(ctx, c)
}

// A commandLog collects the commands to a backend that a trace reports.
type commandLog struct {
	mu   sync.Mutex
	seen []ratelimiter.CommandInfo
}

func (a *commandLog) trace() *ratelimiter.Trace {
	return &ratelimiter.Trace{Command: func(i ratelimiter.CommandInfo) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.seen = append(a.seen, i)
	}}
}

// take returns what was seen since the last call.
func (a *commandLog) take() []ratelimiter.CommandInfo {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { a.seen = nil }()
	return a.seen
}

func (a *commandLog) commands() []string {
	var commands []string
	for _, i := range a.take() {
		commands = append(commands, i.Name)
	}
	slices.Sort(commands)
	return slices.Compact(commands)
}

// Each command is reported, of a backend that keeps notes too, and those of memory are not.
func TestCommandsAreReported(t *testing.T) {
	for _, x := range []struct {
		name    string
		backend func() backend.Backend
		want    string // with slots, if they are lent
	}{
		{"store", func() backend.Backend { return newStore() }, "clear look settle take"},
		{"keeper", func() backend.Backend { return keptStore{newStore(), newKeeper()} }, "clear keep look recall settle take"},
		{"lessor", func() backend.Backend { return lendingStore{newStore(), lends{memory.New()}} }, "clear lease look settle take"},
		{"both", func() backend.Backend {
			return keptLendingStore{keptStore{newStore(), newKeeper()}, lends{memory.New()}}
		},
			"clear keep lease look recall settle take"},
		{"memory", func() backend.Backend { return memory.New() }, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var a, b commandLog
				limits := ratelimiter.Limits{TPM: 1000}
				if strings.Contains(x.want, "lease") {
					limits.Concurrent = 5
				}
				l := newLimiter(t, ratelimiter.WithBackend(x.backend()), ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", limits),
					ratelimiter.WithTrace(a.trace()), ratelimiter.WithTrace(b.trace()))
				client := l.Client(roundTripFunc(func(r *http.Request) (*http.Response, error) {
					resp := response(200, "application/json", io.NopCloser(strings.NewReader(usageBody)))
					resp.Header.Set("x-ratelimit-limit-tokens", "1000")
					resp.Header.Set("x-ratelimit-remaining-tokens", "900")
					return resp, nil
				}))
				post(t, client, chatURL, chatBody("m", 10, false))
				if _, err := l.State(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := l.Clear(t.Context(), "m"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				for _, seen := range []*commandLog{&a, &b} {
					if got := strings.Join(seen.commands(), " "); got != x.want {
						t.Errorf("commands %q, want %q", got, x.want)
					}
				}
			})
		})
	}
}

// A command's time and error are the backend's own, also where something stands in for it.
func TestFailedCommandsAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a commandLog
		s := newStore()
		s.timeout = 700 * time.Millisecond
		l := newWarm(t, ratelimiter.WithBackend(s), ratelimiter.WithFailOpen(), ratelimiter.WithTrace(a.trace()))
		synctest.Wait()
		a.take()
		s.down.Store(true)
		acquire(t, l, tokens(1)).Cancel()
		synctest.Wait()
		got := a.take()
		if len(got) == 0 || got[0].Name != "take" || got[0].Duration != s.timeout || !errors.Is(got[0].Err, errAway) || got[0].GaveUp {
			t.Errorf("reported %+v", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.down.Store(true)
		time.Sleep(2 * time.Second)
		_, _ = l.State(ctx)
		synctest.Wait()
		if got := a.take(); len(got) != 1 || got[0].Name != "look" || !got[0].GaveUp {
			t.Errorf("reported %+v", got)
		}
	})
}

// Made hands over the limiter, and its error is New's.
func TestMade(t *testing.T) {
	var made *ratelimiter.Limiter
	trace := &ratelimiter.Trace{Made: func(l *ratelimiter.Limiter) error {
		made = l
		_, err := l.State(t.Context())
		return err
	}}
	if l := newLimiter(t, ratelimiter.WithTrace(trace), ratelimiter.WithTrace(&ratelimiter.Trace{})); made != l {
		t.Error("another limiter was handed over")
	}
	broken := errors.New("broken")
	trace.Made = func(*ratelimiter.Limiter) error { return broken }
	if l, err := ratelimiter.New(ratelimiter.WithTrace(trace)); !errors.Is(err, broken) || l != nil {
		t.Errorf("%v, error %v", l, err)
	}
}

// Hooks say whose accounting a call has, and by how much a response has moved our buckets.
func TestEndpointsAndCorrections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var endpoints []string
		var observed ratelimiter.ObservedInfo
		see := func(endpoint string) { endpoints = append(endpoints, endpoint) }
		l := newWarm(t)
		ctx := ratelimiter.ContextWithTrace(t.Context(), &ratelimiter.Trace{
			Waiting:    func(_ context.Context, i ratelimiter.WaitingInfo) { see("waits " + i.Endpoint) },
			Started:    func(_ context.Context, i ratelimiter.StartedInfo) { see("starts " + i.Endpoint) },
			NotStarted: func(_ context.Context, i ratelimiter.NotStartedInfo) { see("does not " + i.Endpoint) },
			Paused:     func(_ context.Context, i ratelimiter.PausedInfo) { see("paused " + i.Endpoint) },
			Settled:    func(_ context.Context, i ratelimiter.SettledInfo) { see("settles " + i.Endpoint) },
			Observed:   func(_ context.Context, i ratelimiter.ObservedInfo) { observed = i },
		})
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		status, left, remaining := 200, "400", "599"
		client := l.Client(roundTripFunc(func(r *http.Request) (*http.Response, error) {
			io.Copy(io.Discard, r.Body)
			resp := response(status, "application/json", io.NopCloser(strings.NewReader(usageBody)))
			for name, value := range map[string]string{"limit-tokens": "600", "remaining-tokens": left, "limit-requests": "600", "remaining-requests": remaining} {
				resp.Header.Set("x-ratelimit-"+name, value)
			}
			return resp, nil
		}))
		send := func() {
			resp, err := client.Do(newRequest(t, ctx, chatURL, strings.NewReader(chatBody("m", 10, false))))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		send()
		time.Sleep(2 * time.Minute)
		left, remaining = "300", "500" // where we would say 600 less the call
		send()
		if c := observed.Tokens.Corrected; c > -250 || c < -300 {
			t.Errorf("the tokens were corrected by %d", c)
		}
		if c := observed.Requests.Corrected; c > -90 || c < -100 {
			t.Errorf("the requests were corrected by %d", c)
		}
		status = 429
		time.Sleep(2 * time.Minute)
		send()
		if _, err := l.Acquire(ctx, tokens(601)); err == nil {
			t.Error("no error")
		}
		const want = "waits chat/completions,starts chat/completions,settles chat/completions," +
			"starts chat/completions,settles chat/completions," +
			"starts chat/completions,paused chat/completions,settles chat/completions,does not "
		if got := strings.Join(endpoints, ","); got != want {
			t.Errorf("hooks: %s\nwant   %s", got, want)
		}
	})
}

// The hooks of several traces run in order, the context's first, and those that follow also
// where one panics.
func TestSeveralTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran []string
		armed := false
		trace := func(name string) *ratelimiter.Trace {
			return &ratelimiter.Trace{Started: func(context.Context, ratelimiter.StartedInfo) {
				ran = append(ran, name)
				if armed && name != "third" {
					panic(name)
				}
			}}
		}
		l := newWarm(t, ratelimiter.WithTrace(trace("first")), ratelimiter.WithTrace(nil), ratelimiter.WithTrace(trace("second")),
			ratelimiter.WithTrace(trace("third")))
		waits := 0
		ctx := ratelimiter.ContextWithTrace(t.Context(), trace("own"))
		for _, armed = range []bool{false, true} {
			ran = nil
			p := panics(func() {
				r, err := l.Acquire(ctx, tokens(1))
				if err == nil {
					r.Cancel()
				}
			})
			if want := []string{"own", "first", "second", "third"}; !slices.Equal(ran, want) || (p != nil) != armed {
				t.Errorf("armed %v: ran %v, recovered %v", armed, ran, p)
			}
		}
		armed = false
		l = newWarm(t, ratelimiter.WithTrace(trace("first")),
			ratelimiter.WithTrace(&ratelimiter.Trace{Waiting: func(context.Context, ratelimiter.WaitingInfo) { waits++ }}))
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		acquire(t, l, tokens(600)).Cancel()
		if waits != 1 {
			t.Errorf("the second trace was told of %d waits", waits)
		}
	})
}

// Why a call did not start is one of a few words, whatever the error.
func TestCodeOfACallThatDidNotStart(t *testing.T) {
	for _, x := range []struct {
		err  error
		want string
	}{
		{nil, "panic"},
		{&ratelimiter.Error{Reason: ratelimiter.ErrDeadline}, "deadline"},
		{&ratelimiter.Error{Reason: ratelimiter.ErrBackend, Cause: context.Canceled}, "backend"},
		{&ratelimiter.Error{Reason: ratelimiter.ErrNoAccount}, "error"},
		{context.DeadlineExceeded, "deadline"},
		{fmt.Errorf("cause: %w", context.Canceled), "cancelled"},
		{errors.New("anything"), "error"},
	} {
		if got := (ratelimiter.NotStartedInfo{Err: x.err}).Code(); got != x.want {
			t.Errorf("%v: %q, want %q", x.err, got, x.want)
		}
	}
}
