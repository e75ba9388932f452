package ratelimiter

import (
	"encoding/json"
	"fmt"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// A Call is one request before it is sent: what it will cost, and which model's
// budget pays for it. It is one of [Chat], [Text], [Image], [Embedding] and
// [Cost], or what [JSON] returns for any other body; the adapters turn the
// parameters of SDKs into one.
type Call interface {
	estimate(*Limiter) (estimate, error)
}

// Chat is a chat completion.
type Chat struct {
	Model    string    `json:"model"`
	Messages []Message `json:"messages"`
	// MaxTokens is the declared maximum of the output. 0 declares none: the mean
	// of what the model's last 32 answers in this process have needed is
	// reserved, 256 tokens before the first of them.
	MaxTokens int64 `json:"max_completion_tokens,omitempty"`
	// N is the number of answers; 0 means 1.
	N int64 `json:"n,omitempty"`
}

// Message is a message of a [Chat].
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
	Name    string `json:"name,omitempty"`
}

func (c Chat) estimate(l *Limiter) (estimate, error) { return marshal(l, wire.Chat, c) }

// Text is a completion of the older kind.
type Text struct {
	Model  string `json:"model"`
	Prompt string `json:"prompt"`
	// MaxTokens is the declared maximum of the output; 0 means the API's
	// default of 16.
	MaxTokens int64 `json:"max_tokens,omitempty"`
	// N is the number of answers, picked out of BestOf; 0 means 1.
	N      int64 `json:"n,omitempty"`
	BestOf int64 `json:"best_of,omitempty"`
}

func (t Text) estimate(l *Limiter) (estimate, error) { return marshal(l, wire.Completions, t) }

// Image is a generation of images.
type Image struct {
	Model  string `json:"model"`
	Prompt string `json:"prompt"`
	// N is the number of images; 0 means 1.
	N       int64  `json:"n,omitempty"`
	Size    string `json:"size,omitempty"`
	Quality string `json:"quality,omitempty"`
}

func (i Image) estimate(l *Limiter) (estimate, error) { return marshal(l, wire.ImageGenerations, i) }

// Embedding is a request for embeddings.
type Embedding struct {
	Model string   `json:"model"`
	Input []string `json:"input"`
}

func (e Embedding) estimate(l *Limiter) (estimate, error) { return marshal(l, wire.Embeddings, e) }

func (c Cost) estimate(*Limiter) (estimate, error) {
	e := estimate{model: NormalizeModel(c.Model), cost: c.amounts(), input: c.Tokens, choices: 1}
	if c.Requests == 0 {
		e.cost[0] = 1
	}
	return e, nil
}

// JSON is a call with this body to an endpoint, named by the path below its
// base such as "chat/completions". Of a body that is malformed, what could be read
// counts, and one request, as the Transport would charge it; a path that is not
// limited is an error.
func JSON(path string, body []byte) Call { return jsonCall{path, body} }

type jsonCall struct {
	path string
	body []byte
}

func (c jsonCall) estimate(l *Limiter) (estimate, error) {
	e, deployment := wire.ClassifyPath(c.path)
	if e == wire.None {
		return estimate{}, fmt.Errorf("ratelimiter: calls to %q are not limited", c.path)
	}
	return newEstimate(e, deployment, costing.JSON(e, deployment, c.body, l.counter)), nil
}

// Invalid is a call that can't be worked out: Acquire, Do and Delay fail with
// err. It is for adapters, which turn parameters into a Call.
func Invalid(err error) Call { return invalidCall{err} }

type invalidCall struct{ err error }

func (c invalidCall) estimate(*Limiter) (estimate, error) {
	return estimate{}, fmt.Errorf("ratelimiter: %w", c.err)
}

// marshal costs a call by the body that it would have, so that there is one
// set of rules.
func marshal(l *Limiter, e wire.Endpoint, call any) (estimate, error) {
	body, err := json.Marshal(call)
	if err != nil {
		return estimate{}, fmt.Errorf("ratelimiter: %w", err)
	}
	return newEstimate(e, "", costing.JSON(e, "", body, l.counter)), nil
}
