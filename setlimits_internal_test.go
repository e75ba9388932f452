package ratelimiter

import (
	"sync"
	"testing"
)

// Of limits that are set at the same time, all of one's hold in the end: not the classes of
// one with the limits of the other.
func TestLimitsAreSetTogether(t *testing.T) {
	l, err := New(WithAccount("a"), WithLimits("m", Limits{RPM: 10}))
	if err != nil {
		t.Fatal(err)
	}
	set := func(class string, rpm int64) {
		if err := l.SetLimits(WithLimits("m", Limits{RPM: rpm}), WithClasses(map[string]Class{class: {Limits: Limits{RPM: 5}}})); err != nil {
			t.Error(err)
		}
	}
	for range 10_000 {
		var both sync.WaitGroup
		both.Go(func() { set("one", 10) })
		both.Go(func() { set("two", 20) })
		both.Wait()
		want := int64(20)
		if _, one := (*l.classes.Load())["one"]; one {
			want = 10
		}
		state, err := l.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := state.Scopes[0].Limits[0].Limit; got != want {
			t.Fatalf("a limit of %d; want %d, as the classes are", got, want)
		}
	}
}
