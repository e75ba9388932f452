package openaitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Call is one request as the server understood it. The functions given to
// options receive it before it is admitted; they must not change it.
type Call struct {
	// Seq numbers the calls in order of arrival, from 1.
	Seq int64
	// Arrived is when the request had been read.
	Arrived time.Time
	// Endpoint is the path below the base path, such as "chat/completions". An id in it is "*":
	// "agents/sessions/*/events".
	Endpoint string
	// Model is the deployment of an Azure path, else the model of the body. What runs an agent
	// and names none has "agents".
	Model string
	// Stream is whether the body asks for server-sent events, IncludeUsage
	// whether it asks for a final usage chunk.
	Stream, IncludeUsage bool
	// Background is whether the body asks for a background response.
	Background bool
	// Declared is the output declared per choice, in tokens: the largest of
	// max_completion_tokens, max_tokens and max_output_tokens. Zero means that
	// none is declared. Endpoint completions has a documented default of 16.
	Declared int64
	// Choices is n or best_of, whichever is larger, at least 1; of the image
	// endpoints, the number of images.
	Choices int64
	// PromptEstimate is what the server charges for the prompt, in tokens: one
	// for each message or text, one for each ASCII punctuation mark or symbol,
	// and one for every four other characters, begun ones included; 85 or 765
	// for each image (low detail or not); one for each token given as a
	// number. Encoded files never count as characters.
	PromptEstimate int64
	// PromptTokens is what usage will say about the prompt. It follows its own
	// rule, a quarter of the characters, so that it differs from the estimate
	// as it does in reality.
	PromptTokens int64
	// Request is the request; its Body has been read.
	Request *http.Request
	// Body is the request's body.
	Body []byte

	n              int64 // choices to answer, where best_of generates more
	inputImages    int64
	responseFormat string
	encodingFormat string
	partialImages  int64
	azure          bool // by path
	stringInput    bool // embeddings and moderations: one input, not an array
	inputs         int
}

// endpoints in an order in which a longer path precedes its suffixes.
var endpoints = []string{
	"chat/completions", "completions",
	"responses", "responses/compact", "responses/input_tokens",
	"embeddings", "moderations", "decisions",
	agentSessions, agentEvents, agentInvocations,
	"images/generations", "images/edits", "images/variations",
	"audio/transcriptions", "audio/translations", "audio/speech",
}

// What runs a turn of an agent on the server.
const (
	agentSessions    = "agents/sessions"
	agentEvents      = "agents/sessions/*/events"
	agentInvocations = "agents/automations/*/invocations"
)

// runsAgent reports whether the endpoint runs a turn: it costs a request, and nothing more that
// anybody could know beforehand.
func (c *Call) runsAgent() bool { return strings.HasPrefix(c.Endpoint, "agents/") }

// endsIn reports whether the last segments of a path are those of an endpoint.
func endsIn(path, endpoint string) bool {
	for more := true; more; {
		i, j := strings.LastIndexByte(path, '/'), strings.LastIndexByte(endpoint, '/')
		if i < 0 {
			return false // the first segment follows a slash
		}
		is, want := path[i+1:], endpoint[j+1:]
		if is == "" || want != "*" && want != is {
			return false
		}
		path, endpoint, more = path[:i], endpoint[:max(j, 0)], j >= 0
	}
	return true
}

// route finds the endpoint under any base path, and the deployment if the path
// is Azure's.
func route(u *url.URL) (endpoint, deployment string, ok bool) {
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	for _, e := range endpoints {
		if !endsIn(path, e) {
			continue
		}
		// A deployment's name may hold an escaped slash.
		if _, rest, found := strings.Cut(u.EscapedPath(), "/openai/deployments/"); found {
			name, _, _ := strings.Cut(rest, "/")
			if name, err := url.PathUnescape(name); err == nil {
				deployment = name
			}
		}
		return e, deployment, true
	}
	return "", "", false
}

// generatesText reports whether the endpoint's output is what max_tokens and
// its like bound.
func (c *Call) generatesText() bool {
	switch c.Endpoint {
	case "chat/completions", "completions", "responses":
		return true
	}
	return false
}

// canStream reports whether the endpoint and model know streams at all; others
// ignore that one is asked for.
func (c *Call) canStream() bool {
	switch c.Endpoint {
	case "images/generations", "images/edits":
		return c.gptImage()
	case "audio/transcriptions":
		return !strings.HasPrefix(c.Model, "whisper")
	case "audio/speech":
		return true
	}
	return c.generatesText()
}

// checkRanges rejects numbers that no real call has, and with them overflow.
func (q *request) checkRanges() error {
	for _, n := range [...]int64{q.N, q.BestOf, q.PartialImages} {
		if n < 0 || n > 128 {
			return fmt.Errorf("%d is out of range: choices must be between 1 and 128", n)
		}
	}
	for _, n := range [...]int64{q.MaxTokens, q.MaxCompletionTokens, q.MaxOutputTokens} {
		if n < 0 || n > 1e9 {
			return fmt.Errorf("%d is out of range for a number of tokens", n)
		}
	}
	return nil
}

