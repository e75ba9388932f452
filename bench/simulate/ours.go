package simulate

import (
	"context"
	"net/http"
	"sync"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// ours is the limiter: one process in memory, several with a ledger that is kept
// as Redis keeps it.
var ours = policy{name: "ours", new: func(w *world) fleet {
	shared := newStore()
	f := &limiters{world: w, forgetAll: func() { shared = newStore() }}
	if w.scenario.processes > 1 {
		f.backend = func(l *connection) backend.Backend { return &link{l, shared} }
	}
	return f
}}

// limiters are a fleet of ours.
type limiters struct {
	world     *world
	backend   func(*connection) backend.Backend // nil for memory
	forgetAll func()
	close     func()

	mu          sync.Mutex
	all         []*ratelimiter.Limiter
	connections map[int]*connection
}

func (f *limiters) start(process int) http.RoundTripper {
	s := f.world.scenario
	options := []ratelimiter.Option{ratelimiter.WithAccount("simulated")}
	if c := s.limits; !s.learns && (c.RPM > 0 || c.TPM > 0) {
		options = append(options, ratelimiter.WithLimits(model, ratelimiter.Limits{RPM: c.RPM, TPM: c.TPM, RPD: c.RPD, TPD: c.TPD}))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.backend != nil {
		if f.connections == nil {
			f.connections = map[int]*connection{}
		}
		f.connections[process] = newConnection(process, s.trip)
		options = append(options, ratelimiter.WithBackend(f.backend(f.connections[process])))
	}
	l, err := ratelimiter.New(append(options, ratelimiter.WithWarnings(nil, 0))...) // it waits for long on purpose
	if err != nil {
		panic(err) // the options are ours
	}
	f.all = append(f.all, l)
	return l.Transport(f.world.base())
}

func (f *limiters) kill(process int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.connections[process]; l != nil {
		l.dead.Store(true)
	}
}

func (f *limiters) forget() { f.forgetAll() }

func (f *limiters) stop() {
	for _, l := range f.all {
		_ = l.Shutdown(context.Background()) // it has no deadline to miss
	}
	if f.close != nil {
		f.close()
	}
}
