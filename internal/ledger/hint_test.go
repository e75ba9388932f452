package ledger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

func TestHint(t *testing.T) {
	const ms = time.Millisecond
	one := cost(1, 0, 0)
	ten := slices.Repeat([]backend.Amounts{one}, 10)
	for _, tt := range []struct {
		name  string
		rpm   int64
		at    int64 // µs, of which the last three digits vary the hint
		ahead []backend.Amounts
		pause time.Duration
		costs []backend.Amounts
		hint  time.Duration
	}{
		{"when it fits", 60_000, 0, nil, 0, ten[:5], 5 * ms},
		{"soon, where that is long", 600, 0, nil, 0, ten, 100 * ms},
		{"or a little sooner", 600, 500, nil, 0, ten, 95 * ms},
		{"far behind, later", 600, 0, ten[:9], 0, ten[:1], 200 * ms},
		{"but not near", 600, 0, ten[:5], 0, ten[:1], 100 * ms},
		{"nor after it fits", 60_000, 0, ten[:9], 0, ten[:1], 10 * ms},
		{"nor so late that its lease ends", 60, 0, slices.Repeat(ten, 5), 0, ten[:1], 800 * ms},
		{"nor after the first fits", 4000, 0, ten[:9], 0, ten, 140 * ms},
		{"after a pause", 60, 0, nil, 300 * ms, ten[:1], 300 * ms},
		{"within a long one", 60, 0, nil, time.Hour, ten[:1], 800 * ms},
		{"before its turn, if that ends soon after", 3000, 0, []backend.Amounts{cost(3, 0, 0)}, 0, ten[:3], 60 * ms},
		{"or in its midst", 3000, 0, []backend.Amounts{cost(3, 0, 0)}, 0, ten[:4], 100 * ms},
		{"or if nobody is ahead", 6000, 0, nil, 0, []backend.Amounts{cost(6, 0, 0), cost(5, 0, 0)}, 100 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := New()
			b := bucketOf("m", "rpm", backend.Requests, tt.rpm)
			b.Burst = time.Second
			buckets := []backend.Bucket{b}
			take(t, a, tt.at, ask("m", "x", 1, buckets, cost(tt.rpm/60, 0, 0)))
			for i, c := range tt.ahead {
				take(t, a, tt.at, ask("m", fmt.Sprint(i), 1, buckets, c))
			}
			if tt.pause > 0 {
				a.Settle(tt.at, &backend.Settlement{PauseOwner: "m", Pause: tt.pause})
			}
			if got := take(t, a, tt.at, ask("m", "p", 1, buckets, tt.costs...)); got.Hint.Round(ms/10) != tt.hint {
				t.Errorf("%v; want %v (%+v)", got.Hint, tt.hint, got)
			}
		})
	}
}

// The turn of a cost of more than the bucket holds begins no sooner than all of it fits, also
// where it may start on a full bucket before.
func TestHintOfMoreThanTheBucketHolds(t *testing.T) {
	a := New()
	b := bucketOf("m", "rpm", backend.Requests, 60_000)
	b.Burst = 90 * time.Millisecond // capacity 90
	buckets := []backend.Bucket{b}
	take(t, a, 0, ask("m", "x", 1, buckets, cost(90, 0, 0)))
	take(t, a, 0, ask("m", "y", 1, buckets, cost(3, 0, 0)))
	got := take(t, a, 0, ask("m", "p", 1, buckets, cost(120, 0, 0)))
	if want := 100 * time.Millisecond; got.Granted != 0 || got.Hint != want {
		t.Errorf("%+v; want a hint of %v", got, want)
	}
}

// Tickets of another model that can't start soon are not those a ticket stands behind:
// what is set aside for them holds it up, and may be free at any time.
func TestHintBehindAnotherModel(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pause time.Duration // of the other model
		hint  time.Duration
	}{
		{"that waits for long", 5 * time.Second, 100 * time.Millisecond},
		{"that starts soon", 10 * time.Millisecond, 225 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := New()
			all := bucketOf("all", "rpm", backend.Requests, 600)
			all.Burst = 10 * time.Second // capacity 100
			other := bucketOf("shared", "tpm", backend.Tokens, 600)
			a.Settle(0, &backend.Settlement{PauseOwner: "other", Pause: tt.pause})
			take(t, a, 0, ask("x", "x", 1, []backend.Bucket{all}, cost(99, 0, 0)))
			for i := range 9 {
				take(t, a, 0, ask("other", fmt.Sprint(i), 1, []backend.Bucket{all}, cost(12, 0, 0)))
			}
			for i := range uint64(2) { // in another bucket it stands behind one
				take(t, a, 0, ask("x", "y", i+1, []backend.Bucket{other}, cost(0, 600, 0)))
			}
			got := take(t, a, 0, ask("m", "p", 1, []backend.Bucket{all, other}, cost(1, 1, 0)))
			if got.Granted != 0 || got.Hint != tt.hint {
				t.Errorf("granted %d, hint %v; want %v", got.Granted, got.Hint, tt.hint)
			}
		})
	}
}
