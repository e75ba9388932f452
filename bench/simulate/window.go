package simulate

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// fixedWindow is how the Python package openai-ratelimiter limits: a counter of
// requests and one of tokens in Redis, each of which vanishes a minute after its
// first use. Whoever finds one above the limit has been counted all the same, and
// sleeps for a minute.
var fixedWindow = policy{name: "fixed window", new: func(w *world) fleet {
	return &windowFleet{world: w, windows: map[string]*window{}}
}}

type windowFleet struct {
	world *world

	mu      sync.Mutex
	windows map[string]*window
}

// A window is a counter that expires.
type window struct {
	count int64
	until time.Time
}

func (f *windowFleet) start(process int) http.RoundTripper {
	w, c := f.world, f.world.scenario.limits
	l := newConnection(process, redisTrip(w.scenario))
	return roundTripFunc(func(req *http.Request) (*http.Response, error) {
		j := w.jobAt(indexOf(req))
		tokens := j.cost().Tokens
		if j.cap == 0 {
			tokens += 15 // what the package takes where nothing is declared
		}
		if err := f.enter(req.Context(), l, "requests", 1, c.RPM); err != nil {
			return nil, err
		}
		if err := f.enter(req.Context(), l, "tokens", tokens, c.TPM); err != nil {
			return nil, err
		}
		return w.base().RoundTrip(req)
	})
}

func (*windowFleet) kill(int) {}
func (*windowFleet) stop()    {}

func (f *windowFleet) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.windows)
}

// enter counts n until the count stays within the limit; 0 does not limit.
func (f *windowFleet) enter(ctx context.Context, l *connection, name string, n, limit int64) error {
	for limit > 0 {
		var count int64
		_ = l.do(func() { count = f.add(name, n) }) // nobody kills it
		if count <= limit {
			break
		}
		if !sleep(ctx, time.Minute) {
			return ctx.Err()
		}
	}
	return nil
}

func (f *windowFleet) add(name string, n int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	w := f.windows[name]
	if w == nil || !now.Before(w.until) {
		w = &window{until: now.Add(time.Minute)}
		f.windows[name] = w
	}
	w.count += n
	return w.count
}
