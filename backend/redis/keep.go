package redis

import (
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Keep implements [backend.Keeper]. A note is stored as it is.
func (b *Backend) Keep(ctx context.Context, account, scope string, note []byte, ttl time.Duration) error {
	// It does no harm if it is repeated.
	_, err := b.within(ctx, "keep", true, func(ctx context.Context, ctxClient Client) (any, error) {
		cmd := goredis.NewCmd(ctx, "set", b.noteKey(account, scope), note, "px", max(1, ttl.Milliseconds()))
		cmd.SetFirstKeyPos(1)
		return b.process(ctx, ctxClient, onlyOnce{cmd})
	})
	return err
}

// Recall implements [backend.Keeper].
func (b *Backend) Recall(ctx context.Context, account, scope string) ([]byte, time.Duration, error) {
	reply, err := b.run(ctx, recallScript, true, []any{nil, nil, 1, b.noteKey(account, scope)})
	if err != nil {
		return nil, 0, err
	}
	if fields, ok := reply.([]any); ok && len(fields) == 2 {
		left, _ := fields[1].(int64)
		switch note := fields[0].(type) {
		case nil:
			return nil, 0, nil
		case string:
			return []byte(note), time.Duration(left) * time.Millisecond, nil
		}
	}
	return nil, 0, &Error{Op: "recall", Cause: fmt.Errorf("unexpected reply %T", reply)}
}
