package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

const (
	chatModel  = "gpt-5.4-mini"
	textModel  = "gpt-3.5-turbo-instruct"
	imageModel = "gpt-image-2"
)

var models = []string{chatModel, textModel, imageModel}

// limits are the stand-ins'. The burst asks for about 1.5 times what full
// buckets hold of what is scarce: tokens of chat, requests of text, images.
var limits = map[string]openaitest.Limits{
	chatModel:  {RPM: 1_000, TPM: 30_000},
	textModel:  {RPM: 120, TPM: 60_000},
	imageModel: {RPM: 120, IPM: 20},
}

// A kind is an endpoint and how it is used.
type kind int

const (
	chat kind = iota
	stream
	text
	image
)

// A call is one request of the burst.
type call struct {
	kind      kind
	sdk       int // index into the clients of a run
	prompt    string
	maxTokens int64
}

// The server charges its own estimate of a prompt. That of the first is lower
// than the count of its tokens, that of the second higher.
var prompts = []string{
	"Question %d of the burst: which stars can be seen from the south in winter, and why?",
	"Summarize chapter %d (introduction, methodology, results, discussion) for undergraduate students.",
}

// burst is the same in every run, of every call.
func burst() []call {
	random := rand.New(rand.NewPCG(1, 2))
	var calls []call
	add := func(k kind, n int) {
		for i := range n {
			calls = append(calls, call{
				kind: k, sdk: i % 2,
				prompt:    fmt.Sprintf(prompts[random.IntN(len(prompts))], len(calls)),
				maxTokens: 80 + random.Int64N(121),
			})
		}
	}
	add(chat, 156)
	add(stream, 156)
	add(text, 174)
	add(image, 29)
	random.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
	return calls
}
