package quota

import (
	"testing"
	"time"
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
		{"above the rate", append(twoASecond, pass(71, 123, 0), pass(78.5, 0, 31), pass(130, 0, 28368), pass(131, 0, -1))},
		{"no more than a minute's", append(twoASecond, pass(71, 0, 123), pass(78.5, 0, 247))},
		{"too few for a rate", []step{ // four in two intervals of four seconds: one in two
			throttle(0, 1), pass(1, 2, 3), throttle(4, 0), pass(6, 2, 0), throttle(8, 0), pass(28, 0, 9),
		}},
		{"another rate", append(twoASecond, pass(20, 19, 0), throttle(29.5, 0), pass(49.5, 0, 19))},
		{"a throttle in vain", append(twoASecond, throttle(20, 0), pass(41, 0, 20))},
		{"hardly used", append(twoASecond, pass(30, 1, 38), throttle(40, 0), pass(50, 0, 19))},
		{"responses that come late", append(twoASecond, step{11, 10, false, 5, 2}, step{12, 5, false, 12, 5}, pass(20, 0, 29))},
		{"throttles that come late", append(twoASecond, step{10, 0, true, 1, 0}, pass(20, 0, 18))},
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
				u.throttled(now, sent, time.Second)
			}
			got, next := -1, time.Duration(0)
			if u.holds(now) {
				got, next = u.calls(now)
			}
			if got != s.calls {
				t.Errorf("%s, step %d: %d calls may start; want %d: %+v", x.name, i, got, s.calls, u)
			} else if got == 0 && !s.throttle {
				if calls, _ := u.calls(now.Add(next * 9 / 10)); calls != 0 {
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
	u.throttled(at(0), at(-time.Millisecond), 0)
	for range 10 {
		u.succeeded(at(time.Second))
	}
	if got := u.period(60); got != 0 {
		t.Errorf("%v after one throttle", got)
	}
	u.throttled(at(10*time.Second), at(9*time.Second), 0)
	for limit, want := range map[int64]time.Duration{1: 0, 20: 0, 21: minute, 60: minute, 179: minute, 180: 0, 86_400: 0} {
		if got := u.period(limit); got != want {
			t.Errorf("%d, one call a second: %v; want %v", limit, got, want)
		}
	}
}
