package calibration

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A stream is calls to a server that charges their input by another ratio than we count it.
type stream struct {
	ratio   float64       // of the server's charge to our count
	keeps   bool          // the server keeps unused output
	foreign float64       // what others use in a second
	every   time.Duration // between calls
	bursts  int           // of so many calls, and pauses as long as they; 0 for none
	stood   float64       // of both buckets, in the beginning
	ahead   float64       // of ours, beside that
	calls   int
	noise   float64 // of reports, as requests overtake each other
}

const (
	wide     = 2_400_000 // a minute
	wideRate = wide / 60.
)

// play sends the stream, and returns the tracker that has followed it.
func (s *stream) play() *Tracker {
	g := &Tracker{Period: time.Minute}
	ours, server, charged, corrected := s.stood+s.ahead, s.stood, s.stood+s.ahead, 0.0
	at, random := time.Duration(0), rand.New(rand.NewPCG(1, 2))
	for i := range s.calls {
		step := s.every
		if s.bursts > 0 && i%s.bursts == 0 {
			step += s.every * time.Duration(s.bursts)
		}
		at += step
		if ours -= wideRate * step.Seconds(); ours < 0 {
			ours, corrected = 0, corrected-ours
		}
		server = max(0, server+(s.foreign-wideRate)*step.Seconds())
		counted, output := 400+float64(i*i%7)*200, 200+float64(i%3)*100
		input := counted * g.InputRatio()
		ours, charged = ours+input+output, charged+input+output
		server += counted*s.ratio + output
		sent := g.Send(after(at), input+output, Input{input, counted}, Level{Used: ours, Charged: charged, Corrected: corrected})
		c, _ := g.Observe(after(at+50*time.Millisecond), sent, server+s.noise*(2*random.Float64()-1), wide)
		ours, corrected = ours+c.To-c.From, corrected+c.To-c.From
		unused := output / 2
		if !g.Unused(after(at+50*time.Millisecond), time.Time{}, unused, wide) {
			ours -= unused
		}
		if !s.keeps {
			server -= unused
		}
	}
	return g
}

func TestInputChargeFromDrift(t *testing.T) {
	const fast = 10 * time.Millisecond
	for _, x := range []struct {
		name string
		stream
		want, off float64
	}{
		{"as counted", stream{ratio: 1, every: fast, calls: 1000}, 1, 0},
		{"less", stream{ratio: 0.67, every: fast, calls: 1000}, 0.67, 0.03},
		{"more", stream{ratio: 1.3, every: fast, calls: 1000}, 1.3, 0.03},
		{"less, unused output kept", stream{ratio: 0.67, keeps: true, every: fast, calls: 1000}, 0.67, 0.03},
		{"more, unused output kept", stream{ratio: 1.3, keeps: true, every: fast, calls: 1000}, 1.3, 0.03},
		{"others use an eighth", stream{ratio: 1, foreign: wideRate / 8, every: fast, calls: 1000}, 1, 0},
		{"others use a third, less", stream{ratio: 0.67, foreign: wideRate / 3, every: fast, bursts: 50, calls: 2000}, 0.67, 0.03},
		// Calls and time go together: only that nobody uses less than nothing can tell.
		{"at the limit's pace, less", stream{ratio: 0.85, every: 28 * time.Millisecond, stood: wide / 2, calls: 3000, noise: 2000}, 0.85, 0.05},
		{"less, with noise", stream{ratio: 0.67, every: fast, calls: 1500, stood: wide / 10, noise: 10_000}, 0.67, 0.05},
		{"too little to notice", stream{ratio: 1.05, every: fast, calls: 1000}, 1, 0},
	} {
		g := x.play()
		if got := g.InputRatio(); math.Abs(got-x.want) > x.off+1e-9 {
			t.Errorf("%s: %.3f; want %.3f", x.name, got, x.want)
		}
		if x.keeps != g.Findings().Kept {
			t.Errorf("%s: unused output is kept: %v", x.name, !x.keeps)
		}
	}
}

// What a bucket that was empty did not take is no ratio.
func TestEmptyBucketIsNoRatio(t *testing.T) {
	s := stream{ratio: 1, every: 10 * time.Millisecond, bursts: 20, ahead: wide / 2, calls: 3000}
	if got := s.play().InputRatio(); got != 1 {
		t.Errorf("%.3f", got)
	}
	for _, x := range []struct {
		name     string
		after    time.Duration
		used     float64       // as the report says
		refunded float64       // between the reports
		ended    time.Duration // when a call of ours has left 350 unused
		n, in    float64
	}{
		{name: "before it could empty", after: 349 * time.Millisecond, used: 600, n: 2, in: 2},
		{name: "at once", used: 600, n: 2, in: 2},
		{name: "after it could", after: 350 * time.Millisecond, used: 600, n: 2, in: 1},
		{name: "overtaken", after: -time.Second, used: 1251, n: 2, in: 2},
		{name: "overtaken, and empty since", after: -time.Second, used: 1250, n: 1, in: 1},
		{name: "after others' refunds", used: 600, refunded: 350, n: 2, in: 1},
		{name: "after few of them", used: 600, refunded: 349, n: 2, in: 2},
		{name: "after an end of ours", used: 600, ended: Overtaking, n: 2, in: 1},
		{name: "before an end of ours", used: 600, ended: Overtaking + slotWidth, n: 2, in: 2},
	} {
		one := drift{regression: regression{n: 1, in: 1, of: 1}}
		c := charge{since: epoch, drift: one, all: one, found: found{reading: reading{slope: 1}}, latest: report{Sent{At: epoch}, 600}}
		u := unused{votes: verdicts}
		if x.ended > 0 {
			u.end(after(x.ended), time.Time{}, 350, limit, report{})
		}
		c.report(epoch, &report{Sent{At: after(x.after), refunded: x.refunded}, x.used}, 1000, &u)
		if c.drift.n != x.n || c.drift.in != x.in || c.all != c.drift {
			t.Errorf("%s: %v reports, %v of them in the last segment; want %v and %v", x.name, c.drift.n, c.drift.in, x.n, x.in)
		}
		if want := after(max(0, x.after)); c.latest.At != want {
			t.Errorf("%s: the latest of %v; want %v", x.name, c.latest.At, want)
		}
	}
}

