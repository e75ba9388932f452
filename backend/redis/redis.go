package redis

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

// version is that of keys, values and arguments.
const version = 7

// Client is what a [Backend] needs of go-redis. Every client of go-redis v9 has
// it: [goredis.Client] (also over Sentinel), [goredis.ClusterClient],
// [goredis.Ring] and [goredis.UniversalClient].
type Client interface {
	Process(ctx context.Context, cmd goredis.Cmder) error
}

// Backend is a [backend.Backend] in Redis. It is safe for concurrent use, holds
// no goroutine between calls and needs no closing; the client remains the
// caller's.
type Backend struct {
	client    Client
	ctxClient Client // see newCtxClient
	prefix    string
	fault     error // of the options: why every call fails, or nil
	timeout   time.Duration
	now       func() int64 // microseconds since New, which no step of the clock moves
	virtual   func() int64 // what Redis is told instead of its own, or nil
	memory    memory
	tickets   cache
	settlings settlings

	deadlines deadlines
}

var _ backend.Keeper = (*Backend)(nil)

// New returns a backend that keeps its budgets in the client's Redis. It sends
// nothing yet.
func New(client Client, options ...Option) *Backend {
	begun := time.Now()
	b := &Backend{client: client, prefix: DefaultPrefix, timeout: DefaultTimeout,
		now: func() int64 { return time.Since(begun).Microseconds() }}
	for _, o := range options {
		o.apply(b)
	}
	b.ctxClient = newCtxClient(client)
	return b
}

// Take implements [backend.Backend]. An ask that is not Fresh and whose reply
// was lost is sent once more with the same number, which is charged once. A
// Fresh one whose reply was lost keeps its charge.
func (b *Backend) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	return b.ask(ctx, takeScript, &ask, !ask.Fresh)
}

// Look implements [backend.Backend].
func (b *Backend) Look(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	return b.ask(ctx, lookScript, &ask, true)
}

func (b *Backend) ask(ctx context.Context, s *script, ask *backend.Ask, repeatable bool) (backend.Answer, error) {
	if ledger.TooLarge(ask) {
		return backend.Answer{}, backend.ErrTooLarge
	}
	p := b.prepare(ask)
	now := b.now()
	numbers := b.head(p.clock, now, len(p.owners), 2*len(ask.Buckets)+2*len(ask.Costs))
	if s == takeScript && ask.Fresh && len(ask.Costs) == 1 {
		for _, o := range p.owners {
			for _, k := range o.buckets {
				numbers.fast(k, &ask.Buckets[k.at], ask.Costs[0])
			}
		}
	}
	first := len(numbers)
	quiet := ask.Fresh || s == takeScript && p.asked.quiet(ask.Number)
	numbers.add(float64(len(ask.Costs)), truth(ask.Fresh), truth(ask.Leave), float64(ask.Number), truth(quiet))
	numbers.since(b.memory.starts(&numbers, now, p.owners, p.levels, ask.Buckets))
	var flows flows
	for i, c := range ask.Costs {
		for _, amount := range c {
			numbers.add(float64(amount))
		}
		numbers.add(flows.number(ask, i), ledger.Units(ask, i))
	}
	args := slices.Clone(p.args)
	args[len(args)-4], args[len(args)-3] = companions(ask), []byte(flows.packed)
	args[p.first], args[len(args)-1] = []byte(numbers[:first]), []byte(numbers[first:])
	var answer backend.Answer
	err := b.mending(ctx, args, func(ctx context.Context) error {
		reply, err := b.run(ctx, s, repeatable, args)
		if err == nil {
			if answer, err = decode(reply, p.owners, ask.Buckets, len(ask.Costs)); err != nil {
				err = &Error{Op: s.name, Cause: err}
			}
		}
		return err
	})
	if err != nil {
		return backend.Answer{}, err
	}
	if s == takeScript && !ask.Fresh {
		p.asked.answer(ask.Number)
	}
	if ask.Flows != nil && answer.Granted > 0 && answer.Tags == nil {
		answer.Tags = []float64{0} // fast.lua has granted it at the beginning of a line
	}
	answer.Order = ledger.Order(answer.Tags)
	b.memory.saw(p, now, b.now(), &answer)
	return answer, nil
}

