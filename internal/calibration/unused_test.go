package calibration

import (
	"math"
	"testing"
	"time"
)

// Large calls of which a half is not used: what the server's bucket shows beside
// other calls tells what becomes of it, if the bucket was never empty.
func TestUnused(t *testing.T) {
	const large, left = 3000, 1500
	for _, x := range []struct {
		name         string
		first        float64 // what is used after the first call
		back         float64 // what the server gives back
		foreign      float64 // what others charge meanwhile
		learned, was bool
	}{
		{"kept", 12_000, 0, 0, true, false},
		{"given back", 12_000, left, 0, false, false},
		{"given back after all", 12_000, left, 0, false, true},
		{"something else", 12_000, left / 2, 0, false, false},
		{"others use more", 12_000, left, 4000, false, false},
		{"others are refunded too", 12_000, left, -450, true, true},
		{"maybe empty", 2400, 0, 0, false, false},
	} {
		b := newBench(t)
		if x.was {
			b.g.Adopt(after(0), Findings{Kept: true, Found: after(-time.Second)}, false)
		}
		b.g.shortfall.raise(after(0), 0.2)
		server, last := x.first-large, 0*time.Second
		play := func(at time.Duration, cost float64) {
			refilled := limit / 60 * (at - last).Seconds()
			last = at
			server += cost - refilled
			b.used -= refilled
			c, _ := b.g.Observe(after(at+300*time.Millisecond), b.send(at, cost), server, limit)
			b.used += c.To - c.From
			b.corrected += c.To - c.From
		}
		play(0, large)
		rounds := verdicts
		if x.was {
			rounds *= 2 // as much against it as was for it
		}
		for i := range rounds {
			end := time.Duration(5+10*i) * time.Second
			kept := b.g.Unused(after(end), time.Time{}, left, limit)
			if kept != x.was && i < verdicts {
				t.Errorf("%s: known after %d calls", x.name, i)
			}
			if !kept {
				b.used -= left
			}
			server += x.foreign - x.back
			play(end+50*time.Millisecond, 20) // could have overtaken it
			play(end+time.Second, 20)
			come := x.first - large + limit/60*7.5 - server + float64(i)
			server += come // others have come, or gone, here and there
			b.used += come
			play(end+8500*time.Millisecond, large)
		}
		f := b.g.Findings()
		if f.Kept != x.learned {
			t.Errorf("%s: %+v", x.name, f)
		}
		if changed := x.learned != x.was; changed != (f.Margin < 0.01) {
			t.Errorf("%s: a margin of %v; what explains it is known: %v", x.name, f.Margin, changed)
		}
	}
}

func TestUnusedIsShared(t *testing.T) {
	var g Tracker
	g.shortfall.raise(after(0), 0.2)
	old := g.Findings()
	found := Findings{Kept: true, Found: after(time.Second)}
	g.Adopt(after(2*time.Second), found, true)
	if f := g.Findings(); !f.Kept || f.Margin != 0 {
		t.Errorf("%+v: the margin was for what is known now", f)
	}
	if g.Adopt(after(3*time.Second), old, true); g.Findings().Margin != 0 {
		t.Error("a margin learned before")
	}
	g.Adopt(after(4*time.Second), Findings{Found: after(3 * time.Second)}, true)
	if g.Adopt(after(5*time.Second), found, true); g.Findings().Kept {
		t.Error("what was found first is believed again")
	}
}

// Which ends of calls can tell something.
func TestUnusedThatTells(t *testing.T) {
	for _, x := range []struct {
		name   string
		amount float64
		after  time.Duration // the newest answer's request was sent
		own    time.Duration // after that the call's own was, if not much earlier
		tells  bool
	}{
		{"large", 1000, time.Second, -time.Hour, true},
		{"just large enough", 100, Overtaking, -time.Hour, true},
		{"small", 99, time.Second, -time.Hour, false},
		{"too soon", 1000, Overtaking - 1, -time.Hour, false},
		{"too soon, of a request sent just after it", 1000, Overtaking - 1, -1, false},
		{"its own", 1000, Overtaking - 1, 0, true},
		{"of a request before it", 1000, Overtaking - 1, 1, true},
	} {
		var u unused
		u.end(after(x.after), after(x.own), x.amount, limit, report{Sent: Sent{At: epoch}})
		if tells := !u.ended.IsZero(); tells != x.tells {
			t.Errorf("%s: %v", x.name, tells)
		}
		u.end(after(10*time.Second), time.Time{}, 1000, limit, report{Sent: Sent{At: after(9 * time.Second)}})
		if first := u.ended.Equal(after(x.after)); first != x.tells {
			t.Errorf("%s: the next end replaces it", x.name)
		}
	}
}

