package redis

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

// prepared is what the asks of a ticket have in common as long as its buckets
// stay as they are: keys and arguments, but for the numbers.
type prepared struct {
	account, line, scope, ticket string
	buckets                      []backend.Bucket

	owners []owner
	levels []*level
	clock  *clock
	asked  asked
	args   []any // of a command: script, number of keys, keys, arguments
	first  int   // where the first numbers stand in args; the last stand last
}

// An owner is one of the owners of an ask, with its buckets.
type owner struct {
	name    string
	field   string
	buckets []bucket
}

// A bucket is what the scripts know of one.
type bucket struct {
	at                           int // its place in the ask
	name, digest, rate, capacity float64
}

// prepare returns what is known of the ticket, or works it out.
func (b *Backend) prepare(ask *backend.Ask) *prepared {
	p := b.tickets.get(ask)
	if p == nil {
		p = newPrepared(b, ask)
		b.tickets.put(p)
	}
	return p
}

func newPrepared(b *Backend, ask *backend.Ask) *prepared {
	p := &prepared{account: ask.Account, line: ask.Line, scope: ask.Scope, ticket: ask.Ticket, buckets: slices.Clone(ask.Buckets)}
	p.owners = byOwner(ask.Scope, ask.Buckets)
	p.levels, p.clock = b.memory.find(ask.Account, ask.Buckets), b.memory.clock(ask.Account)
	line, id := lineField(ask.Line), ticketField(ask.Ticket)
	p.args, p.first = arguments(lineKeys(b.accountKey(ask.Account), line, id), line, id, p.owners, ask.Buckets, "", "")
	return p
}

// arguments lays out a command with room for the script and the numbers. More stands
// before the description of the buckets.
func arguments(keys []string, line, ticket string, owners []owner, buckets []backend.Bucket, more ...any) (args []any, first int) {
	args = append(make([]any, 0, 9+len(keys)+len(owners)+len(more)), nil, nil, len(keys))
	for _, k := range keys {
		args = append(args, k)
	}
	first = len(args)
	args = append(args, nil, line, ticket, ticketOf(owners))
	for i := range owners {
		args = append(args, owners[i].field)
	}
	args = append(args, more...)
	return append(args, []byte(describe(owners, buckets)), nil), first
}

// describe is what core.lua wants to know of the buckets.
func describe(owners []owner, buckets []backend.Bucket) numbers {
	var n numbers
	for j, o := range owners {
		for _, b := range o.buckets {
			d := &buckets[b.at]
			n.add(float64(j+1), b.digest, b.name, float64(d.Dimension), float64(d.Limit), b.rate, b.capacity)
		}
	}
	return n
}

// byOwner sorts the buckets of an ask by their owners, the scope first, and ceilings last.
func byOwner(scope string, buckets []backend.Bucket) []owner {
	owners := append(make([]owner, 0, 4), owner{name: scope, field: ownerField(scope)})
	for i := range buckets {
		d := &buckets[i]
		j := slices.IndexFunc(owners, func(o owner) bool { return o.name == d.Owner })
		if j < 0 {
			j = len(owners)
			owners = append(owners, owner{name: d.Owner, field: ownerField(d.Owner)})
		}
		owners[j].buckets = append(owners[j].buckets, bucket{
			at: i, name: nameOf(d), rate: ledger.Rate(d), capacity: d.Capacity(),
			digest: short(fmt.Sprint(owners[j].field, d.Name, d.Dimension, d.Limit, d.Period, d.Capacity())),
		})
	}
	slices.SortStableFunc(owners[1:], func(a, b owner) int {
		return cmp.Compare(truth(buckets[a.buckets[0].at].Ceiling), truth(buckets[b.buckets[0].at].Ceiling))
	})
	return owners
}

// nameOf is what the scripts call a bucket: that of a ceiling is below 0.
func nameOf(b *backend.Bucket) float64 {
	if b.Ceiling {
		return -1 - short(b.Name)
	}
	return short(b.Name)
}

// ticketOf is what a ticket in line says of its buckets.
func ticketOf(owners []owner) string {
	t := numbers(owners[0].field)
	for _, o := range owners {
		for _, b := range o.buckets {
			t = append(t, o.field...)
			t.add(b.name)
		}
	}
	h := fnv.New64a()
	h.Write(t)
	return string(h.Sum(nil)) + string(t)
}

// A cache keeps what is prepared, by ticket.
type cache struct {
	mu       sync.Mutex
	byTicket map[string]*prepared
}

// cached is how many tickets are kept, and of how many sets of buckets the settlements.
const cached = 1024

func (c *cache) get(ask *backend.Ask) *prepared {
	c.mu.Lock()
	p := c.byTicket[ask.Ticket]
	c.mu.Unlock()
	if p == nil || p.account != ask.Account || p.line != ask.Line || p.scope != ask.Scope || !described(p.buckets, ask.Buckets) {
		return nil
	}
	return p
}

// described reports whether the buckets are the same, and described alike.
func described(some, others []backend.Bucket) bool {
	return slices.EqualFunc(some, others, func(x, y backend.Bucket) bool {
		return x.Limit == y.Limit && x.Burst == y.Burst && x.Period == y.Period &&
			x.Dimension == y.Dimension && x.Ceiling == y.Ceiling && x.Name == y.Name && x.Owner == y.Owner
	})
}

func (c *cache) put(p *prepared) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byTicket == nil {
		c.byTicket = map[string]*prepared{}
	}
	room(c.byTicket, cached)
	c.byTicket[p.ticket] = p
}
