package redis

import (
	"context"
	"sync"
	"time"
)

// deadlines are contexts that end after a timeout. Calls that begin at about the
// same time share one, for a timer of its own is a good part of what a call costs
// in Go.
type deadlines struct {
	mu    sync.Mutex
	ctx   context.Context
	until time.Time
}

// after returns a context that ends after the timeout, or up to an eighth of it
// earlier.
func (d *deadlines) after(ctx context.Context, now time.Time, timeout time.Duration) (context.Context, context.CancelFunc) {
	if ctx != context.Background() {
		return context.WithDeadline(ctx, now.Add(timeout))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.until.Sub(now) < timeout*7/8 {
		d.until = now.Add(timeout)
		shared, cancel := context.WithDeadline(ctx, d.until)
		context.AfterFunc(shared, cancel) // it ends by itself, for others have it too
		d.ctx = shared
	}
	return d.ctx, func() {}
}
