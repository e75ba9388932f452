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
	return levels(func(seq int64) bool { return seq%n == 0 }, remaining)
}

// randomly does so to that part of the answers.
func randomly(part float64, remaining func(r *rand.Rand, limit int64) int64) openaitest.Option {
	return levels(func(seq int64) bool { return chosen(seq, part) }, remaining)
}

// chosen reports whether an answer is among that part of all, at random.
func chosen(seq int64, part float64) bool {
	return rand.New(rand.NewPCG(7, uint64(seq))).Float64() < part
}

func levels(wrong func(seq int64) bool, remaining func(r *rand.Rand, limit int64) int64) openaitest.Option {
	return openaitest.WithHeader(func(c *openaitest.Call, _ int, h http.Header) {
		if !wrong(c.Seq) {
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

// randomLimits makes so many answers, at random, tell a limit that is so much lower, and
// leaves the rest of their headers as it is or has nothing left.
func randomLimits(part float64, times int64, whole bool) openaitest.Option {
	return openaitest.WithHeader(func(c *openaitest.Call, _ int, h http.Header) {
		if !chosen(c.Seq, part) {
			return
		}
		for _, kind := range []string{"Requests", "Tokens"} {
			limit, err := strconv.ParseInt(h.Get("X-Ratelimit-Limit-"+kind), 10, 64)
			if err != nil {
				continue
			}
			h.Set("X-Ratelimit-Limit-"+kind, strconv.FormatInt(limit/times, 10))
			if !whole {
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
