package engine

import (
	"context"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// Forecast is how long the call would wait if it came now, behind all who are in line; 0
// means that it would start at once. Where a slow start paces the scope it is what the present
// pace takes, which grows with time and with each response. It changes nothing.
func (e *Engine) Forecast(ctx context.Context, c *Call) (time.Duration, error) {
	look, behind, held, err := e.peek(c.Account).forecast(c, time.Now())
	if err != nil {
		return 0, err
	}
	answer, lookErr := e.config.Backend.Look(ctx, look.Ask)
	if lookErr != nil {
		return 0, backendFailed(&charge{cost: look.Costs[0]}, lookErr)
	}
	wait := max(answer.Wait, held)
	for _, b := range look.Buckets {
		wait = max(wait, answer.Wait+time.Duration(float64(behind[b.Dimension])*float64(b.Period)/float64(b.Limit)))
	}
	return wait, nil
}

// forecast returns what to ask the backend about a call, what is wanted by those who wait here
// behind the ticket's turn, whom the backend does not know, and for how long a slow start lets
// no call go.
func (a *account) forecast(c *Call, now time.Time) (look ask, behind backend.Amounts, held time.Duration, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.peekScopeLocked(a.engine.scopeOf(c))
	var ch charge
	s.predictLocked(c, &ch)
	if l := s.exceededLocked(&ch.cost, now); l != nil {
		return look, behind, 0, tooLarge(&ch, l, now)
	}
	limits := s.quota.Admissible(&ch.cost, now)
	look, held = s.drawLocked(now, limits, s.quota.Forecast(now, limits)), s.paceLocked(now)
	look.Costs, look.Flows = []backend.Amounts{ch.cost}, flowOf(c)
	if behind = s.queue.wanted; !s.queue.plain() || !plain(c.Flow) {
		behind = s.queue.before(c.Flow, false, 0) // others have their own shares
		return look, behind, held, nil
	}
	for d, c := range s.driver.inLine {
		behind[d] = max(0, behind[d]-c)
	}
	return look, behind, held, nil
}

// LeastTokens is the smallest limit on tokens that is known for a model, or quota.Largest.
func (e *Engine) LeastTokens(account, model string) int64 {
	a := e.peek(account)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.peekScopeLocked(scopeKey{model: model}).quota.Least(backend.Tokens)
}

// predictLocked works out what a call is charged when it starts: what its body states,
// and what that does not say.
func (s *scope) predictLocked(c *Call, ch *charge) {
	p := predict.Of(&c.Body, &s.inputs, &s.outputs, &s.account.contexts)
	input := s.chargedInputLocked(&c.Body, p.Input)
	tokens := min(quota.Largest, p.Tokens-p.Input+input)
	*ch = charge{
		cost:    backend.Amounts{backend.Requests: c.Requests, backend.Tokens: tokens, backend.Images: c.Images},
		input:   input,
		counted: p.Input,
		certain: min(p.Certain, tokens), // what was learned rejects nothing
	}
	ch.cut(s.fitLocked(tokens, ch.certain))
}

// chargedInputLocked is what the server charges for an input of so many tokens by our count.
// A cost that is stated as a whole is none.
func (s *scope) chargedInputLocked(b *predict.Body, counted int64) int64 {
	if b.Whole {
		return counted
	}
	return s.quota.ChargedInput(counted)
}

// A bound is how long a call must wait at least, and for which limit; for none where a
// pause is the reason.
type bound struct {
	wait  time.Duration
	limit *quota.Limit
}

// steady is how much of a learned margin of requests will be left when a call that comes
// now starts: it shrinks with every response. Of tokens none is sure to be, for what
// those in line will cost is an estimate.
const steady = 0.9

// earliestLocked is when a call could start behind those of this process that would stand
// before it. Where calls are refunded tokens, only as if they stood back and every call in
// flight were refunded all.
func (s *scope) earliestLocked(r *Reservation, now time.Time) bound {
	a, c := s.account, &r.charge
	ahead := s.queue.before(r.Call.Flow, r.Call.Retry, r.seq)
	return s.boundLocked(now, &c.cost, func(l *quota.Limit, is *backend.Bucket, need, level float64) (float64, bool) {
		d, capacity, limit := is.Dimension, is.Capacity(), float64(is.Limit)
		switch {
		case d != backend.Tokens || s.quota.RefundsNothing():
			margin := quota.Transit.Seconds() / l.Period.Seconds() * limit
			if is.Ceiling {
				margin = 0
			} else if d != backend.Tokens { // what is held back for the way may soon not be
				margin += steady * max(0, l.CalmMargin(now)*limit-margin)
			}
			need += float64(ahead[d]) + min(margin, max(0, (capacity-need)/2))
		case !a.engine.local:
			return 0, false // nobody knows what other processes will be refunded
		default:
			level += float64(a.reserved)
		}
		return need - level, true
	})
}

// expectedLocked is how long a call waits behind those of this process that stand before it
// and want so much, if nothing is refunded.
func (s *scope) expectedLocked(now time.Time, cost, ahead *backend.Amounts) bound {
	return s.boundLocked(now, cost, func(_ *quota.Limit, is *backend.Bucket, need, level float64) (float64, bool) {
		return need + float64(ahead[is.Dimension]) + min(is.Margin, max(0, (is.Capacity()-need)/2)) - level, true
	})
}

// boundLocked is the longest wait for one of the limits that a cost draws from. lack says how
// much of a limit is missing, or that it does not count, where its bucket needs so much and
// would hold that, had nothing refilled since the last snapshot.
func (s *scope) boundLocked(now time.Time, cost *backend.Amounts, lack func(l *quota.Limit, is *backend.Bucket, need, level float64) (float64, bool)) bound {
	since := now.Sub(s.last.at)
	most := bound{wait: max(0, s.last.paused-since)}
	for i := range min(len(s.last.limits), len(s.last.levels)) {
		then, l := &s.last.buckets[i], s.last.limits[i]
		d, is := then.Dimension, l.Bucket(now)
		if cost[d] == 0 {
			continue
		}
		capacity := is.Capacity()
		level := capacity - (then.Capacity() - s.last.levels[i]) // what is used stays used
		level += s.account.refunded[d] - s.last.refunded[d]
		need := min(float64(cost[d]), capacity)
		if is.Ceiling {
			need = 1
		}
		missing, counts := lack(l, &is, need, level)
		if wait := time.Duration(missing*float64(is.Period)/float64(is.Limit)) - since; counts && wait > most.wait {
			most = bound{wait, l}
		}
	}
	return most
}

// latestLocked is when a call must start for its response to come before its deadline, as
// far as the responses so far tell. One slow response proves little, so half of the time
// there is may always be used.
func (s *scope) latestLocked(now, deadline time.Time) time.Time {
	left := deadline.Sub(now)
	// The moment before the deadline is for our error to come before the context's, which
	// openai-go would return instead.
	spare := max(min(10*time.Millisecond, left/100), s.latency)
	return deadline.Add(-min(spare, left/2))
}
