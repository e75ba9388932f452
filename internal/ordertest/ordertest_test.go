package ordertest

import (
	"slices"
	"testing"
	"time"
)

// at is so many seconds after the begin; 0 is never.
func at(seconds int) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

func TestIdeal(t *testing.T) {
	for _, x := range []struct {
		name            string
		tenants         string // a letter each
		arrived, starts []int
		want            []int
	}{
		{"one queue", "aaa", []int{1, 2, 3}, []int{6, 5, 4}, []int{4, 5, 6}},
		{"in turns", "aaabb", []int{1, 1, 1, 1, 1}, []int{1, 2, 3, 4, 5}, []int{1, 3, 4, 2, 5}},
		{"who was idle comes first", "aaab", []int{1, 1, 1, 2}, []int{1, 2, 3, 4}, []int{1, 3, 4, 2}},
		{"not all start", "ab", []int{1, 1}, []int{2, 0}, []int{2, 0}},
		{"none before it has come", "ab", []int{1, 3}, []int{2, 4}, []int{2, 4}},
	} {
		var calls []Call
		for i, tenant := range x.tenants {
			calls = append(calls, Call{Arrived: at(x.arrived[i]), Started: at(x.starts[i]), Tenant: string(tenant)})
		}
		var got []int
		for _, should := range Ideal(calls) {
			if got = append(got, 0); !should.IsZero() {
				got[len(got)-1] = int(should.Unix())
			}
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("%s: %v; want %v", x.name, got, x.want)
		}
	}
}

func TestWaits(t *testing.T) {
	calls := []Call{{at(1), at(9), "a"}, {at(1), at(3), "a"}, {at(2), at(4), "a"}}
	actual, ideal := Waits(calls, at(4), at(10))
	if want := []time.Duration{2 * time.Second, 8 * time.Second}; !slices.Equal(actual, want) {
		t.Errorf("waited %v; want %v", actual, want)
	}
	if want := []time.Duration{3 * time.Second, 7 * time.Second}; !slices.Equal(ideal, want) {
		t.Errorf("should have waited %v; want %v", ideal, want)
	}
}
