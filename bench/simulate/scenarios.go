package simulate

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

var tier = openaitest.Limits{RPM: 600, TPM: 200_000}

// prompts are calls whose cost is mostly prompt, so that what the server makes
// of it matters.
func prompts(bias, noise float64) mix {
	return mix{words: uniform(200, 500), cap: func(r *rand.Rand) int64 { return 20 + r.Int64N(41) }, bias: bias, noise: noise}
}

// scaled makes prompts k times as long.
func (m mix) scaled(k int) mix {
	m.words = uniform(200*k, 500*k)
	return m
}

// answers are calls whose cost is mostly declared output, k times what is used.
func answers(k int64) mix {
	return mix{
		words:  uniform(20, 60),
		cap:    func(r *rand.Rand) int64 { return k * (100 + r.Int64N(101)) },
		output: func(r *rand.Rand, cap int64) int64 { return max(1, cap/k) },
	}
}

const (
	usual  = 25 * time.Minute
	warmUp = 5 * time.Minute
)

// withOutput makes the answers' lengths known to the reader of a scenario.
func saturated(name string, m mix, more func(*scenario)) scenario {
	s := scenario{
		name: name, limits: tier, mix: m, load: load{workers: 150}, processes: 1,
		duration: usual, warm: warmUp,
	}
	if more != nil {
		more(&s)
	}
	return s
}

// foreign lets others make n calls, so long apart, every so often.
func foreign(every time.Duration, n int, apart time.Duration) []event {
	return []event{{0, func(w *world) {
		w.calls.Go(func() {
			for round := 1; ; round++ {
				for i := range n {
					at := time.Duration(round)*every + time.Duration(i)*apart
					if !w.sleep(w.ctx, time.Until(w.begun.Add(at))) {
						return
					}
					w.calls.Go(func() { w.spend(openaitest.Cost{Requests: 1, Tokens: 330}) })
				}
			}
		})
	}}}
}

// lies edits the headers of every nth answer.
func lies(n int64, remaining func(limit int64) int64) openaitest.Option {
	return openaitest.WithHeader(func(c *openaitest.Call, status int, h http.Header) {
		if c.Seq%n != 0 {
			return
		}
		for _, kind := range []string{"Requests", "Tokens"} {
			limit, err := strconv.ParseInt(h.Get("X-Ratelimit-Limit-"+kind), 10, 64)
			if err != nil {
				continue
			}
			left := remaining(limit)
			h.Set("X-Ratelimit-Remaining-"+kind, strconv.FormatInt(left, 10))
			h.Set("X-Ratelimit-Reset-"+kind, (time.Duration(float64(time.Minute) * float64(limit-left) / float64(limit))).String())
		}
	})
}

func halved(l openaitest.Limits) openaitest.Limits {
	return openaitest.Limits{RPM: l.RPM / 2, TPM: l.TPM / 2}
}

func doubled(l openaitest.Limits) openaitest.Limits {
	return openaitest.Limits{RPM: l.RPM * 2, TPM: l.TPM * 2}
}

