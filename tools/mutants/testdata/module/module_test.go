package module

import "testing"

func TestQuarter(t *testing.T) {
	if got := Quarter(8); got != 2 {
		t.Errorf("%d", got)
	}
}
