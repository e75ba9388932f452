package redis

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
	"github.com/openai-ratelimiter/ratelimiter/internal/seedtest"
)

// A history runs the same calls against the script and the ledger. Every answer
// must be the same to the last bit.
type history struct {
	t       *testing.T
	r       *rand.Rand
	now     int64
	passed  int64                // as time goes, not the clock
	latest  int64                // stamp of an answer
	scripts [3]*processUnderTest // of which the last remembers nothing
	script  *processUnderTest    // whose turn it is
	ledger  *ledger.Account
	account string
	quick   bool // costs refill in milliseconds, not in seconds
	wary    bool // asks differ in their margins
	calm    bool // hardly anybody waits, so that most asks and settlements are those of fast.lua
	scopes  []scopeUnderTest
	flows   []backend.Flow
	tickets map[string]*ticketUnderTest
	charges []chargeUnderTest
	seen    map[string]float64 // what answers have said of Corrected, by bucket
	log     []string
	admin   *goredis.Client
	seed    uint64
}

type scopeUnderTest struct {
	name    string
	line    string
	buckets []backend.Bucket
	family  *backend.Bucket // that it has joined, or will
}

type ticketUnderTest struct {
	scope  int
	number uint64
	last   *backend.Ask // what it asked last
	got    int          // of its costs
	at     int64        // and when, by the account's time
	passed int64        // how much had passed
	costs  []backend.Amounts
	flows  []backend.Flow // of the costs
}

type chargeUnderTest struct {
	scope int
	stamp int64
	cost  backend.Amounts
}

// replay is the seed that a test which has failed printed.
var replay = flag.Uint64("seed", 0, "what has failed with this seed is run again, and nothing else of the same test")

func newSeed() uint64 { return cmp.Or(*replay, seedtest.Seed()) }

func TestScriptIsTheLedger(t *testing.T) {
	steps := 100_000
	switch {
	case testing.Short():
		steps = 5_000
	case os.Getenv("REDIS_LONG") != "":
		steps = 500_000
	}
	const each = 500
	histories, seed := steps/each, newSeed()
	if *replay != 0 {
		histories = 1
	}
	c, fast := client(t), &fastReplies{}
	c.AddHook(fast)
	script := newVirtual(c)
	done := map[string]int{}
	for i := range histories {
		h := newHistory(t, script, seed+uint64(i))
		for range each {
			done[h.step()]++
		}
		h.consistent(done)
	}
	done["fast"] = fast.n
	t.Logf("%v", done)
	for _, what := range []string{"fast", "held back", "stepped over", "flows", "behind the first few", "wait quietly"} {
		if histories >= 100 && done[what] == 0 {
			t.Errorf("no history ended with some %s", what)
		}
	}
}

// fastReplies counts the replies of fast.lua, which end with no dot.
type fastReplies struct {
	hook
	n int
}

func (r *fastReplies) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		if c, ok := cmd.(onlyOnce); ok && c.Args()[1] == takeScript.sha {
			if reply, ok := c.Val().(string); ok && !strings.HasSuffix(reply, ".") {
				r.n++
			}
		}
		return err
	}
}

// The same seed gives the same history, whatever ran before.
func TestHistoryIsReplayed(t *testing.T) {
	script := newVirtual(client(t))
	run := func(seed uint64) []string {
		h := newHistory(t, script, seed)
		for range 200 {
			h.step()
		}
		return h.log
	}
	first := run(7)
	run(8)
	script = newVirtual(client(t)) // another prefix, for the first account is known
	if again := run(7); !slices.Equal(first, again) {
		t.Errorf("%d steps, and %d others", len(first), len(again))
	}
}

func newVirtual(c Client) *virtualBackend {
	v := &virtualBackend{now: 1_700_000_000_000_000}
	v.Backend = New(c, prefix(), WithTimeout(10*time.Second), withClock(func() int64 { return v.now }))
	return v
}

// A virtualBackend has a clock that only tests move.
type virtualBackend struct {
	*Backend
	now int64
}

// A processUnderTest has a clock of its own, which no step of Redis's moves.
type processUnderTest struct {
	*Backend
	clock int64
}