var scenarios = []scenario{
	saturated("steady overload", prompts(1, 0), func(s *scenario) { s.steady = true }),
	saturated("estimates off by noise of 20 %", prompts(1, 0.2), func(s *scenario) { s.steady = true }),
	saturated("estimates 30 % too low", prompts(1/0.7, 0.1), nil),
	saturated("estimates 50 % too high", prompts(1/1.5, 0.1).scaled(2), nil),
	saturated("estimates half, noise of 30 %", prompts(2, 0.3), nil),
	saturated("max_tokens 20 times too high, kept", answers(20), func(s *scenario) { s.limits.TPM = 1_000_000 }),
	saturated("max_tokens 20 times too high, given back", answers(20), func(s *scenario) {
		s.limits.TPM = 1_000_000
		s.server = []openaitest.Option{openaitest.WithRefunds(true)}
		s.limits.TPM, s.warm = 1_000_000, 6*time.Minute
	}),
	saturated("unused output kept", answers(2), nil),
	saturated("unused output given back", answers(2), func(s *scenario) {
		s.server = []openaitest.Option{openaitest.WithRefunds(true)}
	}),
	saturated("no output declared, 16 charged", mix{words: uniform(200, 500), output: func(r *rand.Rand, _ int64) int64 { return 50 + r.Int64N(300) }}, nil),
	saturated("no output declared, debited", mix{words: uniform(200, 500), output: func(r *rand.Rand, _ int64) int64 { return 50 + r.Int64N(300) }}, func(s *scenario) {
		s.server = []openaitest.Option{openaitest.WithUndeclared(openaitest.Flat16ThenDebit)}
		s.debits = true
	}),
	saturated("heavy tail of 500 and 60,000", mix{words: uniform(100, 200), cap: func(r *rand.Rand) int64 { return 350 }, largeEvery: 100}, func(s *scenario) {
		s.duration = 45 * time.Minute
	}),
	saturated("nothing configured", prompts(1, 0.1), func(s *scenario) { s.learns = true }),
	saturated("nothing configured, no headers", prompts(1, 0.1), func(s *scenario) {
		s.learns = true
		s.server = []openaitest.Option{openaitest.WithHeaders(false)}
		s.bar = &bar{0.9, 1000}
	}),
	saturated("limit halved", prompts(1, 0.1), func(s *scenario) {
		s.events = []event{{10 * time.Minute, setLimits(halved(tier))}}
	}),
	saturated("limit doubled, nothing configured", prompts(1, 0.1), func(s *scenario) {
		s.learns = true
		s.events = []event{{10 * time.Minute, setLimits(doubled(tier))}}
	}),
	saturated("foreign traffic of 30 %", prompts(1, 0.1), func(s *scenario) {
		s.events = foreign(time.Second, 3, 300*time.Millisecond)
	}),
	saturated("foreign bursts of 25 % in 5 s", prompts(1, 0.1), func(s *scenario) {
		s.events = foreign(time.Minute, 150, 33*time.Millisecond)
	}),
	saturated("slices of 1 s", mix{words: uniform(20, 60), cap: func(r *rand.Rand) int64 { return 50 }}, func(s *scenario) {
		s.server = []openaitest.Option{openaitest.WithSlices(openaitest.Slices{On: []openaitest.Limit{openaitest.RPM}})}
		s.slice = time.Second
	}),
	saturated("restart with a spent budget", prompts(1, 0.1), func(s *scenario) {
		s.events = []event{{10 * time.Minute, restart}}
	}),
	saturated("four processes, one killed", prompts(1, 0.1), func(s *scenario) {
		s.processes, s.load.workers, s.rtt = 4, 40, 3*time.Millisecond
		s.events = []event{{10 * time.Minute, func(w *world) { kill(w, 3) }}}
	}),
	saturated("eight processes, slow store", prompts(1, 0.1), func(s *scenario) {
		s.processes, s.load.workers, s.rtt = 8, 125, 3*time.Millisecond
		s.limits = openaitest.Limits{RPM: 6_000, TPM: 20_000_000}
		s.duration, s.warm = 6*time.Minute, 3*time.Minute
	}),
	saturated("headers always empty", prompts(1, 0.1), func(s *scenario) {
		s.server = []openaitest.Option{lies(1, func(int64) int64 { return 0 })}
		s.bar = &bar{0.9, 5}
	}),
	saturated("every 20th header empty", prompts(1, 0.1), func(s *scenario) {
		s.server = []openaitest.Option{lies(20, func(int64) int64 { return 0 })}
		s.bar = &bar{0.9, 5}
	}),
	saturated("headers always full", prompts(1, 0.1), func(s *scenario) {
		s.server = []openaitest.Option{lies(1, func(l int64) int64 { return l - 1 })}
		s.bar = &bar{0.9, 5}
	}),
	saturated("load of 60 %", prompts(1, 0.1), func(s *scenario) {
		s.load = load{rate: 0.6 * 200_000 / 60 / 397}
		s.steady = true
	}),
	saturated("bursts", prompts(1, 0.1), func(s *scenario) {
		s.load = load{rate: 0.8 * 200_000 / 60 / 397, burst: 100}
	}),
	saturated("a cold start", prompts(1, 0.1), func(s *scenario) {
		s.duration, s.warm = 3*time.Minute, 0
	}),
}
