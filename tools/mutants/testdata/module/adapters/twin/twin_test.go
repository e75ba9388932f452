package twin

import (
	"testing"

	"example.test/module/p"
)

func TestTwin(t *testing.T) {
	if got := p.Twice(3); got != 6 {
		t.Errorf("%d", got)
	}
}

func TestOther(t *testing.T) { t.Error("it is not asked for") }
