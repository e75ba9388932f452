package memory

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// closed reports whether a channel is; nil is not.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Who lacks slots is woken when another gives some up or needs fewer, and at no other time. Who
// has what it needs waits for nothing.
func TestSlotsGivenUpWakeWhoLacksThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		numbers := map[string]uint64{}
		claim := func(holder string, held, need, want int64) <-chan struct{} {
			t.Helper()
			time.Sleep(time.Second)
			numbers[holder]++
			l, err := b.Lease(t.Context(), backend.Claim{Account: "a", Owner: "o", Holder: holder, Number: numbers[holder],
				Limit: 4, Used: held, Held: held, Need: need})
			if err != nil || l.Slots != want || (l.Changed == nil) != (want >= need) {
				t.Errorf("%s needs %d and gets %d, and waits: %t, %v; want %d", holder, need, l.Slots, l.Changed != nil, err, want)
			}
			return l.Changed
		}
		claim("a", 0, 4, 4)
		x, y := claim("x", 0, 2, 0), claim("y", 0, 1, 0)
		if again := claim("x", 0, 2, 0); again != x || closed(x) || closed(y) {
			t.Error("a claim that changes nothing wakes somebody, or waits for something else")
		}
		a := claim("a", 3, 4, 2)
		if !closed(x) || !closed(y) || closed(a) {
			t.Errorf("woken by a slot that a gives up: x %t, y %t, a %t; want all but a", closed(x), closed(y), closed(a))
		}
		x, y = claim("x", 0, 2, 1), claim("y", 0, 1, 0)
		claim("a", 2, 2, 2)
		if !closed(x) || !closed(y) || closed(a) {
			t.Errorf("woken as a needs fewer: x %t, y %t, a %t; want all but a", closed(x), closed(y), closed(a))
		}
		claim("a", 0, 0, 0)
		claim("x", 0, 0, 0)
		claim("y", 0, 1, 1)
		claim("z", 0, 4, 3)
		claim("z", 3, 3, 3) // it has what it needs, though nobody has woken it
		if n := len(b.account("a").slots["o"].waiting); n != 0 {
			t.Errorf("%d are kept that wait no more", n)
		}
	})
}
