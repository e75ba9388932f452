package ratelimiter

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
)

// A Reservation is a cost that has been charged, so that its call may start.
// It ends in exactly one of Settle and Cancel; what comes later does nothing.
// Its methods are safe for concurrent use.
type Reservation struct {
	scope     *scope
	estimate  estimate
	stamp     int64
	started   time.Time
	sent      []sentTo
	informed  bool // the response told where the server's tokens stand
	shown     bool // the text that was seen is all of the output, though no usage says so
	discarded bool
	claimed   atomic.Bool // by a Transport
	ended     atomic.Bool
	end       sync.Once
	ctx       context.Context // for hooks; never waited on
}

// sentTo is where a limit's bucket stood when the call started.
type sentTo struct {
	limit *limit
	calibration.Sent
}

// reserve makes the reservation for the i-th cost that an answer has granted.
// s.account.mu must be held.
func (s *scope) reserve(now time.Time, e estimate, ask ask, answer backend.Answer, i int) *Reservation {
	r := &Reservation{scope: s, estimate: e, stamp: answer.Stamp, started: now}
	// The levels are those after the whole grant.
	var later backend.Amounts
	for _, c := range ask.Costs[i+1 : answer.Granted] {
		for d := range c {
			later[d] += c[d]
		}
	}
	r.sent = make([]sentTo, min(len(ask.limits), len(answer.Levels)))
	for k := range r.sent {
		l, b := ask.limits[k], &ask.Buckets[k]
		used := b.Capacity() - answer.Levels[k] - float64(later[b.Dimension])
		r.sent[k] = sentTo{l, l.gauge.Send(now, float64(e.cost[b.Dimension]), calibration.Level{
			Used:      used,
			Charged:   answer.Charged[k] - float64(later[b.Dimension]),
			Corrected: answer.Corrected[k],
		})}
		l.start = 0 // the backend knows the bucket from now on
	}
	for d, n := range e.cost {
		s.sent[d] += float64(n)
		s.sends[d].Add(now, s.sent[d], float64(n))
	}
	s.opening.Sent(now)
	s.inFlight++
	s.account.reserved += e.cost[backend.Tokens]
	return r
}

// stood returns where the limit's bucket stood when the request was sent. Where its
// caller took time between the two, it stands elsewhere.
func (r *Reservation) stood(l *limit) (calibration.Sent, bool) {
	const soon = time.Second
	for _, sent := range r.sent {
		if sent.limit == l {
			return sent.Sent, r.started.Sub(sent.At) < soon
		}
	}
	return calibration.Sent{}, false
}

// Cost is what the reservation has charged.
func (r *Reservation) Cost() Cost { return r.estimate.amounts() }

// Settle ends the reservation of a call that was made: the tokens that it did
// not use go back, those it used in addition are charged. A zero Usage keeps
// the charge as it is.
func (r *Reservation) Settle(u Usage) {
	final := r.estimate.cost
	known := u.total() > 0
	if known {
		final[backend.Tokens] = u.total()
		r.remember("", u)
	}
	r.finish(final, u, known)
}

// Cancel ends the reservation of a call that was never made: all of its charge
// goes back. After Settle it does nothing, so that it can be deferred.
func (r *Reservation) Cancel() {
	r.finish(backend.Amounts{}, Usage{}, false)
}

// discard is Cancel for a reservation that nobody has been given.
func (r *Reservation) discard() {
	r.discarded = true
	r.Cancel()
}

// finish settles the charge to final, once.
func (r *Reservation) finish(final backend.Amounts, u Usage, known bool) {
	r.end.Do(func() {
		r.ended.Store(true)
		s, a, l := r.scope, r.scope.account, r.scope.account.limiter
		charged := r.estimate.cost
		settlement := backend.Settlement{Account: a.name, Line: s.line, Stamp: r.stamp}
		changed := false
		for d := range charged {
			final[d] = min(max(0, final[d]), largest)
			settlement.Refund[d] = charged[d] - final[d]
			changed = changed || settlement.Refund[d] != 0
		}
		a.mu.Lock()
		for d, n := range settlement.Refund {
			a.given[d] += float64(max(0, n))
		}
		s.inFlight--
		lasted := time.Since(r.started) // which sending it sets
		a.reserved -= charged[backend.Tokens]
		if !r.discarded {
			s.back.settled(charged[backend.Tokens], settlement.Refund[backend.Tokens])
		}
		if r.estimate.undeclared && (known || r.shown) {
			s.output.add(u.OutputTokens / r.estimate.choices)
		}
		settlement.Buckets = r.charged(time.Now())
		s.eased(time.Now())
		a.mu.Unlock()
		if changed {
			l.settle(settlement)
		}
		if r.discarded {
			return
		}
		ctx := r.ctx
		if ctx == nil {
			ctx = context.Background()
		}
		l.traceSettled(ctx, SettledInfo{
			Account: a.name, Model: s.model, Charged: r.Cost(), Final: costOf(s.model, final),
			Estimate: r.estimate.usage(), Usage: u, HasUsage: known, Duration: lasted,
		})
	})
}

// charged describes the buckets that the call was charged to, the pace of an
// opening included. Limits learned since are none of them.
func (r *Reservation) charged(now time.Time) []backend.Bucket {
	limits := make([]*limit, len(r.sent))
	for i := range r.sent {
		limits[i] = r.sent[i].limit
	}
	return r.scope.buckets(now, limits, true)
}
