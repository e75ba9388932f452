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
	if k, ok := c.backend.(backend.Keeper); ok {
		return &tracedKeeper{t, k}
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

func (t *tracedKeeper) Recall(ctx context.Context, account, scope string) ([]byte, time.Duration, error) {
	begun := time.Now()
	note, left, err := t.keeper.Recall(ctx, account, scope)
	t.ran(ctx, "recall", begun, err)
	return note, left, err
}
