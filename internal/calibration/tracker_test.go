package calibration

import (
	"math"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return epoch.Add(d) }

const limit = 10_000

// A bench moves a bucket of ours and asks a tracker about it.
type bench struct {
	*testing.T
	g                        Tracker
	used, charged, corrected float64
}

// newBench returns one in whose past anything may have happened: sums that are known up to a
// constant begin with some figure.
func newBench(t *testing.T) *bench {
	b := &bench{T: t, g: Tracker{Period: time.Minute}}
	b.g.unused.total, b.g.unused.returned = 300*limit, 200*limit
	return b
}

// send charges a cost at a time.
func (b *bench) send(at time.Duration, cost float64) Sent {
	b.used += cost
	b.charged += cost
	return b.g.Send(after(at), cost, Input{}, Level{Used: b.used, Charged: b.charged, Corrected: b.corrected})
}

// report takes in that the server stood at a figure when it admitted what was
// sent, and applies the correction, which must be by.
func (b *bench) report(at time.Duration, s Sent, server, by float64) {
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

// A bucket that began with a report has had its first one: a deficit of the next may be what has
// overtaken its request.
func TestOvertakingIsNoDeficitOfToldBucket(t *testing.T) {
	for _, x := range []struct {
		resolve    bool
		then       func(*Tracker)
		server, by float64
	}{{false, nil, 103, 2}, {true, nil, 103, 0}, {true, nil, 110, 7}, {true, (*Tracker).KeepGuess, 103, 2}, {true, (*Tracker).Forget, 103, 2}} {
		b := newBench(t)
		b.used, b.corrected = 100, 100
		if x.resolve {
			b.g.Resolve(epoch, 0, 100)
		}
		if x.then != nil {
			x.then(&b.g)
		}
		first := b.send(0, 1)
		b.send(time.Millisecond, 2)
		b.report(time.Second, first, x.server, x.by)
	}
}

func TestFirstAnswerCountsWhole(t *testing.T) {
	for _, server := range []float64{5_000, 10} {
		b := newBench(t)
		first, second := b.send(0, 100), b.send(time.Millisecond, 100)
		b.report(time.Second, first, server, server-100)
		b.report(time.Second, second, server+100, 0) // carries the same difference
	}
}

func TestDeficitIsTakenAtOnce(t *testing.T) {
	b := newBench(t)
	b.report(time.Second, b.send(0, 100), 100, 0)
	b.report(3*time.Second, b.send(2*time.Second, 100), 250, 50)
	b.report(5*time.Second, b.send(4*time.Second, 100), b.used+0.5, 0.5)
}

// Of exact charges all that was raised may be lowered again.
func TestExactIsLoweredByAllThatWasRaised(t *testing.T) {
	b := newBench(t)
	b.g.Exact = true
	b.report(time.Second, b.send(0, 100), 130, 30)
	b.report(3*time.Second, b.send(2*time.Second, 10), b.used+40, 40)
	for i, by := range []float64{0, 0, 0, -60} {
		at := time.Duration(4+4*i) * time.Second
		b.report(at+time.Second, b.send(at, 1), b.used-60-2*float64(i), by)
	}
}

func TestNeighboursMayHaveOvertaken(t *testing.T) {
	b := newBench(t)
	b.report(time.Second, b.send(0, 100), 100, 0)
	x := b.send(5*time.Second, 100)
	b.send(5*time.Second+100*time.Millisecond, 70)
	b.report(6*time.Second, x, 260, 0)
	if m := b.g.Findings().Margin; m != 0 {
		t.Errorf("a margin of %v for what may have overtaken", m)
	}
	b.report(6*time.Second, x, 281, 11) // more than both
	if m := b.g.Findings().Margin; math.Abs(m-11./limit) > 1e-9 {
		t.Errorf("a margin of %v; want what was more than both", m)
	}
}

func TestSurplusMustLast(t *testing.T) {
	b := newBench(t)
	b.report(time.Second, b.send(0, 1000), 1000, 0)
	for i, x := range []struct{ surplus, by float64 }{{90, 0}, {70, 0}, {80, 0}, {75, -70}} {
		at := time.Duration(2+4*i) * time.Second
		s := b.send(at, 10)
		b.report(at+time.Second, s, b.used-x.surplus, x.by)
	}
}

// A report that agrees ends a surplus.
func TestSurplusMustNotBeContradicted(t *testing.T) {
	b := begun(t)
	b.report(5*time.Second, b.send(4*time.Second, 1000), b.used-50, 0)
	b.report(9*time.Second, b.send(8*time.Second, 10), b.used, 0)
	b.report(17*time.Second, b.send(16*time.Second, 10), b.used-51, 0)
}

// A report that agrees ends no surplus for longer than patience.
func TestSurplusMayBeContradictedOnce(t *testing.T) {
	b := begun(t)
	for i := range 12 {
		surplus, by := 50+float64(i), 0.0
		switch i {
		case 0:
			surplus = 0
		case 11: // the sixth is the last that counts with the first
			by = -56
		}
		at := time.Duration(4+2*i) * time.Second
		b.report(at+time.Second, b.send(at, 10), b.used-surplus, by)
	}
}

// Once its cause is known, a surplus need hardly last.
func TestExplainedSurplus(t *testing.T) {
	for _, x := range []struct {
		until time.Duration
		by    float64
	}{{10 * time.Second, -50}, {5 * time.Second, 0}} {
		b := begun(t)
		b.g.explained = after(x.until)
		for i, at := range []time.Duration{4000, 4100, 4150} {
			by := 0.0
			if i == 2 {
				by = x.by
			}
			at *= time.Millisecond
			b.report(time.Duration(i)*explained/2+6*time.Second, b.send(at, 0), b.used-50-float64(i), by)
		}
	}
}

// A first surplus is no more than what its request may not have overtaken, and never a deficit.
func TestFirstSurplusBesideOthers(t *testing.T) {
	for _, x := range []struct{ server, by float64 }{{150, 0}, {101, 0}, {80, -20}} {
		b := newBench(t)
		b.g.See(after(-Overtaking), Level{})
		b.used, b.charged = 80, 80 // by others, a moment before
		b.report(time.Second, b.send(0, 100), x.server, x.by)
	}
}

// Reports of requests to a bucket that was lost still count for what they show, and no
// more.
func TestReportsOfALostBucket(t *testing.T) {
	const s = time.Second
	for _, x := range []struct{ diff, by float64 }{{50, 50}, {-50, -50}} {
		b := newBench(t)
		b.charged = 5000 // by others
		b.report(s, b.send(0, 100), 100, 0)
		first, second, third := b.send(2*s, 100), b.send(8*s, 100), b.send(14*s, 100)
		b.charged = 0
		b.send(15*s, 30)
		if x.diff < 0 {
			b.report(16*s, first, first.Used+x.diff, 0)
			b.report(22*s, second, second.Used+x.diff, 0)
		}
		b.report(28*s, third, third.Used+x.diff, x.by)
	}
}

func TestSurplusNeedsThreeAnswers(t *testing.T) {
	b := newBench(t)
	b.report(time.Second, b.send(0, 1000), 1000, 0)
	for i, by := range []float64{0, 0, -50} {
		at := time.Duration(2+12*i) * time.Second
		b.report(at+time.Second, b.send(at, 10), b.used-50-float64(i), by)
	}
}

func TestSurplusDoesNotLastThroughOthersCorrections(t *testing.T) {
	b := newBench(t)
	b.report(time.Second, b.send(0, 1000), 1000, 0)
	for i := range 6 {
		at := time.Duration(2+4*i) * time.Second
		b.corrected += 0.5 // others, or refill that a full bucket could not take
		b.used += 0.5
		b.report(at+time.Second, b.send(at, 10), b.used-50-float64(i), 0)
	}
}

// Of requests the server can't have counted fewer than we have sent.
func TestExactIsLowered(t *testing.T) {
	b := newBench(t)
	b.g.Exact = true
	b.report(time.Second, b.send(0, 100), 20, 0)
	b.report(3*time.Second, b.send(2*time.Second, 10), b.used+30, 30)
	for i, by := range []float64{0, 0, 0, -30, 0, 0, 0, 0} {
		at := time.Duration(4+4*i) * time.Second
		b.report(at+time.Second, b.send(at, 1), b.used-80-2*float64(i), by)
	}
}

func TestRepeatedFigureIsIgnored(t *testing.T) {
	b := newBench(t)
	b.report(time.Second, b.send(0, 100), limit, limit-100)
	for i := range 20 {
		at := time.Duration(2+i) * time.Second
		b.used -= 400 // it refills, the server says it does not
		b.report(at, b.send(at, 10), limit, 0)
	}
}

// Figures that come again in turn are those of calls that do, unless charges are exact.
func TestFiguresOfACycleAreBelieved(t *testing.T) {
	for _, exact := range []bool{false, true} {
		b := newBench(t)
		b.g.Exact = exact
		b.report(time.Second, b.send(0, 100), 100, 0)
		for i := range 5 {
			at := time.Duration(4*i) * time.Second
			by := 400.0
			if i == 1 || exact && i > 0 { // at first, one figure alone has come again
				by = 0
			}
			b.used = 100
			b.report(at+3*time.Second, b.send(at+2*time.Second, 100), 600, by)
			b.used = 300
			b.report(at+5*time.Second, b.send(at+4*time.Second, 100), 400, 0)
		}
	}
}

func TestLoneDeficitIsUndone(t *testing.T) {
	for _, x := range []struct {
		name string
		next float64 // beside what we believe
		by   float64
	}{{"denied", 0, -4000}, {"denied by a third", 2700, 0}, {"confirmed", 4010, 10}} {
		t.Run(x.name, func(t *testing.T) {
			b := newBench(t)
			b.report(time.Second, b.send(0, 100), 100, 0)
			s := b.send(3*time.Second, 100)
			later := b.send(4*time.Second, 100)
			b.report(5*time.Second, s, 4200, 4000)
			b.report(6*time.Second, later, 300+x.next, x.by)
		})
	}
}

// A bucket can't have emptied again and again.
func TestFiguresThatMakeNoSense(t *testing.T) {
	b := newBench(t)
	b.report(time.Second, b.send(0, 100), 100, 0)
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

func TestThrottle(t *testing.T) {
	b := newBench(t)
	b.report(time.Second, b.send(0, 100), 100, 0)
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

// What is not known before the first response says nothing about what may go wrong
// later.
func TestFirstAnswersLeaveNoMargin(t *testing.T) {
	b := newBench(t)
	first, second := b.send(0, 100), b.send(100*time.Millisecond, 100)
	b.report(time.Second, first, 9000, 8900)
	b.report(time.Second, second, 9100, 0)
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
		t.Errorf("%v before any response", m)
	}
	b.report(time.Second, b.send(0, 100), 100, 0)
	open := b.send(2*time.Second, 3000)
	if m := b.g.Margin(after(2 * time.Second)); math.Abs(m-0.005) > 1e-12 {
		t.Errorf("%v before anything went wrong", m)
	}
	b.report(3*time.Second, open, b.used+300, 300)
	const want = 1.25*0.03 + 0.005
	if m := b.g.Margin(after(3 * time.Second)); math.Abs(m-want) > 1e-6 {
		t.Errorf("%v after a deficit of 3 %%; want %v", m, want)
	}
	b.g.Period = 24 * time.Hour
	if m := b.g.Margin(after(3 * time.Second)); m > 1.25*0.03+1e-5 {
		t.Errorf("%v of a day", m)
	}
	b.g.Period = 10 * time.Second
	if m := b.g.Margin(after(3 * time.Second)); math.Abs(m-want) > 1e-6 {
		t.Errorf("%v of ten seconds; want %v", m, want)
	}
	var other Tracker
	other.Adopt(after(4*time.Second), b.g.Findings(), true)
	if x, y := other.Findings(), b.g.Findings(); x != y {
		t.Errorf("another process has adopted %+v of %+v", x, y)
	}
}

func TestRamp(t *testing.T) {
	var r Ramp
	if x := r.Rate(epoch, 1000); x != 0 {
		t.Errorf("%v without a throttle", x)
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
	if rate, none := r.Rate(after(-time.Hour), 1000), r.Rate(epoch, 100); rate != 100 || none != 0 {
		t.Errorf("%v before it began, %v of no more; want 100, 0", rate, none)
	}
	later := Ramp{50, after(time.Minute)}
	for _, other := range []Ramp{later, {70, epoch}, {70, later.Begun}} {
		if r.Adopt(other); r != later {
			t.Errorf("%v; want what began last", r)
		}
	}
}

// begun is a bench whose first response has agreed.
func begun(t *testing.T) *bench {
	b := newBench(t)
	b.report(time.Second, b.send(0, 100), 100, 0)
	return b
}

// others correct our bucket.
func (b *bench) others(by float64) {
	b.used += by
	b.corrected += by
}

// The first response after somebody else's correction may carry the same difference.
func TestFirstAnswerAfterOthersCorrection(t *testing.T) {
	for _, x := range []struct {
		name       string
		others     float64
		server, by float64
	}{
		{"a surplus, after others took one", -60, 20, 0},
		{"a surplus of ours alone", 0, 40, -60},
		{"a deficit beyond what others took", 60, 190, 30},
	} {
		t.Run(x.name, func(t *testing.T) {
			b := newBench(t)
			first := b.send(0, 100)
			b.others(x.others)
			b.send(100*time.Millisecond, 0)
			b.report(time.Second, first, x.server, x.by)
		})
	}
}

func TestOthersCorrectionIsCounted(t *testing.T) {
	b := begun(t)
	b.others(50)
	s := b.send(2*time.Second, 100)
	b.report(3*time.Second, s, b.used+30, 30)
}

// A difference counts towards the margin once it could have been known.
func TestMarginOfWhatWasKnown(t *testing.T) {
	for _, x := range []struct {
		name   string
		sent   time.Duration
		made   bool // the first correction, by then
		margin float64
	}{
		{"before it is made", 1500 * time.Millisecond, false, 0},
		{"as soon as it is made", 1500 * time.Millisecond, true, 0.03},
		{"when it must have been made", 2100 * time.Millisecond, false, 0.03},
	} {
		g := Tracker{Period: time.Minute}
		g.Observe(after(time.Second), g.Send(after(0), 100, Input{}, Level{Used: 100, Charged: 100, Corrected: 0}), 9000, limit)
		level := Level{Used: 200, Charged: 200, Corrected: 0}
		if x.made {
			level = Level{Used: 9100, Charged: 200, Corrected: 8900}
		}
		s := g.Send(after(x.sent), 100, Input{}, level)
		g.Observe(after(3*time.Second), s, level.Used+300, limit)
		if m := g.Findings().Margin; math.Abs(m-x.margin) > 1e-9 {
			t.Errorf("sent %s: %v; want %v", x.name, m, x.margin)
		}
	}
}

func TestGuessMayBeTakenOff(t *testing.T) {
	b := newBench(t)
	b.g.Exact = true
	b.g.Guess(50)
	b.report(time.Second, b.send(0, 100), 20, -50)
}

// What was lowered while charges were estimates is no debt once they are exact.
func TestExactLater(t *testing.T) {
	b := newBench(t)
	b.report(time.Second, b.send(0, 1000), 500, -500)
	b.g.Exact = true
	b.report(3*time.Second, b.send(2*time.Second, 10), b.used+30, 30)
	for i, by := range []float64{0, 0, 0, -30} {
		at := time.Duration(4+4*i) * time.Second
		b.report(at+time.Second, b.send(at, 1), b.used-80-2*float64(i), by)
	}
}

func TestForget(t *testing.T) {
	b := begun(t)
	b.report(5*time.Second, b.send(3*time.Second, 100), 4200, 4000) // alone
	b.g.Unused(after(6*time.Second), time.Time{}, 1000, limit)
	b.g.shortfall.raise(after(6*time.Second), 0.1)
	if b.g.Forget(); b.g.Reported() {
		t.Error("an response is remembered")
	}
	if m := b.g.Findings().Margin; m < 0.09 {
		t.Errorf("the margin is forgotten: %v", m)
	}
	if !b.g.unused.ended.IsZero() {
		t.Error("the end of a call still waits for an response")
	}
	b.report(8*time.Second, b.send(7*time.Second, 100), b.used-501, -501) // whole, as the first
	b.report(10*time.Second, b.send(9*time.Second, 100), b.used-3002, 0)  // denies nothing
}

// After a change of the limit nothing is known until the next report.
func TestForgetForgetsThatItWasKnown(t *testing.T) {
	b := begun(t)
	b.send(2*time.Second, 100)
	b.g.Forget()
	first, second := b.send(3*time.Second, 100), b.send(3100*time.Millisecond, 100)
	b.report(4*time.Second, first, first.Used+1000, 1000)
	b.report(4*time.Second, second, second.Used+1300, 300)
	if m := b.g.Findings().Margin; m != 0 {
		t.Errorf("a margin of %v", m)
	}
}

// A change of the limit is no swing.
func TestForgetForgetsWhereTheServerStood(t *testing.T) {
	b := newBench(t)
	for i := range 20 {
		at := time.Duration(10*i) * time.Second
		server := float64(100 + i + 6000*(i%2))
		for j := range 2 {
			at += time.Duration(j) * time.Second
			s := b.send(at, 1)
			c, _ := b.g.Observe(after(at), s, server+float64(j)/2, limit)
			b.others(c.To - c.From)
		}
		b.g.Forget()
	}
	if d := b.g.Ignored(after(200 * time.Second)); d != 0 {
		t.Errorf("ignored for %v", d)
	}
}

// Which deficit stands alone, and who may undo it.
func TestLoneDeficits(t *testing.T) {
	const s = time.Second
	t.Run("an earlier request", func(t *testing.T) {
		b := begun(t)
		earlier, lone := b.send(2*s, 100), b.send(3*s, 100)
		b.report(4*s, lone, 4300, 4000)
		b.report(5*s, earlier, 150, 0) // was sent before it
		if m := b.g.Findings().Margin; m != 0 {
			t.Errorf("a margin of %v before it is confirmed", m)
		}
		b.report(7*s, b.send(6*s, 100), 351, -4000)
	})
	t.Run("an earlier deficit", func(t *testing.T) {
		b := begun(t)
		earlier, lone := b.send(2*s, 100), b.send(3*s, 100)
		b.report(4*s, lone, 4300, 4000)
		b.report(5*s, earlier, 5201, 1001)
		if m := b.g.Findings().Margin; m != 0 {
			t.Errorf("a margin of %v before it is confirmed", m)
		}
		b.report(7*s, b.send(6*s, 100), b.used-4500, -4000)
	})
	t.Run("as large as those before", func(t *testing.T) {
		b := begun(t)
		b.g.shortfall.raise(after(s), 0.45)
		b.report(4*s, b.send(3*s, 100), 4200, 4000)
		b.report(6*s, b.send(5*s, 100), b.used-4001, 0)
	})
}

func TestDistrustUndoesDeficits(t *testing.T) {
	b := begun(t)
	server := 100.0
	for i := 0; b.g.Ignored(after(time.Duration(i)*time.Second)) == 0; i++ {
		if i == 100 {
			t.Fatal("trusted for ever")
		}
		at := time.Duration(2+i) * time.Second
		server = float64(100 + i + 6000*(i%2))
		c, _ := b.g.Observe(after(at), b.send(at, 1), server, limit)
		b.others(c.To - c.From)
	}
	if b.g.suspect != (deficit{}) {
		t.Errorf("%+v may be undone once more", b.g.suspect)
	}
	if math.Abs(b.corrected) > 100 {
		t.Errorf("corrected by %v", b.corrected)
	}
}

func TestThrottledFirst(t *testing.T) {
	b := newBench(t)
	s := b.send(0, 100)
	b.apply(time.Second, 500, func() (Correction, bool) {
		return b.g.Throttled(after(time.Second), s, 500, 100, limit)
	})
	if m := b.g.Margin(after(time.Second)); m != 0.005 {
		t.Errorf("a margin of %v; want that of a bucket which is known", m)
	}
	b.report(3*time.Second, b.send(2*time.Second, 100), b.used-401, 0) // is not the first
}

// By what part of the limit a refused request would have had to wait.
func TestMarginOfAThrottle(t *testing.T) {
	b := begun(t)
	s := b.send(2*time.Second, 100)
	b.g.Throttled(after(3*time.Second), s, 500, 100, limit)
	if m := b.g.Findings().Margin; math.Abs(m-0.04) > 1e-9 {
		t.Errorf("%v; want 0.04", m)
	}
}

func TestNothingReported(t *testing.T) {
	b := newBench(t)
	if b.g.Reported() || b.g.Ignored(epoch) != 0 {
		t.Error("something was reported")
	}
	b.report(time.Second, b.send(0, 100), 100, 0)
	if !b.g.Reported() {
		t.Error("nothing was reported")
	}
	b.report(5*time.Second, b.send(3*time.Second, 100), 4200, 4000)
	b.report(7*time.Second, b.send(6*time.Second, 100), 0, -4000) // an empty bucket is news
}

// The newest request counts, not the newest response.
func TestNewest(t *testing.T) {
	b := begun(t)
	older, newer := b.send(2*time.Second, 100), b.send(3*time.Second, 100)
	b.report(4*time.Second, newer, b.used, 0)
	b.report(5*time.Second, older, b.used-101, 0)
	if at := b.g.newest.At; at != newer.At {
		t.Errorf("%v; want %v", at, newer.At)
	}
}

func TestForgetForgetsASurplus(t *testing.T) {
	b := begun(t)
	b.report(5*time.Second, b.send(4*time.Second, 1000), b.used-50, 0)
	b.report(9*time.Second, b.send(8*time.Second, 10), b.used-51, 0)
	b.g.Forget()
	b.report(11*time.Second, b.send(10*time.Second, 10), b.used, 0)
	b.report(17*time.Second, b.send(16*time.Second, 10), b.used-52, 0)
}

// After a pause nobody can know where the server's bucket stands: a deficit is corrected
// then, but raises no margin until a moment after.
func TestDoubt(t *testing.T) {
	for _, x := range []struct {
		name   string
		doubt  bool
		sent   time.Duration // after the pause's end
		margin float64
	}{
		{"a deficit without doubt", false, 0, 0.03},
		{"right after", true, 0, 0},
		{"a second after", true, surelyApplied, 0},
		{"later", true, surelyApplied + 1, 0.03},
	} {
		b := begun(t)
		b.send(3*time.Second, 0)
		const end = 60 * time.Second
		if x.doubt {
			b.g.Doubt(after(end))
		}
		b.report(end+x.sent+time.Second, b.send(end+x.sent, 100), b.used+300, 300)
		if m := b.g.Findings().Margin; math.Abs(m-x.margin) > 1e-9 {
			t.Errorf("%s: a margin of %v; want %v", x.name, m, x.margin)
		}
		if !b.g.Reported() {
			t.Errorf("%s: nothing is reported any more", x.name)
		}
	}
	b := newBench(t) // before any report there is nothing to doubt
	b.g.Doubt(after(0))
	b.report(time.Second, b.send(0, 100), 50, -50)
}

// What of a correction is about charges: not the first, and of what was refunded of unused
// output only what is more than that, until it is known what becomes of it.
func TestChargesOfACorrection(t *testing.T) {
	g := Tracker{reports: 1}
	for i, x := range []struct {
		reports, votes                    int
		refunded, unused, charged, by, is float64 // of the charged 500 are our own in all
	}{
		{1, 0, 1000, 800, 100, 300, 0},
		{2, 0, 1050, 850, 600, 300, 250},
		{3, 0, 1150, 950, 600, 30, 0},
		{4, 0, 1150, 950, 600, 100, 30}, // of the 100 that were refunded 70 are left
		{5, 0, 1150, 950, 600, -100, 0},
		{6, 0, 1100, 900, 600, 50, 50},
		{7, 0, 1650, 1150, 600, 250, 50},   // the rest of the refunds was of throttled calls
		{8, 0, 1750, 1200, 1100, 600, 200}, // others' calls, too, have left as much unused
		{9, verdicts, 2000, 1300, 1100, 100, 100},
		{10, verdicts, 2000, 1300, 1100, -100, -100},
		{11, -verdicts, 2000, 1300, 1100, 100, 100},
	} {
		g.reports, g.unused.votes = x.reports, x.votes
		sent := Sent{Level: Level{Charged: x.charged}, refunded: x.refunded, unused: x.unused, own: min(x.charged, 600)}
		if got := g.Charges(sent, x.by); got != x.is {
			t.Errorf("%d: %v of %v; want %v", i, got, x.by, x.is)
		}
	}
}

// What others were charged while a backend was slow to answer is no deficit that a throttle shows.
func TestThrottleAfterASlowAnswer(t *testing.T) {
	for _, x := range []struct {
		age    time.Duration
		want   float64
		margin bool
	}{{0, 500, true}, {slow, 500, true}, {200 * time.Millisecond, 0, false}} {
		b := begun(t)
		b.report(2*time.Second, b.send(2*time.Second, 100), b.used, 0) // it could have followed
		b.charged, b.used = b.charged+100, b.used+100
		level := Level{Used: b.used, Charged: b.charged, Corrected: b.corrected, Age: x.age}
		s := b.g.Send(after(3*time.Second), 100, Input{}, level)
		b.charged, b.used = b.charged+400, b.used+400 // by others, before it was sent
		b.send(3*time.Second, 100)
		before := b.g.Findings().Margin
		c, _ := b.g.Throttled(after(3*time.Second+60*time.Millisecond), s, s.Used+400, 100, limit)
		if got := c.To - c.From; math.Abs(got-x.want) > 1 {
			t.Errorf("%v: corrected by %v", x.age, got)
		}
		if raised := b.g.Findings().Margin-before > 0.03; raised != x.margin {
			t.Errorf("%v: a margin of %v", x.age, b.g.Findings().Margin)
		}
	}
}

// What others were charged while a backend was slow to answer may have overtaken a request.
func TestOvertakenAfterASlowAnswer(t *testing.T) {
	for _, x := range []struct {
		age  time.Duration
		want float64
	}{{0, 0}, {400 * time.Millisecond, 500}} {
		b := begun(t)
		b.send(time.Second, 100)
		b.charged, b.used = b.charged+100, b.used+100
		level := Level{Used: b.used, Charged: b.charged, Age: x.age}
		b.charged, b.used = b.charged+400, b.used+400
		b.send(1900*time.Millisecond, 100)
		s := b.g.Send(after(2*time.Second), 100, Input{}, level)
		if got := b.g.overtaken(s); math.Abs(got-x.want) > 1 {
			t.Errorf("%v: %v", x.age, got)
		}
	}
}

// Of calls that start together the network makes any the first: the first report shows what
// it has overtaken as a surplus that there is not.
func TestFirstReportMayHaveOvertaken(t *testing.T) {
	const s = time.Second
	t.Run("what was sent together", func(t *testing.T) {
		b := newBench(t)
		first, second, third := b.send(0, 100), b.send(0, 100), b.send(10*time.Millisecond, 100)
		b.report(s, third, 100, 0)
		b.report(s, first, 200, 0)
		b.report(s, second, 300, 0)
	})
	t.Run("and more than that", func(t *testing.T) {
		b := newBench(t)
		b.send(0, 1000)
		b.send(s, 100)
		b.report(2*s, b.send(s+100*time.Millisecond, 100), 300, -800)
	})
	t.Run("what others have sent, of whom nothing is known", func(t *testing.T) {
		b := newBench(t)
		b.used, b.charged = 300, 300
		b.report(s, b.send(0, 100), 100, 0)
	})
	t.Run("nothing, though the backend's answers overtake each other", func(t *testing.T) {
		b := newBench(t)
		b.send(0, 100)
		b.send(s, 1000)
		b.charged -= 500
		b.report(3*s, b.send(s+300*time.Millisecond, 100), 1100, -100)
	})
}

// A suspect deficit is not undone by a request that has overtaken others.
func TestSuspectDeficitSurvivesWhatIsOvertaken(t *testing.T) {
	const s = time.Second
	for _, x := range []struct{ overtaken, by float64 }{{2000, 0}, {1900, -4000}} {
		b := begun(t)
		b.report(4*s, b.send(3*s, 100), 4200, 4000)
		b.send(5*s, x.overtaken)
		// Half of the deficit would undo it.
		r := b.send(5*s+100*time.Millisecond, 100)
		b.report(6*s, r, r.Used-3950, x.by)
	}
}

func TestNearest(t *testing.T) {
	g := Tracker{Period: time.Minute}
	sent := g.Send(epoch, 100, Input{}, Level{Used: 1000, Charged: 100, Corrected: 50})
	g.Observe(epoch, sent, 1200, 10_000) // corrects by 200
	for _, x := range []struct{ least, most, want float64 }{
		{0, 500, 500}, {500, 1500, 1200}, {1200, 1200, 1200}, {1500, 2500, 1500},
	} {
		if got := g.Nearest(sent, x.least, x.most); got != x.want {
			t.Errorf("between %v and %v: %v; want %v", x.least, x.most, got, x.want)
		}
	}
}

// The figure of a server that lies now and then is repeated more often than any that has come
// again by chance.
func TestLieIsRepeatedMostOften(t *testing.T) {
	var r repeats
	for i := range 30 {
		x := float64(i)
		switch {
		case i%3 == 0:
			x = -1
		case i == 20:
			x = 10
		}
		r.add(x, false)
	}
	if r.add(10, false) || !r.add(-1, false) || r.add(99, false) {
		t.Errorf("the lie is believed, or another figure is not: %v", r.last)
	}
}

// A throttle shows what refills, and is compared with our bucket as it was corrected since.
func TestThrottleAfterACorrection(t *testing.T) {
	b := newBench(t)
	b.used, b.corrected = 500, 100
	s := b.send(0, 50)
	b.g.corrected = 170 // by others, meanwhile
	c, changed := b.g.Throttled(after(time.Second), s, 700, 50, limit)
	if got := c.To - c.From; !changed || got != 700+50-(550+170-100) || c.From != 170 || b.g.flow.rate != limit/60. {
		t.Errorf("corrected from %v by %v, at a rate of %v", c.From, got, b.g.flow.rate)
	}
	if b.g.asked != (Correction{170, 300}) {
		t.Errorf("it has asked for %+v", b.g.asked)
	}
}

// While a backend was slow to answer, others may have charged what it does not say.
func TestMissedWhileSlow(t *testing.T) {
	b := newBench(t)
	b.send(0, 10)
	b.charged += 500 // by others
	s := b.send(100*time.Millisecond, 20)
	for age, want := range map[time.Duration]float64{0: 0, slow: 0, slow + time.Millisecond: 350, 100 * time.Millisecond: 510} {
		s.Age = age
		if got := b.g.missed(s); math.Abs(got-want) > 1e-9 {
			t.Errorf("of an answer after %v: %v; want %v", age, got, want)
		}
	}
}
