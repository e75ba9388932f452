package redis

import (
	"context"
	"slices"
	"sync"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

// Settle implements [backend.Backend]. A settlement is sent at once if none of the same
// buckets is under way in this process; else it waits for that, and goes together with
// those that wait, so that Settle may take twice the timeout. It is sent once: where the
// reply is lost, it may or may not have been applied.
func (b *Backend) Settle(ctx context.Context, s backend.Settlement) error {
	if s.PauseOwner != "" {
		g := newSettling(b, &s, s.PauseOwner)
		return b.settle(ctx, g, []*settlement{{Settlement: s}})
	}
	g := b.settlings.get(b, &s)
	own := &settlement{Settlement: s}
	if !g.join(own) {
		defer b.proceed(g) // also if the client panics
		return b.settle(ctx, g, []*settlement{own})
	}
	select {
	case r := <-own.settled:
		return r.get()
	case <-ctx.Done():
		g.leave(own) // if it is not under way
		return ctx.Err()
	}
}

// proceed goes on with what has come while a settlement was under way.
func (b *Backend) proceed(g *settling) {
	if batch := g.next(); batch != nil {
		go b.drain(g, batch)
	}
}

// drain sends what has come while a settlement was under way, until nothing has.
func (b *Backend) drain(g *settling, batch []*settlement) {
	for ; batch != nil; batch = g.next() {
		r := resultOf(func() error { return b.settle(context.Background(), g, batch) })
		for _, s := range batch {
			s.settled <- r
		}
	}
}

// settle sends settlements of the same buckets, or one with a pause.
func (b *Backend) settle(ctx context.Context, g *settling, batch []*settlement) error {
	corrects := slices.ContainsFunc(batch, func(s *settlement) bool { return s.Corrections != nil })
	width := 1 + len(g.buckets)
	if corrects {
		width += 2 * len(g.buckets)
	}
	now := b.now()
	n := b.head(g.clock, now, len(g.owners), settledDoubles*len(g.buckets)+width*len(batch))
	pause := 0.0
	if s := batch[0]; s.PauseOwner != "" && s.Pause > 0 {
		pause = float64(ledger.Micros(s.Pause))
	}
	n.add(float64(len(batch)), float64(width), float64(len(g.buckets)), truth(corrects), pause)
	for _, o := range g.owners {
		for _, k := range o.buckets {
			n.add(k.digest, k.capacity+float64(g.buckets[k.at].Limit))
		}
	}
	for _, s := range batch {
		n.settlement(g, &s.Settlement, corrects)
	}
	first := len(n)
	n.add(make([]float64, ownDoubles)...)
	n.since(b.memory.starts(&n, now, g.owners, g.levels, batch[0].Buckets))
	args := slices.Clone(g.args)
	args[g.first], args[len(args)-1] = []byte(n[:first]), []byte(n[first:])
	return b.mending(ctx, args, func(ctx context.Context) error {
		_, err := b.run(ctx, settleScript, false, args)
		return err
	})
}

// settlement adds one, as settlefast.lua wants it.
func (n *numbers) settlement(g *settling, s *backend.Settlement, corrects bool) {
	n.add(float64(s.Stamp))
	for _, o := range g.owners {
		for _, k := range o.buckets {
			n.add(float64(s.Refund[g.buckets[k.at].Dimension]))
		}
	}
	if !corrects {
		return
	}
	for _, o := range g.owners {
		for _, k := range o.buckets {
			var c backend.Correction
			if s.Corrections != nil {
				c = s.Corrections[k.at]
			}
			n.add(c.From, c.To)
		}
	}
}

// A settlement waits to be sent.
type settlement struct {
	backend.Settlement
	settled chan result
}

// A settling is what settlements of the same buckets have in common, and those of them
// that wait for one that is under way.
type settling struct {
	account, line string
	buckets       []backend.Bucket
	owners        []owner
	levels        []*level
	clock         *clock
	args          []any // see prepared
	first         int

	mu      sync.Mutex
	sending bool
	waiting []*settlement
}

// newSettling prepares it. Of the owners, the first is the one that is paused, if any is.
func newSettling(b *Backend, s *backend.Settlement, paused string) *settling {
	if paused == "" && len(s.Buckets) > 0 {
		paused = s.Buckets[0].Owner
	}
	g := &settling{account: s.Account, line: s.Line, buckets: slices.Clone(s.Buckets)}
	g.owners = byOwner(paused, g.buckets)
	g.levels, g.clock = b.memory.find(g.account, g.buckets), b.memory.clock(g.account)
	g.args, g.first = arguments([]string{b.accountKey(g.account)}, "", "", g.owners, g.buckets)
	return g
}

// mostSettlements and mostNumbers are how many settlements, and how many numbers of theirs,
// go together at most: Lua's stack holds some thousand.
const mostSettlements, mostNumbers = 64, 2000

// join reports whether a settlement has to wait for one that is under way.
func (g *settling) join(s *settlement) (waits bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sending {
		s.settled = make(chan result, 1)
		g.waiting = append(g.waiting, s)
		return true
	}
	g.sending = true
	return false
}

// next returns those that go next, or nil where none waits: the next one is sent at once
// then.
func (g *settling) next() []*settlement {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), mostSettlements, max(1, mostNumbers/(1+3*len(g.buckets))))
	if n == 0 {
		g.sending, g.waiting = false, nil
		return nil
	}
	batch := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	return batch
}

func (g *settling) leave(s *settlement) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting, s); i >= 0 {
		g.waiting = slices.Concat(g.waiting[:i], g.waiting[i+1:]) // a batch may share the array
	}
}

// settlings are kept by what few settlements with other buckets have in common.
type settlings struct {
	mu    sync.Mutex
	known map[settlingKey]*settling
}

type settlingKey struct {
	account, line, owner, last string
	buckets                    int
}

func (m *settlings) get(b *Backend, s *backend.Settlement) *settling {
	key := settlingKey{account: s.Account, line: s.Line, buckets: len(s.Buckets)}
	if len(s.Buckets) > 0 {
		key.owner, key.last = s.Buckets[0].Owner, s.Buckets[len(s.Buckets)-1].Owner
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.known[key]
	if g != nil && described(g.buckets, s.Buckets) {
		return g
	}
	if m.known == nil {
		m.known = map[settlingKey]*settling{}
	}
	room(m.known, cached)
	g = newSettling(b, s, "")
	m.known[key] = g
	return g
}
