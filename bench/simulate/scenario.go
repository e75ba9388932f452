package simulate

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A scenario is a server, the calls that come, and what happens meanwhile.
type scenario struct {
	name string

	// The server.
	limits     openaitest.Limits
	subwindows *openaitest.Subwindows
	debits     bool                // undeclared output is charged when the answer is complete
	server     []openaitest.Option // what else it does
	spent      bool                // its budget is used up when the run begins

	learns bool // ours is configured with nothing; else all with the server's limits

	// The calls.
	mix       mix
	log       []*job // in place of the mix
	load      load
	processes int
	trip      time.Duration // to the store that processes share, and back

	duration time.Duration
	warmUp   time.Duration // what comes before is not judged
	change   time.Duration // when something changes that use has to follow
	events   []event

	bar   bar
	redis bool // ours plays it on Redis too
}

// A load says when calls come.
type load struct {
	workers int     // of each process, always calling; 0 where calls come by themselves
	rate    float64 // a second, in all
	burst   int     // that come at once
}

// An event happens at a time of the scenario.
type event struct {
	at time.Duration
	do func(*world)
}

// A bar is what ours must reach in a scenario.
type bar struct {
	share   float64       // of the oracle's use, at least
	refused float64       // 429s per 1,000 calls, at most
	excused int           // 429s beside them: what nobody can foresee
	early   int           // 429s in the warm-up, at most; 0 does not ask
	lost    time.Duration // budget that a cold start loses against the oracle, at most; 0 does not ask
	waits   float64       // the p99 of small calls' waits by the oracle's, at most; 0 does not ask
	inTime  float64       // of the calls with a deadline that were not rejected at once; 0 does not ask
	aim     string        // the bar that is aimed at, where this one is as far as ours gets
}

var (
	usual  = bar{share: 0.98, refused: 1}
	cut    = bar{share: 0.98, refused: 1, excused: 3} // of a limit
	steady = bar{share: 0.995}
	// lied is for servers whose headers are wrong.
	lied = bar{share: 0.9, refused: 5}
	// misled is for those of whose answers a minority tells another limit.
	misled = bar{share: 0.95, refused: 5}
)

// tier is what most scenarios are limited to.
var tier = openaitest.Limits{RPM: 600, TPM: 200_000}

const (
	usualLength = 25 * time.Minute
	usualWarmUp = 5 * time.Minute
)

// saturated is a scenario in which more is asked for than the limits allow.
func saturated(name string, m mix, more ...func(*scenario)) scenario {
	s := scenario{
		name: name, limits: tier, mix: m, load: load{workers: 150}, processes: 1,
		duration: usualLength, warmUp: usualWarmUp, bar: usual,
	}
	for _, f := range more {
		f(&s)
	}
	return s
}

// options are those of the server.
func (s *scenario) options() []openaitest.Option {
	o := []openaitest.Option{openaitest.WithLimits(model, s.limits)}
	if s.subwindows != nil {
		o = append(o, openaitest.WithSubwindows(*s.subwindows))
	}
	if s.debits {
		o = append(o, openaitest.WithUndeclared(openaitest.Flat16ThenDebit))
	}
	return append(o, s.server...)
}

// job is the scenario's next call, or nil if there are no more.
func (s *scenario) job(index int) *job {
	if s.log == nil {
		return s.mix.job(index)
	}
	if index >= len(s.log) {
		return nil
	}
	j := *s.log[index]
	return &j
}

// hurried reports whether calls have deadlines.
func (s *scenario) hurried() bool { return s.mix.patience != nil }