// Others charge by the old ratio for a while, which is no second ratio.
func TestNoDriftUntilOthersKnow(t *testing.T) {
	for _, x := range []struct {
		after time.Duration
		n     float64
	}{{drained - 1, 0}, {drained, 1}} {
		c := charge{ratio: 0.67, at: epoch}
		c.report(after(x.after), &report{Sent{At: after(x.after)}, 1000}, 1000, &unused{votes: verdicts})
		if c.drift.n != x.n {
			t.Errorf("%v reports after %v", c.drift.n, x.after)
		}
	}
}

// A report of less than the call alone was charged bounds what the server charges, whatever
// it was charged by.
func TestInputChargeIsBounded(t *testing.T) {
	bound := func(c *charge, server, charged, counted float64) bool {
		return c.bound(epoch, &report{Sent{Cost: charged + 200, input: Input{charged, counted}}, server})
	}
	for _, x := range []struct {
		name             string
		charged, counted float64
		server           float64
		want             float64
	}{
		{"less", 1000, 1000, 900, 0.7},
		{"charged by another ratio", 1300, 1000, 900, 0.7},
		{"no less than it was charged", 600, 1000, 900, 1},
		{"a guess", 1000, 0, 900, 1},
		{"a small prompt", 499, 499, 400, 1},
		{"too little to notice", 1000, 1000, 1121, 1},
		{"absurd", 1000, 1000, 400, 1},
	} {
		var c charge
		for i := range fewBounds {
			if bound(&c, x.server+float64(i), x.charged, x.counted) != (x.want != 1 && i == fewBounds-1) {
				t.Errorf("%s: the %d. bound", x.name, i+1)
			}
		}
		if got := c.Ratio(); math.Abs(got-x.want) > 1e-9 {
			t.Errorf("%s: %v; want %v", x.name, got, x.want)
		}
	}
}

// A request beside which hardly anything was used shows its own charge.
func TestLoneRequestsShowTheirCharge(t *testing.T) {
	for _, x := range []struct {
		name           string
		others, behind float64 // used beside it, and sent soon after it
		counted        float64
		server         []float64
		want           float64
	}{
		{"less", 0, 0, 1000, []float64{900, 900}, 0.7},
		{"more", 0, 0, 1000, []float64{1500, 1500}, 1.3},
		{"one call", 0, 0, 1000, []float64{900}, 1},
		{"hardly anything beside it", 24, 0, 1000, []float64{900, 900}, 0.7},
		{"something beside it", 25, 0, 1000, []float64{1500, 1500}, 1},
		{"something that may have overtaken it", 0, 25, 1000, []float64{1500, 1500}, 1},
		{"a small prompt", 0, 0, 499, []float64{450, 450}, 1},
		{"too little to notice", 0, 0, 1000, []float64{1279, 1279, 1279, 1279, 1279, 1279, 1279, 1279, 1279}, 1},
		{"chance", 0, 0, 1000, []float64{1300, 1300, 1090, 1100, 1300, 1100, 1110, 1300}, 1},
		{"two that are not much more", 0, 0, 1000, []float64{1360, 1360}, 1},
		{"half of the last sixteen", 0, 0, 1000, append(slices.Repeat([]float64{1200}, 8), slices.Repeat([]float64{1500}, 8)...), 1},
	} {
		var c charge
		for _, server := range x.server {
			r := report{Sent{Cost: x.counted + 200, input: Input{x.counted, x.counted}, Level: Level{Used: x.counted + 200 + x.others}}, server}
			c.alone(epoch, &r, x.behind)
		}
		if got := c.Ratio(); math.Abs(got-x.want) > 1e-9 {
			t.Errorf("%s: %v; want %v", x.name, got, x.want)
		}
	}
}

// What went just before a request has refilled in our bucket, but may be in the server's yet.
func TestRequestsInARowAreNotAlone(t *testing.T) {
	for passed, want := range map[float64]float64{24: 1.3, 25: 1} {
		var c charge
		for range 2 {
			c.alone(epoch, &report{Sent{Cost: 1200, input: Input{1000, 1000}, Level: Level{Used: 1200}, passed: passed}, 1500}, 0)
		}
		if got := c.Ratio(); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v before it: %v; want %v", passed, got, want)
		}
	}
}

