package quota

import (
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// After a throttle few calls go, and twice as many with each that passes. From the second throttle
// on they go at the rate of what has passed between the two: first below it, then above it.
func TestThroughput(t *testing.T) {
	// A step is calls that are sent at a time, so many seconds after the begin, and pass; or
	// one that is throttled, with a pause of a second. They were sent early by so much.
	type step struct {
		at       float64
		passed   int
		throttle bool
		early    float64
		calls    int // that may start then; −1 for any number
	}
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	throttle := func(at float64, calls int) step { return step{at: at, throttle: true, calls: calls} }
	pass := func(at float64, passed, calls int) step { return step{at: at, passed: passed, calls: calls} }
	// Twenty calls have passed in ten seconds.
	twoASecond := []step{throttle(0, 1), pass(1, 20, 21), throttle(10, 0)}
	for _, x := range []struct {
		name  string
		steps []step
	}{
		{"no throttle", []step{pass(0, 5, -1), pass(3, 1, -1)}},
		{"one", []step{throttle(0, 1), pass(1, 1, 2), pass(1, 2, 4), pass(1, 4, 8), pass(3, 0, 10), pass(61, 0, 68), pass(121, 0, -1)}},
		{"in vain", []step{throttle(0, 1), throttle(1, 0), pass(2, 0, 0), pass(3, 0, 1), throttle(3, 0), pass(6, 0, 0), pass(7, 0, 1)}},
		{"in vain for long", []step{
			throttle(0, 1), throttle(1, 0), throttle(3, 0), throttle(7, 0), throttle(15, 0), throttle(31, 0), throttle(63, 0),
			throttle(127, 0), throttle(191, 0), pass(254, 0, 0), pass(255, 0, 1),
		}},
		{"no longer in vain", []step{throttle(0, 1), throttle(1, 0), pass(3, 1, 3), pass(4, 0, 4)}},
		{"a rate", append(twoASecond, pass(11, 0, 1), pass(20, 0, 19), pass(20, 19, 0), pass(71, 0, 105), pass(71, 105, 0), pass(72, 0, 2))},
		{"above the rate", append(twoASecond, pass(71, 120, 0), pass(78.5, 0, 30), pass(78.5, 30, 0), pass(86, 0, 62), pass(130, 0, 120), pass(131, 0, -1))},
		{"no more than a minute's", append(twoASecond, pass(68, 0, 119), pass(71, 0, 120), pass(78.5, 0, 120))},
		{"too few for a rate", []step{ // four in two intervals of four seconds: one in two
			throttle(0, 1), pass(1, 2, 3), throttle(4, 0), pass(6, 2, 0), throttle(8, 0), pass(28, 0, 9),
		}},
		{"another rate", append(twoASecond, pass(20, 19, 0), throttle(29.5, 0), pass(49.5, 0, 19))},
		{"a throttle in vain", append(twoASecond, throttle(20, 0), pass(41, 0, 20))},
		{"hardly used", append(twoASecond, pass(30, 1, 38), throttle(40, 0), pass(50, 0, 19))},
		{"responses that come late", append(twoASecond, step{11, 10, false, 5, 2}, step{12, 5, false, 12, 5}, pass(20, 0, 29))},
		{"throttles that come late", append(twoASecond, step{10, 0, true, 1, 0}, pass(20, 0, 18))},
		{"a crowd's throttles", append(twoASecond, throttle(10, 0), pass(20, 0, 18))},
		{"a response of the same moment", append(twoASecond, step{11, 5, false, 1, 2}, pass(20, 0, 24))},
		{"a response of before the first", []step{throttle(0, 1), step{1, 1, false, 2, 1}}},
		{"a response after throttles in vain", []step{throttle(0, 1), throttle(1, 0), pass(4, 1, 4), step{5, 1, false, 4.5, 0}, pass(7, 0, 1)}},
		{"more, after too few", []step{throttle(0, 1), pass(1, 2, 3), throttle(4, 0), pass(6, 4, 0), throttle(8, 0), pass(28, 0, 14)}},
		{"more, after enough", []step{throttle(0, 1), pass(1, 5, 6), throttle(5, 0), pass(9, 10, 0), throttle(10, 0), pass(30, 0, 39)}},
		{"two are a doubtful rate", []step{throttle(0, 1), pass(1, 2, 3), throttle(2, 0), pass(12, 0, 8)}},
		{"ten in fifty seconds", []step{throttle(0, 1), pass(1, 10, 11), throttle(50, 0), pass(60, 0, 1), pass(250, 0, 12), pass(252, 0, -1)}},
		{"one in a hundred seconds", []step{throttle(0, 1), pass(1, 1, 2), throttle(100, 0), pass(200, 0, 0), pass(240, 0, 1), pass(240, 1, 0), pass(700, 0, 1), pass(702, 0, -1)}},
		{"somewhat more than has passed", append(twoASecond, pass(12, 2, 1), throttle(14.87, 0), pass(24.87, 0, 19))},
		{"after long", append(twoASecond, throttle(400, 1), pass(401, 1, 2))},
	} {
		var u throughput
		for i, s := range x.steps {
			now, sent := at(seconds(s.at)), at(seconds(s.at-s.early))
			for range s.passed {
				if s.early == 0 {
					u.started(now)
				}
				u.succeeded(sent)
			}
			if s.throttle {
				u.started(now)
				u.throttled(now, sent, time.Second, 1)
			}
			got, next := -1, time.Duration(0)
			if u.holds(now) {
				got, next = u.calls(now)
			}
			if got != s.calls {
				t.Errorf("%s, step %d: %d calls may start; want %d: %+v", x.name, i, got, s.calls, u)
			} else if got == 0 && !s.throttle {
				if calls, _ := u.calls(now.Add(next * 2 / 3)); calls != 0 {
					t.Errorf("%s, step %d: a call may start before %v", x.name, i, next)
				}
				if calls, _ := u.calls(now.Add(next)); calls != 1 {
					t.Errorf("%s, step %d: %d calls may start after %v", x.name, i, calls, next)
				}
			}
		}
	}
}

// A limit whose period is not told is one of a minute if calls pass at about its rate.
func TestThroughputShowsThePeriod(t *testing.T) {
	var u throughput
	if got := u.period(60); got != 0 {
		t.Errorf("%v without a throttle", got)
	}
	u.throttled(at(0), at(-time.Millisecond), 0, 1)
	for range 20 {
		u.succeeded(at(time.Second))
	}
	if got := u.period(60); got != 0 {
		t.Errorf("%v after one throttle", got)
	}
	u.throttled(at(10*time.Second), at(9*time.Second), 0, 1)
	for limit, want := range map[int64]time.Duration{1: 0, 40: 0, 41: minute, 120: minute, 359: minute, 360: 0, 86_400: 0} {
		if got := u.period(limit); got != want {
			t.Errorf("%d, two calls a second: %v; want %v", limit, got, want)
		}
	}
	u = throughput{}
	u.throttled(at(0), at(-time.Millisecond), 0, 1)
	u.succeeded(at(time.Second))
	u.throttled(at(minute), at(minute-time.Second), 0, 1)
	if got := u.period(1); got != minute {
		t.Errorf("1, one call a minute: %v", got)
	}
}

// From then on headers teach such a limit of requests. A limit of anything else they do not teach, and
// a period that is told stands.
func TestThroughputTeachesALimit(t *testing.T) {
	for headers, want := range map[string]string{
		"limit-requests=60 remaining-requests=59":   "rpm=60",
		"limit-requests=600 remaining-requests=599": "",
		"limit-tokens=60 remaining-tokens=59":       "",
		headersOf("requests", 60, 1, day):           "rpd=60",
	} {
		w := newWorld(t, "")
		untold := wire.Throttle{Kind: wire.RateLimit, Limit: -1, Used: -1, Requested: -1}
		w.Throttled(at(0), w.send(0, 1), &untold, 0)
		for i := range 10 {
			after := time.Duration(i+1) * time.Second
			w.respond(after, w.send(after, 1), "")
		}
		w.Throttled(at(11*time.Second), w.send(10*time.Second, 1), &untold, 0)
		r := w.send(12*time.Second, 1)
		if w.respond(13*time.Second, r, headers); w.holds() != want {
			t.Errorf("%s, one call a second: %s; want %s", headers, w.holds(), want)
		}
	}
}

// Only a throttle that tells no limit shows a throughput, and only where not all limits are known.
func TestWhatShowsAThroughput(t *testing.T) {
	for _, x := range []struct {
		configured string
		throttle   wire.Throttle
		untold     bool
		tried      float64
	}{
		{"", wire.Throttle{Kind: wire.RateLimit, Limit: -1}, true, 1},
		{"rpm=30", wire.Throttle{Kind: wire.RateLimit, Limit: -1}, true, 1},
		{"rpm=600", wire.Throttle{Kind: wire.RateLimit, Limit: -1}, true, 10},
		{"rpm=60000 rpm/subwindow=60000", wire.Throttle{Kind: wire.RateLimit, Limit: -1}, true, 1000},
		{"rpd=86400", wire.Throttle{Kind: wire.RateLimit, Limit: -1}, true, 1},
		{"tpm=6000", wire.Throttle{Kind: wire.RateLimit, Limit: -1}, true, 1},
		{"rpm=600 tpm=6000", wire.Throttle{Kind: wire.RateLimit, Limit: -1}, false, 10},
		{"", wire.Throttle{Kind: wire.RateLimit, Limit: 600, Dimension: wire.Requests, Period: minute}, false, 0},
		{"", wire.Throttle{Kind: wire.RateLimit, Limit: 600, Dimension: wire.Requests, Period: time.Second}, false, 0},
		{"", wire.Throttle{Kind: wire.RateLimit, Limit: 600, Dimension: wire.Requests}, true, 1},
		{"", wire.Throttle{Kind: wire.RateLimit, Limit: 600, Dimension: wire.Images, Period: time.Second}, false, 0},
		{"", wire.Throttle{Kind: wire.RateLimit, Limit: 600, Dimension: wire.Images, Period: day}, true, 1},
		{"", wire.Throttle{Kind: wire.RateLimit, Limit: 600}, true, 1},
		{"", wire.Throttle{Kind: wire.RateLimit, Limit: -1, Dimension: wire.Requests, Period: time.Second}, true, 1},
		{"", wire.Throttle{Kind: wire.SlowDown, Limit: -1}, false, 0},
		{"", wire.Throttle{Kind: wire.Overloaded, Limit: -1}, false, 0},
	} {
		w := newWorld(t, x.configured)
		w.respond(time.Second/2, w.send(0, 10), "") // which ends the slow start
		r := w.send(time.Second, 10)
		x.throttle.Used, x.throttle.Requested = -1, -1
		w.Throttled(at(time.Second), r, &x.throttle, 100*time.Millisecond)
		if got := w.untold(at(2 * time.Second)); got != x.untold || w.throughput.tried != x.tried {
			t.Errorf("%q, %+v: untold: %v, %v tried; want %v, %v", x.configured, x.throttle, got, w.throughput.tried, x.untold, x.tried)
		}
		if got, _ := w.throughput.calls(at(1100 * time.Millisecond)); x.untold && got != 1 {
			t.Errorf("%q: %d calls may start when the pause ends; want one", x.configured, got)
		}
		if got := w.Paced(at(2 * time.Second)); got != x.untold {
			t.Errorf("%q, %+v: paced: %v", x.configured, x.throttle, got)
		}
		if !x.untold || x.tried > 1 {
			continue
		}
		for asking, want := range []int{1, 0, 0} {
			if got := w.Slots(at(2*time.Second), 0, asking); got != want {
				t.Errorf("%q: %d slots while %d ask; want %d", x.configured, got, asking, want)
			}
		}
		if got := w.NextPace(at(2 * time.Second)); got != w.start.Next(at(2*time.Second)) {
			t.Errorf("%q: the next pace after %v, while a call may start", x.configured, got)
		}
		w.send(2*time.Second, 10)
		if got := w.NextPace(at(2 * time.Second)); got != 101*time.Millisecond {
			t.Errorf("%q: another call may start after %v", x.configured, got)
		}
	}
}

// While one call goes first after a pause, what the throughput lets go waits for it.
func TestThroughputWaitsForTheProbe(t *testing.T) {
	w := newWorld(t, "")
	w.Throttled(at(0), w.send(0, 10), &wire.Throttle{Kind: wire.RateLimit, Limit: -1, Used: -1, Requested: -1}, longPause)
	w.send(longPause, 10) // the probe
	now := at(longPause + time.Second/5)
	w.throughput.tries = 0
	if calls, _ := w.throughput.calls(now); calls == 0 {
		t.Fatal("the throughput lets no call go")
	}
	if got := w.Slots(now, 0, 0); got != 0 {
		t.Errorf("%d slots beside the probe", got)
	}
}

// Of what a slow start and a throughput let go the less counts.
func TestThroughputBesideASlowStart(t *testing.T) {
	w := newWorld(t, "")
	w.Begin(at(0))
	w.Throttled(at(0), w.send(0, 10), &wire.Throttle{Kind: wire.RateLimit, Limit: -1, Used: -1, Requested: -1}, 0)
	for after, want := range map[time.Duration]int{100 * time.Millisecond: 1, time.Hour: -1} {
		if got := w.Slots(at(after), 0, 0); got != want {
			t.Errorf("%d slots after %v; want %d", got, after, want)
		}
	}
}
