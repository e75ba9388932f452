package ledger

import (
	"math"
	"testing"
)

func TestRivalStandsBefore(t *testing.T) {
	r := rival{entry: entry{tag: 5, place: 3}}
	for _, x := range []struct {
		tag, place float64
		want       bool
	}{{6, 0, true}, {5, 4, true}, {5, 3, false}, {5, 2, false}, {4, 9, false}} {
		if got := r.before(x.tag, x.place); got != x.want {
			t.Errorf("before %v, %v: %v", x.tag, x.place, got)
		}
	}
}

// What comes before a cost is a rival's part up to its tag, as far as its own buckets let that start.
func TestShareOfARival(t *testing.T) {
	one := []part{{tag: 10, end: 20, units: 5}}
	two := []part{{tag: 10, end: 20, units: 5}, {tag: 20, end: 30, units: 15}}
	for _, x := range []struct {
		name      string
		node      bool
		parts     []part
		end, part float64
		tag       float64
		want      float64
	}{
		{"a ticket, not yet", false, two, 30, 1, 10, 0},
		{"half of its first flow", false, two, 30, 1, 15, 0.125},
		{"its first flow", false, two, 30, 1, 20, 0.25},
		{"half of its second", false, two, 30, 1, 25, 0.625},
		{"all of it", false, two, 30, 1, 30, 1},
		{"more than all of it", false, two, 30, 1, 90, 1},
		{"what may start", false, two, 30, 0.5, 25, 0.5},
		{"all that may start", false, two, 30, 0.5, 30, 0.5},
		{"less than may start", false, two, 30, 0.5, 20, 0.25},
		{"a node of a flow, not yet", true, one, 50, 1, 10, 0},
		{"a quarter of its time", true, one, 50, 1, 20, 0.25},
		{"all of its time", true, one, 50, 1, 50, 1},
		{"more than its time", true, one, 50, 1, 60, 1},
		{"what may start of a node", true, one, 50, 0.1, 20, 0.1},
		{"all that may start of a node", true, one, 50, 0.1, 60, 0.1},
		{"a node of two flows", true, two, 50, 1, 20, 0.25}, // of the first, and of the time
		{"of whose time less has passed", true, two, 90, 1, 30, 0.625},
		{"of whose first more is to come", true, two, 40, 1, 20, 0.25*7/6 - 0.25/6},
		{"whose first is over", true, two, 50, 1, 30, 0.75},
		{"all of a node of two", true, two, 50, 1, 50, 1},
		{"what may start of a node of two", true, two, 50, 0.2, 30, 0.2},
	} {
		r := rival{entry: entry{tag: 10}, end: x.end, parts: x.parts, part: x.part}
		if x.node {
			r.node = &node{}
		}
		first, rest := r.shares(x.tag)
		if math.Abs(first-x.want) > 1e-9 || rest != first {
			t.Errorf("%s: %v, %v; want %v", x.name, first, rest, x.want)
		}
	}
}

// Where a node's first ticket has several parts of one flow, those parts say nothing of the others:
// their costs have come all over the time.
func TestShareOfAlikeParts(t *testing.T) {
	two := []part{{tag: 10, end: 20, units: 5}, {tag: 40, end: 50, units: 15}}
	for _, x := range []struct{ part, tag, first, rest float64 }{
		{1, 15, 0.125, 0.05}, {1, 30, 0.25, 0.2}, {1, 110, 1, 1}, {0.1, 30, 0.1, 0.1},
	} {
		r := rival{entry: entry{tag: 10, node: &node{}}, end: 110, parts: two, alike: true, part: x.part}
		if first, rest := r.shares(x.tag); math.Abs(first-x.first) > 1e-9 || math.Abs(rest-x.rest) > 1e-9 {
			t.Errorf("at %v: %v and %v; want %v and %v", x.tag, first, rest, x.first, x.rest)
		}
	}
}