// A tracker takes samples of the reports that show a lone request, where nothing may have
// overtaken it.
func TestTrackerHearsLoneRequests(t *testing.T) {
	for _, behind := range []float64{0, 1000} {
		b := newBench(t)
		for i := range 3 {
			at := time.Duration(i) * 10 * time.Second
			b.used, b.charged = 1000, b.charged+1000 // all that was before has refilled
			s := b.g.Send(after(at), 1000, Input{900, 900}, Level{Used: b.used, Charged: b.charged, Corrected: b.corrected})
			if behind > 0 {
				b.send(at+time.Millisecond, behind)
			}
			b.g.Observe(after(at+time.Second), s, 1000+0.3*900+behind+float64(i), limit)
		}
		if got, want := b.g.InputRatio() > 1.2, behind == 0; got != want {
			t.Errorf("with %v behind it: %v", behind, b.g.InputRatio())
		}
	}
}

// Where there are samples, a bound that is near them is one more, and others say nothing.
func TestSamplesAreWorthMoreThanBounds(t *testing.T) {
	for _, x := range []struct{ sample, most, want float64 }{
		{1, 0.7, 1}, {0.7, 0.7, 0.7}, {0.7, 0.779, 0.7395}, {0.7, 0.781, 1}, {0.7, 0.61, 1},
	} {
		var c charge
		c.sample(epoch, x.sample)
		for range 2 * fewBounds {
			if c.bound(epoch, &report{Sent{Cost: 1200, input: Input{1000, 1000}}, 200 + 1000*x.most}) {
				break
			}
		}
		if math.Abs(c.Ratio()-x.want) > 1e-9 {
			t.Errorf("a sample of %v and bounds of %v: %v; want %v", x.sample, x.most, c.Ratio(), x.want)
		}
	}
}

// A drift counts when the next one agrees, and only beyond what refunds may be off.
func TestDriftsMustAgree(t *testing.T) {
	for _, x := range []struct {
		name    string
		ratios  []float64 // of each drift
		refunds float64   // for each token of input
		want    float64
		calm    int // spans before that have shown nothing
	}{
		{"one", []float64{0.7}, 0, 1, 0},
		{"a small one", []float64{0.91}, 0, 1, 0},
		{"two", []float64{0.7, 0.7}, 0, 0.7, 0},
		{"two that are far apart", []float64{0.7, 1.3}, 0, 1, 0},
		{"with refunds of twice the input", []float64{0.7, 0.7}, 2, 0.7, 0},
		{"with refunds of ten times the input", []float64{0.7, 0.7}, 10, 1, 0},
		{"two, soon", []float64{0.7, 0.7}, 0, 0.7, 3},
		{"two, after long", []float64{0.7, 0.7}, 0, 1, 4},
		{"three, after long", []float64{0.7, 0.7, 0.7}, 0, 0.7, 4},
		{"three, of which the first agrees with none", []float64{1.3, 0.7, 0.7}, 0, 1, 4},
	} {
		var c charge
		for k, ratio := range append(slices.Repeat([]float64{1}, x.calm), x.ratios...) {
			for i := range fewDrifts {
				n := float64(i)
				inputs := 1000*n + 3000*math.Sin(n/2)
				r := report{Sent{At: after(time.Duration(k)*(driftSpan+time.Second) + time.Duration(i)*time.Millisecond), inputs: inputs, refunded: x.refunds * (1000*n + 3000*math.Sin(n))}, 1e9}
				r.Used = 1e9 - (ratio-1)*inputs
				c.report(r.At, &r, 1, &unused{votes: -verdicts})
			}
		}
		if got := c.Ratio(); math.Abs(got-x.want) > 0.01 {
			t.Errorf("%s: %v; want %v", x.name, got, x.want)
		}
	}
}

// Late reports confirm that the server charges more, where they explain most of how far they are
// off; less, or what nothing has found, they do not.
func TestLateReportsConfirm(t *testing.T) {
	const half = fewDrifts / 2
	for _, x := range []struct {
		name        string
		found, late float64 // the ratio of a drift in order, and of the late reports after it
		inOrder, n  int     // reports in order among the n after it
		then        float64 // the ratio of another drift in order, if there is one
		noise       float64 // of late reports
		want        float64
	}{
		{name: "more", found: 1.3, late: 1.3, n: fewDrifts, want: 1.3},
		{name: "too few", found: 1.3, late: 1.3, n: fewDrifts - 1, want: 1},
		{name: "half of them late", found: 1.3, late: 1.3, inOrder: half, n: fewDrifts, want: 1.3},
		{name: "less", found: 0.7, late: 0.7, n: fewDrifts, want: 1},
		{name: "another ratio", found: 1.3, late: 1.6, n: fewDrifts, want: 1},
		{name: "less than more was found", found: 1.3, late: 0.7, n: fewDrifts, want: 1},
		{name: "less than more was found, which more confirms then", found: 1.3, late: 0.7, n: fewDrifts, then: 1.3, want: 1.3},
		{name: "more than less was found, which less confirms then", found: 0.7, late: 1.3, n: fewDrifts, then: 0.7, want: 0.7},
		{name: "nothing found", found: 1, late: 1.3, n: 2 * fewDrifts, want: 1},
		{name: "a little off", found: 1.3, late: 1.3, n: fewDrifts, noise: 1500, want: 1.3},
		{name: "off as much as the slope explains", found: 1.3, late: 1.3, n: fewDrifts, noise: 3000, want: 1},
	} {
		var c charge
		u := unused{votes: -verdicts}
		send := func(i int, ratio, noise float64) report {
			n := float64(i % fewDrifts)
			inputs := 1000*n + 3000*math.Sin(n/2)
			r := report{Sent{At: after(time.Duration(i) * time.Millisecond), inputs: inputs}, 1e9}
			r.Used = 1e9 - (ratio-1)*inputs + noise*float64(i%2*2-1)
			return r
		}
		for i := range fewDrifts {
			r := send(i, x.found, 0)
			c.report(r.At, &r, 1, &u)
		}
		for i := range x.n {
			if r := send(i, x.late, x.noise); i < x.n-x.inOrder {
				c.late(after(time.Second), &r, 1, &u)
			} else {
				c.report(after(time.Second), &r, 1, &u)
			}
		}
		for i := range fewDrifts {
			if r := send(i, x.then, 0); x.then != 0 {
				c.report(after(time.Second), &r, 1, &u)
			}
		}
		if got := c.Ratio(); math.Abs(got-x.want) > 0.02 {
			t.Errorf("%s: %v; want %v", x.name, got, x.want)
		}
	}
}

