package calibration

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSlowStartDoubles(t *testing.T) {
	var s SlowStart
	if f := s.Factor(epoch, 0, false); f != 1 {
		t.Errorf("before it has begun: %v", f)
	}
	s.Begin(epoch)
	s.Begin(after(5 * time.Second)) // only the first counts
	for _, x := range []struct {
		at   time.Duration
		want float64
		next time.Duration
	}{
		{0, 1, 2 * time.Second}, {1900 * time.Millisecond, 1, 100 * time.Millisecond},
		{2 * time.Second, 2, time.Second}, {3 * time.Second, 4, time.Second},
		{6300 * time.Millisecond, 32, 700 * time.Millisecond}, {7 * time.Second, 0, time.Second},
	} {
		if f, next := s.Factor(after(x.at), 0, false), s.Next(after(x.at)); f != x.want || next != x.next {
			t.Errorf("without a response at %v: %v, next in %v; want %v, %v", x.at, f, next, x.want, x.next)
		}
	}
	s.Throttled(after(6 * time.Second))
	for at, want := range map[time.Duration]float64{6 * time.Second: 16, 10900 * time.Millisecond: 16, 11 * time.Second: 32, 20 * time.Second: 0} {
		if f := s.Factor(after(at), 0, false); f != want {
			t.Errorf("throttled, at %v: %v; want %v", at, f, want)
		}
	}
}

// What is over stays over.
func TestSlowStartEndsForGood(t *testing.T) {
	late := after(20 * time.Second)
	for name, happens := range map[string]func(s *SlowStart){
		"nothing":    func(*SlowStart) {},
		"a response": func(s *SlowStart) { s.Answered(late, late, true, true, true) },
		"throttled":  func(s *SlowStart) { s.Throttled(late) },
		"skipped":    func(s *SlowStart) { s.Skip() },
	} {
		var s SlowStart
		s.Begin(epoch)
		if happens(&s); s.Factor(late, 0, false) != 0 || s.Calls(late) != 0 {
			t.Errorf("%s: factor %v, %d calls", name, s.Factor(late, 0, false), s.Calls(late))
		}
	}
}

func TestSlowStartIsSkippedBeforeItBegins(t *testing.T) {
	var skipped, begun SlowStart
	skipped.Skip()
	skipped.Begin(epoch)
	if f, n := skipped.Factor(epoch, 0, false), skipped.Calls(epoch); f != 0 || n != 0 {
		t.Errorf("factor %v, %d calls; want none", f, n)
	}
	begun.Begin(epoch)
	if begun.Skip(); begun.Factor(epoch, 0, false) != 1 {
		t.Errorf("factor %v once it has begun; want 1", begun.Factor(epoch, 0, false))
	}
}

func TestSlowStartResponds(t *testing.T) {
	type response struct {
		at                 time.Duration
		informed, complete bool
	}
	const ms = time.Millisecond
	seven := make([]response, 7)
	for i := range seven {
		seven[i] = response{100 * ms, true, false}
	}
	for _, x := range []struct {
		name      string
		responses []response
		at        time.Duration
		factor    float64
		calls     int
	}{
		{"none", nil, 0, 1, 4},
		{"a window is unknown", []response{{100 * ms, true, false}}, 100 * ms, 4, 8},
		{"what is drawn decides", []response{{100 * ms, true, false}, {900 * ms, true, true}}, 5100 * ms, 4, 8},
		{"but not for ever", []response{{100 * ms, true, true}}, 10100 * ms, 0, 0},
		{"its pace stays", []response{{3000 * ms, true, true}}, 3000 * ms, 4, 4},
		{"seven leave one unknown", seven, 100 * ms, 4, 512},
		{"eight do", append(seven[:7:7], seven[0]), 100 * ms, 0, 0},
		{"nothing is reported", []response{{100 * ms, false, false}}, 100 * ms, 0, 0},
	} {
		var s SlowStart
		s.Begin(epoch)
		for _, r := range x.responses {
			s.Answered(after(r.at), after(r.at), r.informed, r.complete, true)
		}
		if f, n := s.Factor(after(x.at), 0, false), s.Calls(after(x.at)); f != x.factor || n != x.calls {
			t.Errorf("%s: factor %v, %d calls; want %v, %d", x.name, f, n, x.factor, x.calls)
		}
	}
}

