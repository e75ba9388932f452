package predict

import (
	"testing"

	"pgregory.net/rapid"
)

func TestOutputs(t *testing.T) {
	for _, x := range []struct {
		name string
		seen []int64
		want int64
	}{
		{"none", nil, unseen},
		{"one", []int64{7}, 7},
		{"rounded up", []int64{7, 8}, 8},
		{"not rounded", []int64{7, 9}, 8},
		{"nothing", []int64{0, -1}, unseen},
		{"beside nothing", []int64{0, 9, -1}, 9},
		{"the largest", []int64{1 << 62}, largest},
	} {
		var o Outputs
		for _, n := range x.seen {
			o.Add(n)
		}
		if got := o.Expect(); got != x.want {
			t.Errorf("%s: %d; want %d", x.name, got, x.want)
		}
	}
}

// What is expected is the mean of the last 32, however many were seen.
func TestOutputsAreTheMeanOfTheLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o Outputs
		seen := rapid.SliceOfN(rapid.Int64Range(1, 1000), 70, 200).Draw(t, "seen")
		for i, n := range seen {
			o.Add(n)
			last := seen[max(0, i+1-len(o.recent)) : i+1]
			sum := int64(len(last) - 1)
			for _, n := range last {
				sum += n
			}
			if got, want := o.Expect(), sum/int64(len(last)); got != want {
				t.Fatalf("after %d: %d; want %d", i+1, got, want)
			}
		}
	})
}