// A drift is as old as its first report, in order or late.
func TestLateReportBeginsADrift(t *testing.T) {
	c := charge{found: found{reading: reading{slope: 0.3}}}
	u := unused{votes: -verdicts}
	c.late(after(time.Second), &report{Sent{At: after(0)}, 1e9}, 1, &u)
	c.report(after(2*time.Second), &report{Sent{At: after(time.Second)}, 1e9}, 1, &u)
	if c.since != after(time.Second) || c.all.n != 2 || c.drift.n != 1 {
		t.Errorf("since %v, %v reports, %v in order", c.since, c.all.n, c.drift.n)
	}
}

// A tracker heeds late reports as it does others: not of charges that are exact, nor before
// the first report, nor of a server that is not believed, nor the same figure twice. What they
// show explains a surplus, ends the margin, and may say what becomes of unused output.
func TestTrackerHeedsLateReports(t *testing.T) {
	for _, x := range []struct {
		name  string
		with  func(*Tracker)
		again bool
		keeps float64 // the part of refunds that the server keeps
		want  float64
	}{
		{name: "as they are", with: func(*Tracker) {}, want: 1.3},
		{name: "where it keeps what we refund", with: func(g *Tracker) { g.charge.found.kept = 1 }, keeps: 1, want: 1.3},
		{name: "exact charges", with: func(g *Tracker) { g.Exact = true }, want: 1},
		{name: "before the first report", with: func(g *Tracker) { g.first = time.Time{} }, want: 1},
		{name: "not believed", with: func(g *Tracker) { g.trust.lostUntil = after(time.Hour) }, want: 1},
		{name: "of a bucket that was empty between them", with: func(g *Tracker) { g.flow.rate = 1e9 }, want: 1},
		{name: "one figure for all", with: func(*Tracker) {}, again: true, want: 1},
	} {
		g := Tracker{Period: time.Minute, first: epoch}
		g.charge.found.slope = 0.3
		g.shortfall.part = 0.1
		g.unused.votes = -verdicts // as it looked while the input was charged in another way
		x.with(&g)
		for i := range fewDrifts {
			n := float64(i)
			inputs := 1000*n + 3000*math.Sin(n/2)
			refunded := 300*n + 2000*math.Cos(n)
			server := 1e6 + inputs
			if x.again {
				server = 1e6
			}
			g.Late(after(time.Second), Sent{At: after(time.Duration(i) * time.Second), inputs: inputs, refunded: refunded, Level: Level{Used: server - 0.3*inputs - x.keeps*refunded}}, server)
		}
		found := x.want != 1
		if got := max(1, g.charge.Ratio()); math.Abs(got-x.want) > 0.02 {
			t.Errorf("%s: %v; want %v", x.name, got, x.want)
		}
		if g.unused.kept != (x.keeps > 0) {
			t.Errorf("%s: unused output is kept: %v", x.name, g.unused.kept)
		}
		votes := -verdicts
		if x.keeps > 0 {
			votes = verdicts
		} else if found {
			votes = 0
		}
		if g.unused.votes != votes {
			t.Errorf("%s: %d votes that unused output is kept; want %d", x.name, g.unused.votes, votes)
		}
		if g.explained.After(epoch) != found || (g.shortfall.part == 0) != found {
			t.Errorf("%s: explained until %v, a margin of %v", x.name, g.explained, g.shortfall.part)
		}
	}
}

// A ratio that was adopted is refined by less than what makes one adopted, but not by next to
// nothing.
func TestRatioIsRefined(t *testing.T) {
	for _, x := range []struct {
		ratio, off, want float64
	}{{0, 0.05, 1}, {1.2, 0.05, 1.26}, {1.2, -0.05, 1.14}, {1.2, 0.02, 1.2}, {0, 0.1, 1.1}} {
		c := charge{ratio: x.ratio}
		for i := range 4 * fewDrifts {
			n := float64(i)
			inputs := 1000*n + 3000*math.Sin(n/2)
			at := after(time.Duration(i) * time.Second / 2)
			server := 1e6 + inputs
			r := report{Sent{At: at, inputs: inputs, Level: Level{Used: server - x.off*inputs}}, server}
			c.report(at, &r, wideRate, &unused{})
			if c.ratio != x.ratio {
				break
			}
		}
		if got := c.Ratio(); math.Abs(got-x.want) > 0.005 {
			t.Errorf("%+v: %v", x, got)
		}
	}
}

