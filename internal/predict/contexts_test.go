package predict

import (
	"fmt"
	"testing"
)

// Contexts hold the last half of what it may hold, and never more.
func TestContextsAreBounded(t *testing.T) {
	id := func(i int) string { return fmt.Sprint("resp_", i) }
	var h Contexts
	if h.Get("resp_0") != 0 {
		t.Error("an empty one knows something")
	}
	h.Set("", 1)
	h.Set("resp_0", 0)
	h.Set("resp_0", -1)
	if h.young != nil {
		t.Error("nothing was remembered")
	}
	for i := range 3 * maxContexts {
		h.Set(id(i), int64(i+1))
		if i%1000 == 0 {
			h.Touch(id(0))
		}
		for k := max(0, i-maxContexts/2+2); k <= i && i%1000 == 0; k++ {
			if got := h.Get(id(k)); got != int64(k+1) {
				t.Fatalf("%d after %d: %d", k, i, got)
			}
		}
		if n := len(h.young) + len(h.old); n > maxContexts {
			t.Fatalf("%d are remembered", n)
		}
	}
	if h.Get(id(0)) != 1 {
		t.Error("what was in use is forgotten")
	}
	if h.Get(id(1)) != 0 {
		t.Error("nothing is forgotten")
	}
	h.Set(id(0), 1<<62)
	if got := h.Get(id(0)); got != largest {
		t.Errorf("the largest context is %d", got)
	}
}