// However often one thing was seen, the other is believed after so many calls.
func TestUnusedForgetsOldVotes(t *testing.T) {
	var u unused
	votes := func(n int, back float64) {
		for range n {
			now := u.since.Add(time.Second)
			before := report{Sent: Sent{At: now, unused: u.total}, server: 9000}
			u.end(now.Add(time.Second), time.Time{}, 1000, limit, before)
			u.since = now.Add(2 * time.Second)
			offset := 0.0 // of the server from us, who give back what is not kept
			if !u.kept {
				offset += 1000
			}
			r := report{Sent: Sent{At: u.since, unused: u.total}, server: 9000 + offset - back}
			u.observe(u.since, r, 0)
		}
	}
	u.since = epoch
	if votes(20, 1000); u.kept {
		t.Error("kept, though all was given back")
	}
	if votes(5, 0); u.kept {
		t.Error("kept, after five calls")
	}
	if votes(1, 0); !u.kept {
		t.Error("given back, after six calls")
	}
}

// Many small calls of a batch, none of which leaves much unused, tell together what
// becomes of that, although their responses come out of order.
func TestUnusedOfSmallCalls(t *testing.T) {
	const cost, refill = 50, limit / 60.0
	for _, x := range []struct {
		name    string
		left    float64 // of each call
		back    float64 // the part that the server gives back
		charges float64 // and how much more it charges than we do
		others  float64 // how many times as much others use, and leave, through our bucket
		was     bool
		want    bool
	}{
		{"kept", 10, 0, 1, 0, false, true},
		{"given back", 10, 1, 1, 0, false, false},
		{"the server charges a tenth more", 10, 0, 1.1, 0, false, false}, // as if a half more than all were kept
		{"a half is given back", 10, 0.5, 1, 0, false, false},
		{"given back after all", 10, 1, 1, 0, true, false},
		{"kept as before", 10, 0, 1, 0, true, true},
		{"too little is left", 0.1, 0, 1, 0, false, false},
		{"others' calls are kept too", 10, 0, 1, 0.5, false, true},
		{"though they are the more", 10, 0, 1, 2, false, true},
	} {
		b := newBench(t)
		if x.was {
			b.g.Adopt(after(-time.Second), Findings{Kept: true, Found: after(-2 * time.Second)}, false)
		}
		server, last := 2000.0, time.Duration(0)
		b.used, b.corrected = server, server
		var open []Sent
		var stood []float64
		for i := range 150 {
			at := time.Duration(i) * 40 * time.Millisecond
			refilled := refill * (at - last).Seconds()
			last, server, b.used = at, server+cost*x.charges*(1+x.others)-refilled, b.used-refilled
			b.used, b.charged = b.used+cost*x.others, b.charged+cost*x.others
			open, stood = append(open, b.send(at, cost)), append(stood, server)
			if len(open) <= 5 {
				continue
			}
			k := 1 - i%2 // in the order of the second, the first, the fourth, the third
			c, _ := b.g.Observe(after(at), open[k], stood[k], limit)
			b.used, b.corrected = b.used+c.To-c.From, c.To
			if c == (Correction{}) {
				b.corrected = b.g.corrected
			}
			open, stood = append(open[:k:k], open[k+1:]...), append(stood[:k:k], stood[k+1:]...)
			server -= x.back * x.left * (1 + x.others)
			if !b.g.Unused(after(at), time.Time{}, x.left, limit) {
				b.used -= x.left * (1 + x.others)
			}
		}
		if got := b.g.Findings().Kept; got != x.want {
			t.Errorf("%s: kept: %v", x.name, got)
		}
		if got := b.g.Findings().Margin; x.want != x.was && got > 0.005 {
			t.Errorf("%s: a margin of %v, whose cause is known", x.name, got)
		}
	}
}