// A ratio that is refined by little does not explain why our bucket lagged behind: the margin
// stays.
func TestMarginOutlivesFinerRatio(t *testing.T) {
	const seen = 0.02
	for _, x := range []struct {
		name      string
		was, is   float64
		kept      int
		forgotten bool
	}{
		{"finer", 1.2, 1.29, 0, false},
		{"finer, and less", 1.2, 1.11, 0, false},
		{"finer, and unused output is kept", 1.2, 1.29, verdicts, true},
		{"another one", 1.2, 1.31, 0, true},
		{"another one, and less", 1.2, 1.09, 0, true},
	} {
		g := Tracker{Period: time.Minute, first: epoch}
		g.shortfall.set(epoch, seen)
		g.charge.ratio = x.is
		now := after(time.Second)
		if !g.chargeFound(now, x.was, true, x.kept) || !g.first.After(now) || !g.explained.After(now) {
			t.Errorf("%s: begins nothing anew", x.name)
		}
		if forgotten := g.shortfall.part == 0; forgotten != x.forgotten {
			t.Errorf("%s: a margin of %v", x.name, g.shortfall.part)
		}
	}
}

// What refunds that are kept explain as well is no ratio of the input, where those can't be told
// from it. What is left beside them is.
func TestKeptRefundsAreNoRatio(t *testing.T) {
	for _, x := range []struct {
		slope float64
		tells bool
	}{{0.3, false}, {0.6, true}, {-0.3, true}} {
		var g drift
		for i := range fewDrifts {
			n := float64(i)
			inputs := 1000*n + 3000*math.Sin(n/2)
			g.add([regressors]float64{n, inputs, 0.3*inputs + 200*math.Cos(5*n)}, x.slope*inputs+600*math.Sin(3*n))
		}
		if is := g.read(surely, wideRate, noticeable); (is.slope != 0) != x.tells || is.slope*x.slope < 0 {
			t.Errorf("a drift of %v tells %+v", x.slope, is)
		}
	}
}

// A moment is what lies so near to its first report that requests may have passed each other,
// in whatever order they come. It counts as its mean, and ends where a segment does.
func TestMoments(t *testing.T) {
	var d drift
	const q = float64(Overtaking) / float64(time.Second)
	for i, at := range []float64{0, q / 2, q, 1.25 * q, -q / 4} {
		d.add([regressors]float64{at, at, at}, float64(i))
	}
	if m := d.moments; m.n != 2 || m.of != 1 || m.mean != [...]float64{0.875 * q, 0.875 * q, 0.875 * q, 2} || d.moment.n != 1 || d.n != 5 {
		t.Errorf("%+v", d)
	}
	d.split()
	d.add([regressors]float64{3, 3, 3}, 5)
	d.split()
	if m := d.moments; m.n != 4 || m.of != 2 || m.in != 0 || d.of != 2 || d.in != 0 {
		t.Errorf("split: %+v", d)
	}
}

// Where calls go in step, ours of a crowd end between its requests, and at the server before them
// or after. What goes with refunds within a moment says nothing of what the server keeps.
func TestRefundsOfAMomentTellNothing(t *testing.T) {
	const crowd = 20
	for _, x := range []struct {
		keeps float64 // the part of refunds that the server keeps
		apart float64 // how much they differ from moment to moment
		begun int     // moments: the first and the last are not counted
		kept  int
	}{{1, 2000, fewMoments + 2, 1}, {0, 2000, fewMoments + 2, -1}, {1, 0, fewMoments + 2, 0}, {0, 0, fewMoments + 2, 0}, {1, 2000, fewMoments + 1, 0}, {0, 2000, fewMoments + 1, 0}} {
		var g drift
		for i := range x.begun * crowd {
			moment, n := float64(i/crowd), float64(i%crowd)
			refunded := 3000*moment + x.apart*math.Sin(moment) + 150*n
			inputs := 1000*moment + 300*math.Cos(2*moment) + 50*n
			g.add([regressors]float64{0.4 * moment, inputs, refunded}, x.keeps*refunded+10*math.Cos(3*float64(i)))
		}
		if is := g.read(surely, wideRate, noticeable); is.kept != x.kept {
			t.Errorf("%+v: %+v", x, is)
		}
	}
}

// What has shown nothing speaks for the ratio that was charged by then, and for no other.
func TestAdoptedRatioIsNotEstablished(t *testing.T) {
	c := charge{calm: established}
	c.adopt(epoch, 0.7)
	if c.calm != 0 {
		t.Errorf("%d spans speak for it", c.calm)
	}
}

// Of what others charge, the part that is input is taken to be that of our own calls.
func TestOthersInput(t *testing.T) {
	var c charge
	for _, x := range []struct{ cost, input, charged, want float64 }{
		{400, 300, 5400, 300}, // what was before does not matter
		{400, 300, 6800, 300 + 300 + 750},
	} {
		if got := c.send(x.cost, x.input, x.charged); math.Abs(got-x.want) > 1e-9 {
			t.Errorf("%v of %v; want %v", got, x.charged, x.want)
		}
	}
}

