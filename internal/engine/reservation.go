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
	informed  bool  // the response reported the level of the server's tokens
	ofFlow    bool  // the charge is counted for its flow too, in what is shown
	period    int32 // in which it is counted; an int64 would make a larger allocation of r
	stated    int64 // what it says that the server has charged, in tokens; 0 for nothing
	discarded bool  // nobody was given it
	queued    bool  // it has waited in the queue
	ended     atomic.Bool
	released  atomic.Bool
}

// grantLocked makes r the reservation for the i-th cost that an answer has granted. It
// holds the slots that were taken for the ask.
func (s *scope) grantLocked(now time.Time, r *Reservation, c *charge, ask *ask, answer *backend.Answer, i int) {
	g := quota.Grant{Cost: c.cost, Input: r.comparable(c), Limits: ask.limits, Buckets: ask.Buckets, Answer: answer, Took: ask.took}
	for _, cost := range ask.Costs[i+1 : answer.Granted] {
		for d, n := range cost {
			g.Later[d] += n
		}
	}
	r.charge, r.stamp, r.started = *c, answer.Stamp, now
	r.sent = s.quota.Charged(now, s.account.sentLocked(), &g)
	s.inFlight++
	if r.slots = ask.slots; r.slots != nil {
		s.holding++
	}
	s.account.reserved += c.cost[backend.Tokens]
	r.period = int32(periodOf(now))
	s.started.add(now, shown(&c.cost))
	r.ofFlow = s.account.usage.add(now, &r.Call, shown(&c.cost))
	s.account.reportLocked()
}

// shown is what counts of a charge for what is shown: its tokens or, if there are none, its
// requests.
func shown(cost *backend.Amounts) int64 {
	return cmp.Or(cost[backend.Tokens], cost[backend.Requests])
}

// elsewhere reports whether something that stands in for the backend has made the charge. It
// has buckets of its own, of which nobody here knows, and stamps below 0.
func (r *Reservation) elsewhere() bool { return r.stamp < 0 }

// stampLocked is the stamp of the charge for what corrects it.
func (r *Reservation) stampLocked() int64 {
	if r.elsewhere() {
		return r.stamp
	}
	return max(r.stamp, r.scope.account.since)
}

// Cost is what the reservation has charged.
func (r *Reservation) Cost() backend.Amounts { return r.charge.cost }

// PaidBy reports whether the account of that name pays for the reservation. If it becomes known
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
	r.stated = resp.Headers.QueryCost
	s.heardLocked(now)
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
		Account: s.account.ledger(), Line: s.line, Stamp: r.stampLocked(),
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

// Throttled takes in that the server has throttled the call. It pauses the model, family or
// account that the throttle is about, and returns for how long.
func (r *Reservation) Throttled(t *wire.Throttle) time.Duration {
	settlement := r.throttled(time.Now(), t)
	r.scope.account.engine.settle(settlement)
	return settlement.Pause
}

func (r *Reservation) throttled(now time.Time, t *wire.Throttle) *backend.Settlement {
	s := r.scope
	e := s.account.engine
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	req := r.requestLocked()
	pause := min(s.quota.Pause(now, &req, t, s.inFlight-1), e.config.MaxPause)
	corrections, owner := s.quota.Throttled(now, &req, t, pause)
	if !e.local {
		pause = min(max(pause, s.quota.LeastPause(now)), e.config.MaxPause)
	}
	s.heardLocked(now)
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