func newHistory(t *testing.T, script *virtualBackend, seed uint64) *history {
	h := &history{
		t: t, r: rand.New(rand.NewPCG(seed, 1)), ledger: ledger.New(),
		now: 1_700_000_000_000_000, seed: seed, account: fmt.Sprint("account", seed), tickets: map[string]*ticketUnderTest{},
		seen: map[string]float64{}, admin: admin(t, shared),
	}
	for i := range h.scripts {
		p := &processUnderTest{clock: h.r.Int64N(1e12)}
		p.Backend = New(script.client, WithPrefix(script.prefix), WithTimeout(10*time.Second), withClock(func() int64 { return h.now }))
		p.now = func() int64 { return p.clock }
		h.scripts[i] = p
	}
	h.script = h.scripts[0]
	h.ledger.Lease, h.ledger.Erase = lease, erase
	h.quick, h.calm, h.wary = h.r.IntN(3) == 0, h.r.IntN(4) == 0, h.r.IntN(3) == 0
	limit := func(most int64) int64 {
		if h.quick {
			most *= 100
		}
		return 1 + h.r.Int64N(most)
	}
	bucket := func(owner, name string, d backend.Dimension, limit int64) backend.Bucket {
		b := backend.Bucket{Owner: owner, Name: name, Dimension: d, Limit: limit, Period: time.Minute, Start: -1}
		if h.r.IntN(3) == 0 {
			b.Burst = time.Duration(1 + h.r.Int64N(int64(time.Minute)))
		}
		if h.r.IntN(3) == 0 {
			b.Margin = h.r.Float64() * float64(limit) / 10
		}
		if h.r.IntN(5) == 0 {
			b.Period = 24 * time.Hour
			b.Burst = 0
		}
		if h.quick {
			b.Period = time.Minute
			b.Burst = time.Duration(1 + h.r.Int64N(int64(200*time.Millisecond)))
		}
		if h.r.IntN(3) == 0 {
			b.Start = h.r.Float64() * float64(limit)
		}
		return b
	}
	line := "line"
	account := bucket("account", "rpm", backend.Requests, limit(3000))
	families := make([]backend.Bucket, 3)
	for i := range families {
		families[i] = bucket(fmt.Sprint("family:", i), "rpm", backend.Requests, limit(2000))
		if i == 0 {
			families[i] = bucket("family:0", "ipm", backend.Images, limit(100))
		}
	}
	for range h.r.IntN(5) {
		f := backend.Flow{Class: fmt.Sprint("class", h.r.IntN(3)), Weight: float64(h.r.IntN(4)) / 2}
		if h.r.IntN(4) == 0 {
			f.Class = ""
		}
		if h.r.IntN(2) == 0 {
			f.Tenant = fmt.Sprint("tenant", h.r.IntN(3))
		}
		h.flows = append(h.flows, f)
	}
	ceilings := []backend.Bucket{bucket("class", "tpm", backend.Tokens, limit(100_000)), bucket("class", "rpm", backend.Requests, limit(300))}
	for i := range ceilings {
		ceilings[i].Ceiling = true
	}
	ceilings = ceilings[h.r.IntN(2):]
	models := 1 + h.r.IntN(4)
	if h.r.IntN(2) == 0 {
		models += ledger.Heads + ledger.Tries + h.r.IntN(8) // more than are looked at
	}
	for i := range models {
		name := fmt.Sprint("model:", i)
		s := scopeUnderTest{name: name, line: line}
		if h.r.IntN(4) > 0 {
			s.buckets = append(s.buckets, bucket(name, "rpm", backend.Requests, limit(1000)))
		}
		if h.r.IntN(4) > 0 {
			s.buckets = append(s.buckets, bucket(name, "tpm", backend.Tokens, limit(100_000)))
		}
		if h.r.IntN(4) == 0 {
			s.buckets = append(s.buckets, bucket(name, "ipm", backend.Images, limit(100)))
		}
		if h.r.IntN(3) == 0 {
			s.family = &families[h.r.IntN(len(families))]
			if h.r.IntN(2) == 0 {
				s.buckets = append(s.buckets, *s.family)
			}
		}
		if h.r.IntN(3) > 0 {
			s.buckets = append(s.buckets, account)
		} else if len(s.buckets) == 0 {
			s.line = name
		}
		if n := len(s.buckets); n > 1 && s.family != nil && s.buckets[n-2].Owner == s.family.Owner && h.r.IntN(4) == 0 {
			slices.Reverse(s.buckets[n-2:]) // others name the two in the opposite order
		}
		h.add(s, models)
		if n := len(s.buckets); n > 1 && h.r.IntN(3) == 0 { // another process limits less of it
			s := s
			s.name, s.family, s.buckets = name+" of another", nil, slices.Delete(slices.Clone(s.buckets), n-2, n-1)
			h.add(s, models)
		}
		if h.r.IntN(3) == 0 { // a class whose ceilings hold for all models
			s.name, s.buckets = name+" of a class", slices.Insert(slices.Clone(s.buckets), h.r.IntN(len(s.buckets)+1), ceilings...)
			h.add(s, models)
		}
	}
	return h
}

