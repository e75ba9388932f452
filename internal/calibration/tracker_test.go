package calibration

import (
	"math"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return epoch.Add(d) }

const limit = 10_000

// A bench moves a bucket of ours and asks a gauge about it.
type bench struct {
	*testing.T
	g                        Tracker
	used, charged, corrected float64
}

func newBench(t *testing.T) *bench { return &bench{T: t, g: Tracker{Period: time.Minute}} }

// send charges a cost at a time.
func (b *bench) send(at time.Duration, cost float64) Sent {
	b.used += cost
	b.charged += cost
	return b.g.Send(after(at), cost, Level{b.used, b.charged, b.corrected})
}

// hear takes in that the server stood at a figure when it admitted what was
// sent, and applies the correction, which must be by.
func (b *bench) hear(at time.Duration, s Sent, server, by float64) {
	b.Helper()
	b.apply(at, by, func() (Correction, bool) { return b.g.Observe(after(at), s, server, limit) })
}

func (b *bench) apply(at time.Duration, by float64, f func() (Correction, bool)) {
	b.Helper()
	c, changed := f()
	if got := c.To - c.From; math.Abs(got-by) > 1e-9 || changed != (by != 0) {
		b.Errorf("at %v: corrected by %v, %v; want %v", at, got, changed, by)
	}
	if changed {
		if c.From != b.corrected {
			b.Errorf("at %v: from %v; want %v, where it stands", at, c.From, b.corrected)
		}
		b.used += c.To - c.From
		b.corrected = c.To
	}
}

func TestFirstAnswerCountsWhole(t *testing.T) {
	for _, server := range []float64{5_000, 10} {
		b := newBench(t)
		first, second := b.send(0, 100), b.send(time.Millisecond, 100)
		b.hear(time.Second, first, server, server-100)
		b.hear(time.Second, second, server+100, 0) // carries the same difference
	}
}

func TestDeficitIsTakenAtOnce(t *testing.T) {
	b := newBench(t)
	b.hear(time.Second, b.send(0, 100), 100, 0)
	b.hear(3*time.Second, b.send(2*time.Second, 100), 250, 50)
}

func TestNeighboursMayHaveOvertaken(t *testing.T) {
	b := newBench(t)
	b.hear(time.Second, b.send(0, 100), 100, 0)
	x := b.send(5*time.Second, 100)
	b.send(5*time.Second+100*time.Millisecond, 70)
	b.hear(6*time.Second, x, 260, 0)
	b.hear(6*time.Second, x, 281, 11) // more than both
}

func TestSurplusMustLast(t *testing.T) {
	b := newBench(t)
	b.hear(time.Second, b.send(0, 1000), 1000, 0)
	for i, x := range []struct{ surplus, by float64 }{{90, 0}, {70, 0}, {80, 0}, {75, -70}} {
		at := time.Duration(2+4*i) * time.Second
		s := b.send(at, 10)
		b.hear(at+time.Second, s, b.used-x.surplus, x.by)
	}
}

func TestSurplusDoesNotLastThroughOthersCorrections(t *testing.T) {
	b := newBench(t)
	b.hear(time.Second, b.send(0, 1000), 1000, 0)
	for i := range 6 {
		at := time.Duration(2+4*i) * time.Second
		b.corrected += 0.5 // others, or refill that a full bucket could not take
		b.used += 0.5
		b.hear(at+time.Second, b.send(at, 10), b.used-50-float64(i), 0)
	}
}

// Of requests the server can't have counted fewer than we have sent.
func TestExactIsLowered(t *testing.T) {
	b := newBench(t)
	b.g.Exact = true
	b.hear(time.Second, b.send(0, 100), 20, 0)
	b.hear(3*time.Second, b.send(2*time.Second, 10), b.used+30, 30)
	for i, by := range []float64{0, 0, 0, -30, 0, 0, 0, 0} {
		at := time.Duration(4+4*i) * time.Second
		b.hear(at+time.Second, b.send(at, 1), b.used-80-2*float64(i), by)
	}
}

func TestRepeatedFigureIsIgnored(t *testing.T) {
	b := newBench(t)
	b.hear(time.Second, b.send(0, 100), limit, limit-100)
	for i := range 20 {
		at := time.Duration(2+i) * time.Second
		b.used -= 400 // it refills, the server says it does not
		b.hear(at, b.send(at, 10), limit, 0)
	}
}

func TestLoneDeficitIsUndone(t *testing.T) {
	for _, x := range []struct {
		name string
		next float64 // beside what we believe
		by   float64
	}{{"denied", 0, -4000}, {"confirmed", 4010, 10}} {
		t.Run(x.name, func(t *testing.T) {
			b := newBench(t)
			b.hear(time.Second, b.send(0, 100), 100, 0)
			s := b.send(3*time.Second, 100)
			later := b.send(4*time.Second, 100)
			b.hear(5*time.Second, s, 4200, 4000)
			b.hear(6*time.Second, later, 300+x.next, x.by)
		})
	}
}

