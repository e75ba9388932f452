package calibration

import (
	"reflect"
	"testing"
	"time"
)

// footprint is how many bytes a value holds, the capacity of its slices included.
func footprint(v reflect.Value) (n uintptr) {
	var beyond func(v reflect.Value) uintptr
	beyond = func(v reflect.Value) (n uintptr) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				n += beyond(v.Field(i))
			}
		case reflect.Slice:
			n = uintptr(v.Cap()) * v.Type().Elem().Size()
		case reflect.Map, reflect.Chan, reflect.Interface, reflect.Func:
			panic("a footprint of " + v.Type().String() + " is not known")
		}
		return n // times hold a pointer to their zone, which they share
	}
	return v.Type().Size() + beyond(v)
}

// Whatever is remembered of many calls is no more than that of a few, or of a minute.
func TestStateDoesNotGrow(t *testing.T) {
	const aMinute = uintptr(remember/slotWidth) * 2 * 24 // of Sends, when there is always one
	for _, x := range []struct {
		name  string
		every time.Duration
		most  uintptr // beside what ten calls leave behind
		state func() (state any, call func(i int, now time.Time))
	}{
		{"Tracker, a call a second", time.Second, 256 * 24, tracked},
		{"Tracker, 85 calls a second", 11750 * time.Microsecond, aMinute, tracked},
		{"Tracker, many calls a second", time.Millisecond, aMinute, tracked},
		{"Sends", 11750 * time.Microsecond, aMinute, func() (any, func(int, time.Time)) {
			s := new(Sends)
			return s, func(i int, now time.Time) { s.Add(now, float64(i+1), 1) }
		}},
		{"LimitEstimate", time.Second, 0, func() (any, func(int, time.Time)) {
			e := new(LimitEstimate)
			return e, func(i int, now time.Time) { e.Report(now, 500+int64(i%7), 0) }
		}},
		{"SlowStart", time.Millisecond, 0, func() (any, func(int, time.Time)) {
			s := new(SlowStart)
			return s, func(i int, now time.Time) {
				if i%1000 == 0 {
					s.Restart(now)
				}
				s.Begin(now)
				s.Sent(now)
				s.Succeeded(now)
				s.Answered(now, now, true, i%2 == 0, true)
				s.Throttled(now)
			}
		}},
		{"Ramp", time.Second, 0, func() (any, func(int, time.Time)) {
			r := new(Ramp)
			return r, func(i int, now time.Time) {
				r.Begin(now, r.Rate(now, 1e6), 100)
				r.Adopt(Ramp{50, now})
			}
		}},
	} {
		state, call := x.state()
		size := func() uintptr { return footprint(reflect.ValueOf(state).Elem()) }
		const calls = 100_000
		few := uintptr(0)
		for i := range calls {
			call(i, after(time.Duration(i)*x.every))
			if i == 9 {
				few = size()
			}
		}
		if many := size(); many > few+x.most {
			t.Errorf("%s: %d bytes after %d calls; %d after ten", x.name, many, calls, few)
		}
	}
}

// tracked is a tracker that meets everything which can happen to one.
func tracked() (any, func(i int, now time.Time)) {
	g := &Tracker{Period: time.Minute}
	var level Level
	return g, func(i int, now time.Time) {
		level.Charged += 10
		level.Used = float64(i % 4000)
		sent := g.Send(now, 10, Input{}, level)
		g.Unused(now, time.Time{}, float64(i%300), limit)
		var c Correction
		if i%100 == 0 {
			c, _ = g.Throttled(now, sent, level.Used+float64(i%500), 10, limit)
		} else {
			c, _ = g.Observe(now, sent, level.Used+float64(i%300)-float64(i%400), limit)
		}
		level.Corrected += c.To - c.From
		g.Adopt(now, g.Findings(), i%2 == 0)
		if i%5000 == 0 {
			g.Forget()
		}
	}
}

// Not each send may move all that is remembered.
func TestSendsAreSeldomMoved(t *testing.T) {
	const sends = 100_000
	for every := 10 * time.Millisecond; every < 13*time.Millisecond; every += 250 * time.Microsecond {
		var s Sends
		moves, was := 0, 0
		for i := range sends {
			s.Add(after(time.Duration(i)*every), float64(i+1), 1)
			if len(s.slots) <= was {
				moves++
			}
			was = len(s.slots)
		}
		if moves > sends/500 {
			t.Errorf("a send every %v: %d moves", every, moves)
		}
	}
}