// add adds a scope and its tickets.
func (h *history) add(s scopeUnderTest, models int) {
	h.scopes = append(h.scopes, s)
	most := mostTickets
	if models > 4 {
		most = 3
	}
	for j := range 1 + h.r.IntN(most) {
		h.tickets[fmt.Sprint(s.name, "/", j)] = &ticketUnderTest{scope: len(h.scopes) - 1}
	}
}

// mostTickets is more than are looked at one by one.
const mostTickets = 12

func (h *history) step() string {
	h.turn()
	if h.r.IntN(200) == 0 {
		return h.lose()
	}
	switch h.r.IntN(20) {
	case 0, 1, 2, 3:
		h.tick()
		return "tick"
	case 4, 5:
		return h.settle()
	case 6:
		return h.look()
	case 7:
		if h.r.IntN(4) == 0 {
			return h.clear()
		}
		return h.describe()
	default:
		return h.take()
	}
}

// lose has Redis forget the account.
func (h *history) lose() string {
	h.note("lose", nil)
	lease, erase := h.ledger.Lease, h.ledger.Erase
	h.ledger = ledger.New()
	h.ledger.Lease, h.ledger.Erase = lease, erase
	c := h.admin
	keys, err := c.Keys(h.t.Context(), h.script.accountKey(h.account)+"*").Result()
	if err == nil && len(keys) > 0 {
		err = c.Del(h.t.Context(), keys...).Err()
	}
	if err != nil {
		h.fatal("lose: %v", err)
	}
	return "lose"
}

// turn has some process ask next. What it remembers of the buckets is left out, for the
// asks have starts of their own.
func (h *history) turn() {
	h.script = h.scripts[h.r.IntN(len(h.scripts))]
	m := &h.script.memory
	m.levels, h.script.tickets, h.script.settlings.known = nil, cache{}, nil
	if h.script == h.scripts[len(h.scripts)-1] {
		m.clocks = nil
	}
	h.ledger.Known = m.bounds(m.clock(h.account), h.script.clock, h.script.timeout.Microseconds())
}

// described is how an ask describes buckets: some were lost, and are known from before.
func (h *history) described(buckets []backend.Bucket) []backend.Bucket {
	buckets = slices.Clone(buckets)
	for i := range buckets {
		if h.r.IntN(4) == 0 {
			buckets[i].StartStamp = max(1, h.latest-h.r.Int64N(120e6))
			buckets[i].Start = h.r.Float64() * float64(buckets[i].Limit)
		}
	}
	return buckets
}

func (h *history) tick() {
	dt, steady := int64(0), h.calm && h.r.IntN(20) > 0
	kind := h.r.IntN(12)
	if steady {
		kind = max(kind, 1)
	}
	switch kind {
	case 0: // a clock that is set back, a little or far
		dt = -h.r.Int64N([]int64{3e6, 3e6, 3e6, 7200e6}[h.r.IntN(4)])
	case 1:
		dt = h.r.Int64N(30e6)
	case 2, 3:
		dt = h.r.Int64N(2e6)
	default:
		dt = h.r.Int64N(3e5)
	}
	if h.quick && h.r.IntN(10) > 0 {
		dt = h.r.Int64N(3e4)
	}
	h.now += dt
	h.passed += max(0, dt)
	for _, p := range h.scripts {
		kind := h.r.IntN(10)
		if steady {
			kind = 2
		}
		switch kind {
		case 0: // it stood still, or the time was Redis's alone
		case 1:
			p.clock += h.r.Int64N(30e6)
		default:
			p.clock += max(0, dt)
		}
	}
}

