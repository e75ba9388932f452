package calibration

import (
	"math"
	"testing"
	"time"
)

// refilled lets our bucket refill for a duration.
func (b *bench) refilled(d time.Duration) { b.used -= limit / 60.0 * d.Seconds() }

// While more is spent than refills, by many times, more is left unused.
func TestMarginGrowsWithRush(t *testing.T) {
	const step, cost = 10 * time.Millisecond, limit / 60.0 / 10
	for _, x := range []struct {
		name    string
		happens func(b *bench, i int, at time.Duration) // a hundred times in a second
		period  time.Duration                           // where not a minute
		want    float64                                 // times the least margin
	}{
		{"ten times what refills", func(b *bench, _ int, at time.Duration) { b.send(at, cost) }, 0, 10},
		{"five times, by others", func(b *bench, _ int, at time.Duration) {
			b.used, b.charged = b.used+cost/2, b.charged+cost/2
			b.g.See(after(at), Level{Used: b.used, Charged: b.charged, Corrected: b.corrected})
		}, 0, 5},
		{"ten times, of which a half is refunded", func(b *bench, _ int, at time.Duration) {
			b.send(at, cost)
			b.used -= cost / 2
		}, 0, 5},
		{"corrections are not spent", func(b *bench, _ int, at time.Duration) {
			b.others(cost)
			b.send(at, cost/2)
		}, 0, 5},
		{"what refills", func(b *bench, _ int, at time.Duration) { b.send(at, cost/10) }, 0, 1},
		{"the largest call apart", func(b *bench, i int, at time.Duration) {
			if i == 50 {
				b.send(at, 100*cost)
				return
			}
			b.send(at, cost/10)
		}, 0, 1},
		{"a day's limit as if it were a minute's", func(b *bench, _ int, at time.Duration) { b.send(at, cost) }, 24 * time.Hour, 10},
		{"and more than that", func(b *bench, _ int, at time.Duration) { b.send(at, 10*cost) }, 24 * time.Hour, 100},
	} {
		b := newBench(t)
		if x.period > 0 {
			b.g.Period = x.period
		}
		b.g.unused.votes = -verdicts // refunds are given back
		b.report(time.Second, b.send(0, 100), 100, 0)
		b.send(1900*time.Millisecond, 0)
		for i := range 100 {
			if x.period == 0 {
				b.refilled(step)
			}
			x.happens(b, i, 2*time.Second+time.Duration(i)*step)
		}
		calm := b.g.CalmMargin(after(3 * time.Second))
		if least := leastMargin * min(1, 60/b.g.Period.Seconds()); calm != least {
			t.Errorf("%s: %v while calm; want %v", x.name, calm, least)
		}
		if got := b.g.Margin(after(3*time.Second)) / calm; math.Abs(got-x.want) > 0.05*x.want {
			t.Errorf("%s: %v times the calm margin; want %v", x.name, got, x.want)
		}
		if m := b.g.Margin(after(5 * time.Second)); m != calm {
			t.Errorf("%s: %v two seconds later; want %v", x.name, m, calm)
		}
	}
}

// A correction that refills is not spent, also where the bucket was full before.
func TestCorrectionOfAFullBucketIsNotSpent(t *testing.T) {
	f := flow{rate: 10}
	before := f.see(epoch, 0, Level{Charged: 500})
	if got := f.see(after(time.Minute), 0, Level{Charged: 500, Corrected: 100}) - before; got != 0 {
		t.Errorf("%v are spent", got)
	}
}

// What was wrong in a rush counts as much less towards the margin, which grows with the
// rush again; and however large the rush, half of a limit may be used.
func TestShortfallsInARush(t *testing.T) {
	b := newBench(t)
	b.report(time.Second, b.send(0, 100), 100, 0)
	b.send(1900*time.Millisecond, 0)
	var last Sent
	for i := range 100 {
		b.refilled(10 * time.Millisecond)
		last = b.send(2*time.Second+time.Duration(i)*10*time.Millisecond, limit/60.0/10)
	}
	b.report(3*time.Second, last, b.used+300, 300)
	if m := b.g.Findings().Margin; math.Abs(m-0.003) > 0.0003 {
		t.Errorf("a shortfall of %v; want a tenth of 3 %%", m)
	}
	b.g.Throttled(after(3*time.Second), last, b.used+500-100, 100, limit)
	if m := b.g.Findings().Margin; math.Abs(m-0.008) > 0.0008 {
		t.Errorf("a shortfall of %v; want a tenth of 8 %%", m)
	}
	b.g.shortfall.set(after(3*time.Second), 0.2)
	if m := b.g.Margin(after(3 * time.Second)); m != mostMargin {
		t.Errorf("a margin of %v", m)
	}
}

// The largest call is that of the last second.
func TestLargestCallOfAMoment(t *testing.T) {
	var f flow
	for _, x := range []struct {
		at         time.Duration
		cost, want float64
	}{
		{0, 10, 10}, {time.Second, 9, 10}, {time.Second, 11, 11}, {2 * time.Second, 5, 11},
		{2*time.Second + 1, 4, 4}, {3*time.Second + 1, 4, 4}, {4*time.Second + 1, 3, 4},
	} {
		if f.send(after(x.at), x.cost); f.largest.amount != x.want {
			t.Errorf("at %v: %v; want %v", x.at, f.largest.amount, x.want)
		}
	}
}

// Time goes on as the latest ask has it, in whatever order the answers come.
func TestFlowOfAnswersOutOfOrder(t *testing.T) {
	f := flow{rate: 10}
	for _, at := range []time.Duration{0, 10 * time.Second, 9 * time.Second, 5 * time.Second, 20 * time.Second} {
		f.see(after(at), 0, Level{Used: 10_000, Charged: 10_000})
	}
	if f.refilled != 200 || f.lost != 0 {
		t.Errorf("%v refilled and %v lost in 20 s; want 200 and 0", f.refilled, f.lost)
	}
}

// Where charges are exact, a few calls as large as the largest are no rush, and only what is spent
// beyond them, and is not reported, is of more.
func TestFewExactCallsAreNoRush(t *testing.T) {
	const even = 1.01 // what refills in the span that is looked at
	for _, x := range []struct {
		exact    bool
		calls    int
		reported int
		want     float64
	}{
		{true, fewCalls + 1, 0, 1},
		{true, fewCalls + 2, 0, 10 / even},
		{true, 3 * fewCalls, 0, (2*fewCalls - 1) * 10 / even},
		{true, 3 * fewCalls, 3*fewCalls - 2, 20 / even},
		{true, 3 * fewCalls, 3 * fewCalls, 1},
		{false, fewCalls, 0, (fewCalls - 1) * 10 / even},
		{false, fewCalls, fewCalls, (fewCalls - 1) * 10 / even},
	} {
		b := newBench(t)
		b.g.Exact = x.exact
		b.g.flow.rate = 1
		b.send(0, 0)
		for i := range x.calls {
			s := b.send(time.Second+time.Duration(i)*time.Millisecond, 10)
			if i+1 == x.reported {
				b.g.newest.Sent = s
			}
		}
		if got := b.g.rush(after(1100 * time.Millisecond)); math.Abs(got-x.want) > 0.1*x.want {
			t.Errorf("%+v: a rush of %v", x, got)
		}
	}
}
