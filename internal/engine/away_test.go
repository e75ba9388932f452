package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A backend that does not answer is asked again at once, since only the reply may have been
// lost, and then after pauses that grow up to half a second.
func TestPausesBetweenAsksThatFail(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		var at []time.Time
		b.takes(func(n int, _ *backend.Ask) error {
			if at = append(at, time.Now()); len(at) <= 8 {
				return backend.ErrUnavailable
			}
			return nil
		})
		b.admit(call(1)).end()
		var pauses []time.Duration
		for i := range at[1:] {
			pauses = append(pauses, at[i+1].Sub(at[i]))
		}
		const ms = time.Millisecond
		if want := []time.Duration{0, 100 * ms, 200 * ms, 400 * ms, 500 * ms, 500 * ms, 500 * ms}; len(pauses) < 7 || !slices.Equal(pauses[:7], want) {
			t.Errorf("pauses of %v; want %v", pauses, want)
		}
	})
}