// A bucket that may have been empty tells nothing of small calls either, and reports are
// taken together only for a while.
func TestUnusedOfSmallCallsThatTellNothing(t *testing.T) {
	for _, x := range []struct {
		name   string
		reps   int
		every  time.Duration
		empty  bool // once, in between
		forget bool
		want   float64 // reports that are taken together
	}{
		{"few", 7, time.Second, false, false, 7},
		{"for a quarter of a minute", 16, time.Second, false, false, 16},
		{"and no longer", 17, time.Second, false, false, 1},
		{"an empty bucket", 7, time.Second, true, false, 3},
		{"another limit", 4, time.Second, false, true, 0},
	} {
		g := Tracker{Period: time.Minute}
		server := 5000.0
		for i := range x.reps {
			at := after(time.Duration(i) * x.every)
			server += 10
			stands := server
			if x.empty && i == 3 {
				stands = limit / 60. * 1.24 // it may have been empty when the next comes
			}
			r := report{Sent: Sent{At: at, Level: Level{Used: stands}, unused: float64(i), own: float64(i), refunded: float64(i)}, server: stands}
			g.unused.observeAll(at, r, limit, limit/60.)
		}
		if x.forget {
			g.Forget()
		}
		if got := g.unused.trend.n; got != x.want {
			t.Errorf("%s: %v reports; want %v", x.name, got, x.want)
		}
	}
}

// What eight reports vote for, all of which are kept.
func TestVotesOfSmallCalls(t *testing.T) {
	inOrder := []int{0, 1, 2, 3, 4, 5, 6, 7}
	for _, x := range []struct {
		name     string
		order    []int
		refunded float64 // between two
		others   float64 // charged beside each of ours
		left     float64 // by us between two, where not all that was refunded
		returned float64 // to us, for another reason
		noise    float64
		votes    int
	}{
		{"a hundredth of the limit", inOrder, 15, 0, 0, 0, 0, 1},
		{"less", inOrder, 14, 0, 0, 0, 0, 0},
		{"two", inOrder, 29, 0, 0, 0, 0, 2},
		{"three at most", inOrder, 150, 0, 0, 0, 0, 3},
		{"the newest came first", []int{7, 6, 5, 4, 3, 2, 1, 0}, 15, 0, 0, 0, 0, 0}, // of which nothing was charged
		{"the oldest came last", []int{1, 2, 3, 4, 5, 6, 7, 0}, 20, 0, 0, 0, 0, 1},
		{"uncertain", inOrder, 20, 0, 0, 0, 30, 0},
		{"so much that it counts anyway", inOrder, 145, 0, 0, 0, 200, 3},
		{"others' refunds as ours", inOrder, 60, 50, 20, 0, 0, 3},
		{"few of ours, for nearly all is others'", inOrder, 60, 0, 3, 0, 0, 3},
		{"others' refunds alone", inOrder, 60, 0, 2.9, 0, 0, 0},
		{"ours alone", inOrder, 20, 100, 20, 0, 0, 1},
		{"a quarter was returned for another reason", inOrder, 40, 0, 30, 10, 0, 2},
		{"more was", inOrder, 40, 0, 30, 10.1, 0, 0},
	} {
		var u unused
		left := x.left
		if left == 0 {
			left = x.refunded
		}
		charge := 25 + x.others
		for i, k := range x.order {
			n := float64(k)
			ahead := n * x.refunded
			if k%2 == 0 {
				ahead += x.noise
			}
			if k == 0 || k == 7 { // no slope of its own
				ahead -= x.noise / 2
			}
			r := report{Sent: Sent{
				At: after(time.Duration(k) * 100 * time.Millisecond), Level: Level{Used: 5000, Charged: charge * n},
				own: 25 * n, unused: left * n, returned: x.returned * n, refunded: x.refunded * n,
			}, server: 5000 + ahead}
			was := u.kept
			if changed := u.observeAll(after(time.Duration(10+i)*100*time.Millisecond), r, limit, limit/60.); changed != (u.kept != was) {
				t.Errorf("%s: it says that something has changed: %v", x.name, changed)
			}
		}
		if u.votes != x.votes {
			t.Errorf("%s: %d votes; want %d", x.name, u.votes, x.votes)
		}
	}
}

// What came back is nearly nothing, nearly all, or no vote.
func TestVotes(t *testing.T) {
	for _, x := range []struct {
		back  float64
		votes int
	}{
		{-0.26, 0}, {-0.24, 2}, {0, 2}, {0.24, 2}, {0.26, 0}, {0.74, 0}, {0.76, -2}, {1, -2}, {1.24, -2}, {1.26, 0},
	} {
		var u unused
		if u.vote(epoch, x.back, 2); u.votes != x.votes {
			t.Errorf("%v back: %d votes; want %d", x.back, u.votes, x.votes)
		}
	}
}

