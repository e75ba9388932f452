package ratelimiter

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// told pairs a window of the headers with what it counts.
type told struct {
	wire.Window
	dimension backend.Dimension
	header    string
}

func toldBy(h wire.Headers) [3]told {
	return [...]told{
		{h.Requests, backend.Requests, "x-ratelimit-limit-requests"},
		{h.Tokens, backend.Tokens, "x-ratelimit-limit-tokens"},
		{h.Images, backend.Images, "x-ratelimit-limit-images"},
	}
}

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
	r.informed = headers.Tokens.HasRemaining
	if resp.StatusCode < 400 || informed {
		s.opening.Answered(now, informed, s.complete())
	}
	settlement := backend.Settlement{Account: a.name, Line: s.line, Buckets: s.buckets(now)}
	settlement.Adjust, settlement.Most = adjust.of(s.limits)
	s.wake()
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
	if !t.HasLimit || t.Limit > largest {
		return false
	}
	l := s.match(t)
	if l == nil {
		period := t.Period()
		w, ok := windowOf(t.dimension, period)
		if !ok {
			return false // too little is used to tell a minute from a day
		}
		l = &limit{owner: s.owner, window: w}
		s.limits = append(s.limits, l)
	}
	if r.started.Before(l.toldAt) {
		return false // a later request has been answered already
	}
	fresh := l.learned == 0 && l.configured == 0
	if l.learned != t.Limit {
		l.gauge.Forget()
	}
	l.learned, l.header, l.learnedAt, l.toldAt = t.Limit, t.header, now, r.started
	if !t.HasRemaining && !t.HasReset {
		return false
	}
	// What is free counts: where our limit is the lower one, the others may
	// use the difference.
	used := t.Used(l.period) + uncharged - float64(t.Limit-l.amount())
	if fresh {
		l.start = max(0, used) + s.sentAfter(r, t.dimension)
		return false
	}
	for _, sent := range r.sent {
		if sent.limit != l {
			continue
		}
		diff := l.gauge.Observe(now, sent.Sent, used)
		// Other processes of the fleet may have seen the same: the bucket is
		// raised at most to what the server has, and we have sent since.
		refilled := float64(l.amount()) * float64(now.Sub(r.started)) / float64(l.period)
		most := max(0, used-refilled) + s.sentAfter(r, l.dimension)
		*adjust = append(*adjust, correction{l, diff, most})
		s.account.given[l.dimension] += max(0, -diff)
		return diff != 0
	}
	return false
}

// An adjustment is what observing a response does to the buckets.
type adjustment []correction

// A correction adds to what is used of a limit, and raises it at most to most.
type correction struct {
	limit      *limit
	diff, most float64
}

// of returns the corrections in the order of the limits.
func (a adjustment) of(limits []*limit) (diff, most []float64) {
	diff, most = make([]float64, len(limits)), make([]float64, len(limits))
	for _, c := range a {
		i := slices.Index(limits, c.limit)
		diff[i], most[i] = c.diff, c.most
	}
	return diff, most
}

// match finds the limit that a window is about: of the same period where that
// can be told, else of the same amount.
func (s *scope) match(t told) *limit {
	if period := t.Period(); period != 0 {
		return s.find(t.dimension, period, t.Limit)
	}
	for _, l := range s.limits {
		if l.dimension == t.dimension && l.is(t.Limit) {
			return l
		}
	}
	return nil
}

// sentAfter is what calls in flight will have added to a bucket that is only
// now known, beside those that the server had counted for r. It does not count
// those that are done: their share is small and the next answer tells it.
func (s *scope) sentAfter(r *Reservation, d backend.Dimension) float64 {
	return s.sends[d].After(r.started, float64(r.estimate.cost[d]))
}

// buckets describes the scope's limits without a pace. s.account.mu must be held.
func (s *scope) buckets(now time.Time) []backend.Bucket {
	out := make([]backend.Bucket, len(s.limits))
	for i, l := range s.limits {
		out[i] = l.bucket(now)
	}
	return out
}

// refused learns from an error response, and pauses whom it is about.
func (r *Reservation) refused(ctx context.Context, refusal wire.Refusal) {
	s, a, l := r.scope, r.scope.account, r.scope.account.limiter
	info := PausedInfo{Account: a.name, Model: s.model, Kind: kinds[refusal.Kind], Message: refusal.Message}
	settlement := backend.Settlement{Account: a.name, Line: s.line}
	switch refusal.Kind {
	case wire.RateLimit, wire.SlowDown:
		pause := refusal.RetryAfter
		if pause <= 0 {
			pause = unspecified
		}
		info.For = min(pause, l.config.maxPause)
		now := time.Now()
		a.mu.Lock()
		s.opening.Refused(now)
		s.learnRefusal(now, r, refusal)
		settlement.PauseOwner = s.refusedOwner(refusal)
		settlement.Pause = info.For
		settlement.Buckets = s.buckets(now)
		a.mu.Unlock()
		l.settle(settlement)
	case wire.TooLarge:
		a.mu.Lock()
		s.learnRefusal(time.Now(), r, refusal)
		a.mu.Unlock()
	}
	l.tracePaused(ctx, info)
}

// unspecified is the pause after a refusal that says nothing about time.
const unspecified = time.Second

var kinds = map[wire.Kind]string{
	wire.Other: "other", wire.RateLimit: "rate_limit", wire.TooLarge: "too_large",
	wire.Quota: "quota", wire.SlowDown: "slow_down", wire.Unavailable: "unavailable",
}

// refusedOwner finds whose limit a refusal is about: that of a family or the
// account where its figure says so, else the model's.
func (s *scope) refusedOwner(refusal wire.Refusal) string {
	for _, l := range s.limits {
		if l.owner != s.owner && refusal.Limit > 0 && l.amount() == refusal.Limit {
			return l.owner
		}
	}
	return s.owner
}

// learnRefusal takes the limit out of a refusal: that of a call which is larger
// in any case, else one that no header has told. s.account.mu must be held.
func (s *scope) learnRefusal(now time.Time, r *Reservation, refusal wire.Refusal) {
	d, ok := dimensions[refusal.Dimension]
	w, known := windowOf(d, refusal.Period)
	if !ok || !known || refusal.Limit <= 0 || refusal.Limit > largest {
		return
	}
	l := s.find(d, refusal.Period, refusal.Limit)
	switch {
	case l == nil:
		l = &limit{owner: s.owner, window: w}
		l.start = max(0, float64(refusal.Used)) + s.sentAfter(r, d)
		s.limits = append(s.limits, l)
	case refusal.Kind != wire.TooLarge:
		return
	}
	l.learned, l.header, l.learnedAt, l.toldAt = refusal.Limit, "a refusal by the server", now, r.started
}

var dimensions = map[wire.Dimension]backend.Dimension{
	wire.Requests: backend.Requests, wire.Tokens: backend.Tokens, wire.Images: backend.Images,
}
