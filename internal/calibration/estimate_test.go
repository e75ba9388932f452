package calibration

import (
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
		{"once below it", many(1, 300), 400, 0},
		{"twice below it", many(2, 300), 400, 300},
		{"one that is lower", append(many(20, 500), 30), 0, 500},
		{"halved", append(many(20, 500), many(5, 250)...), 0, 250},
		{"every twentieth is wrong", many(5, append(many(19, 500), 30)...), 0, 500},
		{"wrong ones that differ", append(many(20, 500), 1, 2, 3, 4, 5, 6, 7, 8), 0, 500},
		{"one that is higher", append(many(20, 500), 1000), 0, 500},
		{"doubled", append(many(40, 500), many(21, 1000)...), 0, 1000},
		{"a few that are higher", append(many(40, 500), many(20, 1000)...), 0, 500},
		{"wrong ones close together", append(many(20, 500), 30, 500, 30, 30), 0, 500},
		{"two buckets behind one name", many(20, 1000, 200), 0, 200},
		{"eleven of many", slices.Concat(many(20, 500), many(3, three...), many(2, 30)), 0, 500},
		{"twelve of many", slices.Concat(many(20, 500), many(3, three...), many(3, 30)), 0, 30},
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
