package lineartest

import "testing"

var sink int

func TestCheck(t *testing.T) {
	linear := func(n int) func() {
		return func() {
			for i := range 10 * n {
				sink += i
			}
		}
	}
	quadratic := func(n int) func() { return linear(n / 100 * (n / 300)) }
	if err := Check(30_000, linear); err != nil {
		t.Error(err)
	}
	if Check(30_000, quadratic) == nil {
		t.Error("quadratic work passes for linear")
	}
}
