package simulate

import (
	"math"
	"math/rand/v2"
	"time"
)

// A mix draws the jobs of a scenario.
type mix struct {
	words       func(*rand.Rand) int
	cap         func(*rand.Rand) int64
	output      func(r *rand.Rand, cap int64) int64
	bias, noise float64       // of the server's charge for the prompt; 0 bias counts as 1
	answer      time.Duration // median length of an answer
	largeEvery  int           // one call in so many is large
	patience    func(*rand.Rand) time.Duration
}

// largeCap is the output that a large call declares.
const largeCap = 60_000

// job draws a job. It depends on nothing but its index, so that the calls are
// the same whoever makes them.
func (m *mix) job(index int) *job {
	r := rand.New(rand.NewPCG(1, uint64(index)))
	j := &job{index: index, words: m.words(r), stream: r.IntN(2) == 0}
	if m.cap != nil {
		j.cap = m.cap(r)
	}
	if m.largeEvery > 0 && r.IntN(m.largeEvery) == 0 {
		j.large, j.cap = true, largeCap
	}
	j.output = max(1, j.cap/2)
	if m.output != nil {
		j.output = m.output(r, j.cap)
	}
	bias := m.bias
	if bias == 0 {
		bias = 1
	}
	j.charge = max(1, int64(float64(j.prompt())*bias*math.Exp(m.noise*r.NormFloat64())))
	if m.patience != nil {
		j.patience = m.patience(r)
	}
	median := m.answer
	if median == 0 {
		median = 4 * time.Second
	}
	j.takes(r, min(20*time.Second, max(time.Second, lognormal(r, median, 0.6))))
	return j
}

// takes draws how long the job is on its way, and says how long its answer takes.
func (j *job) takes(r *rand.Rand, answer time.Duration) {
	j.travel = time.Duration((20 + 30*r.ExpFloat64()) * float64(time.Millisecond))
	j.headers = j.travel + min(answer, lognormal(r, 300*time.Millisecond, 0.4))
	j.total = j.travel + answer
}

func lognormal(r *rand.Rand, median time.Duration, sigma float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(sigma*r.NormFloat64()))
}

// uniform is a number between low and high.
func uniform(low, high int) func(*rand.Rand) int {
	return func(r *rand.Rand) int { return low + r.IntN(high-low+1) }
}

// prompts are calls whose cost is mostly prompt, so that what the server makes
// of it matters: bias times what we count, with noise.
func prompts(bias, noise float64) mix {
	return mix{words: uniform(200, 500), cap: func(r *rand.Rand) int64 { return 20 + r.Int64N(41) }, bias: bias, noise: noise}
}

// promptsMean is what a call of prompts(1, 0) costs on average, in tokens.
const promptsMean = 397

// scaled makes prompts k times as long.
func (m mix) scaled(k int) mix {
	m.words = uniform(200*k, 500*k)
	return m
}

// brief are calls of which only the number matters.
func brief() mix {
	return mix{words: uniform(20, 60), cap: func(*rand.Rand) int64 { return 50 }}
}

// answers are calls whose cost is mostly declared output, k times what is used.
func answers(k int64) mix {
	return mix{
		words:  uniform(20, 60),
		cap:    func(r *rand.Rand) int64 { return k * (100 + r.Int64N(101)) },
		output: func(r *rand.Rand, cap int64) int64 { return max(1, cap/k) },
	}
}

// halfUsed are calls of 900 tokens of which the declared output is a part, and not
// all of that is used.
func halfUsed() mix {
	return mix{words: uniform(400, 600), cap: func(*rand.Rand) int64 { return 400 }, output: func(*rand.Rand, int64) int64 { return 100 }}
}

// undeclared are calls that declare no output.
func undeclared() mix {
	return mix{words: uniform(200, 500), output: func(r *rand.Rand, _ int64) int64 { return 50 + r.Int64N(300) }}
}
