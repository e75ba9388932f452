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
	s.dropSlices(now)
	s.share(now)
	r.informed = headers.Tokens.HasRemaining
	if resp.StatusCode != http.StatusTooManyRequests {
		s.opening.LetIn(r.started)
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
	for _, sent := range r.sent {
		if sent.limit != l {
			continue
		}
		before := l.gauge.Findings()
		c, changed := l.gauge.Observe(now, sent.Sent, used, float64(l.amount()))
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

// A rumour is a window that answers tell beside one that is known by their header.
type rumour struct {
	window
	amount int64
	told   int
}

const (
	// rumours is how many answers in a row make one be believed.
	rumours = 3
	// denials is how many that tell another period by the same header make a
	// learned window be forgotten.
	denials = 8
)

// heard takes in an unknown window and reports whether there is one: of a dimension
// of which nothing is known at once, else if answers keep saying so. The figure of
// the known window with another period is a mistake.
func (s *scope) heard(t told, w window) bool {
	known := false
	for _, l := range s.limits {
		if l.dimension == t.dimension && l.whole == nil {
			if l.is(t.Limit) {
				return false
			}
			known = known || l.owner == s.owner
		}
	}
	said := &s.rumours[t.dimension]
	if said.window != w || said.amount != t.Limit {
		*said = rumour{window: w, amount: t.Limit}
	}
	said.told++
	return !known || said.told >= rumours
}

// deny forgets other windows that the header has told before, if that is long ago.
func (s *scope) deny(told *limit, header string) {
	told.denied = 0
	s.limits = slices.DeleteFunc(s.limits, func(l *limit) bool {
		if l == told || l.dimension != told.dimension || l.header != header || l.configured > 0 || l.whole != nil {
			return false
		}
		l.denied++
		return l.denied >= denials
	})
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
		if refusal.Kind == wire.SlowDown {
			s.slowDown(now)
		}
		if info.For >= longPause {
			s.opening.Reopen(now.Add(info.For))
		}
		var adjust adjustment
		s.learnRefusal(now, r, refusal, &adjust)
		s.share(now)
		settlement.PauseOwner = s.refusedOwner(refusal)
		settlement.Pause = info.For
		settlement.Stamp = r.stamp
		settlement.Buckets = s.buckets(now, s.limits, false)
		settlement.Corrections = adjust.of(s.limits)
		a.mu.Unlock()
		l.settle(settlement)
	case wire.TooLarge:
		a.mu.Lock()
		s.learnRefusal(time.Now(), r, refusal, new(adjustment))
		a.mu.Unlock()
	}
	l.tracePaused(ctx, info)
}

// What may grow as it likes after slow_down: a part of the limit, and as many
// tokens a minute ("above 1M input TPM": see [calibration.Ramp]).
const (
	slowPart   = 0.1
	slowTokens = 1_000_000
)

// slowDown lets the scope's traffic grow only slowly from now on.
func (s *scope) slowDown(now time.Time) {
	for _, l := range s.limits {
		if l.period != minute || l.whole != nil || l.dimension == backend.Images {
			continue
		}
		always := slowPart * float64(l.amount())
		if l.dimension == backend.Tokens {
			always = max(always, slowTokens)
		}
		l.ramp.Begin(now, l.gauge.Lately(now), always)
		s.exchange.news = true
	}
}

// longPause is one after which those who have waited are let go little by
// little, lest all run into the same refusal again.
const longPause = time.Second

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

// learnRefusal takes out of a refusal what it says of the limit, and of what was
// used of it. s.account.mu must be held.
func (s *scope) learnRefusal(now time.Time, r *Reservation, refusal wire.Refusal, adjust *adjustment) {
	d, ok := dimensions[refusal.Dimension]
	if ok && refusal.Limit < 0 {
		s.unexplained(now, r, d, refusal)
		return
	}
	w, known := windowOf(d, refusal.Period)
	if !ok || !known || refusal.Limit <= 0 || refusal.Limit > largest {
		return
	}
	l := s.find(d, refusal.Period, refusal.Limit)
	if l == nil {
		l = newLimit(s.owner, w)
		guess := s.sentAfter(r, d)
		l.gauge.Guess(guess)
		l.start = max(0, float64(refusal.Used)) + guess
		s.limits = append(s.limits, l)
	}
	if !r.started.Before(l.toldAt) {
		l.told(refusal.Limit, "a refusal by the server", now, r.started)
	}
	if refusal.Kind == wire.TooLarge || refusal.Used < 0 || refusal.Requested < 0 || l.amount() != refusal.Limit {
		return
	}
	if reached := refusal.Used + refusal.Requested; l.period == minute && float64(reached) < 0.99*float64(refusal.Limit) {
		s.slice(now, l, refusal.RetryAfter)
		s.exchange.news = true
		return
	}
	for _, sent := range r.sent {
		if sent.limit == l {
			s.exchange.news = true
			c, changed := l.gauge.Refused(now, sent.Sent, float64(refusal.Used), float64(refusal.Requested), float64(l.amount()))
			if changed {
				*adjust = append(*adjust, correction{l, backend.Correction(c)})
			}
		}
	}
}

// unexplained takes in a refusal without figures, as Azure's are: if it comes long
// before the limit is reached, and for no longer than a slice lasts, it is that of
// one. s.account.mu must be held.
func (s *scope) unexplained(now time.Time, r *Reservation, d backend.Dimension, refusal wire.Refusal) {
	for _, sent := range r.sent {
		l := sent.limit
		if l.dimension == d && l.period == minute && l.whole == nil && refusal.RetryAfter <= longSlice && sent.Used < 0.9*float64(l.amount()) {
			s.slice(now, l, refusal.RetryAfter)
			s.exchange.news = true
		}
	}
}

var dimensions = map[wire.Dimension]backend.Dimension{
	wire.Requests: backend.Requests, wire.Tokens: backend.Tokens, wire.Images: backend.Images,
}
