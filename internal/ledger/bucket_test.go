package ledger

import (
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// minutely is a bucket of so many a minute, of which so much is used.
func minutely(limit int64, used float64) *bucket {
	d := backend.Bucket{Owner: "o", Name: "tpm", Dimension: backend.Tokens, Limit: limit, Period: time.Minute}
	b := &bucket{owner: &owner{name: "o"}, name: "tpm"}
	b.describe(&d)
	b.used, b.corrected = used, used
	b.owner.buckets = []*bucket{b}
	return b
}

// The account's time is the store's less its steps, within what callers know.
func TestClockRead(t *testing.T) {
	running := func(born, offset int64) clock { return clock{running: true, born: born, offset: offset} }
	for _, x := range []struct {
		name          string
		clock         clock
		shown, latest int64
		known         Bounds
		now           int64
		born, offset  int64
	}{
		{"the first", clock{}, 1000, never, Bounds{}, 1000, 1000, 0},
		{"the first, of owners that know a later time", clock{}, 1000, 1500, Bounds{}, 1500, 1000, -500},
		{"later", running(100, 0), 1000, 900, Bounds{}, 1000, 100, 0},
		{"after a step", running(100, 300), 1000, 600, Bounds{}, 700, 100, 300},
		{"set back", running(100, 0), 1000, 1200, Bounds{}, 1200, 100, -200},
		{"as is known", running(100, 0), 1000, 900, Bounds{900, 1000}, 1000, 100, 0},
		{"later than can be", running(100, 0), 1001, 900, Bounds{900, 1000}, 900, 100, 101},
		{"earlier than must be", running(100, 500), 1000, 400, Bounds{900, 1000}, 900, 100, 100},
		{"earlier, but no later than is shown", running(100, 500), 1000, 400, Bounds{1900, 2000}, 1000, 100, 0},
		{"earlier, as an owner knows", running(100, 500), 1000, 950, Bounds{900, 1000}, 950, 100, 50},
		{"known of another clock", running(950, 0), 1001, 960, Bounds{900, 1000}, 1001, 950, 0},
		{"known since it began", running(900, 0), 1001, 950, Bounds{900, 1000}, 950, 900, 51},
		{"nothing known", running(100, 0), 1001, 900, Bounds{900, 0}, 1001, 100, 0},
	} {
		now, c := x.clock.read(x.shown, x.known, x.latest)
		if now != x.now || !c.running || c.born != x.born || c.offset != x.offset {
			t.Errorf("%s: %d, %+v; want %d, born %d, offset %d", x.name, now, c, x.now, x.born, x.offset)
		}
	}
}

// An account's time is the latest that any of an ask's owners knows.
func TestAccountReadsTheLatestOfItsOwners(t *testing.T) {
	a := New()
	for name, stamp := range map[string]int64{"a": 300, "b": 500, "c": 400} {
		take(t, a, stamp, ask(name, name, 1, []backend.Bucket{bucketOf(name, "tpm", backend.Tokens, 100)}, cost(1, 1, 0)))
	}
	of := func(names ...string) (buckets []backend.Bucket) {
		for _, name := range names {
			buckets = append(buckets, bucketOf(name, "tpm", backend.Tokens, 100))
		}
		return buckets
	}
	for _, x := range []struct {
		owner   string
		buckets []backend.Bucket
		want    int64
	}{{"a", of("a", "a"), 300}, {"a", of("a", "b", "c"), 500}, {"a", of("a", "c", "b"), 500}, {"b", of("a"), 500}, {"a", of("new"), 300}} {
		if now, _ := a.read(0, x.owner, x.buckets); now != x.want {
			t.Errorf("%s, %v: %d; want %d", x.owner, x.buckets, now, x.want)
		}
	}
}

// A start leaves no more of a margin than half of what a full bucket has beside it.
func TestMarginIsCut(t *testing.T) {
	for _, x := range []struct{ margin, cost, want float64 }{{10, 50, 10}, {30, 50, 25}, {30, 100, 0}, {30, 500, 0}, {0, 50, 0}} {
		b := minutely(100, 0)
		if got := b.cut(x.margin, x.cost); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
		if b.ceiling = true; b.cut(x.margin, x.cost) != 0 || b.needs(x.cost) != min(1, x.cost) {
			t.Errorf("%+v of a ceiling: %v, needs %v", x, b.cut(x.margin, x.cost), b.needs(x.cost))
		}
	}
}

// What is used beyond a limit that was lowered a period ago is cut, which counts as a correction.
func TestDebtIsTrimmed(t *testing.T) {
	const minute = int64(time.Minute / time.Microsecond)
	for _, x := range []struct {
		used  float64
		after int64
		want  float64
	}{{150, 2 * minute, 150}, {200, 2 * minute, 200}, {350, minute - 1, 350}, {350, minute, 200}} {
		b := minutely(100, x.used)
		b.lowered, b.owner.stamp = 7, 7+x.after
		if b.trim(); b.used != x.want || b.corrected != x.want || b.owner.dirty != (x.want != x.used) {
			t.Errorf("%v after %d: %v, corrected %v, dirty %v; want %v", x.used, x.after, b.used, b.corrected, b.owner.dirty, x.want)
		}
	}
}

// A limit counts as lowered where what is used now may be more than it allows.
func TestLimitIsLowered(t *testing.T) {
	for limit, want := range map[int64]int64{100: 0, 101: 0, 99: 5} {
		b := minutely(100, 0)
		b.owner.stamp = 5
		d := bucketOf("o", "tpm", backend.Tokens, limit)
		if changed := b.describe(&d); changed != (limit != 100) || b.lowered != want {
			t.Errorf("%d: changed %v, lowered at %d; want %d", limit, changed, b.lowered, want)
		}
	}
}

// A bucket that was lost takes in what its users have seen before, for a minute, once.
func TestBucketIsRaised(t *testing.T) {
	const second = int64(time.Second / time.Microsecond)
	for _, x := range []struct {
		name         string
		start        float64
		stamp, after int64
		used         float64
		raised       int
	}{
		{"as it stood", 50, 90, 0, 50, 1},
		{"a second later", 50, 90, second, 50, 1},
		{"what was seen of it itself", 50, 100, 0, 20, 0},
		{"nothing seen", 50, 0, 0, 20, 0},
		{"nothing used", 0, 90, 0, 20, 0},
		{"less than is used", 15, 90, 0, 20, 0},
		{"nearly a minute later", 50, 90, 60*second - 1, 50, 1},
		{"a minute later", 50, 90, 60 * second, 20, 0},
	} {
		b := minutely(600, 20)
		b.born = 100
		b.corrected = 20 + b.rate*float64(x.after) // refilled, and used again
		d := backend.Bucket{Start: x.start, StartStamp: x.stamp}
		b.raise(100+x.after, &d)
		if diff := b.used - x.used; diff < -1e-6 || diff > 1e-6 || b.raised != x.raised || b.owner.dirty != (x.raised > 0) {
			t.Errorf("%s: %v used, raised %d times, dirty %v; want %v", x.name, b.used, b.raised, b.owner.dirty, x.used)
		}
		if before := b.used; x.raised > 0 {
			if b.raise(100+x.after, &d); b.used != before || b.raised != 1 {
				t.Errorf("%s: %v after it was raised again", x.name, b.used)
			}
		}
	}
}

// An owner is idle where a new one would do as well.
func TestIdleOwner(t *testing.T) {
	const second = int64(time.Second / time.Microsecond)
	now := int64(1_000_000) * second
	for _, x := range []struct {
		name   string
		change func(o *owner)
		want   bool
	}{
		{"nothing", func(*owner) {}, true},
		{"in line", func(o *owner) { o.nodes = 1 }, false},
		{"paused until now", func(o *owner) { o.paused = now }, true},
		{"paused", func(o *owner) { o.paused = now + 1 }, false},
		{"cleared now", func(o *owner) { o.since = now }, true},
		{"cleared later", func(o *owner) { o.since = now + 1 }, false},
		{"charged long ago", func(o *owner) { o.charged = now - Micros(Slack) - 1 }, true},
		{"charged lately", func(o *owner) { o.charged = now - Micros(Slack) }, false},
		{"refilled since", func(o *owner) { o.buckets[0].used, o.stamp = 10, now-second }, true},
		{"not refilled", func(o *owner) { o.buckets[0].used, o.stamp = 10.1, now-second }, false},
		{"one of two refilled", func(o *owner) { o.buckets = append(o.buckets, minutely(600, 5)) }, false},
	} {
		o := minutely(600, 0).owner // ten a second
		o.stamp, o.charged = now, never
		if x.change(o); o.idle(now) != x.want {
			t.Errorf("%s: %v", x.name, !x.want)
		}
	}
}

// A wait is rounded up, and one that is longer than a duration can be is still a long one.
func TestDuration(t *testing.T) {
	for us, want := range map[float64]time.Duration{-1: 0, 0: 0, 0.2: time.Microsecond, 1: time.Microsecond, 1.5: 2 * time.Microsecond} {
		if got := Duration(us); got != want {
			t.Errorf("%v µs are %v; want %v", us, got, want)
		}
	}
	const century = 100 * 365 * 24 * time.Hour
	if got := Duration(1e300); got < century {
		t.Errorf("for ever is %v", got)
	}
}
