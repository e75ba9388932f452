package ratelimiter_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/openai-ratelimiter/ratelimiter"
)

// An error about a limit that is not the model's own says whose it is, and of which period:
// whoever looks for it in the model's limits would not find it.
func TestErrorSaysWhoseLimitItIs(t *testing.T) {
	for want, tt := range map[string]struct {
		model  string
		option ratelimiter.Option
	}{
		"m: needs 101 tokens, the limit is 100 per minute (configured)": {
			"m", ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 100})},
		"ft:m:acme: needs 101 tokens, the limit is 100 per minute (configured)": {
			"ft:m:acme", ratelimiter.WithLimits("ft:m:acme", ratelimiter.Limits{TPM: 100})},
		"m: needs 101 tokens, the limit of the account is 100 per day (configured)": {
			"m", ratelimiter.WithAccountLimits(ratelimiter.Limits{TPD: 100})},
		"m: needs 101 tokens, the limit of family the:mini is 100 per minute (configured)": {
			"m", ratelimiter.WithShared("the:mini", ratelimiter.Limits{TPM: 100}, "m")},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, tt.option)
			_, err := l.Acquire(t.Context(), ratelimiter.Cost{Model: tt.model, Tokens: 101})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v; want %s", err, want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t, ratelimiter.WithAccountLimits(ratelimiter.Limits{TPM: 300}), ratelimiter.WithMaxWait(0))
		acquire(t, l, tokens(300)).Settle(ratelimiter.Usage{})
		_, err := l.Acquire(t.Context(), tokens(300))
		if want := "for 300 tokens of 300 per minute of the account"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	})
}
