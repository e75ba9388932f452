package main

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSoak(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	report, err := run(8*time.Second, seed)
	t.Logf("-seed %d\n%s", seed, report)
	if err != nil {
		t.Error(err)
	}
}