func (h *history) cost(s *scopeUnderTest) backend.Amounts {
	c := backend.Amounts{h.r.Int64N(3), 0, 0}
	for _, b := range s.buckets {
		most := b.Limit
		if h.r.IntN(20) > 0 {
			most = 1 + most/10
		}
		if (h.quick || h.calm) && h.r.IntN(20) > 0 {
			most = 1 + most/300
		}
		n := h.r.Int64N(most + 1)
		if c[b.Dimension] = n; b.Dimension == backend.Requests && h.r.IntN(3) > 0 {
			c[b.Dimension] = min(1, b.Limit)
		}
	}
	if h.r.IntN(1000) > 0 {
		for _, b := range s.buckets {
			c[b.Dimension] = min(c[b.Dimension], b.Limit)
		}
	}
	return c
}

func (h *history) take() string {
	ids := make([]string, 0, len(h.tickets))
	for i, s := range h.scopes {
		for j := range mostTickets {
			if id := fmt.Sprint(s.name, "/", j); h.tickets[id] != nil && h.tickets[id].scope == i {
				ids = append(ids, id)
			}
		}
	}
	id := ids[h.r.IntN(len(ids))]
	q := h.tickets[id]
	s := &h.scopes[q.scope]
	kind := "ask"
	if age := max(h.now-q.at, h.latest-q.at, h.passed-q.passed); q.last != nil && !q.last.Fresh && age < 9e6 && h.r.IntN(15) == 0 {
		kind = "again"
	} else {
		q.number++
		q.last = &backend.Ask{Account: h.account, Line: s.line, Scope: s.name, Ticket: id, Number: q.number,
			Buckets: h.described(s.buckets)}
		n := h.r.IntN(12)
		if h.calm && h.r.IntN(100) > 0 {
			n = min(1, h.r.IntN(8))
		}
		switch {
		case n == 0:
			kind = "go"
			q.last.Leave = true
			q.costs, q.flows = nil, nil
		case n < 4:
			kind = "fresh"
			q.last.Fresh = true
			q.last.Leave = h.calm || h.r.IntN(4) == 0
			q.last.Costs = []backend.Amounts{h.cost(s)}
			q.last.Flows = []backend.Flow{h.flow()}
		case n < 7 && len(q.costs) > 0 && len(s.buckets) > 0: // it waits on
			kind = "wait"
			q.last.Buckets = slices.Clone(s.buckets)
			if b := &q.last.Buckets[h.r.IntN(len(s.buckets))]; h.r.IntN(8) == 0 && !b.Ceiling {
				b.Margin++
			}
			q.last.Costs, q.last.Flows = slices.Clone(q.costs), slices.Clone(q.flows)
			if len(h.flows) == 0 {
				q.last.Flows = nil
			}
		default:
			q.last.Leave = h.r.IntN(12) == 0
			if n == 11 && len(q.costs) > 1 { // some are given up
				some := h.r.IntN(len(q.costs))
				q.costs, q.flows = slices.Delete(q.costs, some, some+1), slices.Delete(q.flows, some, some+1)
			}
			for n := 1 + h.r.IntN(backend.MaxCosts); len(q.costs) < n; {
				q.costs, q.flows = append(q.costs, h.cost(s)), append(q.flows, h.flow())
			}
			q.last.Costs, q.last.Flows = slices.Clone(q.costs), slices.Clone(q.flows)
			if len(h.flows) == 0 {
				q.last.Flows = nil
			}
		}
	}
	if kind != "again" && h.r.IntN(6) == 0 { // others of its process stand far behind
		for _, other := range ids {
			if other != id && h.r.IntN(4) == 0 {
				q.last.Companions = append(q.last.Companions, other)
			}
		}
	}
	if h.wary && kind != "again" { // each process has learned a margin of its own
		q.last.Buckets = slices.Clone(q.last.Buckets)
		for i := range q.last.Buckets {
			q.last.Buckets[i].Margin *= float64(h.r.IntN(5))
		}
	}
	ask := *q.last
	h.ledger.Quiet = ask.Fresh
	if !ask.Fresh && kind != "again" && h.r.IntN(4) > 0 { // the process has been answered all that it asked
		a := &h.script.prepare(&ask).asked
		a.known, a.latest, a.answered, h.ledger.Quiet = true, ask.Number-1, ask.Number-1, true
	}
	h.note("take", ask)
	writes := 0
	if kind == "wait" {
		writes = changes(h.t, h.admin)
	}
	want, wantErr := h.ledger.Take(h.now, &ask)
	got, err := h.script.Take(h.t.Context(), ask)
	if kind == "wait" && got.Granted == 0 && changes(h.t, h.admin) == writes {
		kind = "wait quietly"
	}
	if kind == "again" && q.got == 0 && got.Granted > 0 {
		kind = "again, which was not noted"
	}
	q.got = got.Granted
	if kind == "again" && got.Granted == 0 { // the script says how the buckets stand now
		want.Levels, want.Charged, want.Corrected = got.Levels, got.Charged, got.Corrected
	}
	h.same(&ask, got, want, err, wantErr)
	if kind != "again" {
		q.at, q.passed = got.Stamp, h.passed
	}
	if got.Hint > ledger.Late {
		h.fatal("a hint of %v is beyond the lease", got.Hint)
	}
	if err == nil && kind != "again" {
		for _, c := range backend.InOrder(&got, ask.Costs)[:got.Granted] {
			h.charges = append(h.charges, chargeUnderTest{q.scope, got.Stamp, c})
		}
		if !ask.Fresh && got.Granted > 0 {
			if len(q.costs) == len(ask.Costs) {
				q.costs, q.flows = backend.InOrder(&got, q.costs), backend.InOrder(&got, q.flows)
			}
			n := min(got.Granted, len(q.costs)) // they may have been given up since it asked first
			q.costs, q.flows = q.costs[n:], q.flows[n:]
		}
		if got.Granted > 0 {
			kind += " granted"
		}
	}
	return kind
}

