package predict

import "testing"

// What calls with functions are short by is learned where they agree.
func TestInputs(t *testing.T) {
	constant := func(i int64) (counted, used int64) { return 500, 588 + i%9 - 4 }
	for _, x := range []struct {
		name  string
		calls int64
		of    func(i int64) (counted, used int64)
		count int64 // of 1,000
	}{
		{"few calls", fewInputs - 1, constant, 1000},
		{"a constant", fewInputs, constant, 1088},
		{"a constant, of any size", 20, func(i int64) (int64, int64) { return 300 + 100*i, 388 + 100*i }, 1088},
		{"a part", 20, func(i int64) (int64, int64) { return 300 + 100*i, 330 + 110*i }, 1100},
		{"both", 20, func(i int64) (int64, int64) { return 300 + 100*i, 380 + 110*i }, 1150},
		{"as counted", 20, func(i int64) (int64, int64) { return 300 + 100*i, 300 + 100*i }, 1000},
		{"less", 20, func(i int64) (int64, int64) { return 300 + 100*i, 200 + 90*i }, 1000},
		{"no agreement", 20, func(i int64) (int64, int64) { return 500, 500 + 100*(i%2) }, 1000},
		{"more than there can be", 20, func(i int64) (int64, int64) { return 300 + 100*i, 900 + 300*i }, 1000},
		{"a part of hardly different counts", 20, func(i int64) (int64, int64) { return 1000 + 10*(i%2), 1050 + 15*(i%2) }, 1053},
		{"the recent ones", 100, func(i int64) (int64, int64) {
			if i < 68 {
				return 500, 900
			}
			return 500, 583
		}, 1083},
		{"one that is said to have used a token", 20, func(i int64) (int64, int64) {
			if i == 10 {
				return 500, 1
			}
			return constant(i)
		}, 1000},
		{"one without usage", 20, func(i int64) (int64, int64) {
			if i == 10 {
				return 500, 0
			}
			return constant(i)
		}, 1088},
		{"one of which nothing was counted", 20, func(i int64) (int64, int64) {
			if i == 10 {
				return 0, 500
			}
			return constant(i)
		}, 1088},
		{"calls of a token", fewInputs, func(int64) (int64, int64) { return 1, 89 }, 1088},
		{"a fifth of a token", 20, func(i int64) (int64, int64) { return 500, 588 + i%5/4 }, 1088},
		{"twice as much", 20, func(i int64) (int64, int64) { return 300 + 100*i, 600 + 200*i }, 2000},
		{"a part of counts that vary too little", 20, func(i int64) (int64, int64) { return 450 + 100*(i%2), 495 + 110*(i%2) }, 1050},
		{"a constant, nearly, where a part would be too large", 20, func(i int64) (int64, int64) { return 35 + 10*(i%2), 45 + 30*(i%2) }, 1020},
		{"some as far off as they may be", fewInputs, func(i int64) (int64, int64) {
			if i%4 == 0 {
				return 500, 1000
			}
			return 500, 952
		}, 1464},
		{"nothing", 20, func(int64) (int64, int64) { return 500, 0 }, 1000},
	} {
		var in Inputs
		for i := range x.calls {
			in.Add(x.of(i))
		}
		if got := in.Count(1000); got != x.count {
			t.Errorf("%s: %d; want %d", x.name, got, x.count)
		}
	}
	in := Inputs{add: 100, part: 1}
	if got := in.Count(largest - 10); got != largest {
		t.Errorf("%d is above the largest", got)
	}
}
