package failover

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// A Config says what holds while the primary does not answer.
type Config struct {
	Primary backend.Backend
	// Limits are the buckets that each line keeps meanwhile, without owners; none lets
	// every call pass.
	Limits []backend.Bucket
	// Slots is how many slots of each owner this process has meanwhile, negative for any
	// number; 0 for those that the primary has lent it last, and at least one.
	Slots int64
	// Shared reports whether an owner's pauses are about more than one scope. The
	// fallback knows only lines then.
	Shared func(owner string) bool
	// Notify is called with the primary's error when it stops answering, and with nil when
	// it answers again.
	Notify func(error)
}

// New returns the backend. It keeps notes, and lends slots, if the primary does.
func New(c Config) backend.Backend {
	f := &failover{config: c, inLine: map[string]bool{}}
	k, keeps := c.Primary.(backend.Keeper)
	l, lends := c.Primary.(backend.Lessor)
	slots := &lessor{failover: f, primary: l, lent: map[slotsKey]int64{}}
	switch {
	case keeps && lends:
		return &keeperAndLessor{keeper: &keeper{f, k}, slots: slots}
	case keeps:
		return &keeper{f, k}
	case lends:
		return slots
	}
	return f
}

type failover struct {
	config Config
	local  memory.Backend

	mu       sync.Mutex
	down     bool
	answered time.Time       // when the primary last did
	probe    time.Time       // when one call may try the primary again
	inLine   map[string]bool // the tickets that the local line may hold
}

// probing is how often a primary that is down is tried again.
const probing = time.Second

// A reservation's stamp says where it was made: those of the local fallback are negative.
const passed = math.MinInt64

// Take implements backend.Backend.
func (f *failover) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	if begun := time.Now(); f.mayAsk(begun) {
		answer, err := f.config.Primary.Take(ctx, ask)
		if gaveUp(ctx, err) {
			return answer, err
		}
		if !f.failed(begun, err) {
			f.leave(ctx, ask)
			return answer, err
		}
	}
	if len(f.config.Limits) == 0 {
		return backend.Answer{Granted: len(ask.Costs), Stamp: passed}, nil
	}
	ask.Buckets = f.buckets(ask.Line)
	answer, err := f.local.Take(ctx, ask)
	f.stands(&ask, answer.Granted < len(ask.Costs))
	answer.Stamp = -answer.Stamp
	answer.Hint = min(answer.Hint, probing)                         // the primary may be back by then
	answer.Levels, answer.Charged, answer.Corrected = nil, nil, nil // they are of other buckets
	return answer, err
}

// stands notes whether an ask has left a ticket in the local line.
func (f *failover) stands(ask *backend.Ask, waits bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if waits && !ask.Leave {
		f.inLine[ask.Ticket] = true
	} else if !ask.Fresh {
		delete(f.inLine, ask.Ticket)
	}
}

// leave takes a ticket out of the local line, once the primary has answered it. Nothing else
// would: a ticket that was left there would stand in the way of all others when the primary is
// away again.
func (f *failover) leave(ctx context.Context, ask backend.Ask) {
	if f.stood(ask.Ticket) {
		ask.Number, ask.Fresh, ask.Costs, ask.Buckets = math.MaxUint64, false, nil, nil
		_, _ = f.local.Take(ctx, ask)
	}
}

// stood reports whether the ticket may be in the local line, and forgets it.
func (f *failover) stood(ticket string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := f.inLine[ticket]
	delete(f.inLine, ticket)
	return held
}

// Look implements backend.Backend.
func (f *failover) Look(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	if begun := time.Now(); f.mayAsk(begun) {
		answer, err := f.config.Primary.Look(ctx, ask)
		if gaveUp(ctx, err) {
			return answer, err
		}
		if !f.failed(begun, err) {
			return answer, err
		}
	}
	if len(f.config.Limits) == 0 {
		return backend.Answer{}, nil
	}
	ask.Buckets = f.buckets(ask.Line)
	answer, err := f.local.Look(ctx, ask)
	answer.Levels, answer.Charged, answer.Corrected = nil, nil, nil // they are of other buckets
	return answer, err
}

// Settle implements backend.Backend. The primary is asked even while it is away, for it
// may be back, and nobody waits.
func (f *failover) Settle(ctx context.Context, s backend.Settlement) error {
	pause := s.OnlyPause()
	there, here := s, pause
	if s.Stamp < 0 {
		there, here = pause, s
		here.Stamp, here.Corrections = -s.Stamp, nil
	}
	if len(f.config.Limits) > 0 && (s.Stamp < 0 || pause.PauseOwner != "") {
		here.Buckets = f.buckets(here.Line)
		if here.PauseOwner != "" && f.config.Shared(here.PauseOwner) {
			here.PauseOwner = here.Line
		}
		_ = f.local.Settle(ctx, here)
	}
	if s.Stamp < 0 && pause.PauseOwner == "" {
		return nil
	}
	begun := time.Now()
	err := f.config.Primary.Settle(ctx, there)
	if !gaveUp(ctx, err) {
		f.failed(begun, err)
	}
	return err
}

// Clear implements backend.Backend.
func (f *failover) Clear(ctx context.Context, account string, owners []string) error {
	return errors.Join(f.config.Primary.Clear(ctx, account, owners), f.local.Clear(ctx, account, owners))
}

// outsized is how many times the fallback's limits a call may cost.
const outsized = 1 << 15

// buckets are the fallback's own. All scopes of a line share them, for they share a budget. They
// refill as the limits say and hold no more, but their limit and period are many times as long.
// So a call that is larger than this process's share is not too large: it starts on a full
// bucket and leaves a debt.
func (f *failover) buckets(line string) []backend.Bucket {
	buckets := make([]backend.Bucket, len(f.config.Limits))
	for i, b := range f.config.Limits {
		b.Owner = line
		if b.Burst == 0 {
			b.Burst = b.Period
		}
		b.Limit, b.Period = outsized*b.Limit, outsized*b.Period
		buckets[i] = b
	}
	return buckets
}

// mayAsk reports whether the primary is to be asked: always while it answers, else by one
// call a second.
func (f *failover) mayAsk(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.down {
		return true
	}
	if now.Before(f.probe) {
		return false
	}
	f.probe = now.Add(probing)
	return true
}

// gaveUp reports whether an error says nothing about the primary, because the caller did not
// wait for it.
func gaveUp(ctx context.Context, err error) bool { return err != nil && ctx.Err() != nil }

// failed notes how a command ended that was sent at the time begun, and reports whether the
// primary did not answer it.
func (f *failover) failed(begun time.Time, err error) bool {
	failed := err != nil && !errors.Is(err, backend.ErrTooLarge)
	if f.changes(begun, failed) {
		if !failed {
			err = nil
		}
		f.config.Notify(err)
	}
	return failed
}

// changes reports whether the primary is down and was not, or the other way round. A
// failure says nothing if something that began later was answered.
func (f *failover) changes(begun time.Time, failed bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, down := time.Now(), f.down
	switch {
	case !failed:
		f.down, f.answered = false, now
	case !begun.Before(f.answered):
		f.down, f.probe = true, now.Add(probing)
	}
	return f.down != down
}

func (f *failover) isDown() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.down
}
