package calibration

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestLimitEstimate(t *testing.T) {
	many := func(n int, amounts ...int64) []int64 { return slices.Repeat(amounts, n) }
	three := append(many(3, 30), many(5, 500)...) // of eight
	for _, x := range []struct {
		name          string
		reports       []int64
		assumed, want int64
	}{
		{"the first", many(1, 500), 0, 500},
		{"above what is assumed", many(1, 500), 400, 500},
		{"as assumed", many(1, 400), 400, 400},
		{"a limit of 1, doubled early", append(many(3, 1), many(6, 2)...), 0, 2},
		{"once below it", many(1, 300), 400, 0},
		{"twice below it", many(2, 300), 400, 300},
		{"one that is lower", append(many(20, 500), 30), 0, 500},
		{"halved", append(many(40, 500), many(12, 250)...), 0, 250},
		{"halved early", append(many(9, 500), many(8, 250)...), 0, 250},
		{"nearly early", append(many(9, 500), many(7, 250)...), 0, 500},
		{"twice as often early", append(append(many(3, 500), many(5, 250)...), 30, 250), 0, 250},
		{"nearly twice", append(append(many(3, 500), many(4, 250)...), 30, 250), 0, 500},
		{"nearly often enough", append(many(40, 500), many(11, 250)...), 0, 500},
		{"every twentieth is wrong", many(5, append(many(19, 500), 30)...), 0, 500},
		{"wrong ones that differ", append(many(20, 500), 1, 2, 3, 4, 5, 6, 7, 8), 0, 500},
		{"one that is higher", append(many(20, 500), 1000), 0, 500},
		{"doubled", append(many(40, 500), many(21, 1000)...), 0, 1000},
		{"a few that are higher", append(many(40, 500), many(20, 1000)...), 0, 500},
		{"wrong ones close together", append(many(20, 500), 30, 500, 30, 30), 0, 500},
		{"two buckets behind one name", many(11, 1000, 200), 0, 200},
		{"not yet", append(many(10, 1000, 200), 1000), 0, 1000},
		{"turns that begin late", append([]int64{1000, 30}, many(12, 200, 1000)...), 0, 200},
		{"and are too few", append([]int64{1000, 30}, many(11, 200, 1000)...), 0, 1000},
		{"in no order", many(100, 1000, 1000, 200, 200), 0, 200},
		{"and other amounts between", many(30, append(many(10, 1000, 200), 30)...), 0, 200},
		{"three of eight", append(many(20, 500), many(100, three...)...), 0, 500},
		{"a first one that is wrong", append(many(1, 30), many(4, 500)...), 0, 500},
		{"and a second one", append(many(2, 30), many(5, 500)...), 0, 500},
		{"soon outvoted by wrong ones", append(many(3, 500), many(6, 1000)...), 0, 1000},
	} {
		var e LimitEstimate
		for _, amount := range x.reports {
			before := e.Amount
			if changed := e.Report(epoch, amount, x.assumed); changed != (e.Amount != before) {
				t.Errorf("%s: changed %v from %d to %d", x.name, changed, before, e.Amount)
			}
		}
		if e.Amount != x.want {
			t.Errorf("%s: %d; want %d", x.name, e.Amount, x.want)
		}
	}
}

// Where there are few responses, time shows what they don't.
func TestLimitEstimateOfFewResponses(t *testing.T) {
	type report struct {
		at           time.Duration
		amount, want int64
	}
	const s = time.Second
	for _, reports := range [][]report{
		{{0, 3, 3}, {20 * s, 3, 3}, {40 * s, 500, 3}, {60 * s, 500, 3}, {80 * s, 3, 3}, {100 * s, 500, 3}, {120 * s, 500, 3}, {140 * s, 500, 500}},
		{{0, 3, 3}, {s, 500, 3}, {2 * s, 500, 3}, {3 * s, 500, 3}},
		{{0, 3, 3}, {59 * s, 3, 3}, {60 * s, 500, 3}, {61 * s, 500, 3}, {62 * s, 500, 3}},
		{{0, 3, 3}, {70 * s, 500, 3}, {71 * s, 500, 3}, {72 * s, 500, 500}},
	} {
		var e LimitEstimate
		for _, r := range reports {
			if e.Report(after(r.at), r.amount, 0); e.Amount != r.want {
				t.Errorf("%v: %d at %v; want %d", reports, e.Amount, r.at, r.want)
			}
		}
	}
}

// Where three of ten reports are wrong at random, the limit is nearly always right, at
// whatever pace they come; and what really changes is followed within a minute.
func TestLimitEstimateOfLies(t *testing.T) {
	for _, lies := range []float64{0, 0.1, 0.2, 0.3} {
		for _, gap := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second, 5 * time.Second} {
			r := rand.New(rand.NewPCG(1, uint64(gap)))
			var e LimitEstimate
			now := epoch
			report := func(truth int64) {
				amount := truth
				if r.Float64() < lies {
					amount = truth / 10
				}
				e.Report(now, amount, 0)
				now = now.Add(gap)
			}
			const reports = 20_000
			wrong := 0
			for range reports {
				if report(600); e.Amount != 600 {
					wrong++
				}
			}
			if allowed := reports / 100; wrong > allowed {
				t.Errorf("%v lies, one each %v: wrong for %d reports", lies, gap, wrong)
			}
			since := now
			for e.Amount != 300 && now.Sub(since) < time.Hour {
				report(300)
			}
			if took := now.Sub(since); lies == 0 && took > time.Minute || took > max(10*time.Second, 100*gap) {
				t.Errorf("%v lies, one each %v: a lower limit was followed after %v", lies, gap, took)
			}
		}
	}
}

// The figure of a throttle counts for several reports. An SDK sends a call three times, so two
// throttles must be enough: the next may be the last of the same call.
func TestLimitEstimateOfThrottles(t *testing.T) {
	var e LimitEstimate
	for range 40 {
		e.Report(epoch, 600, 0)
	}
	for i := range 2 {
		if changed := e.Throttle(epoch, 300, 0); changed != (i == 1) {
			t.Errorf("throttle %d: changed %v to %d", i, changed, e.Amount)
		}
	}
}