// A bucket can't have emptied again and again.
func TestFiguresThatMakeNoSense(t *testing.T) {
	b := newBench(t)
	b.hear(time.Second, b.send(0, 100), 100, 0)
	ignored := 0
	for i := range 60 {
		at := time.Duration(2+i) * time.Second
		b.used = max(0, b.used-100)
		server := float64(1000 + 37*i)
		if i%2 == 0 {
			server += 6000
		}
		c, changed := b.g.Observe(after(at), b.send(at, 10), server, limit)
		if changed {
			b.used, b.corrected = b.used+c.To-c.From, c.To
		} else if i%2 == 0 {
			ignored++
		}
	}
	if ignored < 20 || b.corrected > 2500 {
		t.Errorf("%d of 30 ignored; corrected by %v in the end", ignored, b.corrected)
	}
}

func TestRefusal(t *testing.T) {
	b := newBench(t)
	b.hear(time.Second, b.send(0, 100), 100, 0)
	margin := func(at time.Duration) float64 { return b.g.Margin(after(at)) }
	before := margin(time.Second)
	s := b.send(2*time.Second, 100) // we stood at 200, the server at 9950
	b.apply(3*time.Second, 9850, func() (Correction, bool) {
		return b.g.Throttled(after(3*time.Second), s, 9950, 100, limit)
	})
	if m := margin(3 * time.Second); m < 0.3 || m <= before {
		t.Errorf("the margin is %v after %v; want much more", m, before)
	}
	if m := margin(6 * time.Hour); m > 0.02 {
		t.Errorf("the margin is %v after hours; want it to have faded", m)
	}
}

// What is not known before the first answer says nothing about what may go wrong
// later.
func TestFirstAnswersLeaveNoMargin(t *testing.T) {
	b := newBench(t)
	first, second := b.send(0, 100), b.send(100*time.Millisecond, 100)
	b.hear(time.Second, first, 9000, 8900)
	b.hear(time.Second, second, 9100, 0)
	b.apply(time.Second, 0, func() (Correction, bool) {
		return b.g.Throttled(after(time.Second), second, 8990, 100, limit)
	})
	if m := b.g.Findings().Margin; m != 0 {
		t.Errorf("a margin of %v", m)
	}
}

func TestMarginLearns(t *testing.T) {
	b := newBench(t)
	if m := b.g.Margin(after(0)); m != 0 {
		t.Errorf("%v before any answer", m)
	}
	b.hear(time.Second, b.send(0, 100), 100, 0)
	open := b.send(2*time.Second, 3000)
	if m := b.g.Margin(after(2 * time.Second)); m != leastMargin {
		t.Errorf("%v before anything went wrong", m)
	}
	b.hear(3*time.Second, open, b.used+300, 300)
	want := seenMargin*0.03 + leastMargin
	if m := b.g.Margin(after(3 * time.Second)); math.Abs(m-want) > 1e-6 {
		t.Errorf("%v after a deficit of 3 %%; want %v", m, want)
	}
	b.g.Period = 24 * time.Hour
	if m := b.g.Margin(after(3 * time.Second)); m > seenMargin*0.03+1e-5 {
		t.Errorf("%v of a day", m)
	}
	var other Tracker
	other.Adopt(after(4*time.Second), b.g.Findings(), true)
	if x, y := other.Findings(), b.g.Findings(); x != y {
		t.Errorf("another process has adopted %+v of %+v", x, y)
	}
}

func TestSends(t *testing.T) {
	var s Sends
	s.Add(after(10*time.Second), 1100, 100) // others had charged 1,000 before
	s.Add(after(10*time.Second), 1050, 50)  // an answer out of order
	s.Add(after(12*time.Second), 1500, 100) // others have charged 300 between
	for _, x := range []struct {
		from, d time.Duration
		want    float64
	}{
		{10 * time.Second, 0, 100},
		{10 * time.Second, time.Second, 250},
		{10 * time.Second, 2 * time.Second, 500},
		{12 * time.Second, time.Second, 100},
		{9 * time.Second, 500 * time.Millisecond, 0},
	} {
		if got := s.Between(after(x.from), x.d); math.Abs(got-x.want) > 2 {
			t.Errorf("from %v for %v: %v; want %v", x.from, x.d, got, x.want)
		}
	}
	s.Add(after(13*time.Second), 30, 30) // the bucket was lost
	if got := s.Between(after(9*time.Second), 5*time.Second); got != 30 {
		t.Errorf("%v since the bucket was lost; want 30", got)
	}
}

func TestRamp(t *testing.T) {
	var r Ramp
	if x := r.Rate(epoch, 1000); x != 0 {
		t.Errorf("%v without a refusal", x)
	}
	r.Begin(epoch, 600, 100)
	for _, x := range []struct {
		at   time.Duration
		want float64
	}{{0, 400}, {15 * time.Minute, 600}, {30 * time.Minute, 900}, {45 * time.Minute, 0}} {
		if got := r.Rate(after(x.at), 1000); math.Abs(got-x.want) > 1e-6 {
			t.Errorf("%v after %v; want %v", got, x.at, x.want)
		}
	}
	if r.Begin(epoch, 30, 100); r.Rate(epoch, 1000) != 100 {
		t.Errorf("%v where 100 may always be sent", r.Rate(epoch, 1000))
	}
	later := Ramp{50, after(time.Minute)}
	for _, other := range []Ramp{later, {70, epoch}} {
		if r.Adopt(other); r != later {
			t.Errorf("%v; want what began last", r)
		}
	}
}
