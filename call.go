package ratelimiter

import (
	"encoding/json"
	"errors"
)

// A Call is one request before it is sent: what it will cost, and which model's
// budget pays for it. It is one of [Chat], [Text], [Image], [Embedding] and
// [Cost], what [JSON] returns for any other body, or a type of the caller's own;
// the adapters turn the parameters of SDKs into one.
type Call interface {
	// Request returns the endpoint, named by its path below the API's base such
	// as "chat/completions", and the JSON body that would be sent to it. Acquire,
	// Do and Delay fail with its error.
	Request() (path string, body []byte, err error)
}

// Chat is a chat completion.
type Chat struct {
	Model    string    `json:"model"`
	Messages []Message `json:"messages"`
	// MaxTokens is the declared maximum of the output. 0 declares none. Then the mean output
	// of the model's last 32 responses in this process is reserved, or 256 tokens before the
	// first of them.
	MaxTokens int64 `json:"max_completion_tokens,omitempty"`
	// N is the number of choices; 0 means 1.
	N int64 `json:"n,omitempty"`
}

// Message is a message of a [Chat].
type Message struct {
	Role    string `json:"role"` // "user", "system" and so on
	Content string `json:"content"`
	Name    string `json:"name,omitempty"` // of who says it, if there are several in a role
}

// Request implements [Call].
func (c Chat) Request() (string, []byte, error) { return marshal("chat/completions", c) }

// Text is a completion of the older kind.
type Text struct {
	Model  string `json:"model"`
	Prompt string `json:"prompt"`
	// MaxTokens is the declared maximum of the output; 0 means the API's
	// default of 16.
	MaxTokens int64 `json:"max_tokens,omitempty"`
	// N is the number of choices, picked out of BestOf; 0 means 1.
	N      int64 `json:"n,omitempty"`
	BestOf int64 `json:"best_of,omitempty"`
}

// Request implements [Call].
func (t Text) Request() (string, []byte, error) { return marshal("completions", t) }

// Image is a request for images.
type Image struct {
	Model  string `json:"model"`
	Prompt string `json:"prompt"`
	// N is the number of images; 0 means 1.
	N int64 `json:"n,omitempty"`
	// Size is the API's, such as "1024x1024", and Quality "low", "medium" or "high". Where one
	// is left to the model, the dearest is charged until the usage is known.
	Size    string `json:"size,omitempty"`
	Quality string `json:"quality,omitempty"`
}

// Request implements [Call].
func (i Image) Request() (string, []byte, error) { return marshal("images/generations", i) }

// Embedding is a request for embeddings.
type Embedding struct {
	Model string   `json:"model"`
	Input []string `json:"input"`
}

// Request implements [Call].
func (e Embedding) Request() (string, []byte, error) { return marshal("embeddings", e) }

// Request implements [Call]. A Cost has figures instead of a body, which the
// limiter reads: Request always fails.
func (c Cost) Request() (string, []byte, error) {
	return "", nil, errors.New("ratelimiter: a Cost has no body")
}

// JSON is a call with this body to an endpoint, named by the path below its base such as
// "chat/completions". A malformed body is charged as the Transport would charge it: one
// request, and what could be read. A path that is not limited is an error.
func JSON(path string, body []byte) Call { return jsonCall{path, body} }

type jsonCall struct {
	path string
	body []byte
}

func (c jsonCall) Request() (string, []byte, error) { return c.path, c.body, nil }

// marshal makes the body that a call would have: one set of rules costs all of them.
func marshal(path string, call any) (string, []byte, error) {
	body, err := json.Marshal(call)
	return path, body, err
}
