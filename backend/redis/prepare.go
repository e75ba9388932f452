package redis

import (
	"hash/fnv"
	"slices"
	"sync"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// Prepared is what the asks of a ticket have in common as long as its buckets
// stay as they are: keys and arguments, but for the numbers.
type prepared struct {
	account, line, scope, ticket string
	buckets                      []backend.Bucket

	owners []owner
	levels []*level
	args   []any // of a command: script, number of keys, keys, arguments
	first  int   // where the first numbers stand in args; the last stand last
}

// An owner is one of the owners of an ask, with its buckets.
type owner struct {
	name      string
	field     string
	described numbers
	buckets   []int // by their place in the ask
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
	p.levels = b.memory.find(ask.Account, ask.Buckets)
	line, id := lineField(ask.Line), ticketField(ask.Ticket)
	p.args, p.first = arguments(lineKeys(b.accountKey(ask.Account), line, id), line, id, ticketOf(p.owners), p.owners)
	return p
}

// arguments lays out a command with room for the script and the numbers.
func arguments(keys []string, line, ticket, buckets string, owners []owner) (args []any, first int) {
	args = append(make([]any, 0, 8+len(keys)+2*len(owners)), nil, nil, len(keys))
	for _, k := range keys {
		args = append(args, k)
	}
	first = len(args)
	args = append(args, nil, line, ticket, buckets)
	for i := range owners {
		args = append(args, owners[i].field)
	}
	for i := range owners {
		args = append(args, []byte(owners[i].described))
	}
	return append(args, nil), first
}

// byOwner sorts the buckets of an ask by their owners, the scope first.
func byOwner(scope string, buckets []backend.Bucket) []owner {
	owners := append(make([]owner, 0, 4), owner{name: scope, field: ownerField(scope)})
next:
	for i := range buckets {
		d := &buckets[i]
		for j := range owners {
			if owners[j].name == d.Owner {
				owners[j].buckets = append(owners[j].buckets, i)
				continue next
			}
		}
		owners = append(owners, owner{name: d.Owner, field: ownerField(d.Owner), buckets: []int{i}})
	}
	for j := range owners {
		o := &owners[j]
		for _, i := range o.buckets {
			d := &buckets[i]
			o.described.add(bucketName(d.Name), float64(d.Dimension), float64(d.Limit), rate(d), d.Capacity())
		}
	}
	return owners
}

// ticketOf is what a ticket in line says of its buckets.
func ticketOf(owners []owner) string {
	t := numbers(owners[0].field)
	for _, o := range owners {
		for at := 0; at < len(o.described); at += 40 {
			t = append(t, o.field...)
			t = append(t, o.described[at:at+8]...)
		}
	}
	h := fnv.New32a() // there are as many as there are scopes in a line
	h.Write(t)
	return string(h.Sum(nil)) + string(t)
}

// A cache keeps what is prepared, by ticket.
type cache struct {
	mu       sync.Mutex
	byTicket map[string]*prepared
}

// cached is how many tickets are kept.
const cached = 1024

func (c *cache) get(ask *backend.Ask) *prepared {
	c.mu.Lock()
	p := c.byTicket[ask.Ticket]
	c.mu.Unlock()
	if p == nil || p.account != ask.Account || p.line != ask.Line || p.scope != ask.Scope || len(p.buckets) != len(ask.Buckets) {
		return nil
	}
	for i := range p.buckets {
		x, y := &p.buckets[i], &ask.Buckets[i]
		if x.Limit != y.Limit || x.Burst != y.Burst || x.Period != y.Period ||
			x.Dimension != y.Dimension || x.Name != y.Name || x.Owner != y.Owner {
			return nil
		}
	}
	return p
}

func (c *cache) put(p *prepared) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byTicket == nil || len(c.byTicket) >= cached {
		c.byTicket = map[string]*prepared{}
	}
	c.byTicket[p.ticket] = p
}
