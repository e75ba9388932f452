package simulate

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// What scenarios differ in, by name, so that their list reads like a table.

func refunds(s *scenario) { s.server = append(s.server, openaitest.WithRefunds(true)) }

func noHeaders(s *scenario) { s.server = append(s.server, openaitest.WithHeaders(false)) }

func unconfigured(s *scenario) { s.learns = true }

func onRedis(s *scenario) { s.redis = true }

func with(o ...openaitest.Option) func(*scenario) {
	return func(s *scenario) { s.server = append(s.server, o...) }
}

// lasting is for scenarios in which the usual length sees less than 10,000 calls.
func lasting(d time.Duration) func(*scenario) { return func(s *scenario) { s.duration = d } }

func held(b bar) func(*scenario) { return func(s *scenario) { s.bar = b } }

// changes lets something happen that use has to follow.
func changes(at time.Duration, do func(*world)) func(*scenario) {
	return func(s *scenario) { s.change, s.events = at, []event{{at, do}} }
}

func subwindowed(limit openaitest.Limit, subwindows openaitest.Subwindows) func(*scenario) {
	subwindows.On = []openaitest.Limit{limit}
	return func(s *scenario) { s.subwindows = &subwindows }
}

// fleetOf lets several processes share the budget, over a store at this distance.
func fleetOf(processes, workers int, trip time.Duration) func(*scenario) {
	return func(s *scenario) { s.processes, s.load.workers, s.trip = processes, workers, trip }
}

// slowStore is how long a trip to the store takes in the scenarios named after it.
const slowStore = 3 * time.Millisecond

// rateOf is eight processes that share so many requests a second over a slow
// store, with nothing in the server's bucket at the beginning, which would
// otherwise last for a minute.
func rateOf(name string, perSecond int64, workers int, warmUp, duration time.Duration, more ...func(*scenario)) scenario {
	m := brief()
	m.words, m.answer = uniform(5, 15), time.Second
	return saturated(name, m, append(more, fleetOf(8, workers, slowStore), func(s *scenario) {
		s.limits = openaitest.Limits{RPM: 60 * perSecond, TPM: 1e9}
		s.spent, s.warmUp, s.duration, s.bar.early = true, warmUp, duration, 10
	})...)
}

// hurried are calls with a deadline, from a second to half a minute.
func hurried(m mix) mix {
	m.patience = func(r *rand.Rand) time.Duration {
		return time.Duration(float64(time.Second) * math.Pow(30, r.Float64()))
	}
	return m
}

// withLarge makes one call in twenty declare 60,000 tokens of output.
func withLarge(m mix) mix {
	m.largeEvery = 20
	return m
}

// withLargeMean is what calls then cost on average, in the mean of prompts.
const withLargeMean = 8.55

// meant is the load of prompts that uses this part of the tokens.
func meant(part float64) float64 { return part * float64(tier.TPM) / 60 / promptsMean }

// smallTier is one of which a call is a tenth.
func smallTier(s *scenario) {
	s.limits = openaitest.Limits{RPM: 100, TPM: 10_000}
	s.duration, s.warmUp = 20*time.Hour, time.Hour
}

// slow makes answers take so long that most calls are in flight.
func slow(m mix) mix {
	m.answer = 14 * time.Second
	return m
}

// cold watches from the beginning on.
func cold(s *scenario) {
	s.duration, s.warmUp = 3*time.Minute, 0
	s.bar.lost = 2 * time.Second
}
