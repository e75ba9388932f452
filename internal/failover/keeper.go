package failover

import (
	"context"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A keeper keeps notes in a primary that does. Notes do not tell that it is back: a store
// that only takes no writes reads them too.
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
func (k *keeper) Recall(ctx context.Context, account, scope string) (note []byte, left time.Duration, err error) {
	if k.isDown() {
		return nil, 0, nil
	}
	begun := time.Now()
	note, left, err = k.primary.Recall(ctx, account, scope)
	if err != nil && !gaveUp(ctx, err) {
		k.failed(begun, err)
	}
	return note, left, err
}
