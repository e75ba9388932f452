package ratelimiter_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A report is the rate-limit headers of one response, by name. What it says of the
// limit of requests a minute is in lower: a limit below the configured one, or 0
// where it says nothing that may lower it. Where telling is set, it also tells that
// the limit is one of a minute.
type report struct {
	header  map[string]string
	lower   int64
	telling bool
}

const (
	configuredRPM = 60
	limitHeader   = "X-Ratelimit-Limit-"
	leftHeader    = "X-Ratelimit-Remaining-"
	resetHeader   = "X-Ratelimit-Reset-"
	renewalHeader = "X-Ratelimit-Renewalperiod-"
)

// These say no limit: no reading of them is a positive number.
var noLimits = rapid.OneOf(
	rapid.SampledFrom([]string{
		"", " ", "0", "-0", "0.0", "-1", "-60", "- 60", "abc", "NaN", "Inf", "-Inf", "none", "null", "1m0s", "51m", "60 requests",
		"0x3c", "6_0", "60, 60", "6,0", ",60", "60,", "1e99", "9223372036854775807", "99999999999999999999", "60;w=60",
	}),
	rapid.StringMatching(`-[0-9]{1,6}`),
	rapid.StringMatching(`[0-9]{1,4}(ms|s|m|h)`),
	rapid.StringMatching(`[^0-9]{0,8}`),
)

// What else may stand in a header, whatever it means there.
var anything = rapid.OneOf(noLimits, rapid.StringMatching(`[0-9]{1,6}`), rapid.StringN(0, 8, 16))

// Resets of a minute's bucket, true or not, and what is none. None of them makes
// the figures beside them those of a day, which would be another limit.
var resets = rapid.OneOf(
	rapid.SampledFrom([]string{"", "0s", "1ms", "30s", "59.9s", "1m0s", "-5s", "100h", "100000h", "1e9", "NaN", "abc", "60"}),
	rapid.StringMatching(`[1-9][0-9]{0,3}ms`),
)

// Reports that say nothing which may lower a limit of 60 requests a minute: they name
// no limit, the same one or a higher one, and that the bucket stands anywhere.
var harmless = rapid.Custom(func(rt *rapid.T) report {
	h := map[string]string{}
	may := func(name string, from *rapid.Generator[string]) {
		if rapid.Bool().Draw(rt, "with "+name) {
			h[name] = from.Draw(rt, name)
		}
	}
	for _, kind := range []string{"Requests", "Tokens"} {
		switch rapid.SampledFrom([]string{"none", "senseless", "stated"}).Draw(rt, kind) {
		case "none":
			may(leftHeader+kind, anything)
			may(resetHeader+kind, anything)
		case "senseless":
			h[limitHeader+kind] = noLimits.Draw(rt, limitHeader+kind)
			may(leftHeader+kind, anything)
			may(resetHeader+kind, anything)
		case "stated":
			limits := []string{"60", "61", "100", "1,000,000", "1e6", " 60 ", "1000000000000000"}
			if kind == "Tokens" { // of which none are configured
				limits = []string{"1000000000", "1000000000000000"}
			}
			h[limitHeader+kind] = rapid.SampledFrom(limits).Draw(rt, limitHeader+kind)
			may(leftHeader+kind, anything)
			may(resetHeader+kind, resets)
		}
	}
	may(renewalHeader+"Requests", rapid.SampledFrom([]string{"", "60", "1", "10", "-1", "abc"}))
	may("Retry-After", anything) // which says nothing in a response that is no throttle
	may("Retry-After-Ms", anything)
	return report{header: h}
})

// Reports of a lower limit. Where they tell the rest, it is that of a minute's bucket
// which is full but for the request itself; a limit alone may be a day's.
var lowering = rapid.Custom(func(rt *rapid.T) report {
	n := rapid.Int64Range(30, configuredRPM-1).Draw(rt, "lower limit")
	h := map[string]string{limitHeader + "Requests": fmt.Sprint(n)}
	telling := rapid.Bool().Draw(rt, "with the rest")
	if telling {
		h[leftHeader+"Requests"] = fmt.Sprint(n - 1)
		h[resetHeader+"Requests"] = (time.Minute / time.Duration(n)).Truncate(time.Millisecond).String()
	}
	return report{h, n, telling}
})

// Whatever headers say, traffic neither stalls nor passes the configured limits. Only
// a limit that responses have really reported lowers them.
func TestAnyHeaders(t *testing.T) {
	property(t, func(rt *rapid.T) {
		// The responses take turns.
		reports := rapid.SliceOfN(rapid.OneOf(harmless, harmless, harmless, lowering), 1, 3).Draw(rt, "reports")
		may := []int64{configuredRPM}
		for _, r := range reports {
			if r.lower > 0 {
				may = append(may, r.lower)
			}
		}
		lowest := slices.Min(may)
		synctest.Test(t, func(t *testing.T) {
			var sent []time.Time
			var mu sync.Mutex
			srv := openaitest.New(openaitest.WithHeader(func(c *openaitest.Call, _ int, h http.Header) {
				mu.Lock()
				sent = append(sent, c.Arrived)
				mu.Unlock()
				for name, value := range reports[int(c.Seq)%len(reports)].header {
					h[name] = []string{value}
				}
			}))
			const workers, each = 8, 10
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: configuredRPM}))
			c := l.Client(srv.Direct())
			begun := time.Now()
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for range each {
						post(t, c, chatURL, chatBody("m", 1, false))
					}
				})
			}
			wg.Wait()

			// Of 80 calls the limit lets 60 go at once and 20 within 20 seconds. A server
			// that says it is empty, or in debt, may be believed for a while.
			longest := 3*time.Minute + time.Minute*workers*each/time.Duration(lowest)
			if took := time.Since(begun); took > longest {
				rt.Errorf("%d calls took %v; want %v at most; %+v", len(sent), took, longest, limitsOf(t, l, "m"))
			}
			got := limitsOf(t, l, "m")["rpm"].Limit
			if !slices.Contains(may, got) {
				rt.Errorf("%d requests a minute are let through; nobody has said that", got)
			}
			if len(reports) == 1 && reports[0].telling && got != lowest {
				rt.Errorf("%d requests a minute are let through; every response has told %d", got, lowest)
			}
			for i := range sent {
				for j := i + configuredRPM; j < len(sent); j++ {
					refilled := configuredRPM * sent[j].Sub(sent[i]).Minutes()
					if n := float64(j - i + 1); n > configuredRPM+refilled+1e-6 {
						rt.Errorf("%v calls within %v of %d a minute", n, sent[j].Sub(sent[i]), configuredRPM)
						return
					}
				}
			}
		})
	})
}
