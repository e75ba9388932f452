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
		"a response": func(s *SlowStart) { s.Answered(late, true, true, true) },
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
			s.Answered(after(r.at), r.informed, r.complete, true)
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
	s.Answered(at(-time.Second), false, false, true) // says nothing about what comes after
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
				s.Answered(now, rapid.Bool().Draw(t, "informed"), rapid.Bool().Draw(t, "complete"), true)
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
