package p

import "testing"

func TestOver(t *testing.T) {
	if Over(1, 1) || !Over(2, 1) {
		t.Error("the limit is over")
	}
}
