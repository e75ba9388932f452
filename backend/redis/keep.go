package redis

import (
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// Keep implements [backend.Keeper]. A note is stored as it is.
func (b *Backend) Keep(ctx context.Context, account, scope string, note []byte, ttl time.Duration) error {
	// It does no harm if it is repeated.
	_, err := b.within(ctx, "keep", true, func(ctx context.Context, ctxClient Client, _ bool) (any, error) {
		cmd := goredis.NewCmd(ctx, "set", b.noteKey(account, scope), note, "px", max(1, ttl.Milliseconds()))
		cmd.SetFirstKeyPos(1)
		return b.process(ctx, ctxClient, onlyOnce{cmd})
	})
	return err
}

// Recall implements [backend.Keeper].
func (b *Backend) Recall(ctx context.Context, account string, scopes []string) ([]backend.Note, error) {
	args := []any{nil, nil, len(scopes)}
	for _, scope := range scopes {
		args = append(args, b.noteKey(account, scope))
	}
	if len(scopes) == 0 {
		return nil, nil
	}
	reply, err := b.run(ctx, recallScript, true, args)
	if err != nil {
		return nil, err
	}
	fields, _ := reply.([]any)
	if len(fields) != 2*len(scopes) {
		return nil, &Error{Op: "recall", Cause: fmt.Errorf("unexpected reply of type %T and length %d", reply, len(fields))}
	}
	notes := make([]backend.Note, len(scopes))
	for i := range notes {
		if note, ok := fields[2*i].(string); ok {
			left, _ := fields[2*i+1].(int64)
			notes[i] = backend.Note{Data: []byte(note), Left: time.Duration(left) * time.Millisecond}
		}
	}
	return notes, nil
}
