package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// maxScanAllocated is the bar for what scanning allocates, whatever the size of the body:
// the model's name, and a buffer where the garbage collector has taken the last one.
const maxScanAllocated = 40 << 10 // bytes

// scanning measures finding what a request's body costs, without counting its text,
// beside gjson and encoding/json, which find the same fields.
func (r *report) scanning() {
	fmt.Printf("\nScanning a body, without counting its text; the bars are gjson's speed and at most %d bytes allocated.\n\n", maxScanAllocated)
	fmt.Println("| body | ours µs | ours MB/s | gjson takes | encoding/json takes | ours B/op | gjson B/op | encoding/json B/op |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|--:|")
	var rows []*row
	for _, kind := range []struct {
		name string
		make func(int) []byte
	}{{"conversation", conversation}, {"image", withImage}} {
		for _, size := range []struct {
			name  string
			bytes int
		}{{"1 KB", 1 << 10}, {"100 KB", 100 << 10}, {"10 MB", 10 << 20}} {
			body := kind.make(size.bytes)
			rows = append(rows, &row{
				text:  text{name: kind.name + ", " + size.name},
				bytes: body,
				ops:   []func(){func() { scanOurs(body) }, func() { scanGJSON(body) }, func() { scanJSON(body) }},
			})
		}
	}
	r.measure(rows)
	for _, row := range rows {
		ours, gjson, encoding := row.ns[0], row.ns[1], row.ns[2]
		var bytes [3]uint64
		for i, op := range row.ops {
			bytes[i] = allocated(op)
		}
		fmt.Printf("| %s | %.1f | %.0f | %.1f × | %.1f × | %d | %d | %d |\n", row.text.name, ours*float64(len(row.bytes))/1000,
			1000/ours, gjson/ours, encoding/ours, bytes[0], bytes[1], bytes[2])
		if gjson < ours {
			r.miss("scanning %s: gjson takes %.2f ×", row.text.name, gjson/ours)
		}
		if bytes[0] > maxScanAllocated {
			r.miss("scanning %s: %d bytes allocated", row.text.name, bytes[0])
		}
	}
}

// allocated returns how many bytes op allocates, on average.
func allocated(op func()) uint64 {
	const times = 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		op()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / times
}

// free counts nothing, so that what is left is the scanning.
type free struct{}

func (free) Count(string, tokens.Encoding, []byte) int { return 0 }

func scanOurs(body []byte) { costing.JSON(wire.Chat, "", body, free{}) }

// scanGJSON reads each member once, without a copy of the body.
func scanGJSON(body []byte) (n int) {
	gjson.Parse(unsafe.String(unsafe.SliceData(body), len(body))).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "model", "n", "max_tokens", "max_completion_tokens", "stream", "stream_options":
			n += len(value.Raw)
		case "messages":
			value.ForEach(func(_, message gjson.Result) bool {
				message.ForEach(func(key, value gjson.Result) bool {
					switch key.Str {
					case "role", "name":
						n += len(value.Str)
					case "content":
						n += contentGJSON(value)
					}
					return true
				})
				return true
			})
		}
		return true
	})
	return n
}

func contentGJSON(content gjson.Result) (n int) {
	if !content.IsArray() {
		return len(content.Str)
	}
	content.ForEach(func(_, part gjson.Result) bool {
		part.ForEach(func(key, value gjson.Result) bool {
			switch key.Str {
			case "text":
				n += len(value.Str)
			case "image_url":
				n += len(value.Get("url").Raw)
			}
			return true
		})
		return true
	})
	return n
}

func scanJSON(body []byte) (n int) {
	var request struct {
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
	if err := json.Unmarshal(body, &request); err != nil {
		panic(err) // the bodies are ours
	}
	return len(request.Messages)
}

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
	png := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x04\x00\x00\x00\x04\x00"), make([]byte, size*3/4)...)
	return []byte(`{"messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},` +
		`{"type":"image_url","image_url":{"url":"data:image/png;base64,` + base64.StdEncoding.EncodeToString(png) +
		`"}}]}],"model":"gpt-4o","max_completion_tokens":500}`)
}
