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

// tracedFleet is one that shows processes.
type tracedFleet struct {
	*traced
	fleet backend.Fleet
}

// traced is what reports the backend's commands, or nil if no trace wants that. A backend in
// memory has none to report.
func (c *config) traced() *traced {
	var asked []func(AskedInfo)
	for _, t := range c.traces {
		if t.Asked != nil {
			asked = append(asked, t.Asked)
		}
	}
	if _, local := c.backend.(backend.Local); local || len(asked) == 0 {
		return nil
	}
	return &traced{c.backend, func(i AskedInfo) {
		for _, report := range asked {
			report(i)
		}
	}}
}

// fleet is where processes say what they do, or nil. Nothing stands in for it.
func (c *config) fleet() backend.Fleet {
	fleet, shows := c.backend.(backend.Fleet)
	if t := c.traced(); shows && t != nil {
		return &tracedFleet{t, fleet}
	}
	return fleet
}

// withReports is the backend, with what reports its commands.
func (c *config) withReports() backend.Backend {
	t := c.traced()
	if t == nil {
		return c.backend
	}
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

// Report and Reports implement [backend.Fleet].
func (t *tracedFleet) Report(ctx context.Context, account, process string, data []byte, ttl time.Duration) error {
	begun := time.Now()
	err := t.fleet.Report(ctx, account, process, data, ttl)
	t.ran(ctx, "report", begun, err)
	return err
}

func (t *tracedFleet) Reports(ctx context.Context, account string) ([]backend.Report, error) {
	begun := time.Now()
	reports, err := t.fleet.Reports(ctx, account)
	t.ran(ctx, "reports", begun, err)
	return reports, err
}
