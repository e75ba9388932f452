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
	// Quadratic work passes where all of the smaller turns are slowed down threefold.
	cubic := func(n int) func() { return linear(n / 100 * (n / 100) * (n / 100) / 100) }
	if err := Check(10_000, linear); err != nil {
		t.Error(err)
	}
	if Check(10_000, cubic) == nil {
		t.Error("cubic work passes for linear")
	}
}