// Calls that cost nothing say nothing of others' charges, and the first that costs something does.
func TestOthersInputBesideCallsOfNoCost(t *testing.T) {
	var c charge
	for _, x := range []struct{ cost, input, charged, want float64 }{{0, 0, 100, 0}, {0, 0, 150, 0}, {1, 1, 251, 101}} {
		if got := c.send(x.cost, x.input, x.charged); math.Abs(got-x.want) > 1e-9 {
			t.Errorf("%v of %v; want %v", got, x.charged, x.want)
		}
	}
}

// Once a ratio is adopted, what was seen before counts no more.
func TestAdoptedRatioBeginsAnew(t *testing.T) {
	c := charge{calm: established, bounds: 3, found: found{reading: reading{slope: 0.3}}, drift: drift{regression: regression{n: 9}}, all: drift{moment: moment{n: 9}}}
	c.adopt(epoch, 1.5)
	if want := (charge{ratio: 1.5, at: epoch}); c != want {
		t.Errorf("%+v; want %+v", c, want)
	}
}

// A drift that goes with refunds is found together with one that goes with the input.
func TestDriftsShowWhatIsKept(t *testing.T) {
	for _, refunds := range []float64{0, 1} {
		var c charge
		changed, kept := false, 0
		for i := 0; !changed; i++ {
			if i > 200 {
				t.Fatal("nothing is found")
			}
			n := float64(i)
			refunded := 150*n + 100*math.Sin(n)
			inputs := 1000*n + 3000*math.Sin(n/2)
			r := report{Sent{At: after(time.Duration(i) * 300 * time.Millisecond), inputs: inputs, refunded: refunded}, 1e6}
			r.Used = 1e6 - refunds*refunded + 0.3*inputs // ahead is what is left of server − Used
			changed, kept = c.report(r.At, &r, 1, &unused{votes: verdicts})
		}
		if (kept == verdicts) != (refunds == 1) || math.Abs(c.Ratio()-0.7) > 0.01 {
			t.Errorf("kept: %d votes, a ratio of %v", kept, c.Ratio())
		}
	}
}

// What was found takes a while to reach all processes: until then a deficit is no margin.
func TestNoMarginUntilOthersKnow(t *testing.T) {
	for _, x := range []struct {
		at     time.Duration
		margin float64
	}{{spreading + surelyApplied/2, 0}, {spreading + 2*surelyApplied, 0.02}} {
		b := begun(t)
		b.g.relearn(after(2 * time.Second))
		b.send(2*time.Second+x.at, 1)
		at := 2*time.Second + x.at + time.Second/4
		s := b.send(at, 100)
		b.report(at+time.Second, s, s.Used+0.02*limit, 0.02*limit)
		if got := b.g.Findings().Margin; math.Abs(got-x.margin) > 1e-9 {
			t.Errorf("after %v: a margin of %v; want %v", x.at, got, x.margin)
		}
	}
}

// Where the input is charged as counted, each window of reports votes for what becomes of
// refunds, until that is known.
func TestDriftsVoteForWhatIsKept(t *testing.T) {
	for _, x := range []struct {
		refunds float64
		known   int // votes before
		votes   int
	}{{1, 0, 2}, {0, 0, -2}, {1, verdicts, 0}} {
		var c charge
		votes := 0
		for i := range 2 * fewDrifts {
			n := float64(i)
			refunded := 150*n + 100*math.Sin(n)
			r := report{Sent{At: after(time.Duration(i) * 300 * time.Millisecond), inputs: 1000*n + 3000*math.Sin(n/2), refunded: refunded}, 1e6}
			r.Used = 1e6 - x.refunds*refunded
			_, kept := c.report(r.At, &r, 1, &unused{votes: x.known})
			votes += kept
		}
		if votes != x.votes || c.Ratio() != 1 {
			t.Errorf("%+v: %d votes, a ratio of %v", x, votes, c.Ratio())
		}
	}
}

// Where our charges are the server's, as with requests, nothing counts that was learned of input.
func TestExactInput(t *testing.T) {
	var g Tracker
	for i := range 100 {
		g.InputCharged(after(time.Duration(i)*time.Second), 1.5)
	}
	if got := g.InputRatio(); got < 1.2 {
		t.Fatalf("%v was learned", got)
	}
	if g.Exact = true; g.InputRatio() != 1 {
		t.Errorf("%v; want 1", g.InputRatio())
	}
}

// What drifts show of refunds counts as what single calls show: three windows that agree change
// what is believed, and no more of them does.
func TestDriftsChangeWhatIsKept(t *testing.T) {
	for _, keeps := range []bool{true, false} {
		g := Tracker{Period: time.Minute}
		g.flow.rate, g.unused.kept = 1, !keeps
		refunds := 0.0
		if keeps {
			refunds = 1
		}
		for i := range 5 * fewDrifts {
			n := float64(i)
			refunded := 150*n + 100*math.Sin(n)
			r := report{Sent{At: after(time.Duration(i) * 300 * time.Millisecond), inputs: 1000*n + 3000*math.Sin(n/2), refunded: refunded}, 1e6}
			r.Used = 1e6 - refunds*refunded
			changed := g.observeCharge(r.At, &r)
			if last := i == verdicts*fewDrifts-1; changed != last || (g.unused.kept == keeps) != (i >= verdicts*fewDrifts-1) {
				t.Fatalf("report %d: changed %v, kept %v; the server keeps it: %v", i, changed, g.unused.kept, keeps)
			}
		}
		if g.InputRatio() != 1 {
			t.Errorf("a ratio of %v", g.InputRatio())
		}
	}
}

