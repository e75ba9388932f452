package ratelimiter_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Whatever headers say, calls go on, and no more of them than the configured
// limits allow.
func TestAnyHeaders(t *testing.T) {
	names := rapid.SampledFrom([]string{
		"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests",
		"X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens",
		"X-Ratelimit-Renewalperiod-Requests", "Retry-After", "Retry-After-Ms",
	})
	values := rapid.OneOf(
		rapid.SampledFrom([]string{"", "-1", "0", "1", "599", "600", "30,000", "1e9", "NaN", "9223372036854775807", "1m0s", "59.9s", "1ms", "100h", "8640s", "-5s", "abc"}),
		rapid.StringMatching(`[0-9]{1,6}(ms|s|m|h)?`),
		rapid.StringN(0, 8, 16),
	)
	rapid.Check(t, func(rt *rapid.T) {
		// Each answer has the headers of one of a few sets, or none.
		sets := rapid.SliceOfN(rapid.MapOfN(names, values, 0, 9), 1, 3).Draw(rt, "headers")
		synctest.Test(t, func(t *testing.T) {
			var sent []time.Time
			var mu sync.Mutex
			srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 6000, TPM: 1 << 40}),
				openaitest.WithHeader(func(c *openaitest.Call, _ int, h http.Header) {
					mu.Lock()
					sent = append(sent, c.Arrived)
					mu.Unlock()
					for name, value := range sets[int(c.Seq)%len(sets)] {
						h[name] = []string{value}
					}
				}))
			const rpm, calls = 600, 700
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: rpm}))
			c := l.Client(srv.Direct())
			begun := time.Now()
			var wg sync.WaitGroup
			for range calls / 35 {
				wg.Go(func() {
					for range 35 {
						post(t, c, chatURL, chatBody("m", 1, false))
					}
				})
			}
			wg.Wait()
			if took := time.Since(begun); took > 3*time.Minute && !lowered(t, l, rpm, sets) {
				rt.Errorf("%d calls took %v beside %+v", calls, took, limitsOf(t, l, "m"))
			}
			for i := rpm + 10; i < len(sent); i++ {
				if d := sent[i].Sub(sent[i-rpm-10]); d < time.Second {
					rt.Fatalf("%d calls within %v of %d a minute", rpm+10, d, rpm)
				}
			}
		})
	})
}

// lowered reports whether the limiter has learned a limit that lets fewer calls
// through than that many a minute, and rightly so: half of the answers have told it;
// of others than requests per minute the server itself says nothing.
func lowered(t testing.TB, l *ratelimiter.Limiter, rpm int64, sets []map[string]string) bool {
	for name, limit := range limitsOf(t, l, "m") {
		each, header, enough := int64(1), "X-Ratelimit-Limit-Requests", (len(sets)+1)/2
		if name != "rpm" {
			enough = 1
		}
		if strings.HasPrefix(name, "tp") {
			each, header = 20, "X-Ratelimit-Limit-Tokens" // tokens a call, about
		}
		told := 0
		for _, set := range sets {
			if n, err := strconv.ParseInt(strings.ReplaceAll(set[header], ",", ""), 10, 64); err == nil && n == limit.Limit {
				told++
			}
		}
		if told >= enough && (name[2:] == "d" || limit.Limit < rpm*each) {
			return true
		}
	}
	return false
}
