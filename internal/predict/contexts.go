package predict

import "hash/maphash"

// Contexts remembers how many tokens the context of recent responses and conversations
// had, for the calls that continue them: previous_response_id and conversation stand for
// input that the server has and the body does not show. The zero value knows none.
//
// Each process remembers the responses that it has seen itself, in memory. A shared store
// would cost every such call a trip for a guess that its own response corrects, and what
// continues a response is most often the process that got it. What is not known is
// charged by what the body shows.
//
// At least the last half of maxContexts that were set or touched are kept, and at most
// maxContexts.
type Contexts struct {
	seed       maphash.Seed
	young, old map[uint64]int64 // by a hash of the id
}

// maxContexts takes about 200 KB.
const maxContexts = 8192

// Set remembers the context of what an id stands for.
func (c *Contexts) Set(id string, context int64) {
	if id == "" || context <= 0 {
		return
	}
	if c.young == nil {
		c.seed, c.young = maphash.MakeSeed(), map[uint64]int64{}
	}
	key := maphash.String(c.seed, id)
	if _, known := c.young[key]; !known && len(c.young) == maxContexts/2 {
		c.old, c.young = c.young, map[uint64]int64{}
	}
	c.young[key] = min(context, largest)
}

// Get returns the context of what an id stands for, or 0.
func (c *Contexts) Get(id string) int64 {
	if id == "" || c.young == nil {
		return 0
	}
	key := maphash.String(c.seed, id)
	if context, ok := c.young[key]; ok {
		return context
	}
	return c.old[key]
}

// Touch keeps what an id stands for: it is in use.
func (c *Contexts) Touch(id string) { c.Set(id, c.Get(id)) }
