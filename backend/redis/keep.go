package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Keep implements [backend.Keeper]. A note is stored as it is.
func (b *Backend) Keep(ctx context.Context, account, scope string, note []byte, ttl time.Duration) error {
	_, err := b.plain(ctx, "keep", "set", b.noteKey(account, scope), note, "px", max(1, ttl.Milliseconds()))
	return err
}

// Recall implements [backend.Keeper].
func (b *Backend) Recall(ctx context.Context, account, scope string) ([]byte, error) {
	reply, err := b.plain(ctx, "recall", "get", b.noteKey(account, scope))
	if err != nil {
		return nil, err
	}
	switch note := reply.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(note), nil
	default:
		return nil, wrap("recall", fmt.Errorf("unexpected reply of type %T", reply))
	}
}

// plain sends a command that is no script, which does no harm if it is repeated.
func (b *Backend) plain(ctx context.Context, op string, args ...any) (any, error) {
	return b.within(ctx, op, true, func(ctx context.Context, prompt Client) (any, error) {
		cmd := goredis.NewCmd(ctx, args...)
		cmd.SetFirstKeyPos(1)
		reply, err := b.process(ctx, prompt, onlyOnce{cmd})
		if errors.Is(err, goredis.Nil) {
			return nil, nil
		}
		return reply, err
	})
}
