package quota

import (
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// A throttle without a wait pauses for a second, and one after such a pause for twice as long.
// Calls that succeed after it halve the pause; until it is a second, few calls are tried.
func TestBackoff(t *testing.T) {
	type step struct {
		sent     time.Duration // a request that is throttled at once, or succeeds if it is below 0
		inFlight int
		pause    time.Duration
		calls    int
	}
	for _, x := range []struct {
		name  string
		steps []step
	}{
		{"one", []step{{1 * time.Second, 5, time.Second, 0}, {-3 * time.Second, 0, 0, 0}}},
		{"a crowd", []step{{1 * time.Second, 5, time.Second, 0}, {1 * time.Second, 4, time.Second, 0}, {500 * time.Millisecond, 3, time.Second, 0}}},
		{"in vain", []step{
			{1 * time.Second, 0, time.Second, 0}, {2 * time.Second, 3, 2 * time.Second, 33}, {4 * time.Second, 0, 4 * time.Second, 15},
			{8 * time.Second, 0, 8 * time.Second, 7}, {16 * time.Second, 0, 16 * time.Second, 3}, {32 * time.Second, 0, 32 * time.Second, 1},
			{64 * time.Second, 1, time.Minute, 2}, {124 * time.Second, 0, time.Minute, 1},
		}},
		{"a success", []step{
			{1 * time.Second, 0, time.Second, 0}, {2 * time.Second, 0, 2 * time.Second, 30}, {4 * time.Second, 0, 4 * time.Second, 15},
			{-4 * time.Second, 0, 4 * time.Second, 15}, {-5 * time.Second, 0, 2 * time.Second, 30}, {6 * time.Second, 0, 4 * time.Second, 15},
			{-7 * time.Second, 0, 2 * time.Second, 30}, {-7 * time.Second, 0, time.Second, 0}, {-7 * time.Second, 0, 0, 0},
			{8 * time.Second, 0, time.Second, 0},
		}},
		{"after long", []step{
			{1 * time.Second, 0, time.Second, 0}, {2 * time.Second, 0, 2 * time.Second, 30},
			{122 * time.Second, 0, 4 * time.Second, 15}, {243 * time.Second, 0, time.Second, 0},
		}},
	} {
		var b backoff
		for i, s := range x.steps {
			if s.sent < 0 {
				b.succeeded(at(-s.sent))
			} else if got := b.throttled(at(s.sent), at(s.sent), s.inFlight); got != s.pause {
				t.Errorf("%s, step %d: a pause of %v; want %v", x.name, i, got, s.pause)
			}
			if b.pause != s.pause || b.calls() != s.calls {
				t.Errorf("%s, step %d: %v, %d calls; want %v, %d", x.name, i, b.pause, b.calls(), s.pause, s.calls)
			}
		}
	}
}

// A backoff holds calls back in this process, and is none of throttles that say how long they last.
func TestBackoffLetsFewCallsGo(t *testing.T) {
	w := newWorld(t, "rpm=500 tpm=40000")
	w.respond(time.Second, w.send(0, 10), "limit-requests=500 remaining-requests=499 reset-requests=120ms limit-tokens=40000 remaining-tokens=39990 reset-tokens=15ms")
	check := func(after time.Duration, slots int) {
		t.Helper()
		if got := w.Slots(at(after), 10, 1); got != slots || w.Paced(at(after)) != (slots >= 0) {
			t.Errorf("after %v: %d slots, paced: %v; want %d", after, got, w.Paced(at(after)), slots)
		}
	}
	throttle := func(after, says, pause time.Duration, inFlight int) {
		t.Helper()
		r := w.send(after, 10)
		if got := w.Pause(at(after), r, &wire.Throttle{Kind: wire.RateLimit, RetryAfter: says}, inFlight); got != pause {
			t.Errorf("after %v: a pause of %v; want %v", after, got, pause)
		}
	}
	check(time.Second, -1)
	throttle(2*time.Second, 0, time.Second, 7)
	check(4*time.Second, -1)
	throttle(4*time.Second, 0, 2*time.Second, 2)
	check(7*time.Second, 21)
	throttle(7*time.Second, time.Minute, time.Minute, 50)
	check(70*time.Second, 21)
	w.respond(71*time.Second, w.send(70*time.Second, 10), "")
	check(71*time.Second, -1)
	w.backoff = backoff{pause: mostBackoff}
	if got := w.Slots(at(72*time.Second), 0, 0); got != 1 || !w.Paced(at(72*time.Second)) {
		t.Errorf("%d slots after long in vain, with none in flight; paced: %v", got, w.Paced(at(72*time.Second)))
	}
}