// declaredOutput is the declared output of all choices together.
func (c *Call) declaredOutput() int64 { return c.Declared * c.Choices }

// request holds the fields of every endpoint's body that matter here.
type request struct {
	Model               string    `json:"model"`
	Messages            []message `json:"messages"`
	Prompt              any       `json:"prompt"`
	Input               any       `json:"input"`
	Instructions        any       `json:"instructions"`
	Questions           any       `json:"questions"`
	MaxTokens           int64     `json:"max_tokens"`
	MaxCompletionTokens int64     `json:"max_completion_tokens"`
	MaxOutputTokens     int64     `json:"max_output_tokens"`
	N                   int64     `json:"n"`
	BestOf              int64     `json:"best_of"`
	Stream              bool      `json:"stream"`
	StreamOptions       *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Tools          any    `json:"tools"`
	Functions      any    `json:"functions"`
	ResponseFormat any    `json:"response_format"`
	Text           any    `json:"text"`
	Background     bool   `json:"background"`
	StreamFormat   string `json:"stream_format"`
	EncodingFormat string `json:"encoding_format"`
	PartialImages  int64  `json:"partial_images"`

	files int64 // bytes of a form's files
	parts int64 // number of a form's files
}

type message struct {
	Content      any    `json:"content"`
	Name         string `json:"name"`
	ToolCalls    any    `json:"tool_calls"`
	FunctionCall any    `json:"function_call"`
}

// readCall reads the request's body and returns the call it makes. The error
// is the client's: the request is malformed. It is an errAborted where the body
// did not arrive.
func readCall(r *http.Request, endpoint, deployment string) (*Call, error) {
	c := &Call{Endpoint: endpoint, Model: deployment, Request: r, Choices: 1, n: 1, azure: deployment != ""}
	var err error
	if c.Body, err = readAll(r); err != nil {
		return nil, fmt.Errorf("%w: %w", errAborted, err)
	}
	var q request
	if kind := r.Header.Get("Content-Type"); strings.HasPrefix(kind, "multipart/form-data") {
		_, params, _ := mime.ParseMediaType(kind)
		err = q.readForm(c.Body, params["boundary"])
	} else {
		err = json.Unmarshal(c.Body, &q)
	}
	if err != nil {
		//lint:ignore ST1005 these are OpenAI's words, shown to the caller
		return c, fmt.Errorf("We could not parse the body of your request: %w", err)
	}
	if c.Model == "" {
		c.Model = q.Model
	}
	if c.Model == "" && c.runsAgent() {
		c.Model = "agents"
	}
	if c.Model == "" {
		return c, errors.New("you must provide a model parameter")
	}
	c.Stream = c.canStream() && (q.Stream || q.StreamFormat == "sse")
	c.IncludeUsage = q.StreamOptions != nil && q.StreamOptions.IncludeUsage
	c.Background = q.Background && endpoint == "responses"
	c.partialImages = q.PartialImages
	c.responseFormat, _ = q.ResponseFormat.(string)
	c.encodingFormat = q.EncodingFormat
	if err := q.checkRanges(); err != nil {
		return c, err
	}
	c.n = max(q.N, 1)
	c.Choices = max(c.n, q.BestOf)
	if c.generatesText() {
		c.Declared = max(q.MaxCompletionTokens, q.MaxTokens, q.MaxOutputTokens, 0)
		if c.Declared == 0 && endpoint == "completions" {
			c.Declared = 16
		}
	}
	q.weigh(c)
	return c, nil
}

var errAborted = errors.New("openaitest: the request did not arrive whole")

func readAll(r *http.Request) ([]byte, error) {
	var buf bytes.Buffer
	if n := r.ContentLength; n > 0 && n < 1<<26 {
		buf.Grow(int(n) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(r.Body)
	return buf.Bytes(), err
}

func (q *request) readForm(body []byte, boundary string) error {
	form := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if part.FileName() != "" {
			n, err := io.Copy(io.Discard, part)
			if err != nil {
				return err
			}
			q.files += n
			q.parts++
			continue
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		if err := q.setField(part.FormName(), string(value)); err != nil {
			return fmt.Errorf("field %q: %w", part.FormName(), err)
		}
	}
}

func (q *request) setField(name, value string) (err error) {
	switch name {
	case "model":
		q.Model = value
	case "prompt":
		q.Prompt = value
	case "response_format":
		q.ResponseFormat = value
	case "stream":
		q.Stream, err = strconv.ParseBool(value)
	case "n":
		q.N, err = strconv.ParseInt(value, 10, 64)
	case "partial_images":
		q.PartialImages, err = strconv.ParseInt(value, 10, 64)
	}
	return err
}
