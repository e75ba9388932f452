package calibration

import (
	"slices"
	"testing"
	"time"
)

func TestFigure(t *testing.T) {
	many := func(n int, amounts ...int64) []int64 { return slices.Repeat(amounts, n) }
	for _, x := range []struct {
		name          string
		told          []int64
		assumed, want int64
	}{
		{"the first", many(1, 500), 0, 500},
		{"above what is assumed", many(1, 500), 400, 500},
		{"once below it", many(1, 300), 400, 0},
		{"twice below it", many(2, 300), 400, 300},
		{"one that is lower", append(many(20, 500), 30), 0, 500},
		{"halved", append(many(20, 500), many(5, 250)...), 0, 250},
		{"every twentieth is a lie", many(5, append(many(19, 500), 30)...), 0, 500},
		{"lies that differ", append(many(20, 500), 1, 2, 3, 4, 5, 6, 7, 8), 0, 500},
		{"one that is higher", append(many(20, 500), 1000), 0, 500},
		{"doubled", append(many(40, 500), many(21, 1000)...), 0, 1000},
		{"a few that are higher", append(many(40, 500), many(20, 1000)...), 0, 500},
		{"lies close together", append(many(20, 500), 30, 500, 30, 30), 0, 500},
		{"two buckets behind one name", many(20, 1000, 200), 0, 200},
	} {
		var f LimitEstimate
		for _, amount := range x.told {
			f.Report(epoch, amount, x.assumed)
		}
		if f.Amount != x.want {
			t.Errorf("%s: %d; want %d", x.name, f.Amount, x.want)
		}
	}
}

// Where there are few answers, time tells what they don't.
func TestFigureOfFewAnswers(t *testing.T) {
	var f LimitEstimate
	for i, x := range []struct{ told, want int64 }{{3, 3}, {3, 3}, {500, 3}, {500, 3}, {3, 3}, {500, 3}, {500, 3}, {500, 500}, {500, 500}} {
		if f.Report(after(time.Duration(i)*20*time.Second), x.told, 0); f.Amount != x.want {
			t.Errorf("%d after answer %d; want %d", f.Amount, i, x.want)
		}
	}
}
