package ratelimiter

import "hash/maphash"

// A history remembers how many tokens the context of recent responses and
// conversations had, for the calls that continue them: previous_response_id and
// conversation stand for input that the server has and the body does not show.
//
// Each process remembers the answers that it has seen itself, in memory. A shared
// store would cost every such call a trip for a guess that its own answer corrects,
// and what continues a response is most often the process that got it. What is not
// known is charged by what the body shows.
//
// It keeps at least the last half of maxHistory that were used, and at most
// maxHistory. Its account's lock guards it.
type history struct {
	seed       maphash.Seed
	young, old map[uint64]int64 // by a hash of the id
}

// maxHistory takes about 200 KB.
const maxHistory = 8192

// set remembers the context of what an id stands for.
func (h *history) set(id string, context int64) {
	if id == "" || context <= 0 {
		return
	}
	if h.young == nil {
		h.seed, h.young = maphash.MakeSeed(), map[uint64]int64{}
	}
	key := maphash.String(h.seed, id)
	delete(h.old, key)
	if _, known := h.young[key]; !known && len(h.young) == maxHistory/2 {
		h.old, h.young = h.young, map[uint64]int64{}
	}
	h.young[key] = min(context, largest)
}

// get returns the context of what an id stands for, or 0.
func (h *history) get(id string) int64 {
	if id == "" || h.young == nil {
		return 0
	}
	key := maphash.String(h.seed, id)
	if context, ok := h.young[key]; ok {
		return context
	}
	context := h.old[key]
	h.set(id, context) // it is in use
	return context
}

// remember notes what the context was after a response: all that was put in, but
// for what does not carry over, and all that was put out. Reasoning is dropped
// between turns, though not between the calls of tools, so this is the most that
// it can be. id is the response's, or empty.
func (r *Reservation) remember(id string, u Usage) {
	e := &r.estimate
	if !e.continuable || u.total() <= 0 {
		return
	}
	context := u.total() - e.passing
	a := r.scope.account
	a.mu.Lock()
	defer a.mu.Unlock()
	a.history.set(id, context)
	a.history.set(e.conversation, context)
}
