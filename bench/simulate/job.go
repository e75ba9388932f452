package simulate

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

const (
	model   = "gpt-5.4-mini"
	chatURL = "http://api.test/v1/chat/completions"
)

// A job is one call of a scenario, the same for every policy.
type job struct {
	index  int
	large  bool
	words  int   // of the prompt
	cap    int64 // declared output; 0 for none
	output int64 // what the answer needs

	// What the server makes of it.
	charge  int64         // tokens at admission, the declared output included
	travel  time.Duration // from the caller to the buckets
	headers time.Duration // from arrival to a stream's head
	total   time.Duration // from arrival to the end
	stream  bool

	submitted time.Time
	process   int
}

// body is the request as an SDK would write it.
func (j *job) body() string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"model":%q,"stream":%t,"stream_options":{"include_usage":true},`, model, j.stream)
	if j.cap > 0 {
		fmt.Fprintf(&b, `"max_completion_tokens":%d,`, j.cap)
	}
	b.WriteString(`"messages":[{"role":"user","content":"`)
	for range j.words {
		b.WriteString(" the") // a token, and four characters
	}
	b.WriteString(`"}]}`)
	return b.String()
}

// prompt is how many tokens the limiter, and every policy, counts in it.
func (j *job) prompt() int64 { return int64(j.words) + promptOverhead() }

// promptOverhead is what a chat request counts beside its words.
var promptOverhead = sync.OnceValue(func() int64 {
	const words = 100
	j := job{words: words, cap: 1}
	return costing.JSON(wire.Chat, "", []byte(j.body()), tokens.Exact{}).Input - words
})

// cost is what a policy that counts exactly takes it to cost.
func (j *job) cost() openaitest.Cost {
	return openaitest.Cost{Requests: 1, Tokens: j.prompt() + j.cap}
}

// request is the job as an HTTP request. The server finds the job in its context.
func (j *job) request(ctx context.Context, attempt int) *http.Request {
	req, err := http.NewRequestWithContext(context.WithValue(ctx, jobKey{}, j), http.MethodPost, chatURL, strings.NewReader(j.body()))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer sk-simulated")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Stainless-Retry-Count", fmt.Sprint(attempt))
	return req
}

type jobKey struct{}

func jobOf(c *openaitest.Call) *job { return c.Request.Context().Value(jobKey{}).(*job) }

// A mix draws the jobs of a scenario.
type mix struct {
	words       func(*rand.Rand) int
	cap         func(*rand.Rand) int64
	output      func(r *rand.Rand, cap int64) int64
	bias, noise float64       // of the server's charge for the prompt; 0 bias counts as 1
	answer      time.Duration // median length of an answer
	largeEvery  int           // one call in so many is large
}

func (m *mix) job(r *rand.Rand, index int) *job {
	j := &job{index: index, words: m.words(r)}
	if m.largeEvery > 0 && r.IntN(m.largeEvery) == 0 {
		j.large = true
	}
	if m.cap != nil {
		j.cap = m.cap(r)
	}
	if j.large {
		j.cap = 60_000
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
	j.travel = time.Duration((20 + 30*r.ExpFloat64()) * float64(time.Millisecond))
	median := m.answer
	if median == 0 {
		median = 4 * time.Second
	}
	j.total = min(20*time.Second, max(time.Second, time.Duration(float64(median)*math.Exp(0.6*r.NormFloat64()))))
	j.stream = r.IntN(2) == 0
	j.headers = min(j.total, time.Duration(float64(300*time.Millisecond)*math.Exp(0.4*r.NormFloat64())))
	j.headers += j.travel
	j.total += j.travel
	return j
}

// uniform is a number between low and high.
func uniform(low, high int) func(*rand.Rand) int {
	return func(r *rand.Rand) int { return low + r.IntN(high-low+1) }
}
