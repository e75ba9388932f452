package ratelimiter

import (
	"context"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// traced is a backend whose commands are reported.
type traced struct {
	backend.Backend
	report func(AskedInfo)
}

// tracedKeeper is one that keeps notes.
type tracedKeeper struct {
	*traced
	keeper backend.Keeper
}

// tracedLessor is one that lends slots.
type tracedLessor struct {
	*traced
	lessor backend.Lessor
}

// tracedKeeperAndLessor is one that does both.
type tracedKeeperAndLessor struct {
	*tracedKeeper
	slots *tracedLessor
}

// withReports is the backend, with what reports its commands if a trace wants that. One in
// memory has none to report.
func (c *config) withReports() backend.Backend {
	var asked []func(AskedInfo)
	for _, t := range c.traces {
		if t.Asked != nil {
			asked = append(asked, t.Asked)
		}
	}
	if _, local := c.backend.(backend.Local); local || len(asked) == 0 {
		return c.backend
	}
	t := &traced{c.backend, func(i AskedInfo) {
		for _, report := range asked {
			report(i)
		}
	}}
	keeper, keeps := c.backend.(backend.Keeper)
	lessor, lends := c.backend.(backend.Lessor)
	switch {
	case keeps && lends:
		return &tracedKeeperAndLessor{&tracedKeeper{t, keeper}, &tracedLessor{t, lessor}}
	case keeps:
		return &tracedKeeper{t, keeper}
	case lends:
		return &tracedLessor{t, lessor}
	}
	return t
}

// ran reports a command that began then.
func (t *traced) ran(ctx context.Context, command string, begun time.Time, err error) {
	t.report(AskedInfo{Command: command, Duration: time.Since(begun), Err: err, GaveUp: err != nil && ctx.Err() != nil})
}

// Take and the rest implement [backend.Keeper].
func (t *traced) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	begun := time.Now()
	answer, err := t.Backend.Take(ctx, ask)
	t.ran(ctx, "take", begun, err)
	return answer, err
}

func (t *traced) Look(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	begun := time.Now()
	answer, err := t.Backend.Look(ctx, ask)
	t.ran(ctx, "look", begun, err)
	return answer, err
}

func (t *traced) Settle(ctx context.Context, s backend.Settlement) error {
	begun := time.Now()
	err := t.Backend.Settle(ctx, s)
	t.ran(ctx, "settle", begun, err)
	return err
}

func (t *traced) Clear(ctx context.Context, account string, owners []string) error {
	begun := time.Now()
	err := t.Backend.Clear(ctx, account, owners)
	t.ran(ctx, "clear", begun, err)
	return err
}

func (t *tracedKeeper) Keep(ctx context.Context, account, scope string, note []byte, ttl time.Duration) error {
	begun := time.Now()
	err := t.keeper.Keep(ctx, account, scope, note, ttl)
	t.ran(ctx, "keep", begun, err)
	return err
}

func (t *tracedKeeper) Recall(ctx context.Context, account string, scopes []string) ([]backend.Note, error) {
	begun := time.Now()
	notes, err := t.keeper.Recall(ctx, account, scopes)
	t.ran(ctx, "recall", begun, err)
	return notes, err
}

// Lease implements [backend.Lessor].
func (t *tracedLessor) Lease(ctx context.Context, claim backend.Claim) (backend.Lease, error) {
	begun := time.Now()
	lease, err := t.lessor.Lease(ctx, claim)
	t.ran(ctx, "lease", begun, err)
	return lease, err
}

// Lease implements [backend.Lessor].
func (t *tracedKeeperAndLessor) Lease(ctx context.Context, claim backend.Claim) (backend.Lease, error) {
	return t.slots.Lease(ctx, claim)
}
