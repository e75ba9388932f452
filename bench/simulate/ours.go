package simulate

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// oursMemory is the limiter, all processes in one store without a network.
var ours = policy{name: "ours", start: startOurs, stop: stopOurs}

// A fleet is what the processes of a policy of ours share.
type fleet struct {
	store    *store
	mu       sync.Mutex
	limiters []*ratelimiter.Limiter
	links    map[int]*link
}

func startOurs(w *world, i int) http.RoundTripper {
	f, ok := w.shared.(*fleet)
	if !ok {
		f = &fleet{store: newStore(), links: map[int]*link{}}
		w.shared = f
	}
	options := []ratelimiter.Option{ratelimiter.WithAccount("a")}
	if !w.scenario.learns {
		options = append(options, ratelimiter.WithLimits(model, toldLimits(w.scenario)))
	}
	if w.scenario.processes > 1 {
		l := &link{store: f.store, rtt: w.scenario.rtt, random: rand.New(rand.NewPCG(uint64(i), 7))}
		f.links[i] = l
		options = append(options, ratelimiter.WithBackend(l))
	}
	l, err := ratelimiter.New(options...)
	if err != nil {
		panic(err)
	}
	f.mu.Lock()
	f.limiters = append(f.limiters, l)
	f.mu.Unlock()
	return l.Transport(w.base())
}

func stopOurs(w *world) {
	f := w.shared.(*fleet)
	for _, l := range f.limiters {
		_ = l.Shutdown(context.Background())
	}
}

func toldLimits(s *scenario) ratelimiter.Limits {
	t := s.limits
	if s.told != nil {
		t = *s.told
	}
	return ratelimiter.Limits{RPM: t.RPM, TPM: t.TPM, RPD: t.RPD, TPD: t.TPD, IPM: t.IPM}
}

// A store is the ledger as Redis keeps it: tickets go stale, and notes survive.
type store struct {
	mu     sync.Mutex
	ledger *ledger.Account
	notes  map[string][]byte
}

func newStore() *store {
	l := ledger.New()
	l.Lease, l.Erase = time.Second, 10*time.Second
	return &store{ledger: l, notes: map[string][]byte{}}
}

// A link is one process's way to the store.
type link struct {
	store *store
	rtt   time.Duration
	dead  atomic.Bool

	mu     sync.Mutex
	random *rand.Rand
}

var errDead = errors.New("the process is dead")

// way lets half of a round trip pass; one in a hundred is slow.
func (l *link) way() {
	if l.rtt == 0 {
		return
	}
	d := l.rtt / 2
	l.mu.Lock()
	if l.random.IntN(200) == 0 {
		d += 200 * time.Millisecond
	}
	l.mu.Unlock()
	time.Sleep(d)
}

func (l *link) do(f func(now int64)) error {
	l.way()
	if l.dead.Load() {
		return errDead
	}
	l.store.mu.Lock()
	f(time.Now().UnixMicro())
	l.store.mu.Unlock()
	l.way()
	return nil
}

func (l *link) Take(_ context.Context, ask backend.Ask) (a backend.Answer, err error) {
	if e := l.do(func(now int64) {
		a, err = l.store.ledger.Take(now, &ask)
		// As in Redis: soon enough to notice what others give back.
		a.Hint = min(a.Hint, 100*time.Millisecond)
	}); e != nil {
		return a, e
	}
	return a, err
}

func (l *link) Settle(_ context.Context, s backend.Settlement) error {
	return l.do(func(now int64) { l.store.ledger.Settle(now, &s) })
}

func (l *link) Look(_ context.Context, ask backend.Ask) (a backend.Answer, err error) {
	if e := l.do(func(now int64) { a, err = l.store.ledger.Look(now, &ask) }); e != nil {
		return a, e
	}
	return a, err
}

func (l *link) Clear(_ context.Context, _ string, owners []string) error {
	return l.do(func(now int64) { l.store.ledger.Clear(now, owners) })
}

func (l *link) Keep(_ context.Context, _, scope string, note []byte, _ time.Duration) error {
	return l.do(func(int64) { l.store.notes[scope] = note })
}

func (l *link) Recall(_ context.Context, _, scope string) (note []byte, err error) {
	err = l.do(func(int64) { note = l.store.notes[scope] })
	return note, err
}

// kill lets a process die: its calls break off, and the store hears no more of it.
func kill(w *world, i int) {
	w.mu.Lock()
	p := w.processes[i]
	w.mu.Unlock()
	if f, ok := w.shared.(*fleet); ok && f.links[i] != nil {
		f.links[i].dead.Store(true)
	}
	p.kill()
}

// restart lets all processes die and begin anew, with nothing known.
func restart(w *world) {
	for i := range w.scenario.processes {
		kill(w, i)
	}
	if f, ok := w.shared.(*fleet); ok {
		f.store = newStore()
	}
	for i := range w.scenario.processes {
		w.launch(i)
	}
}

func setLimits(l openaitest.Limits) func(*world) {
	return func(w *world) { w.server.SetLimits(model, l) }
}
