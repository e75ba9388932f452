package ratelimiter

import (
	"fmt"
	"testing"
)

// A history holds the last half of what it may hold, and never more.
func TestHistoryIsBounded(t *testing.T) {
	id := func(i int) string { return fmt.Sprint("resp_", i) }
	var h history
	if h.get("resp_0") != 0 {
		t.Error("an empty history knows something")
	}
	h.set("", 1)
	h.set("resp_0", 0)
	h.set("resp_0", -1)
	if h.young != nil {
		t.Error("nothing was remembered")
	}
	for i := range 3 * maxHistory {
		h.set(id(i), int64(i+1))
		h.get(id(0)) // in use
		for k := max(0, i-maxHistory/2+2); k <= i && i%1000 == 0; k++ {
			if got := h.get(id(k)); got != int64(k+1) {
				t.Fatalf("%d after %d: %d", k, i, got)
			}
		}
		if n := len(h.young) + len(h.old); n > maxHistory {
			t.Fatalf("%d are remembered", n)
		}
	}
	if h.get(id(0)) != 1 {
		t.Error("what was in use is forgotten")
	}
	if h.get(id(1)) != 0 {
		t.Error("nothing is forgotten")
	}
	h.set(id(0), 1<<62)
	if got := h.get(id(0)); got != largest {
		t.Errorf("the largest context is %d", got)
	}
}
