package simulate

import (
	"math/rand/v2"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// scenarios are all that are played in virtual time.
var scenarios = []scenario{
	saturated("steady overload", prompts(1, 0), held(steady), onRedis),
	saturated("estimates off by noise of 20 %", prompts(1, 0.2), held(steady)),
	saturated("estimates 30 % too low", prompts(1/0.7, 0.1), lasting(34*time.Minute)),
	saturated("estimates 50 % too high", prompts(1/1.5, 0.1).scaled(2), lasting(32*time.Minute)),
	saturated("estimates half, noise of 30 %", prompts(2, 0.3), lasting(46*time.Minute)),
	saturated("max_tokens 20 times too high, kept", answers(20), lasting(37*time.Minute), func(s *scenario) { s.limits.TPM = 1_000_000 }),
	saturated("max_tokens 20 times too high, given back", answers(20), refunds, func(s *scenario) {
		s.limits.TPM, s.warmUp = 1_000_000, 6*time.Minute
	}),
	saturated("unused output kept", answers(2)),
	saturated("unused output given back", answers(2), refunds),
	saturated("no output declared, 16 charged", undeclared()),
	saturated("no output declared, debited", undeclared(), lasting(34*time.Minute), func(s *scenario) { s.debits = true }),
	saturated("heavy tail of 500 and 60,000", mix{words: uniform(100, 200), cap: func(*rand.Rand) int64 { return 350 }, largeEvery: 100}, lasting(62*time.Minute)),
	saturated("a small tier", halfUsed(), smallTier, func(s *scenario) { s.load = load{workers: 20} }),
	saturated("a small tier, bursts", halfUsed(), smallTier, func(s *scenario) {
		s.load = load{rate: 0.8 * float64(s.limits.TPM) / 60 / 900, burst: 8}
	}),
	saturated("nothing configured", prompts(1, 0.1), unconfigured),
	saturated("nothing configured, no headers", prompts(1, 0.1), unconfigured, noHeaders, held(bar{share: 0.97, refused: 5})),
	saturated("nothing configured, nothing told but waits", prompts(1, 0.1), unconfigured, with(openaitest.WithDialect(openaitest.OpenRouter)), held(bar{share: 0.97, refused: 5})),
	saturated("limit halved", prompts(1, 0.1), held(cut), lasting(42*time.Minute), changes(10*time.Minute, setLimits(scaledLimits(tier, 1, 2)))),
	saturated("limit doubled, nothing configured", prompts(1, 0.1), unconfigured, changes(10*time.Minute, setLimits(scaledLimits(tier, 2, 1)))),
	saturated("foreign traffic of 30 %", prompts(1, 0.1), lasting(35*time.Minute), func(s *scenario) {
		s.events = others(time.Second, 3, 300*time.Millisecond)
	}),
	saturated("foreign bursts of 25 % in 5 s", prompts(1, 0.1), lasting(33*time.Minute), onRedis, func(s *scenario) {
		s.events = others(time.Minute, 150, 33*time.Millisecond)
	}),
	saturated("subwindows of 1 s", brief(), subwindowed(openaitest.RPM, openaitest.Subwindows{})),
	saturated("fixed windows of 1 s", brief(), subwindowed(openaitest.RPM, openaitest.Subwindows{Fixed: true}), held(bar{share: 0.97, refused: 5})),
	saturated("subwindows of 1 s on tokens", prompts(1, 0.1), subwindowed(openaitest.TPM, openaitest.Subwindows{}), held(bar{share: 0.98, refused: 3})),
	saturated("subwindows of 1 s on tokens, calls above one", prompts(1, 0.1).scaled(10), subwindowed(openaitest.TPM, openaitest.Subwindows{}), held(bar{share: 0.92, refused: 280, aim: "95.0 % · 50"})),
	saturated("Azure, subwindows of 10 s", brief(), subwindowed(openaitest.RPM, openaitest.Subwindows{Length: 10 * time.Second}), with(openaitest.WithAzure(true))),
	saturated("restart with a spent budget", prompts(1, 0.1), onRedis, changes(10*time.Minute, restart)),
	saturated("four processes, one killed", prompts(1, 0.1), fleetOf(4, 40, slowStore), onRedis, changes(10*time.Minute, killOne(3))),
	saturated("four processes, one killed with its calls in flight", slow(answers(2)), refunds, fleetOf(4, 60, slowStore), changes(10*time.Minute, killOne(3))),
	saturated("four processes restarted with a spent budget", prompts(1, 0.1), fleetOf(4, 40, slowStore), changes(10*time.Minute, restart)),
	rateOf("10 a second, eight processes", 10, 10, 2*time.Minute, 20*time.Minute),
	rateOf("100 a second, eight processes", 100, 60, 30*time.Second, 150*time.Second, onRedis),
	rateOf("1,000 a second, eight processes", 1000, 400, 15*time.Second, 45*time.Second),
	rateOf("2,500 a second, eight processes", 2500, 900, 15*time.Second, 40*time.Second),
	saturated("headers always empty", prompts(1, 0.1), with(lies(1, nothing)), held(lied)),
	saturated("every 20th header empty", prompts(1, 0.1), with(lies(20, nothing)), held(lied)),
	saturated("headers always full", prompts(1, 0.1), with(lies(1, everything)), held(lied)),
	saturated("every 20th limit wrong", prompts(1, 0.1), with(otherLimits(20, 10)), held(lied)),
	saturated("three in ten limits wrong, a tenth", prompts(1, 0.1), with(randomLimits(0.3, 10, false)), held(misled)),
	saturated("three in ten limits wrong, a hundredth", prompts(1, 0.1), with(randomLimits(0.3, 100, false)), held(misled)),
	saturated("three in ten limits wrong, and nothing else", prompts(1, 0.1), with(randomLimits(0.3, 10, true)), held(misled)),
	saturated("three in ten headers empty", prompts(1, 0.1), with(randomly(0.3, nothing)), held(misled)),
	saturated("every 20th period wrong", prompts(1, 0.1), with(otherPeriod(20)), held(lied)),
	saturated("headers at random", prompts(1, 0.1), with(lies(1, anything)), held(lied)),
	saturated("load of 60 %", prompts(1, 0.1), held(steady), lasting(40*time.Minute), func(s *scenario) { s.load = load{rate: meant(0.6)} }),
	saturated("bursts", prompts(1, 0.1), lasting(33*time.Minute), func(s *scenario) { s.load = load{rate: meant(0.8), burst: 100} }),
	saturated("bursts at 60 % load", prompts(1, 0.1), lasting(33*time.Minute), func(s *scenario) {
		s.load, s.bar.waits = load{rate: meant(0.6), burst: 100}, 2
	}),
	saturated("deadlines, load of 90 % in bursts", hurried(brief()), func(s *scenario) {
		s.load, s.bar.inTime = load{rate: 0.9 * float64(tier.RPM) / 60, burst: 400}, 0.99
		s.duration = 30 * time.Minute
	}),
	saturated("deadlines, overload of 20 %, large calls", hurried(withLarge(prompts(1, 0.1))), func(s *scenario) {
		s.load = load{rate: meant(1.2) / withLargeMean}
		s.duration, s.bar.inTime = 3*time.Hour, 0.99
	}),
	saturated("deadlines, overload of 20 %", hurried(brief()), func(s *scenario) {
		s.load, s.bar.inTime = load{rate: 1.2 * float64(tier.RPM) / 60}, 0.99
	}),
	saturated("a cold start", prompts(1, 0.1), cold),
	saturated("a cold start, nothing configured", prompts(1, 0.1), unconfigured, cold),
	saturated("a cold start without limits or headers", prompts(1, 0.1), unconfigured, noHeaders, func(s *scenario) {
		s.limits = openaitest.Limits{}
		s.duration, s.warmUp = 3*time.Minute, 30*time.Second
	}),
}
