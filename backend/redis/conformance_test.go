package redis

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend/backendtest"
)

// The suite runs on a real server, in a time that only the test moves.
func TestConformance(t *testing.T) {
	c := client(t)
	backendtest.Run(t, func(*testing.T) backendtest.Subject {
		var now atomic.Int64
		now.Store(1_700_000_000_000_000)
		return backendtest.Subject{
			Backend: New(c, prefix(), WithTimeout(10*time.Second), withClock(now.Load)),
			Advance: func(d time.Duration) { now.Add(int64((d + time.Microsecond - 1) / time.Microsecond)) },
			Shared:  true,
		}
	})
}

// And in Redis's own time.
func TestConformanceInRealTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	c := client(t)
	backendtest.Run(t, func(*testing.T) backendtest.Subject {
		return backendtest.Subject{Backend: New(c, prefix(), WithTimeout(10*time.Second)), Shared: true}
	})
}
