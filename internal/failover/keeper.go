package failover

import (
	"context"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A keeper keeps notes in a primary that does. Notes don't show that it is back: a store that
// takes no writes can still read them.
type keeper struct {
	*failover
	primary backend.Keeper
}

var _ backend.Keeper = (*keeper)(nil)

// Keep implements backend.Keeper.
func (k *keeper) Keep(ctx context.Context, account, scope string, note []byte, ttl time.Duration) error {
	if k.isDown() {
		return nil
	}
	return k.primary.Keep(ctx, account, scope, note, ttl)
}

// Recall implements backend.Keeper.
func (k *keeper) Recall(ctx context.Context, account string, scopes []string) ([]backend.Note, error) {
	if k.isDown() {
		return make([]backend.Note, len(scopes)), nil
	}
	begun := time.Now()
	notes, err := k.primary.Recall(ctx, account, scopes)
	if err != nil && !gaveUp(ctx, err) {
		k.failed(begun, err)
	}
	return notes, err
}
