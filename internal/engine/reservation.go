package engine

import (
	"cmp"
	"math"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// A charge is what a call is charged when it starts.
type charge struct {
	cost    backend.Amounts
	input   int64 // the part of its tokens that is not output, as the server charges it
	counted int64 // and as it was counted
	certain int64 // the part of its tokens that is no guess
}

// cut lowers the tokens, and the input with them where it is more.
func (c *charge) cut(tokens int64) {
	c.cost[backend.Tokens] = min(c.cost[backend.Tokens], tokens)
	if c.input > tokens {
		c.counted = int64(float64(c.counted)*float64(tokens)/float64(c.input) + 0.5)
		c.input = tokens
	}
}

// recharge replaces what the server charges for the input.
func (c *charge) recharge(input int64) {
	c.cost[backend.Tokens] += input - c.input
	c.input = input
	c.certain = min(c.certain, c.cost[backend.Tokens])
}

// A Reservation is a cost that has been charged, so that its call may start. It ends once,
// in Settle; what comes later does nothing. Its methods are safe for concurrent
// use, but Observe comes before the end.
type Reservation struct {
	// Call is what Admit is asked for; nobody changes it afterwards.
	Call Call

	scope     *scope
	flow      *flow  // whose share it has waited for, or nil
	seq       uint64 // of the arrival in its queue; 0 before
	charge    charge
	stamp     int64
	started   time.Time
	slots     []*slots // that it holds until it is released
	sent      []quota.Sent
	informed  bool // the response reported the level of the server's tokens
	discarded bool // nobody was given it
	queued    bool // it has waited in the queue
	ended     atomic.Bool
	released  atomic.Bool
	room      *room // from the start of its ask by itself, or else from its grant
}

// A room is the memory for what a call needs once it starts. One that waits in the queue
// has none: it may be one of very many.
type room struct {
	sent    [2]quota.Sent     // where limits are few
	charged [2]backend.Bucket // and the buckets of the refund
	refund  backend.Settlement
}

// ownAsk is the memory for the ask of one call, which needs a room soon.
type ownAsk struct {
	room
	costs   [1]backend.Amounts
	buckets [2]backend.Bucket // where limits are few
}

// askForOneLocked describes a call's own ask.
func (s *scope) askForOneLocked(r *Reservation, now time.Time) ask {
	own := new(ownAsk)
	r.room, own.costs[0] = &own.room, r.charge.cost
	a := s.askLocked(now, own.buckets[:])
	a.Costs, a.Flows = own.costs[:], flowOf(&r.Call)
	return a
}

// grantLocked makes r the reservation for the i-th cost that an answer has granted. It
// holds the slots that were taken for the ask.
func (s *scope) grantLocked(now time.Time, r *Reservation, c *charge, ask *ask, answer *backend.Answer, i int) {
	g := quota.Grant{Cost: c.cost, Input: r.comparable(c), Limits: ask.limits, Buckets: ask.Buckets, Answer: answer}
	for _, cost := range ask.Costs[i+1 : answer.Granted] {
		for d, n := range cost {
			g.Later[d] += n
		}
	}
	r.charge, r.stamp, r.started = *c, answer.Stamp, now
	if r.room == nil {
		r.room = new(room)
	}
	r.sent = s.quota.Charged(now, r.room.sent[:0], &g)
	s.inFlight++
	if r.slots = ask.slots; r.slots != nil {
		s.holding++
	}
	s.account.reserved += c.cost[backend.Tokens]
	charged := cmp.Or(c.cost[backend.Tokens], c.cost[backend.Requests])
	s.started.add(now, charged)
	s.account.usage.add(now, &r.Call, charged)
	s.account.reportLocked()
}

// Cost is what the reservation has charged.
func (r *Reservation) Cost() backend.Amounts { return r.charge.cost }

// PaidBy reports whether the account of that name pays for the reservation. If it gets known
// only now, that includes what calls without an account have reserved.
func (r *Reservation) PaidBy(name string) bool {
	return r.scope.account.engine.account(name) == r.scope.account
}

// Queued reports whether Call.Waiting was due, once Admit has returned.
func (r *Reservation) Queued() bool { return r.queued }

// Estimate is what is expected of the response's usage.
func (r *Reservation) Estimate() wire.Usage {
	tokens := r.charge.cost[backend.Tokens]
	return wire.Usage{Input: r.charge.counted, Output: max(0, tokens-r.charge.input)}
}

// Sent says that the call starts only now: its caller may have taken its time.
func (r *Reservation) Sent(now time.Time) {
	r.scope.account.mu.Lock()
	defer r.scope.account.mu.Unlock()
	r.started = now
}

// requestLocked is the reservation's call as quota knows it.
func (r *Reservation) requestLocked() quota.Request {
	return quota.Request{
		SentAt: r.started, Cost: r.charge.cost, Input: r.comparable(&r.charge), Certain: r.charge.certain, Sent: r.sent,
	}
}

// comparable is what a charge says of the input that the server's figures can be compared
// with.
func (r *Reservation) comparable(c *charge) quota.Input {
	b := &r.Call.Body
	switch {
	case b.Whole:
		return quota.Input{}
	case !b.Exact() || b.Undeclared: // part of the charge is a guess
		return quota.Input{Charged: c.input}
	}
	return quota.Input{Charged: c.input, Counted: c.counted}
}

// A Response is what the head of a response says.
type Response struct {
	Status  int
	Headers wire.Headers
	// Written is when the request had been written; zero where that is not known.
	Written time.Time
	// Apart says that the server has been sent calls that our buckets have not been charged
	// for: where the two stand can't be compared.
	Apart bool
}

// Observe takes in the head of a response, as soon as it has come, and returns how long
// that took, and by how much what remains in our buckets was corrected: of each dimension
// the largest correction.
func (r *Reservation) Observe(resp *Response) (latency time.Duration, corrected backend.Amounts) {
	latency, settlement := r.observe(time.Now(), resp)
	if settlement == nil {
		return latency, corrected
	}
	for i, c := range settlement.Corrections {
		d := settlement.Buckets[i].Dimension
		if by := c.From - c.To; math.Abs(by) > math.Abs(float64(corrected[d])) {
			corrected[d] = int64(math.Round(by))
		}
	}
	r.scope.account.engine.settle(settlement)
	return latency, corrected
}

func (r *Reservation) observe(now time.Time, resp *Response) (latency time.Duration, settlement *backend.Settlement) {
	s := r.scope
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	latency = now.Sub(r.started)
	if s.latency == 0 || latency < s.latency {
		s.latency = latency
	}
	req := r.requestLocked()
	if !resp.Written.IsZero() {
		s.quota.Written(&req, resp.Written.Sub(r.started))
	}
	if resp.Apart {
		req.Sent = nil
	}
	// Before the headers are taken in: they may end a slow start that holds calls back.
	s.budgetFreedLocked(now)
	const tooManyRequests = 429
	corrections := s.quota.Headers(now, &req, &resp.Headers, resp.Status == tooManyRequests, resp.Status >= 400)
	r.informed = resp.Headers.Tokens.HasRemaining
	s.syncLocked(now)
	if len(corrections) == 0 {
		return latency, nil
	}
	for i := range corrections {
		a.refunded[corrections[i].Limit.Dimension] += corrections[i].Lowered()
	}
	return latency, r.settlementLocked(now, corrections)
}

// settlementLocked corrects the scope's buckets.
func (r *Reservation) settlementLocked(now time.Time, corrections []quota.Correction) *backend.Settlement {
	s := r.scope
	limits := s.quota.Limits()
	settlement := &backend.Settlement{
		Account: s.account.ledger(), Line: s.line, Stamp: max(r.stamp, s.account.since),
		Buckets:     quota.Unpaced(now, limits),
		Corrections: make([]backend.Correction, len(limits)),
	}
	for _, c := range corrections {
		for i, l := range limits {
			if l == c.Limit {
				settlement.Corrections[i] = c.Correction
			}
		}
	}
	return settlement
}

// unspecified is the pause after a throttle that says nothing about time.
const unspecified = time.Second

// Throttled takes in that the server has throttled the call, pauses whom that is about,
// and returns for how long.
func (r *Reservation) Throttled(t *wire.Throttle) time.Duration {
	pause := t.RetryAfter
	if pause <= 0 {
		pause = unspecified
	}
	engine := r.scope.account.engine
	settlement := r.throttled(time.Now(), t, min(pause, engine.config.MaxPause))
	engine.settle(settlement)
	return settlement.Pause
}

func (r *Reservation) throttled(now time.Time, t *wire.Throttle, pause time.Duration) *backend.Settlement {
	s := r.scope
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	req := r.requestLocked()
	corrections, owner := s.quota.Throttled(now, &req, t, pause)
	if e := s.account.engine; !e.local {
		pause = min(max(pause, s.quota.LeastPause(now)), e.config.MaxPause)
	}
	s.syncLocked(now)
	settlement := r.settlementLocked(now, corrections)
	settlement.PauseOwner, settlement.Pause = owner, pause
	return settlement
}

// TooLarge takes in that the server has rejected the call since it alone exceeds a limit.
func (r *Reservation) TooLarge(t *wire.Throttle) {
	s := r.scope
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	req := r.requestLocked()
	s.quota.TooLarge(time.Now(), &req, t)
}