// flow is one of those that ask in the history, and what its earlier costs have left over.
func (h *history) flow() backend.Flow {
	n := h.r.IntN(len(h.flows) + 1)
	if n == len(h.flows) {
		return backend.Flow{}
	}
	f := h.flows[n]
	if h.r.IntN(3) == 0 {
		f.Credit = h.r.Int64N(2000) - 1000
	}
	return f
}

func (h *history) look() string {
	s := &h.scopes[h.r.IntN(len(h.scopes))]
	ask := backend.Ask{Account: h.account, Line: s.line, Scope: s.name, Buckets: h.described(s.buckets)}
	if h.r.IntN(4) > 0 {
		ask.Costs, ask.Flows = []backend.Amounts{h.cost(s)}, []backend.Flow{h.flow()}
	}
	h.note("look", ask)
	want, wantErr := h.ledger.Look(h.now, &ask)
	got, err := h.script.Look(h.t.Context(), ask)
	h.same(&ask, got, want, err, wantErr)
	return "look"
}

// settle settles a charge, or several of a scope that go together.
func (h *history) settle() string {
	if len(h.charges) == 0 {
		return "nothing to settle"
	}
	first := h.charges[h.r.IntN(len(h.charges))].scope
	s := &h.scopes[first]
	var batch []*settlement
	for n := 1 + max(0, h.r.IntN(10)-4); n > 0; n-- {
		i := slices.IndexFunc(h.charges, func(c chargeUnderTest) bool { return c.scope == first })
		if i < 0 {
			break
		}
		c := h.charges[i]
		h.charges = append(h.charges[:i], h.charges[i+1:]...)
		x := h.settlement(s, c)
		if len(batch) == 0 { // what is known from before is told once
			x.Buckets = h.described(s.buckets)
		}
		batch = append(batch, &settlement{Settlement: x})
	}
	kind := "settle"
	if len(batch) > 1 {
		kind = "settle together"
	} else if h.r.IntN(10) == 0 {
		x := &batch[0].Settlement
		x.PauseOwner = s.name
		if len(s.buckets) > 0 && h.r.IntN(2) == 0 {
			x.PauseOwner = s.buckets[h.r.IntN(len(s.buckets))].Owner
		}
		x.Pause = time.Duration(h.r.Int64N(int64(5 * time.Second)))
		kind = "settle with a pause"
	}
	for _, x := range batch {
		h.note("settle", x.Settlement)
		h.ledger.Settle(h.now, &x.Settlement)
	}
	var err error
	if len(batch) == 1 {
		err = h.script.Settle(h.t.Context(), batch[0].Settlement)
	} else {
		err = h.script.settle(h.t.Context(), h.script.settlings.get(h.script.Backend, &batch[0].Settlement), batch)
	}
	if err != nil {
		h.fatal("settle: %v", err)
	}
	return kind
}

