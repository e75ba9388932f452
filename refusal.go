package ratelimiter

import (
	"context"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

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
		s.opening.Throttled(now)
		if refusal.Kind == wire.SlowDown {
			s.slowDown(now)
		}
		if info.For >= longPause {
			s.opening.Restart(now.Add(info.For))
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
		l.start = guess
		if refusal.Used >= 0 {
			l.start += refusal.Stood(w.period)
		}
		s.limits = append(s.limits, l)
	}
	if !r.started.Before(l.toldAt) {
		l.told(refusal.Limit, "a refusal by the server", now, r.started)
	}
	l.sure = l.sure || refusal.Kind == wire.TooLarge && l.amount() == refusal.Limit
	if refusal.Kind == wire.TooLarge || refusal.Used < 0 || refusal.Requested < 0 || l.amount() != refusal.Limit {
		return
	}
	if reached := refusal.Used + refusal.Requested; l.period == minute && float64(reached) < 0.99*float64(refusal.Limit) {
		s.slice(now, l, refusal.RetryAfter)
		s.exchange.news = true
		return
	}
	if sent, ok := r.stood(l); ok {
		s.exchange.news = true
		c, changed := l.gauge.Throttled(now, sent, refusal.Stood(l.period), float64(refusal.Requested), float64(l.amount()))
		if changed {
			*adjust = append(*adjust, correction{l, backend.Correction(c)})
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
