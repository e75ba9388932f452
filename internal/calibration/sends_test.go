package calibration

import (
	"math"
	"testing"
	"time"
)

func TestSends(t *testing.T) {
	type send struct {
		at            time.Duration
		charged, cost float64
	}
	type span struct {
		from, d time.Duration
		want    float64
	}
	const s, ms = time.Second, time.Millisecond
	few := []send{
		{10 * s, 1100, 100}, // others had charged 1,000 before
		{10 * s, 1050, 50},  // a response out of order
		{12 * s, 1500, 100}, // others have charged 300 between
	}
	for _, x := range []struct {
		name  string
		sends []send
		spans []span
	}{
		{"others charge too", few, []span{
			{10 * s, 0, 100}, {10 * s, s, 250}, {10 * s, 2 * s, 500}, {12 * s, s, 100}, {9 * s, 500 * ms, 0}}},
		{"the bucket was lost", append(few[:3:3], send{13 * s, 30, 30}), []span{{9 * s, 5 * s, 30}}},
		{"it was lost after one send", []send{{10 * s, 1100, 100}, {13 * s, 30, 30}}, []span{{9 * s, 5 * s, 30}}},
		{"the same total is no other bucket", []send{{10 * s, 1100, 100}, {13 * s, 1000, 0}}, []span{{10 * s, 0, 100}}},
		{"an earlier total as long after as it may be", []send{{10 * s, 1100, 100}, {10*s + Overtaking, 990, 50}}, []span{{10 * s, 0, 100}}},
		{"and longer", []send{{10 * s, 1100, 100}, {10*s + Overtaking + slotWidth, 990, 50}}, []span{{10 * s, 0, 0}}},
		{"an earlier total in another bucket", append(few[:3:3], send{13 * s, 130, 30}, send{13*s + 100*ms, 120, 50}), []span{{13 * s, 0, 30}}},
		{"it was lost between two close sends", append(few[:3:3], send{12*s + 100*ms, 30, 30}), []span{{9 * s, 5 * s, 30}}},
		{"an earlier total in the same slot", []send{{10 * s, 1100, 100}, {10 * s, 1000, 100}}, []span{{10 * s, 0, 200}}},
		{"an earlier total soon after", []send{{10 * s, 1100, 100}, {10*s + 100*ms, 990, 50}}, []span{{10 * s, 50 * ms, 100}}},
		{"an earlier send", append(few[:3:3], send{11 * s, 1380, 80}), []span{{10 * s, s, 200}}},
	} {
		var sends Sends
		for _, e := range x.sends {
			sends.Add(after(e.at), e.charged, e.cost)
		}
		for _, e := range x.spans {
			if got := sends.Between(after(e.from), e.d); math.Abs(got-e.want) > 2 {
				t.Errorf("%s: %v from %v for %v; want %v", x.name, got, e.from, e.d, e.want)
			}
			if got, want := sends.Lately(after(e.from+e.d), e.d), sends.Between(after(e.from), e.d); got != want {
				t.Errorf("%s: %v in the last %v up to %v; want %v", x.name, got, e.d, e.from+e.d, want)
			}
		}
	}
	var sends Sends
	for _, e := range few {
		sends.Add(after(e.at), e.charged, e.cost)
	}
	if got := sends.After(after(10*s), 100); got != 400 {
		t.Errorf("%v after the first; want 400", got)
	}
	if got := sends.After(after(20*s), 100); got != 0 {
		t.Errorf("%v after all of them", got)
	}
}

// A slot is found wherever it is: among those of a rush, which has one each 10 ms, and of single
// sends.
func TestSlotsAreFound(t *testing.T) {
	var s Sends
	charged := 0.0
	for _, i := range []int{0, 1, 2, 3, 7, 20, 21, 22, 40, 41, 43, 44, 45} {
		charged += 10
		s.Add(after(time.Duration(i)*slotWidth), charged, 4) // others have charged 6 between
	}
	for i := int64(-2); i < 50; i++ {
		want := 6.0 // before the first
		for k, a := range s.slots {
			switch {
			case a.index > i:
			case k+1 < len(s.slots) && s.slots[k+1].index > i:
				b := s.slots[k+1]
				want = a.after + (b.before-a.after)*float64(i-a.index)/float64(b.index-a.index)
			default:
				want = a.after
			}
		}
		if got := s.at(i); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v at the end of slot %d; want %v", got, i, want)
		}
	}
}

// Slots are whole, before the first send too.
func TestSlotOf(t *testing.T) {
	s := Sends{begun: epoch}
	for at, want := range map[time.Duration]int64{0: 0, 1: 0, slotWidth - 1: 0, slotWidth: 1, -1: -1, -slotWidth: -1, -slotWidth - 1: -2, -2 * slotWidth: -2} {
		if got := s.slotOf(after(at)); got != want {
			t.Errorf("%v: %d; want %d", at, got, want)
		}
	}
}

// What had been charged by a time is known from the first send on.
func TestBefore(t *testing.T) {
	var s Sends
	if got := s.Before(epoch, 0); got != 0 || !s.reaches(epoch) {
		t.Errorf("%v before any", got)
	}
	check := func(at time.Duration, want float64, reaches bool) {
		t.Helper()
		if got := s.Before(after(at+time.Second), time.Second); got != want || s.reaches(after(at)) != reaches {
			t.Errorf("%v before %v, reached: %v; want %v", got, at, s.reaches(after(at)), want)
		}
	}
	s.Add(epoch, 1100, 100)
	check(slotWidth, 1100, true)
	s.Add(after(time.Second), 1200, 100)
	check(-1, 0, false)
	check(0, 0, true)
	check(slotWidth-1, 0, true)
	check(slotWidth, 1100, true)
	check(time.Second, 1100, true)
	check(time.Second+slotWidth, 1200, true)
	s = Sends{}
	s.Add(epoch, 100, 100)
	check(-time.Hour, 0, true) // nothing had been charged
}

// A minute is remembered, whatever was forgotten to make room.
func TestSendsRememberAMinute(t *testing.T) {
	var s Sends
	for i := range 20_000 {
		now := after(time.Duration(i) * slotWidth)
		s.Add(now, float64(i+1), 1)
		want := float64(min(i+1, 6001))
		if got := s.Between(now.Add(-time.Minute), time.Minute); got != want {
			t.Fatalf("%v in the minute before send %d; want %v", got, i, want)
		}
		if len(s.slots) > 6001*2 {
			t.Fatalf("%d slots after send %d", len(s.slots), i)
		}
	}
}

func TestLately(t *testing.T) {
	b := newBench(t)
	b.send(0, 10)
	b.send(30*time.Second, 20)
	b.send(59*time.Second, 30)
	for at, want := range map[time.Duration]float64{59 * time.Second: 60, time.Minute: 60, 61 * time.Second: 50, 100 * time.Second: 30} {
		if got := b.g.Lately(after(at)); got != want {
			t.Errorf("%v at %v; want %v", got, at, want)
		}
	}
}