func (h *history) settlement(s *scopeUnderTest, c chargeUnderTest) backend.Settlement {
	x := backend.Settlement{Account: h.account, Line: s.line, Stamp: c.stamp, Buckets: s.buckets}
	for d, n := range c.cost {
		x.Refund[d] = h.r.Int64N(2*n+1) - n/2
		if h.r.IntN(20) == 0 { // beyond all bounds
			x.Refund[d] *= 1000
		}
	}
	if h.r.IntN(2) == 0 {
		for i := range s.buckets {
			x.Corrections = append(x.Corrections, h.correction(s, i))
		}
	}
	return x
}

// correction is one of what is known of the bucket, or was, or never was so.
func (h *history) correction(s *scopeUnderTest, i int) backend.Correction {
	b := &s.buckets[i]
	some := func() float64 { return (h.r.Float64() - 0.5) * float64(b.Limit) }
	from, known := h.seen[b.Owner+"/"+b.Name]
	switch h.r.IntN(4) {
	case 0:
		return backend.Correction{}
	case 1:
		known = false
	}
	if !known {
		from = some()
	}
	return backend.Correction{From: from, To: from + some()/2}
}

func (h *history) clear() string {
	s := &h.scopes[h.r.IntN(len(h.scopes))]
	names := []string{s.name}
	for _, b := range s.buckets {
		if b.Owner != s.name && h.r.IntN(2) == 0 {
			names = append(names, b.Owner)
			break
		}
	}
	h.note("clear", names)
	h.ledger.Clear(h.now, names)
	if err := h.script.Clear(h.t.Context(), h.account, names); err != nil {
		h.fatal("clear: %v", err)
	}
	return "clear"
}

// describe changes a limit, a burst or a margin, or whether a scope draws from a family.
func (h *history) describe() string {
	s := &h.scopes[h.r.IntN(len(h.scopes))]
	if s.family != nil && h.r.IntN(2) == 0 {
		h.join(s)
		return "join"
	}
	if len(s.buckets) == 0 {
		return "nothing to describe"
	}
	// A bucket that is shared is described alike by all, or by each in turn.
	b := &s.buckets[h.r.IntN(len(s.buckets))]
	switch h.r.IntN(3) {
	case 0:
		b.Limit = 1 + h.r.Int64N(2*b.Limit+2)
	case 1:
		b.Burst = time.Duration(h.r.Int64N(int64(b.Period)))
	default:
		b.Margin = h.r.Float64() * float64(b.Limit) / 10
	}
	for _, q := range h.tickets {
		q.costs, q.flows = nil, nil // some would be too large now
	}
	return "describe"
}

// join has a scope draw from its family, or no longer.
func (h *history) join(s *scopeUnderTest) {
	at := slices.IndexFunc(s.buckets, func(b backend.Bucket) bool { return b.Owner == s.family.Owner })
	if at >= 0 {
		if len(s.buckets) > 1 {
			s.buckets = slices.Delete(s.buckets, at, at+1)
		}
		return
	}
	at = slices.IndexFunc(s.buckets, func(b backend.Bucket) bool { return b.Owner == "account" })
	if at < 0 {
		at = len(s.buckets)
	}
	s.buckets = slices.Insert(s.buckets, at, *s.family)
	for _, q := range h.tickets {
		if h.scopes[q.scope].name == s.name {
			q.costs, q.flows = nil, nil
		}
	}
}

