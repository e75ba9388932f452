package simulate

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// lies edits the headers of every nth answer: they say that so much remains.
func lies(n int64, remaining func(r *rand.Rand, limit int64) int64) openaitest.Option {
	return openaitest.WithHeader(func(c *openaitest.Call, _ int, h http.Header) {
		if c.Seq%n != 0 {
			return
		}
		r := rand.New(rand.NewPCG(5, uint64(c.Seq)))
		for _, kind := range []string{"Requests", "Tokens"} {
			limit, err := strconv.ParseInt(h.Get("X-Ratelimit-Limit-"+kind), 10, 64)
			if err != nil {
				continue
			}
			left := remaining(r, limit)
			h.Set("X-Ratelimit-Remaining-"+kind, strconv.FormatInt(left, 10))
			h.Set("X-Ratelimit-Reset-"+kind, (time.Duration(float64(time.Minute) * float64(limit-left) / float64(limit))).String())
		}
	})
}

// otherLimits makes every nth answer tell a limit that is so much lower, of which
// nothing is left.
func otherLimits(n, times int64) openaitest.Option {
	return openaitest.WithHeader(func(c *openaitest.Call, _ int, h http.Header) {
		if c.Seq%n != 0 {
			return
		}
		for _, kind := range []string{"Requests", "Tokens"} {
			if limit, err := strconv.ParseInt(h.Get("X-Ratelimit-Limit-"+kind), 10, 64); err == nil {
				h.Set("X-Ratelimit-Limit-"+kind, strconv.FormatInt(limit/times, 10))
				h.Set("X-Ratelimit-Remaining-"+kind, "0")
				h.Set("X-Ratelimit-Reset-"+kind, time.Minute.String())
			}
		}
	})
}

// otherPeriod makes every nth answer tell of a day that is used up.
func otherPeriod(n int64) openaitest.Option {
	return openaitest.WithHeader(func(c *openaitest.Call, _ int, h http.Header) {
		if c.Seq%n == 0 {
			h.Set("X-Ratelimit-Remaining-Requests", "0")
			h.Set("X-Ratelimit-Reset-Requests", (24 * time.Hour).String())
		}
	})
}

func nothing(*rand.Rand, int64) int64            { return 0 }
func everything(_ *rand.Rand, limit int64) int64 { return limit - 1 }
func anything(r *rand.Rand, limit int64) int64   { return r.Int64N(limit) }
