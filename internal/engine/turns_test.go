package engine

import (
	"math"
	"slices"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/backend"
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

// A queue's turn is that of the first of the classes of which somebody waits.
func TestNextTurn(t *testing.T) {
	turns := turns{virtual: 1, finish: map[string]float64{"a": 5, "b": 3, "c": 2}}
	var q flows
	check := func(want float64) {
		t.Helper()
		if got := turns.next(&q); got != want {
			t.Errorf("%v; want %v", got, want)
		}
	}
	check(math.Inf(1))
	var all []*waiter
	for _, x := range []struct {
		class string
		want  float64
	}{{"a", 5}, {"b", 3}, {"new", 1}} {
		w := &waiter{}
		all = append(all, w)
		q.join(w, named(x.class, "", 1))
		check(x.want)
	}
	q.leave(all[2])
	check(3)
	q.leave(all[1])
	check(5)
	turns.serve(&backend.Flow{Class: "c", Weight: 4})
	if turns.virtual != 2 || turns.finish["c"] != 2.25 {
		t.Errorf("%+v after a turn of a weight of 4", turns)
	}
}
