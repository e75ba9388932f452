package engine

import (
	"slices"
	"testing"
)

// Classes take their turns by weight, each in its own order, and one that has been idle gets
// nothing for that time.
func TestTurns(t *testing.T) {
	var turns turns
	batch := func(classes ...string) (all []*waiter) {
		for i, class := range classes {
			weight := 1.0
			if class == "b" {
				weight = 2
			}
			all = append(all, &waiter{seq: uint64(i), flow: &flow{Flow: named(class, "", weight)}})
		}
		return all
	}
	order := func(b []*waiter) (seqs []uint64) {
		for _, w := range b {
			seqs = append(seqs, w.seq)
		}
		return seqs
	}
	for _, x := range []struct {
		name    string
		classes []string
		n       int
		want    []uint64
	}{
		{"one class, in order", []string{"a", "a", "a", "a"}, 3, []uint64{0, 1, 2, 3}},
		{"one that was idle, with twice the weight", []string{"a", "a", "b", "b", "b", "b"}, 4, []uint64{2, 3, 0, 4, 1, 5}},
	} {
		b := batch(x.classes...)
		if turns.choose(b, x.n); !slices.Equal(order(b), x.want) {
			t.Errorf("%s: %v; want %v", x.name, order(b), x.want)
		}
		for _, w := range b[:x.n] {
			turns.serve(&w.flow.Flow) // all of them have started
		}
	}
}
