package simulate

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

const (
	model = "gpt-5.4-mini"
	path  = "/v1/chat/completions"
)

// A job is one call of a scenario, the same for every policy.
type job struct {
	index  int // from 0
	large  bool
	words  int   // of the prompt
	cap    int64 // declared output; 0 for none
	output int64 // what the answer needs
	stream bool

	// What the server makes of it.
	charge  int64         // for the prompt, at admission
	travel  time.Duration // from the caller to the buckets
	headers time.Duration // from the caller's sending to a stream's head
	total   time.Duration // from the caller's sending to the end

	process  int
	at       time.Duration // when it comes, in the scenario's time, if it comes by itself
	patience time.Duration // until its context's deadline; 0 for none

	// What became of it.
	submitted time.Duration
	started   time.Duration // when the server admitted it
	ended     time.Duration
	outcome   outcome
}

// An outcome is how a call ends for its caller.
type outcome int

const (
	open     outcome = iota // it has not ended, or with its process
	answered                // whole
	givenUp                 // the server throttled every attempt
	failed                  // the transport gave an error at every attempt
	refused                 // the limiter said at once that it is hopeless
	late                    // its deadline passed
)

// sent reports whether the server has admitted the call.
func (j *job) sent() bool { return j.started > 0 }

// head is when an answer can begin at the earliest.
func (j *job) head() time.Duration { return j.started + j.headers - j.travel }

// firstByte is when its caller hears of it after the server has admitted it.
func (j *job) firstByte() time.Duration {
	if j.stream {
		return j.head()
	}
	return j.started + j.total - j.travel
}

// waited is how long it took before it was sent.
func (j *job) waited() time.Duration { return j.started - j.travel - j.submitted }

// filler is a prompt: each word is a token, and four characters.
var filler = strings.Repeat(" the", 1000)

// body is the request as an SDK would write it.
func (j *job) body() string {
	var b strings.Builder
	b.Grow(4*j.words + 200)
	fmt.Fprintf(&b, `{"model":%q,"stream":%t,"stream_options":{"include_usage":true},`, model, j.stream)
	if j.cap > 0 {
		fmt.Fprintf(&b, `"max_completion_tokens":%d,`, j.cap)
	}
	b.WriteString(`"messages":[{"role":"user","content":"`)
	for n := 4 * j.words; n > 0; n -= len(filler) {
		b.WriteString(filler[:min(n, len(filler))])
	}
	b.WriteString(`"}]}`)
	return b.String()
}

// prompt is how many tokens the limiter, and every policy, counts in it.
func (j *job) prompt() int64 { return int64(j.words) + promptOverhead() }

// promptOverhead is what a chat request counts beside its words.
var promptOverhead = sync.OnceValue(func() int64 {
	j := job{words: 100, cap: 1}
	return costing.JSON(wire.Chat, "", []byte(j.body()), tokens.Exact{}).Input - int64(j.words)
})

// cost is what a policy takes it to cost that counts exactly and does not learn.
func (j *job) cost() openaitest.Cost {
	return openaitest.Cost{Requests: 1, Tokens: j.prompt() + j.cap}
}

// serverCost is what the server charges at admission.
func (j *job) serverCost() openaitest.Cost {
	const undeclared = 16
	c := openaitest.Cost{Requests: 1, Tokens: j.charge + j.cap}
	if j.cap == 0 {
		c.Tokens += undeclared
	}
	return c
}

// jobHeader tells the server which job a request is.
const jobHeader = "Simulated-Job"

// request is the job as an HTTP request to a host.
func (j *job) request(ctx context.Context, host, body string, attempt int) *http.Request {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+host+path, strings.NewReader(body))
	if err != nil {
		panic(err) // it is ours
	}
	req.Header["Authorization"] = []string{"Bearer sk-simulated"}
	req.Header["Content-Type"] = []string{"application/json"}
	req.Header["X-Stainless-Retry-Count"] = []string{strconv.Itoa(attempt)}
	req.Header[jobHeader] = []string{strconv.Itoa(j.index)}
	return req
}

// indexOf is the index of the job that a request is.
func indexOf(req *http.Request) int { return int(numberOf(req, jobHeader)) }

func numberOf(req *http.Request, header string) int64 {
	n, err := strconv.ParseInt(req.Header.Get(header), 10, 64)
	if err != nil {
		panic(err) // it is ours
	}
	return n
}
