package redis

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d deadlines
		const timeout = 800 * time.Millisecond
		background := context.Background()
		first, _ := d.after(background, time.Now(), timeout)
		for _, x := range []struct {
			name   string
			wait   time.Duration
			ctx    context.Context
			shared bool
		}{
			{"at once", 0, background, true},
			{"soon after", 100 * time.Millisecond, background, true},
			{"of a caller who may end earlier", 0, t.Context(), false},
			{"later", time.Millisecond, background, false},
		} {
			time.Sleep(x.wait)
			ctx, cancel := d.after(x.ctx, time.Now(), timeout)
			if shared := ctx == first; shared != x.shared {
				t.Errorf("%s: shared: %v; want %v", x.name, shared, x.shared)
			}
			until, _ := ctx.Deadline()
			if left := time.Until(until); left > timeout || left < timeout*7/8 {
				t.Errorf("%s: ends in %v; want %v or a little less", x.name, left, timeout)
			}
			cancel()
			if x.shared && ctx.Err() != nil {
				t.Errorf("%s: one caller has ended what others have", x.name)
			}
		}
		time.Sleep(timeout)
		if err := first.Err(); err != context.DeadlineExceeded {
			t.Errorf("%v; want it to end by itself", err)
		}
	})
}
