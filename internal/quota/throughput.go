package quota

import (
	"math"
	"time"
)

// A throughput is how many calls the server lets through of a scope of which not all limits are
// told. Throttles show it: at each the server's bucket is empty, so that what has passed between
// two of them is what it has refilled. From then on calls go at that rate: first a little below
// it, then above it until the next throttle. The zero value holds nothing back.
type throughput struct {
	at     time.Time // of the last throttle
	until  time.Time // the end of its pause
	tries  int       // calls that have started since
	passed int       // calls that were sent since, and were not throttled
	vain   int       // throttles since the last that passed
	tried  float64   // how many calls a second are tried before a rate is known

	measured interval

	level float64 // calls that may start, where a rate is known
	seen  time.Time
}

// An interval is how many calls that were sent between two throttles have passed.
type interval struct {
	from, to time.Time
	calls    int
}

func (i *interval) rate() float64 { return float64(i.calls) / i.to.Sub(i.from).Seconds() }

const (
	// fewCalls are too few for a rate: the next interval is added to theirs.
	fewCalls = 5
	// leastDoubt is the part of a rate by which it may be off, at least: by so much it
	// starts below and ends above.
	leastDoubt = 0.03
	// A trial is that time: a minute or trialCalls calls, but no more than longTrial.
	trialTime, longTrial, trialCalls = time.Minute, 5 * time.Minute, 20
	// growth is how often the rate doubles in as long again. After that it holds nothing back.
	growth = 8
	// mostVain is how often tries in vain become half as many: until one a second is one a minute.
	mostVain = 6
)

// throttled takes in a throttle, with its pause, of a request that was sent at a time. As long as
// no rate is known, so many calls a second may be tried.
func (t *throughput) throttled(now, sent time.Time, pause time.Duration, tried float64) {
	held := t.holds(now)
	t.until = now.Add(pause)
	if !sent.After(t.at) {
		return // it tells of a bucket that has been heard of
	}
	t.vain, t.tried = t.vain+1, tried
	switch m := &t.measured; {
	case !held:
		*m, t.vain = interval{}, 1
	case m.from.IsZero():
		*m = interval{t.at, now, t.passed}
	case t.passed == 0 || m.calls < fewCalls:
		m.to, m.calls = now, m.calls+t.passed
	case t.stands(now) <= float64(2+2*t.passed): // else calls were too few to show it
		*m = interval{t.at, now, t.passed}
	}
	t.at, t.tries, t.passed, t.level, t.seen = now, 0, 0, 0, now
}

// succeeded takes in that a request that was sent at a time has not been throttled.
func (t *throughput) succeeded(sent time.Time) {
	switch {
	case sent.After(t.at):
		t.passed, t.vain = t.passed+1, 0
	case sent.After(t.measured.from) && !t.measured.from.IsZero():
		t.measured.calls++
	}
}

// trial is how long it takes until the rate is above the measured one by as much as it was below.
func (t *throughput) trial() time.Duration {
	if t.measured.calls == 0 {
		return trialTime
	}
	long := time.Duration(trialCalls / t.measured.rate() * float64(time.Second))
	return min(max(trialTime, long), longTrial)
}

// holds reports whether it holds calls back.
func (t *throughput) holds(now time.Time) bool {
	return !t.at.IsZero() && now.Sub(t.until) < 2*t.trial()
}

// rate is how many calls a second go at present.
func (t *throughput) rate(now time.Time) float64 {
	if t.measured.calls == 0 {
		return t.tried * math.Exp2(-float64(max(0, min(t.vain-1, mostVain))))
	}
	rate, doubt := t.measured.rate(), max(leastDoubt, 0.5/float64(t.measured.calls))
	trials := max(0, float64(now.Sub(t.until))/float64(t.trial()))
	if trials > 1 {
		return rate * (1 + doubt) * math.Exp2(growth*(trials-1))
	}
	return rate * (1 + doubt*(2*trials-1))
}

// started takes in that a call starts.
func (t *throughput) started(now time.Time) {
	if t.measured.calls > 0 {
		t.level = t.stands(now) - 1
	}
	t.seen = now
	t.tries++
}

// stands is how many calls may start: what has come since at the rate, of a minute at most, as in
// every limit that hosts tell. Where no rate is known it is twice as many as have passed, and those
// that are tried beside, ever fewer while that is in vain.
func (t *throughput) stands(now time.Time) float64 {
	rate := t.rate(now)
	if t.measured.calls == 0 {
		return min(1, rate) + rate*max(0, now.Sub(t.until).Seconds()) + float64(2*t.passed-t.tries)
	}
	return min(t.level+rate*now.Sub(t.seen).Seconds(), max(1, t.measured.rate()*minute.Seconds()))
}

// calls is how many calls may start, and how long until another may.
func (t *throughput) calls(now time.Time) (calls int, next time.Duration) {
	level := t.stands(now)
	lacks := max(0, 1-level) / t.rate(now)
	return max(0, int(level)), time.Duration(lacks*float64(time.Second)) + time.Millisecond
}

// period is that of a limit of so many calls of which it is not told, as far as the rate shows it.
func (t *throughput) period(limit int64) time.Duration {
	const near = 3 // a second, a minute, an hour and a day are far apart
	if all := float64(limit) / t.measured.rate(); all > minute.Seconds()/near && all < minute.Seconds()*near {
		return minute
	}
	return 0
}
