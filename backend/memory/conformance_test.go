package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/openai-ratelimiter/ratelimiter/backend/backendtest"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	backendtest.RunVirtual(t, func(*testing.T) backendtest.Subject {
		return backendtest.Subject{Backend: memory.New()}
	})
}
