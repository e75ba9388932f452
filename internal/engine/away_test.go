package engine

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A backend that does not answer is asked again at once, since only the reply may have been
// lost, and then after pauses that grow up to half a second. Whoever waits is rejected before
// five seconds have passed.
func TestPausesBetweenAsksThatFail(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		var asked []time.Duration // after the first
		begun := time.Now()
		b.takes(func(_ int, ask *backend.Ask) error {
			if len(ask.Costs) > 0 { // else it leaves the line
				asked = append(asked, time.Since(begun))
			}
			return backend.ErrUnavailable
		})
		err := b.Admit(b.Context(), &Reservation{Call: *call(1)})
		var rejection *Rejection
		if !errors.As(err, &rejection) || rejection.Reason != BackendFailed {
			t.Errorf("rejected by %v", err)
		}
		const ms = time.Millisecond
		want := []time.Duration{0, 0, 100 * ms, 300 * ms, 700 * ms}
		for at := 1200 * ms; at < 5*time.Second; at += 500 * ms {
			want = append(want, at)
		}
		if !slices.Equal(asked, want) {
			t.Errorf("asked after %v; want %v", asked, want)
		}
	})
}
