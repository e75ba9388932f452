package ratelimiter

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// observe learns from a response's headers, as soon as they are there.
func (r *Reservation) observe(ctx context.Context, resp *http.Response) {
	s, a, l := r.scope, r.scope.account, r.scope.account.limiter
	now := time.Now()
	latency := now.Sub(r.started)
	headers := wire.ParseHeaders(resp.Header)

	a.mu.Lock()
	if s.headers == 0 || latency < s.headers {
		s.headers = latency
	}
	var adjust adjustment
	informed, changed := false, false
	for _, t := range toldBy(headers) {
		if t.HasLimit && t.HasRemaining {
			informed = true
		}
		uncharged := 0.0
		if resp.StatusCode == http.StatusTooManyRequests && t.dimension != backend.Requests {
			// We have charged the call, the server has not.
			uncharged = float64(r.estimate.cost[t.dimension])
		}
		changed = s.learn(now, r, t, uncharged, &adjust) || changed
	}
	s.dropSlices(now)
	s.share(now)
	r.informed = headers.Tokens.HasRemaining
	if resp.StatusCode != http.StatusTooManyRequests {
		s.opening.Succeeded(r.started)
	}
	s.eased(now) // while the opening lasts, which this answer may end
	if resp.StatusCode < 400 || informed {
		s.opening.Answered(now, informed, s.complete())
	}
	settlement := backend.Settlement{Account: a.name, Line: s.line, Stamp: r.stamp, Buckets: s.buckets(now, s.limits, false)}
	settlement.Corrections = adjust.of(s.limits)
	a.mu.Unlock()

	if changed {
		l.settle(settlement)
	}
	l.traceObserved(ctx, ObservedInfo{
		Account: a.name, Model: s.model, Status: resp.StatusCode, Latency: latency,
		Requests: observation(headers.Requests), Tokens: observation(headers.Tokens),
	})
}

func observation(w wire.Window) Observation {
	return Observation{Limit: w.Limit, Remaining: w.Remaining, Reset: w.Reset}
}

// learn takes a window in: its limit, and where the server's bucket would stand
// with what it has not charged of this call. It notes what to correct in our
// bucket, and reports whether that is anything. s.account.mu must be held.
func (s *scope) learn(now time.Time, r *Reservation, t told, uncharged float64, adjust *adjustment) bool {
	if !t.HasLimit || t.Limit > largest || uncharged == 0 && t.Limit < r.estimate.least(t.dimension) {
		return false // absurd, or below what has just been let through
	}
	l := s.match(t)
	if l == nil {
		period := t.Period()
		w, ok := windowOf(t.dimension, period)
		if !ok {
			return false // too little is used to tell a minute from a day
		}
		if !s.heard(t, w) {
			return false
		}
		l = newLimit(s.owner, w)
		s.limits = append(s.limits, l)
	}
	if t.Period() != 0 {
		s.deny(l, t.header)
	}
	if r.started.Before(l.toldAt) {
		return false // a later request has been answered already
	}
	was, fresh := l.learned.Amount, l.amount() == 0
	believed := l.told(t.Limit, t.header, now, r.started)
	s.exchange.news = s.exchange.news || l.learned.Amount != was
	if !believed || !t.HasRemaining && !t.HasReset {
		return false
	}
	// What is free counts: where our limit is the lower one, the others may
	// use the difference.
	used := t.Used(l.period) + uncharged - float64(t.Limit-l.amount())
	if fresh {
		guess := s.sentAfter(r, t.dimension)
		l.gauge.Guess(guess)
		l.start = max(0, used) + guess
		return false
	}
	if sent, ok := r.stood(l); ok {
		// Below a limit that the server does not know, our own charges count.
		l.gauge.Exact = l.dimension != backend.Tokens || t.Limit > l.amount()
		before := l.gauge.Findings()
		c, changed := l.gauge.Observe(now, sent, used, float64(l.amount()))
		after := l.gauge.Findings()
		s.exchange.news = s.exchange.news || after.Margin > before.Margin || after.Kept != before.Kept
		if changed {
			*adjust = append(*adjust, correction{l, backend.Correction(c)})
			s.account.given[l.dimension] += max(0, c.From-c.To)
			if l.dimension == backend.Tokens {
				s.back.surplus(c.From - c.To)
			}
		}
		return changed
	}
	return false
}

// An adjustment is what observing a response does to the buckets.
type adjustment []correction

// A correction is one of a limit's bucket.
type correction struct {
	limit *limit
	backend.Correction
}

// of returns the corrections in the order of the limits.
func (a adjustment) of(limits []*limit) []backend.Correction {
	out := make([]backend.Correction, len(limits))
	for _, c := range a {
		out[slices.Index(limits, c.limit)] = c.Correction
	}
	return out
}

// sentAfter is what calls in flight will have added to a bucket that is only
// now known, beside those that the server had counted for r. It does not count
// those that are done: their share is small and the next answer tells it.
func (s *scope) sentAfter(r *Reservation, d backend.Dimension) float64 {
	return s.sends[d].After(r.started, float64(r.estimate.cost[d]))
}