func TestHalfOpen(t *testing.T) {
	const pause = 10 * time.Second
	at := func(d time.Duration) time.Time { return after(pause + d) }
	const ms = time.Millisecond
	for _, x := range []struct {
		name    string
		happens func(s *SlowStart)
		at      time.Duration // after the pause
		first   bool
		wait    time.Duration
		fleet   bool
	}{
		{"during the pause", func(*SlowStart) {}, -time.Second, true, 0, true},
		{"after it", func(*SlowStart) {}, 300 * ms, true, 0, false},
		{"a call before its end", func(s *SlowStart) { s.Sent(at(-2 * ms)) }, 0, true, 0, true},
		{"a call at its end, but for rounding", func(s *SlowStart) { s.Sent(at(-ms)) }, -ms, true, 250 * ms, true},
		{"two calls", func(s *SlowStart) { s.Sent(at(0)); s.Sent(at(100 * ms)) }, 100 * ms, true, 150 * ms, true},
		{"in time", func(s *SlowStart) { s.Sent(at(0)) }, 249 * ms, true, ms, true},
		{"out of time", func(s *SlowStart) { s.Sent(at(0)) }, 250 * ms, false, 0, false},
		{"it succeeds", func(s *SlowStart) { s.Sent(at(0)); s.Succeeded(at(0)) }, ms, false, 0, false},
		{"an earlier one succeeds", func(s *SlowStart) { s.Sent(at(0)); s.Succeeded(at(-ms)) }, ms, true, 249 * ms, true},
		{"one succeeds that was none", func(s *SlowStart) { s.Succeeded(at(0)) }, ms, true, 0, true},
	} {
		var s SlowStart
		s.Restart(at(0))
		x.happens(&s)
		now := at(x.at)
		first, wait := s.HalfOpen(now)
		if fleet := s.FleetHalfOpen(now); first != x.first || wait != x.wait || fleet != x.fleet {
			t.Errorf("%s: %v, %v, fleet %v; want %v, %v, %v", x.name, first, wait, fleet, x.first, x.wait, x.fleet)
		}
		if next := s.Next(now); x.wait > 0 && next != x.wait {
			t.Errorf("%s: next in %v; want when the probe is over", x.name, next)
		}
	}

	var s SlowStart
	if first, wait := s.HalfOpen(epoch); first || wait != 0 || s.FleetHalfOpen(epoch) {
		t.Error("half-open without a pause")
	}
	s.Restart(at(0))
	s.Answered(at(-time.Second), at(-time.Second), false, false, true) // says nothing about what comes after
	for d, want := range map[time.Duration]float64{0: 1, 1900 * ms: 1, 2 * time.Second: 2} {
		if f := s.Factor(at(d), 0, false); f != want {
			t.Errorf("%v after the pause: %v; want %v", d, f, want)
		}
	}
}

// Whatever has happened, what only asks leaves no trace.
func TestQuestionsLeaveNoTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.Map(rapid.Int64Range(0, 30_000), func(ms int64) time.Time { return after(time.Duration(ms) * time.Millisecond) })
		var s SlowStart
		for range rapid.IntRange(0, 8).Draw(t, "events") {
			now := at.Draw(t, "at")
			switch rapid.IntRange(0, 6).Draw(t, "event") {
			case 0:
				s.Begin(now)
			case 1:
				s.Skip()
			case 2:
				s.Restart(now)
			case 3:
				s.Sent(now)
			case 4:
				s.Answered(now, now, rapid.Bool().Draw(t, "informed"), rapid.Bool().Draw(t, "complete"), true)
			case 5:
				s.Succeeded(now)
			case 6:
				s.Throttled(now)
			}
		}
		before := s
		for range 8 {
			now := at.Draw(t, "asked")
			s.Factor(now, 0, false)
			s.Timed(now)
			s.Blind(now)
			s.Unanswered(now)
			s.HalfOpen(now)
			s.FleetHalfOpen(now)
			s.Next(now)
			s.Calls(now)
		}
		if s != before {
			t.Errorf("%+v; want %+v", s, before)
		}
	})
}

// Once a response has reported the levels, the pace follows what has been drawn at once,
// for ten seconds.
func TestSlowStartStages(t *testing.T) {
	for _, x := range []struct {
		drawn, factor, careful float64
	}{
		{0, 4, 4}, {1.19, 4, 4}, {1.2, 16, 5}, {10.99, 16, 5}, {11, 0, 0}, {100, 0, 0},
	} {
		var s SlowStart
		s.Begin(epoch)
		s.Answered(after(time.Second), after(time.Second), true, true, true)
		for since, proves := range map[time.Duration]bool{0: true, proofTime - 1: true, proofTime: false} {
			now := after(time.Second + since)
			factor, careful := x.factor, x.careful
			if !proves {
				factor, careful = 0, 0
			}
			if f, c := s.Factor(now, x.drawn, false), s.Factor(now, x.drawn, true); f != factor || c != careful {
				t.Errorf("%v drawn, after %v: %v, careful %v; want %v, %v", x.drawn, since, f, c, factor, careful)
			}
			s.Throttled(now) // what it tells is known otherwise
		}
	}
}

