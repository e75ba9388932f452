package ratelimiter

import (
	"cmp"
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// A standIn answers while a backend does not: it lets everything pass, or
// keeps limits of its own in this process.
type standIn struct {
	primary backend.Backend
	limits  *Limits // nil: everything passes
	local   memory.Backend
	notify  func(error)

	mu       sync.Mutex
	down     bool
	answered time.Time       // when the primary last did
	next     time.Time       // when one call may try the primary again
	inLine   map[string]bool // the tickets that the local line may hold
}

// probing is how often a backend that is down is tried again.
const probing = time.Second

// Reservations remember in their stamps who made them: the local stand-in's
// are negative.
const passed = math.MinInt64

// Take implements backend.Backend.
func (s *standIn) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	if begun := time.Now(); s.mayAsk(begun) {
		answer, err := s.primary.Take(ctx, ask)
		if !s.failed(begun, err) {
			s.leave(ctx, ask)
			return answer, err
		}
	}
	if s.limits == nil {
		return backend.Answer{Granted: len(ask.Costs), Stamp: passed}, nil
	}
	ask.Buckets = s.buckets(ask.Line)
	answer, err := s.local.Take(ctx, ask)
	s.mu.Lock()
	if answer.Granted < len(ask.Costs) && !ask.Leave {
		s.inLine[ask.Ticket] = true
	} else if !ask.Fresh {
		delete(s.inLine, ask.Ticket)
	}
	s.mu.Unlock()
	answer.Stamp = -answer.Stamp
	answer.Hint = min(answer.Hint, probing) // the primary may be back by then
	answer.Levels = nil                     // they say nothing about the real buckets
	return answer, err
}

// leave takes a ticket out of the local line, for the primary has answered it.
// Nothing else would: what is forgotten there would stand in everybody's way when
// the primary is away again.
func (s *standIn) leave(ctx context.Context, ask backend.Ask) {
	s.mu.Lock()
	held := s.inLine[ask.Ticket]
	delete(s.inLine, ask.Ticket)
	s.mu.Unlock()
	if held {
		ask.Number, ask.Fresh, ask.Costs, ask.Buckets = math.MaxUint64, false, nil, nil
		_, _ = s.local.Take(ctx, ask)
	}
}

// Look implements backend.Backend.
func (s *standIn) Look(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	if begun := time.Now(); s.mayAsk(begun) {
		answer, err := s.primary.Look(ctx, ask)
		if !s.failed(begun, err) {
			return answer, err
		}
	}
	levels := make([]float64, len(ask.Buckets))
	if s.limits == nil {
		return backend.Answer{Levels: levels}, nil
	}
	ask.Buckets = s.buckets(ask.Line)
	answer, err := s.local.Look(ctx, ask)
	answer.Levels = append(answer.Levels, levels...)[:len(levels)]
	return answer, err
}

// Settle implements backend.Backend: a charge is corrected where it was made, and
// a pause holds in both places. The primary is asked even while it is away, for it
// may be back, and nobody waits.
func (s *standIn) Settle(ctx context.Context, settlement backend.Settlement) error {
	pause := pauseOf(settlement)
	there, here := settlement, pause
	if settlement.Stamp < 0 {
		there, here = pause, settlement
		here.Stamp, here.Corrections = -settlement.Stamp, nil
	}
	if s.limits != nil && (settlement.Stamp < 0 || pause.PauseOwner != "") {
		here.Buckets = s.buckets(here.Line)
		if strings.HasPrefix(here.PauseOwner, familyPrefix) {
			here.PauseOwner = here.Line // within which the stand-in knows no families
		}
		_ = s.local.Settle(ctx, here)
	}
	if settlement.Stamp < 0 && pause.PauseOwner == "" {
		return nil
	}
	begun := time.Now()
	err := s.primary.Settle(ctx, there)
	s.failed(begun, err)
	return err
}

// pauseOf is what a settlement pauses, and nothing else.
func pauseOf(s backend.Settlement) backend.Settlement {
	return backend.Settlement{Account: s.Account, Line: s.Line, PauseOwner: s.PauseOwner, Pause: s.Pause}
}

// Keep and Recall implement backend.Keeper, for a primary that does. They do not
// tell that it is back: one that only takes no writes answers them too.
func (s *standIn) Keep(ctx context.Context, account, scope string, note []byte, ttl time.Duration) error {
	if s.isDown() {
		return nil
	}
	return s.primary.(backend.Keeper).Keep(ctx, account, scope, note, ttl)
}

func (s *standIn) Recall(ctx context.Context, account, scope string) (note []byte, left time.Duration, err error) {
	if s.isDown() {
		return nil, 0, nil
	}
	begun := time.Now()
	note, left, err = s.primary.(backend.Keeper).Recall(ctx, account, scope)
	if err != nil {
		s.failed(begun, err)
	}
	return note, left, err
}

// Clear implements backend.Backend.
func (s *standIn) Clear(ctx context.Context, account string, owners []string) error {
	return errors.Join(s.primary.Clear(ctx, account, owners), s.local.Clear(ctx, account, owners))
}

// outsized is how many times the stand-in's limits a call may cost.
const outsized = 1 << 15

// buckets are the stand-in's own. All scopes of a line share them, for they share
// a budget. They refill as the limits say and hold no more, but their limit and
// period are many times as long: a call that is larger than this process's share
// is none that can never start. It starts on a full bucket and leaves a debt.
func (s *standIn) buckets(line string) []backend.Bucket {
	var out []backend.Bucket
	for _, l := range configured(line, *s.limits) {
		b := l.bucket(time.Now())
		b.Burst = cmp.Or(b.Burst, b.Period)
		b.Limit, b.Period = outsized*b.Limit, outsized*b.Period
		out = append(out, b)
	}
	return out
}

func (s *standIn) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

// mayAsk reports whether the primary is to be asked: always while it answers,
// else by one call a second.
func (s *standIn) mayAsk(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.down {
		return true
	}
	if now.Before(s.next) {
		return false
	}
	s.next = now.Add(probing)
	return true
}

// failed notes how the primary answered what began then, and reports whether it
// did not. A failure says nothing if something that began later was answered.
func (s *standIn) failed(begun time.Time, err error) bool {
	failed := err != nil && !errors.Is(err, backend.ErrTooLarge)
	now := time.Now()
	s.mu.Lock()
	down := s.down
	switch {
	case !failed:
		s.down, s.answered = false, now
	case !begun.Before(s.answered):
		s.down, s.next = true, now.Add(probing)
	}
	changed := s.down != down
	s.mu.Unlock()
	if changed {
		s.notify(err)
	}
	return failed
}