// consistent checks that what Redis keeps of the line adds up, and that nothing is left of
// those who are gone. It notes what there is.
func (h *history) consistent(done map[string]int) {
	account := h.script.accountKey(h.account)
	c := h.admin
	numbersIn := func(s string, n int) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64([]byte(s[8*i:])))
		}
		return out
	}
	keys := lineKeys(account, lineField("line"), ticketField(""))
	field, err := c.HGet(h.t.Context(), account, lineField("line")).Result()
	if errors.Is(err, goredis.Nil) {
		if n := c.HLen(h.t.Context(), keys[2]).Val(); n > 0 {
			h.fatal("%d records of no line", n)
		}
		return
	}
	if err != nil {
		h.fatal("the line: %v", err)
	}
	line := numbersIn(field, 13)
	tickets, silent, blocked := line[6], line[7], line[8]
	members := map[byte]float64{}
	for _, m := range c.ZRange(h.t.Context(), keys[1], 0, -1).Val() {
		members[m[0]]++
	}
	records := c.HGetAll(h.t.Context(), keys[2]).Val()
	nodes, shapes, flows, standing, counted, top, most := 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
	for f, r := range records {
		switch {
		case len(f) == 8:
			shapes++
			counted += numbersIn(r, 1)[0]
		case len(f) == 24:
			flows++
		case len(r) == 84 || len(r) == 120:
			n := numbersIn(r, 8)
			nodes++
			standing += n[2]
			most = max(most, n[3])
			if n[2] <= 0 && n[3] <= 0 {
				h.fatal("a node of nobody's")
			}
			if len(r) == 120 {
				top++
			}
		}
	}
	switch {
	case float64(len(records)) != line[5] || tickets+nodes+shapes+flows != line[5]:
		h.fatal("%d records: %v tickets, %v nodes, %v shapes, %v flows; the line says %v", len(records), tickets, nodes, shapes, flows, line[5])
	case counted != tickets || float64(c.ZCard(h.t.Context(), keys[4]).Val()) != tickets-silent || members['s'] != silent || members['b'] != blocked ||
		members['f'] != flows || members['o'] != tickets-silent+top:
		h.fatal("members %v, %v tickets, %v silent, %v held back, %v flows, %v nodes that stand", members, tickets, silent, blocked, flows, top)
	case (nodes > 0) != (tickets > silent) || standing < tickets-silent:
		h.fatal("%v nodes with %v below, %v tickets", nodes, standing, tickets)
	}
	for what, n := range map[string]float64{"held back": blocked, "stepped over": silent, "flows": flows, "behind the first few": most - ledger.Heads} {
		if n > 0 {
			done[what]++
		}
	}
}

func (h *history) note(op string, v any) {
	h.log = append(h.log, fmt.Sprintf("%d %+v %s %+v", h.now, h.ledger.Known, op, v))
}

func (h *history) same(ask *backend.Ask, got, want backend.Answer, err, wantErr error) {
	h.t.Helper()
	if !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
		h.fatal("error %v; want %v", err, wantErr)
	}
	if got.Granted != want.Granted || got.Stamp != want.Stamp || got.Wait != want.Wait ||
		got.Paused != want.Paused || got.Hint != want.Hint || got.Tickets != want.Tickets || !slices.Equal(got.Levels, want.Levels) ||
		!slices.Equal(got.Charged, want.Charged) || got.Virtual != want.Virtual || !slices.Equal(got.Tags, want.Tags) || !slices.Equal(got.Order, want.Order) || !slices.Equal(got.Corrected, want.Corrected) {
		h.fatal("script %+v\nledger %+v", got, want)
	}
	h.latest = max(h.latest, got.Stamp)
	for i, c := range want.Corrected {
		h.seen[ask.Buckets[i].Owner+"/"+ask.Buckets[i].Name] = c
	}
}

func (h *history) fatal(format string, args ...any) {
	h.t.Helper()
	for _, l := range h.log[max(0, len(h.log)-12):] {
		h.t.Log(l)
	}
	h.t.Logf("to replay: go test ./backend/redis -run '^TestScriptIsTheLedger$' -seed %d", h.seed)
	h.t.Fatalf(format, args...)
}