// What ends with the first response, by whether limits may be enforced in subwindows.
func TestSlowStartOfNoSubwindows(t *testing.T) {
	for _, x := range []struct {
		informed, complete, careful bool
		factor                      float64
	}{
		{true, true, true, 4}, {true, true, false, 0}, {true, false, false, 4}, {true, false, true, 4},
		{false, true, true, 0}, {false, false, false, 0},
	} {
		var s SlowStart
		s.Begin(epoch)
		if s.Answered(after(time.Second), after(time.Second), x.informed, x.complete, x.careful); s.Factor(after(time.Second), 0, false) != x.factor {
			t.Errorf("%+v: %v", x, s.Factor(after(time.Second), 0, false))
		}
	}
}

// After a pause responses leave the pace to time.
func TestSlowStartAfterAPauseIsTimed(t *testing.T) {
	var s SlowStart
	s.Restart(epoch)
	s.Answered(after(time.Second), after(time.Second), true, true, true)
	for at, want := range map[time.Duration]float64{time.Second: 1, 1999 * time.Millisecond: 1, 2 * time.Second: 2, 4 * time.Second: 8} {
		if f := s.Factor(after(at), 100, false); f != want || !s.Timed(after(at)) {
			t.Errorf("at %v: %v, timed: %v; want %v", at, f, s.Timed(after(at)), want)
		}
	}
}

// What a slow start still waits for, and how many calls may go meanwhile.
func TestSlowStartWithoutAResponse(t *testing.T) {
	answered := func(s *SlowStart) {
		s.Answered(after(100*time.Millisecond), after(100*time.Millisecond), true, true, true)
	}
	for _, x := range []struct {
		name         string
		begun        bool
		happens      func(s *SlowStart)
		at           time.Duration
		blind, timed bool
		unanswered   int
	}{
		{"not begun", false, nil, 0, false, true, 1},
		{"begun", true, nil, 0, true, true, 1},
		{"a throttle may still come", true, nil, ProbeTime - 1, true, true, 1},
		{"it would have come", true, nil, ProbeTime, false, true, 1},
		{"after two seconds", true, nil, 2 * time.Second, false, true, 2},
		{"after seven it is over", true, nil, 7 * time.Second, false, false, 0},
		{"a response", true, answered, 200 * time.Millisecond, false, false, 0},
		{"nothing is reported", true, func(s *SlowStart) { s.Answered(after(0), after(0), false, false, true) }, 200 * time.Millisecond, false, false, 0},
		{"skipped", false, func(s *SlowStart) { s.Skip(); s.Begin(epoch) }, 0, false, false, 0},
		{"a pause", true, func(s *SlowStart) { s.Restart(after(time.Second)) }, time.Second, false, true, 1},
		{"and a response", true, func(s *SlowStart) {
			s.Restart(after(50 * time.Millisecond))
			answered(s)
		}, 200 * time.Millisecond, false, true, 0},
	} {
		var s SlowStart
		if x.begun {
			s.Begin(epoch)
		}
		if x.happens != nil {
			x.happens(&s)
		}
		now := after(x.at)
		if blind, timed, n := s.Blind(now), s.Timed(now), s.Unanswered(now); blind != x.blind || timed != x.timed || n != x.unanswered {
			t.Errorf("%s: blind %v, timed %v, %d; want %v, %v, %d", x.name, blind, timed, n, x.blind, x.timed, x.unanswered)
		}
	}
}

// While the pace follows what has been drawn, as many calls may be in flight as at first, doubled by
// each response that left a window unknown.
func TestCallsOfAProof(t *testing.T) {
	var s SlowStart
	s.Begin(epoch)
	if got := s.Calls(epoch); got != startCalls {
		t.Errorf("%d at first", got)
	}
	s.Answered(after(time.Second), epoch, true, false, true)
	for at, want := range map[time.Duration]int{time.Second: 2 * startCalls, time.Second + proofTime - 1: 2 * startCalls, time.Second + proofTime: 0} {
		if got := s.Calls(after(at)); got != want {
			t.Errorf("%d after %v; want %d", got, at, want)
		}
	}
}

// The next step is the probe's end, or the next doubling.
func TestNextStep(t *testing.T) {
	var s SlowStart
	s.Restart(epoch)
	if got, want := s.Next(epoch), quiet; got != want {
		t.Errorf("%v before the probe; want %v", got, want)
	}
	s.Sent(epoch)
	for at, want := range map[time.Duration]time.Duration{0: ProbeTime, ProbeTime - 1: 1, ProbeTime: quiet - ProbeTime} {
		if got := s.Next(after(at)); got != want {
			t.Errorf("%v at %v; want %v", got, at, want)
		}
	}
}