// What calls alone, and bounds, show of the input is a change by itself, whatever drifts show.
func TestSamplesAndBoundsAreChanges(t *testing.T) {
	input := Input{Charged: 1000, Counted: 1000}
	for _, x := range []struct {
		name         string
		used, server float64
		at           int // which report changes the ratio
		ratio        float64
	}{
		{"a call alone that is charged more", 1000, 1500, 2, 1.5},
		{"a call alone that is charged less", 1000, 600, 2, 0.6},
		{"bounds", 5000, 700, fewBounds, 0.7},
	} {
		g := Tracker{Period: time.Minute}
		g.unused.votes = -verdicts
		for i := 1; i <= x.at; i++ {
			now := after(time.Duration(i) * time.Second)
			r := report{Sent{Level: Level{Used: x.used}, At: now, Cost: 1000, input: input}, x.server}
			if changed := g.observeCharge(now, &r); changed != (i == x.at) {
				t.Errorf("%s: report %d: changed %v", x.name, i, changed)
			}
		}
		if got := g.InputRatio(); math.Abs(got-x.ratio) > 1e-9 || g.unused.votes != 0 {
			t.Errorf("%s: a ratio of %v, and %d votes of before", x.name, got, g.unused.votes)
		}
	}
}

// What seemed to become of unused output rested on how the input is charged. It begins anew where
// that is found to be another way, also by others or by throttles.
func TestVotesBeginAnewWithTheRatio(t *testing.T) {
	g := Tracker{Period: time.Minute}
	g.unused.votes = -verdicts
	g.unused.trend.n = fewReports
	g.InputCharged(epoch, 1.5)
	if g.unused.votes != -verdicts || g.unused.trend.n == 0 {
		t.Error("one sample is enough")
	}
	if g.InputCharged(epoch, 1.5); g.unused.votes != 0 || g.unused.trend.n != 0 {
		t.Errorf("%d votes and %v reports after two samples", g.unused.votes, g.unused.trend.n)
	}
	for _, x := range []struct {
		theirs Findings
		votes  int
	}{
		{Findings{Ratio: 1.5, Charged: after(time.Second)}, 0},
		{Findings{Ratio: 1 + noticeable/2, Charged: after(time.Second)}, -verdicts},
		{Findings{Ratio: 1.5, Charged: after(time.Second), Kept: true, Found: after(time.Second)}, verdicts},
		{Findings{Ratio: 1.5, Charged: after(2 * time.Second), Kept: true, Found: after(time.Second)}, 0},
	} {
		g := Tracker{Period: time.Minute}
		g.unused.votes = -verdicts
		if g.Adopt(after(time.Minute), x.theirs, false); g.unused.votes != x.votes || g.unused.kept != x.theirs.Kept {
			t.Errorf("%+v: %d votes, kept %v", x.theirs, g.unused.votes, g.unused.kept)
		}
	}
	for _, keeps := range []bool{true, false} { // by drifts
		g := Tracker{Period: time.Minute}
		g.flow.rate = 1
		g.unused.votes = -verdicts
		if keeps {
			g.unused.votes = verdicts
		}
		for i := 0; g.charge.ratio == 0; i++ {
			n := float64(i)
			inputs := 1000*n + 3000*math.Sin(n/2)
			r := report{Sent{At: after(time.Duration(i) * 300 * time.Millisecond), inputs: inputs, refunded: 150*n + 100*math.Sin(n)}, 1e6}
			r.Used = 1e6 + 0.3*inputs
			if i > 200 {
				t.Fatal("nothing is found")
			}
			g.observeCharge(r.At, &r)
		}
		if g.unused.votes != 0 {
			t.Errorf("%d votes", g.unused.votes)
		}
	}
}

// The ratio of one call counts within bounds that no count is off by.
func TestSampleBounds(t *testing.T) {
	for _, x := range []struct {
		ratio float64
		takes bool
	}{{leastRatio - 0.01, false}, {leastRatio, true}, {1, true}, {mostRatio, true}, {mostRatio + 0.01, false}, {-1, false}} {
		var c charge
		changed := c.sample(epoch, x.ratio)
		if changed || (c.samples.n == 1) != x.takes {
			t.Errorf("%v: changed %v, %d samples", x.ratio, changed, c.samples.n)
		}
		if got := c.adopt(epoch, x.ratio); got != x.takes || (c.ratio == x.ratio) != x.takes {
			t.Errorf("%v: adopted %v, %v", x.ratio, got, c.ratio)
		}
	}
}

