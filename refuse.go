package ratelimiter

import (
	"context"
	"errors"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A snapshot is how the scope's buckets stood when the backend last said so.
type snapshot struct {
	at      time.Time
	paused  time.Duration
	limits  []*limit
	buckets []backend.Bucket // of the limits first
	levels  []float64
	given   [backend.Dimensions]float64 // the account's, at that time
}

// note keeps the levels of an answer. s.account.mu must be held.
func (s *scope) note(ask ask, answer backend.Answer, err error) {
	if err == nil {
		if now := time.Now(); answer.Paused >= longPause && s.opening.Factor(now) == 0 {
			s.opening.Restart(now.Add(answer.Paused)) // another process was refused
		}
		s.last = snapshot{time.Now(), answer.Paused, ask.limits, ask.Buckets, answer.Levels, s.account.given}
	}
}

// A bound is how long a call must wait at least, and for which limit; for none
// where a pause is the reason.
type bound struct {
	wait  time.Duration
	limit *limit
}

// steady is how much of a learned margin of requests will be left when a call that
// comes now starts: it shrinks with every answer. Of tokens none is sure to be, for
// what those in line will cost is an estimate.
const steady = 0.9

// earliest is when a call could start behind those of this process that wait.
// Where calls give tokens back, only as if they stood back and every call in
// flight gave back all. s.account.mu must be held.
func (s *scope) earliest(e estimate, now time.Time) bound {
	since := now.Sub(s.last.at)
	least := bound{wait: max(0, s.last.paused-since)}
	for i := range min(len(s.last.limits), len(s.last.levels)) {
		b, l := &s.last.buckets[i], s.last.limits[i]
		d, is := b.Dimension, l.bucket(now)
		if e.cost[d] == 0 {
			continue
		}
		need := min(float64(e.cost[d]), is.Capacity())
		level := is.Capacity() - (b.Capacity() - s.last.levels[i]) // what is used stays used
		level += s.account.given[d] - s.last.given[d]
		switch {
		case d != backend.Tokens || s.back.isNothing():
			margin := holdBack.Seconds() / l.period.Seconds() * float64(is.Limit)
			if d != backend.Tokens { // what is held back for the way may soon not be
				margin += steady * max(0, l.gauge.Margin(now)*float64(is.Limit)-margin)
			}
			need += float64(s.wanted[d]) + min(margin, max(0, (is.Capacity()-need)/2))
		case !s.account.limiter.local:
			continue // nobody knows what other processes will give back
		default:
			level += float64(s.account.reserved)
		}
		perUnit := float64(is.Period) / float64(is.Limit)
		if wait := time.Duration((need-level)*perUnit) - since; wait > least.wait {
			least = bound{wait, l}
		}
	}
	return least
}

// refuse returns the error for a call that provably can't start, or not in
// time. s.account.mu must be held.
func (s *scope) refuse(ctx context.Context, e estimate, now time.Time, maxWait time.Duration) error {
	if s.account.limiter.closed.Load() {
		return &Error{Reason: ErrShutdown, Account: s.account.name, Model: s.model, Cost: e.amounts()}
	}
	if limit := s.tooLarge(e.cost, now); limit != nil {
		return s.refusal(ErrTooLarge, e, limit, now)
	}
	deadline, ok := ctx.Deadline()
	if !ok && maxWait <= 0 {
		return nil
	}
	least := s.earliest(e, now)
	if allowed := s.latest(now, deadline).Sub(now); ok && least.wait > 0 && least.wait > allowed {
		return s.late(ErrDeadline, e, least, 0, max(0, allowed))
	}
	if maxWait > 0 && least.wait > maxWait {
		return s.late(ErrMaxWait, e, least, 0, maxWait)
	}
	return nil
}

// latest is when a call must start to be answered before its deadline, as far
// as the answers so far tell. One slow answer proves little, so half of the time
// there is may always be used.
func (s *scope) latest(now, deadline time.Time) time.Time {
	left := deadline.Sub(now)
	// The moment before the deadline is for our error to come before the
	// context's, which openai-go would return instead.
	spare := max(min(10*time.Millisecond, left/100), s.headers)
	return deadline.Add(-min(spare, left/2))
}

// refusal is an Error about a limit.
func (s *scope) refusal(reason error, e estimate, l *limit, now time.Time) *Error {
	err := &Error{
		Reason: reason, Account: s.account.name, Model: s.model, Cost: e.amounts(),
		Unit: l.unit, Need: e.cost[l.dimension], Limit: l.amount(), Period: l.period,
	}
	err.Source, err.Age = l.source(now)
	return err
}

// late is an Error about time.
func (s *scope) late(reason error, e estimate, least bound, waited, allowed time.Duration) *Error {
	err := &Error{Reason: reason, Account: s.account.name, Model: s.model, Cost: e.amounts()}
	if least.limit != nil {
		err = s.refusal(reason, e, least.limit, time.Now())
	}
	err.Wait, err.Waited, err.Allowed = least.wait, waited, allowed
	return err
}

// failure is an Error about the backend.
func (s *scope) failure(cause error, e estimate) *Error {
	reason := ErrBackend
	if errors.Is(cause, backend.ErrTooLarge) {
		reason = ErrTooLarge // it knows a limit that we don't
	}
	return &Error{Reason: reason, Cause: cause, Account: s.account.name, Model: s.model, Cost: e.amounts()}
}
