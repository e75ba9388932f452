package ratelimiter_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/openai-ratelimiter/ratelimiter"
)

// Very many callers may wait: each keeps no more memory than that of its place in the queue,
// not that of a call which has started, nor a timer for a warning.
func TestMemoryOfWaitingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		const callers, most = 2_000, 1_000
		join := make(chan struct{})
		ctx, leave := context.WithCancel(t.Context())
		for range callers {
			go func() {
				<-join
				_, _ = l.Acquire(ctx, ratelimiter.Cost{Model: "m", Tokens: 600})
			}()
		}
		synctest.Wait()
		before := heapNow()
		close(join)
		synctest.Wait()
		each := (heapNow() - before) / callers
		t.Logf("%d bytes each", each)
		if waiting, _ := inLine(t, l, "m"); waiting != callers {
			t.Fatalf("%d wait", waiting)
		}
		if each > most && !raceEnabled {
			t.Errorf("each keeps %d bytes of heap; want at most %d", each, most)
		}
		leave()
	})
}