func TestMeanOfSamples(t *testing.T) {
	var r recentRatios
	for _, x := range []struct{ add, mean, off float64 }{{1, 1, 0.1}, {2, 1.5, math.Sqrt(0.51) / 2}, {3, 2, math.Sqrt(2.01) / 3}} {
		r.add(x.add)
		if mean, off := r.mean(); !(math.Abs(mean-x.mean) <= 1e-9 && math.Abs(off-x.off) <= 1e-9) {
			t.Errorf("after %v: %v, off by %v; want %v, %v", x.add, mean, off, x.mean, x.off)
		}
	}
}

// Samples change the ratio where their mean differs by more than is noticeable of it, and than
// two standard errors.
func TestSamplesThatDiffer(t *testing.T) {
	for _, x := range []struct {
		ratio, sample float64
		want          bool // after two
	}{
		{0, 1.17, false}, {0, 1.19, true}, {0, 0.83, false}, {0, 0.81, true},
		{2, 2.2, false}, {2, 2.25, false}, {2, 2.27, true}, {0.5, 0.63, false}, {0.5, 0.65, true},
	} {
		c := charge{ratio: x.ratio}
		first := c.sample(epoch, x.sample)
		if second := c.sample(epoch, x.sample); first || second != x.want {
			t.Errorf("%+v: changed %v, %v", x, first, second)
		}
	}
}

// A call that was alone is a sample, and one that the server has charged less than we have bounds
// the ratio, from so many tokens of input on.
func TestReportsOfOneCall(t *testing.T) {
	of := func(counted, cost, server, others float64) *report {
		return &report{server: server, Sent: Sent{Cost: cost, Level: Level{Used: cost + others}, input: Input{Charged: counted, Counted: counted}}}
	}
	for _, x := range []struct {
		name             string
		r                *report
		sampled, bounded bool
		want             float64 // by the sample or bound
	}{
		{"as counted", of(1000, 1100, 1100, 0), true, false, 1},
		{"less", of(1000, 1100, 600, 0), true, true, 0.5},
		{"a little less", of(1000, 1100, 1099, 0), true, true, 0.999},
		{"the least input", of(fewTokens, fewTokens+100, fewTokens, 0), true, true, 0.8},
		{"a small input", of(fewTokens-1, fewTokens+100, fewTokens, 0), false, false, 0},
		{"the least ratio", of(1000, 1100, 350, 0), true, true, 0.25},
		{"too little", of(1000, 1100, 340, 0), false, false, 0},
		{"hardly anything beside it", of(1000, 1000, 600, 20), true, true, 0.6},
		{"something beside it", of(1000, 1000, 600, 21), false, true, 0.6},
	} {
		var c charge
		if c.alone(epoch, x.r, 0); (c.samples.n == 1) != x.sampled || x.sampled && math.Abs(c.samples.last[0]-x.want) > 1e-9 {
			t.Errorf("%s: %+v", x.name, c.samples)
		}
		c = charge{}
		if c.bound(epoch, x.r); (c.bounds == 1) != x.bounded || x.bounded && math.Abs(c.most-x.want) > 1e-9 {
			t.Errorf("%s: %d bounds, %v", x.name, c.bounds, c.most)
		}
	}
	// The least of several counts, once it is noticeably below the ratio.
	for _, x := range []struct {
		ratio float64
		want  bool
	}{{0.93, false}, {0.91, true}} {
		var c charge
		for i := range fewBounds {
			got := c.bound(epoch, of(1000, 1000, 1000*x.ratio+float64(10*(i%2)), 0))
			if got != (x.want && i == fewBounds-1) {
				t.Errorf("%v, report %d: changed %v", x.ratio, i, got)
			}
		}
		if x.want && c.ratio != x.ratio {
			t.Errorf("%v is adopted of %v", c.ratio, x.ratio)
		}
	}
	// Beside samples only what is near them counts.
	for _, x := range []struct {
		ratio float64
		want  int
	}{{0.93, 2}, {0.91, 1}} {
		var c charge
		c.sample(epoch, 1)
		c.bound(epoch, of(1000, 1000, 1000*x.ratio, 0))
		if c.samples.n != x.want {
			t.Errorf("a bound of %v: %d samples", x.ratio, c.samples.n)
		}
	}
}

// Another ratio begins anew what rests on how the server charges; a sample that changes nothing leaves it.
func TestSamplesBeginAnew(t *testing.T) {
	g := Tracker{Period: time.Minute}
	for i, want := range []float64{0.2, 0, 0} { // the margin
		if i == 0 {
			g.shortfall.set(epoch, 0.2)
			g.unused.trend.n = 5
		}
		if i == 2 {
			g.unused.trend.n = 5
		}
		g.InputCharged(epoch, 2)
		if got := g.Findings().Margin; got != want || (g.unused.trend == trend{}) != (i == 1) {
			t.Errorf("after %d samples: a margin of %v, a trend of %v reports", i+1, got, g.unused.trend.n)
		}
	}
}

// What was found of charges is not compared with reports of another limit.
func TestForgetForgetsADrift(t *testing.T) {
	b := newBench(t)
	for i := range 5 {
		at := time.Duration(i) * time.Second
		b.report(at+time.Millisecond, b.send(at, 100), b.used, 0)
	}
	if b.g.charge.latest.At.IsZero() {
		t.Fatal("no drift has begun")
	}
	if b.g.Forget(); b.g.charge.drift != (drift{}) || !b.g.charge.latest.At.IsZero() {
		t.Errorf("%+v", b.g.charge.drift)
	}
}
