package ratelimiter_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Whoever configures less than the server would give gets what is configured.
func TestConfiguredTokensAreKeptBelowTheServers(t *testing.T) {
	for _, times := range []int64{2, 20} {
		synctest.Test(t, func(t *testing.T) {
			const minutes, tpm = 10, 60_000
			srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 100_000, TPM: times * tpm}),
				openaitest.WithLatency(300*time.Millisecond, time.Second))
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: tpm}))
			done := busy(t, l.Client(srv.Direct()), 100, minutes*time.Minute, chatBody("m", 1000, false))
			var n http.Header
			_ = n
			spent := done * 1010
			t.Logf("%d tokens in %d minutes of %d", spent, minutes, tpm)
			if spent > tpm*(minutes+1)*101/100 || spent < tpm*minutes*95/100 {
				t.Errorf("%d tokens", spent)
			}
		})
	}
}
