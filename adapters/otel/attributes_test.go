package ratelimiterotel

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// Limits are named in errors as State names them.
func TestLimitsOfErrors(t *testing.T) {
	for _, x := range []struct {
		unit   string
		period time.Duration
		want   string
	}{
		{"requests", time.Minute, "rpm"},
		{"tokens", 24 * time.Hour, "tpd"},
		{"images", time.Minute, "ipm"},
		{"calls in flight", 0, "concurrent"},
		{"tokens", time.Second, "tokens per 1s"},
		{"", 0, ""},
	} {
		err := fmt.Errorf("wrapped: %w", &ratelimiter.Error{Reason: ratelimiter.ErrMaxWait, Unit: x.unit, Period: x.period})
		if got := limitOf(err); got != x.want {
			t.Errorf("%+v: %q", x, got)
		}
	}
	if got := limitOf(context.Canceled); got != "" {
		t.Errorf("%q of another error", got)
	}
}

// timeout is an error of the network.
type timeout struct{ error }

func (timeout) Timeout() bool { return true }

// A cost that is too large is an answer.
func TestFailures(t *testing.T) {
	for _, x := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{fmt.Errorf("wrapped: %w", backend.ErrTooLarge), ""},
		{context.DeadlineExceeded, "timeout"},
		{fmt.Errorf("wrapped: %w", timeout{errors.New("late")}), "timeout"},
		{errors.New("sk-secret"), "*errors.errorString"},
	} {
		if got := failure(ratelimiter.CommandInfo{Err: x.err}); got != x.want {
			t.Errorf("%v: %q, want %q", x.err, got, x.want)
		}
	}
}
