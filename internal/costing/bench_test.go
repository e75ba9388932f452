package costing_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// none counts nothing, so that what is left is the scanning.
type none struct{}

func (none) Count(string, tokens.Encoding, []byte) int { return 0 }

// conversation returns a chat request of about size bytes, as openai-go writes it:
// the model after the messages. Every fourth message has escapes.
func conversation(size int) []byte {
	plain := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 8)
	code := `for _, x := range xs {\n\tfmt.Println(\"x\", x) // \u003cb\u003e\n}\n` + plain
	var b strings.Builder
	b.WriteString(`{"messages":[{"role":"system","content":"You are a helpful assistant."}`)
	for i := 0; b.Len() < size-200; i++ {
		text := plain
		if i%4 == 3 {
			text = code
		}
		fmt.Fprintf(&b, `,{"role":"user","content":"%s"}`, text)
	}
	b.WriteString(`],"model":"gpt-4o","max_completion_tokens":500,"n":2,"stream":true,"stream_options":{"include_usage":true}}`)
	return []byte(b.String())
}

// withImage returns a request that is mostly one image.
func withImage(size int) []byte {
	return []byte(`{"messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},` +
		`{"type":"image_url","image_url":{"url":"` + dataURL("image/png", append(pngOf(64, 64), make([]byte, size*3/4)...)) +
		`"}}]}],"model":"gpt-4o","max_completion_tokens":500}`)
}

// chatRequest is what encoding/json needs for the same figures.
type chatRequest struct {
	Model               string
	N                   int
	MaxTokens           int `json:"max_tokens"`
	MaxCompletionTokens int `json:"max_completion_tokens"`
	Stream              bool
	StreamOptions       struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Messages []struct {
		Role, Name string
		Content    any
	}
}

func BenchmarkJSON(b *testing.B) {
	for _, kind := range []struct {
		name string
		make func(int) []byte
	}{{"text", conversation}, {"image", withImage}} {
		for _, size := range []int{1 << 10, 100 << 10, 10 << 20} {
			body := kind.make(size)
			name := fmt.Sprintf("%s/%dKB/", kind.name, size>>10)
			run := func(who string, scan func()) {
				b.Run(name+who, func(b *testing.B) {
					b.SetBytes(int64(len(body)))
					b.ReportAllocs()
					for b.Loop() {
						scan()
					}
				})
			}
			run("costing", func() { costing.JSON(wire.Chat, "", body, none{}) })
			run("gjson", func() {
				n := 0
				root := gjson.ParseBytes(body)
				root.ForEach(func(key, value gjson.Result) bool {
					switch key.Str {
					case "model", "n", "max_tokens", "max_completion_tokens", "stream", "stream_options":
						_ = value.Raw
					case "messages":
						value.ForEach(func(_, message gjson.Result) bool {
							message.ForEach(func(key, value gjson.Result) bool {
								switch key.Str {
								case "role", "name", "content":
									if value.IsArray() {
										value.ForEach(func(_, part gjson.Result) bool {
											n += len(part.Get("text").Str)
											_ = part.Get("image_url.url").Raw
											return true
										})
									} else {
										n += len(value.Str)
									}
								}
								return true
							})
							return true
						})
					}
					return true
				})
			})
			run("encoding", func() {
				var request chatRequest
				if err := json.Unmarshal(body, &request); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