// companions are the digests of an ask's other tickets.
func companions(ask *backend.Ask) []byte {
	all := ask.Companions[:min(len(ask.Companions), backend.MaxCompanions)]
	digests := make([]byte, 0, 12*len(all))
	for _, id := range all {
		digests = append(digests, ticketField(id)...)
	}
	return digests
}

// fast adds what fast.lua wants to know of a bucket. A cost above the capacity
// is left to the other scripts.
func (n *numbers) fast(k bucket, d *backend.Bucket, c backend.Amounts) {
	cost, need := float64(c[d.Dimension]), math.Inf(1)
	switch {
	case d.Ceiling:
		need = min(cost, 1)
	case cost <= k.capacity:
		need = cost + min(d.Margin, max(0, (k.capacity-cost)/2))
	}
	n.add(k.digest, k.capacity, cost, need)
}

// Clear implements [backend.Backend].
func (b *Backend) Clear(ctx context.Context, account string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	owners := make([]owner, len(names))
	for i, name := range names {
		owners[i] = owner{name: name, field: ownerField(name)}
	}
	args, at := arguments([]string{b.accountKey(account)}, "", "", owners, nil)
	args[at], args[len(args)-1] = []byte(b.head(b.memory.clock(account), b.now(), len(owners), 0)), []byte{}
	err := b.mending(ctx, args, func(ctx context.Context) error {
		_, err := b.run(ctx, clearScript, true, args)
		return err
	})
	if err == nil {
		b.memory.forget(account, names)
	}
	return err
}

// head is what head.lua wants to know of an ask that is sent now, with room for more.
// The time is Redis's own where it is 0, and nothing goes back to an answer yet.
func (b *Backend) head(c *clock, now int64, owners, more int) numbers {
	shown := int64(0)
	if b.virtual != nil {
		shown = b.virtual()
	}
	n := make(numbers, 0, 8*(12+4*more))
	n.add(version, float64(shown), float64(owners))
	n.bounds(b.memory.bounds(c, now, b.timeout.Microseconds()))
	n.add(math.Inf(1))
	return n
}

// since says in what head made to which answer at the earliest something goes back.
func (n numbers) since(stamp float64) {
	binary.LittleEndian.PutUint64(n[8*(headDoubles-1):], math.Float64bits(stamp))
}

// decode reads an answer as answer.lua packs it, or as fast.lua does, to an ask for so many
// costs. It takes nothing that no script says.
func decode(reply any, owners []owner, buckets []backend.Bucket, costs int) (backend.Answer, error) {
	s, sane := reply.(string)
	at := 0
	next := func() float64 {
		if at+8 > len(s) {
			sane = false
			return 0
		}
		at += 8
		f := math.Float64frombits(binary.LittleEndian.Uint64([]byte(s[at-8 : at])))
		sane = sane && math.Abs(f) < most // and a number
		return f
	}
	n := len(buckets)
	figures := make([]float64, 3*n)
	a := backend.Answer{Granted: 1, Levels: figures[:n:n], Charged: figures[n : 2*n : 2*n], Corrected: figures[2*n:]}
	full := strings.HasSuffix(s, ".")
	if full {
		a.Granted, a.Stamp, a.Wait, a.Paused = int(next()), int64(next()), ledger.Duration(next()), ledger.Duration(next())
		a.Hint, a.Tickets = ledger.Duration(next()), int(next())
		if n := next(); n > 0 { // a tag for each cost, or none at all
			sane = sane && n == float64(costs)
			a.Virtual, a.Tags = next(), make([]float64, costs)
			for i := range a.Tags {
				a.Tags[i] = next()
			}
		}
	}
	for _, o := range owners {
		if !full {
			a.Stamp = int64(next())
			_, _, _ = next(), next(), next()
		}
		for _, k := range o.buckets {
			for !full && at < len(s) && next() != k.digest {
				at += 8 * (bucketDoubles - 1) // another bucket of the owner
			}
			if !full {
				next()
			}
			a.Levels[k.at], a.Charged[k.at], a.Corrected[k.at] = k.capacity-next(), next(), next()
		}
	}
	if at != len(s)&^7 || !sane || a.Granted < 0 || a.Granted > max(costs, 1) || a.Tickets < 0 {
		return backend.Answer{}, fmt.Errorf("%w of type %T and length %d", errReply, reply, len(s))
	}
	return a, nil
}