// The slope of a trend, and how far it may be off.
func TestTrend(t *testing.T) {
	for _, x := range []struct {
		name       string
		ys         []float64 // at 0, 1, 2, …
		slope, off float64
	}{
		{"nothing", nil, 0, math.Inf(1)},
		{"two points", []float64{1, 3}, 0, math.Inf(1)},
		{"a line", []float64{5, 7, 9, 11}, 2, 0},
		{"flat", []float64{5, 5, 5}, 0, 0},
		{"a scattered one", []float64{0, 2, 1, 3}, 0.8, math.Sqrt(0.18)},
	} {
		var tr trend
		for i, y := range x.ys {
			tr.add(float64(i), y)
		}
		slope, off := tr.slope()
		if math.Abs(slope-x.slope) > 1e-9 || off != x.off && math.Abs(off-x.off) > 1e-6 {
			t.Errorf("%s: %v, off by %v; want %v, %v", x.name, slope, off, x.slope, x.off)
		}
	}
	var tr trend
	for i := range 5 {
		tr.add(3, float64(i))
	}
	if _, off := tr.slope(); !math.IsInf(off, 1) {
		t.Errorf("of one point: off by %v", off)
	}
}

// What small calls leave unused explains a margin only where that is much of what they charge.
func TestLittleUnusedKeepsTheMargin(t *testing.T) {
	for _, x := range []struct{ charge, margin float64 }{{200, 0}, {2500, 0.1}} {
		b := begun(t)
		b.g.shortfall.raise(after(time.Second), 0.1)
		for i := 0; !b.g.unused.kept; i++ {
			if i == 400 {
				t.Fatal("nothing is found")
			}
			at := 2*time.Second + time.Duration(i)*100*time.Millisecond
			b.used = 5000 + 50*float64(i%3) // as it refills
			s := b.send(at, x.charge)
			s.refunded, s.unused, s.Used = 100*float64(i), 100*float64(i), 5000
			b.g.Observe(after(at+10*time.Millisecond), s, 5000+100*float64(i)+float64(i%2)/10, limit*1.5)
		}
		if got := b.g.Findings().Margin; math.Abs(got-x.margin) > 1e-3 {
			t.Errorf("calls of %v: a margin of %v; want %v", x.charge, got, x.margin)
		}
	}
}

// What our calls have left unused from a report on is known for some seconds, and of an older
// one at most.
func TestUnusedAfter(t *testing.T) {
	var u unused
	for i := range 10_000 {
		u.end(after(time.Duration(i)*slotWidth), time.Time{}, 1, limit, report{})
	}
	for _, x := range []struct {
		name string
		at   time.Duration
		want float64
	}{
		{"lately", 98 * time.Second, 51}, // with both ends
		{"until now", 99_750 * time.Millisecond, 25},
		{"not remembered", 10 * time.Second, 9000},
	} {
		r := report{Sent: Sent{At: after(x.at), unused: x.at.Seconds() * 100}}
		if got := u.after(&r, 500*time.Millisecond); got != x.want {
			t.Errorf("%s: %v; want %v", x.name, got, x.want)
		}
	}
	if got := new(unused).after(&report{Sent: Sent{At: after(0)}}, time.Second); got != 0 {
		t.Errorf("%v, before any call has ended", got)
	}
}

// Small calls are taken together only where the server's bucket can't have been empty between
// two reports, whichever of them comes first.
func TestEmptyBetweenSmallCalls(t *testing.T) {
	for _, x := range []struct {
		name string
		at   time.Duration // of the second report
		used float64       // as it says; the first one says 600
		left float64       // unused, by a call that ends between
		n    float64       // reports together
	}{
		{"at once", 0, 600, 0, 2},
		{"later", 350 * time.Millisecond, 600, 0, 1},
		{"after a call has ended", 0, 600, 350, 1},
		{"overtaken", -time.Second, 1251, 0, 2},
		{"overtaken, and empty since", -time.Second, 1250, 0, 1},
	} {
		var u unused
		u.observeAll(after(0), report{Sent{At: after(0)}, 600}, limit, 1000)
		if x.left > 0 {
			u.end(after(0), time.Time{}, x.left, limit, report{})
		}
		u.observeAll(after(time.Second), report{Sent{At: after(x.at)}, x.used}, limit, 1000)
		if u.trend.n != x.n {
			t.Errorf("%s: %v reports together; want %v", x.name, u.trend.n, x.n)
		}
		if want := max(0, x.at); x.n == 2 && u.trend.last.At != after(want) {
			t.Errorf("%s: the last one was sent at %v", x.name, u.trend.last.At.Sub(epoch))
		}
	}
}

