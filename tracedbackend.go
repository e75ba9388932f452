package ratelimiter

import (
	"context"
	"fmt"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// traced is a backend whose commands are reported, and whose panics are errors: most commands
// are given on goroutines of ours, where nobody could recover.
type traced struct {
	backend.Backend
	config *config
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

// traced is what reports the backend's commands, or nil for one in memory, which has none to
// report.
func (c *config) traced() *traced {
	if _, local := c.backend.(backend.Local); local {
		return nil
	}
	return &traced{c.backend, c}
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

// ran reports a command that began then, and makes an error of its panic. It is deferred.
func (t *traced) ran(ctx context.Context, command string, begun time.Time, err *error) {
	if p := recover(); p != nil {
		t.config.logPanic(ctx, backendPanicked, p)
		*err = fmt.Errorf("the backend panicked: %v", p)
	}
	t.config.traceCommand(CommandInfo{Name: command, Duration: time.Since(begun), Err: *err, GaveUp: *err != nil && ctx.Err() != nil})
}

// Take and the rest implement [backend.Keeper].
func (t *traced) Take(ctx context.Context, ask backend.Ask) (_ backend.Answer, err error) {
	defer t.ran(ctx, "take", time.Now(), &err)
	return t.Backend.Take(ctx, ask)
}

func (t *traced) Look(ctx context.Context, ask backend.Ask) (_ backend.Answer, err error) {
	defer t.ran(ctx, "look", time.Now(), &err)
	return t.Backend.Look(ctx, ask)
}

func (t *traced) Settle(ctx context.Context, s backend.Settlement) (err error) {
	defer t.ran(ctx, "settle", time.Now(), &err)
	return t.Backend.Settle(ctx, s)
}

func (t *traced) Clear(ctx context.Context, account string, owners []string) (err error) {
	defer t.ran(ctx, "clear", time.Now(), &err)
	return t.Backend.Clear(ctx, account, owners)
}

func (t *tracedKeeper) Keep(ctx context.Context, account, scope string, note []byte, ttl time.Duration) (err error) {
	defer t.ran(ctx, "keep", time.Now(), &err)
	return t.keeper.Keep(ctx, account, scope, note, ttl)
}

func (t *tracedKeeper) Recall(ctx context.Context, account string, scopes []string) (_ []backend.Note, err error) {
	defer t.ran(ctx, "recall", time.Now(), &err)
	return t.keeper.Recall(ctx, account, scopes)
}

// Lease implements [backend.Lessor].
func (t *tracedLessor) Lease(ctx context.Context, claim backend.Claim) (_ backend.Lease, err error) {
	defer t.ran(ctx, "lease", time.Now(), &err)
	return t.lessor.Lease(ctx, claim)
}

// Lease implements [backend.Lessor].
func (t *tracedKeeperAndLessor) Lease(ctx context.Context, claim backend.Claim) (backend.Lease, error) {
	return t.slots.Lease(ctx, claim)
}

// Report and Reports implement [backend.Fleet].
func (t *tracedFleet) Report(ctx context.Context, account, process string, data []byte, ttl time.Duration) (err error) {
	defer t.ran(ctx, "report", time.Now(), &err)
	return t.fleet.Report(ctx, account, process, data, ttl)
}

func (t *tracedFleet) Reports(ctx context.Context, account string) (_ []backend.Report, err error) {
	defer t.ran(ctx, "reports", time.Now(), &err)
	return t.fleet.Reports(ctx, account)
}
