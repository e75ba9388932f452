package simulate

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

// A kept note, and until when.
type kept struct {
	note  []byte
	until int64
}

// A store is the ledger as Redis keeps it: tickets go stale, and notes survive
// their process.
type store struct {
	mu     sync.Mutex
	ledger *ledger.Account
	notes  map[string]kept
}

func newStore() *store {
	l := ledger.New()
	l.Lease, l.Erase = time.Second, 10*time.Second // as in backend/redis
	return &store{ledger: l, notes: map[string]kept{}}
}

// A connection is one process's way to what the processes share. A trip takes its
// time, and one in a hundred 200 ms more.
type connection struct {
	trip   time.Duration
	steady bool // no trip takes longer
	dead   atomic.Bool

	mu     sync.Mutex
	random *rand.Rand
}

func newConnection(process int, trip time.Duration) *connection {
	return &connection{trip: trip, random: rand.New(rand.NewPCG(uint64(process), 7))}
}

var errDead = errors.New("the process is dead")

// travel lets one way pass.
func (l *connection) travel() {
	if l.trip == 0 {
		return
	}
	d := l.trip / 2
	l.mu.Lock()
	if !l.steady && l.random.IntN(200) == 0 {
		d += 200 * time.Millisecond
	}
	l.mu.Unlock()
	time.Sleep(d)
}

// do makes a trip. The dead send nothing, but what they have sent arrives.
func (l *connection) do(f func()) error {
	if l.dead.Load() {
		return errDead
	}
	l.travel()
	f()
	l.travel()
	return nil
}

// A link is a process's backend: the store behind a connection.
type link struct {
	*connection
	store *store
}

var _ backend.Keeper = (*link)(nil)

func (l *link) at(f func(now int64)) error {
	return l.do(func() {
		l.store.mu.Lock()
		defer l.store.mu.Unlock()
		f(time.Now().UnixMicro())
	})
}

// Take and the rest implement [backend.Keeper].
func (l *link) Take(_ context.Context, ask backend.Ask) (a backend.Answer, err error) {
	dead := l.at(func(now int64) {
		a, err = l.store.ledger.Take(now, &ask)
		// As in Redis: soon enough to notice what others give back.
		a.Hint = min(a.Hint, 100*time.Millisecond)
	})
	return a, errors.Join(dead, err)
}

func (l *link) Settle(_ context.Context, s backend.Settlement) error {
	return l.at(func(now int64) { l.store.ledger.Settle(now, &s) })
}

func (l *link) Look(_ context.Context, ask backend.Ask) (a backend.Answer, err error) {
	dead := l.at(func(now int64) { a, err = l.store.ledger.Look(now, &ask) })
	return a, errors.Join(dead, err)
}

func (l *link) Clear(_ context.Context, _ string, owners []string) error {
	return l.at(func(now int64) { l.store.ledger.Clear(now, owners) })
}

func (l *link) Keep(_ context.Context, _, scope string, note []byte, ttl time.Duration) error {
	return l.at(func(now int64) { l.store.notes[scope] = kept{note, now + ttl.Microseconds()} })
}

func (l *link) Recall(_ context.Context, _ string, scopes []string) (notes []backend.Note, err error) {
	err = l.at(func(now int64) {
		for _, scope := range scopes {
			n := l.store.notes[scope]
			notes = append(notes, backend.Note{Data: n.note, Left: time.Duration(n.until-now) * time.Microsecond})
		}
	})
	return notes, err
}