// What only others are refunded tells nothing, for what they have left unused is not known.
func TestOthersRefundsAlone(t *testing.T) {
	var u unused
	for i := range fewReports {
		n := float64(i)
		u.observeAll(after(time.Duration(i)*100*time.Millisecond), report{Sent: Sent{
			At: after(time.Duration(i) * 100 * time.Millisecond), Level: Level{Used: 5000, Charged: 100 * n}, refunded: 60 * n,
		}, server: 5000 + 60*n}, limit, 1)
	}
	if u.votes != 0 {
		t.Errorf("%d votes", u.votes)
	}
}

// What the server has kept of our refunds is owed at once when that is found, although requests
// may have overtaken each other: by every report that shows it, while others do not know yet.
func TestOwed(t *testing.T) {
	for _, x := range []struct {
		name     string
		reports  int // in the trend
		kept     bool
		sent     time.Duration // after it was found
		refunded float64
		want     float64
	}{
		{"as found", someReports, true, 0, 800, 500},
		{"refunded since", someReports, true, spreading, 900, 600},
		{"corrected since", someReports, true, 0, 200, 0},
		{"long ago", someReports, true, spreading + 1, 800, 0},
		{"too few reports", someReports - 1, true, 0, 800, 0},
		{"given back", someReports, false, 0, 800, 0},
	} {
		u := unused{kept: !x.kept}
		for i := range x.reports {
			u.trend.add(300+float64(i), 500+float64(i)) // the server is ahead by 200 more than refunds
		}
		u.adopt(x.kept, epoch)
		u.adopt(x.kept, epoch) // others know it too
		if u.trend.n != 0 {
			t.Errorf("%s: %v reports about other refunds", x.name, u.trend.n)
		}
		r := report{Sent: Sent{At: after(x.sent), refunded: x.refunded}}
		if got := u.owed(&r, 500); got != x.want {
			t.Errorf("%s: %v; want %v", x.name, got, x.want)
		}
		g := Tracker{unused: u}
		if g.Forget(); g.unused.owed(&r, 500) != 0 {
			t.Errorf("%s: still, with another limit", x.name)
		}
	}
}

// What is owed is corrected although it might be what has overtaken the request, but no more
// than the report shows.
func TestOwedIsCorrected(t *testing.T) {
	for _, x := range []struct{ owed, shown, want float64 }{{0, 400, 0}, {300, 400, 300}, {500, 400, 400}, {300, 1100, 500}} {
		b := begun(t)
		s := b.send(time.Second, 100)
		b.charged, b.used = b.charged+500, b.used+500 // by others, who may have overtaken it
		b.send(time.Second+100*time.Millisecond, 100)
		b.g.unused.known, b.g.unused.since = x.owed > 0, epoch
		b.g.unused.offset = x.owed - s.refunded + b.g.corrected
		if c, _ := b.g.Observe(after(1200*time.Millisecond), s, s.Used+x.shown, limit); c.To-c.From != x.want {
			t.Errorf("%+v: corrected by %v", x, c.To-c.From)
		}
	}
}

// What others have found replaces what was, and a trend that rests on something else.
func TestAdoptedVerdicts(t *testing.T) {
	for _, x := range []struct {
		was, is bool
		votes   int
		trend   bool // is kept
	}{
		{false, true, verdicts, false}, {true, false, -verdicts, false}, {true, true, verdicts, true}, {false, false, -verdicts, true},
	} {
		u := unused{kept: x.was}
		u.trend.n = someReports
		u.trend.x, u.trend.y = 10, 15
		u.adopt(x.is, epoch)
		if u.kept != x.is || u.votes != x.votes || u.since != epoch || (u.trend != trend{}) != x.trend {
			t.Errorf("from %v to %v: %+v", x.was, x.is, u)
		}
		if found := !x.was && x.is; u.known != found || found && u.offset != 5 {
			t.Errorf("from %v to %v: known %v, offset %v", x.was, x.is, u.known, u.offset)
		}
	}
}

// A vote counts near all and near nothing.
func TestVotesCount(t *testing.T) {
	for back, want := range map[float64]int{-0.3: 0, -0.2: 1, 0: 1, 0.2: 1, 0.3: 0, 0.7: 0, 0.8: -1, 1: -1, 1.2: -1, 1.3: 0} {
		var u unused
		if u.vote(epoch, back, 1); u.votes != want {
			t.Errorf("%v came back: %d votes; want %d", back, u.votes, want)
		}
	}
}

// What our calls have got back that was no unused output is counted apart.
func TestReturned(t *testing.T) {
	b := newBench(t)
	before := b.send(0, 1).returned
	b.g.Returned(30)
	b.g.Returned(12)
	if got := b.send(time.Second, 1).returned - before; got != 42 {
		t.Errorf("%v have come back; want 42", got)
	}
}
