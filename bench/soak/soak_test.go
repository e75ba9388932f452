package main

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openai-ratelimiter/ratelimiter/internal/seedtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSoak(t *testing.T) {
	seed := seedtest.Seed()
	report, err := run(8*time.Second, seed)
	t.Logf("-seed %d\n%s", seed, report)
	if err != nil {
		t.Error(err)
	}
}
