package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// seen is all a meter says about a body.
type seen struct {
	Usage    Usage
	HasUsage bool
	Done     bool
	Ended    bool
	Text     []string
	Refusal  Throttle
	Refused  bool
	ID       string
	Model    string
	Shown    bool
	Failed   bool
}

// watch feeds body to a meter in pieces that end at cuts, and returns the index
// of the piece after which it was done.
func watch(status int, body []byte, cuts ...int) (s seen, doneIn int) {
	m := NewMeter(status, "", func(b []byte) { s.Text = append(s.Text, string(b)) })
	from, doneIn := 0, -1
	for i, to := range append(cuts, len(body)) {
		if s.Done = m.Write(body[from:to]); s.Done && doneIn < 0 {
			doneIn = i
		}
		from = to
	}
	s.Usage, s.HasUsage = m.Usage()
	s.Ended, s.ID, s.Model, s.Shown, s.Failed = m.Ended(), m.ID(), m.Model(), m.Shown(), m.Failed()
	if r := m.Throttle(nil, func() time.Time { return now }); r != nil {
		s.Refusal, s.Refused = *r, true
	}
	return s, doneIn
}

func sse(events ...string) string {
	var b strings.Builder
	for _, e := range events {
		b.WriteString("data: " + e + "\n\n")
	}
	return b.String()
}

const (
	chatBody = `{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",` +
		`"content":"say \"usage\": {\"total_tokens\": 7}","refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":19,` +
		`"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":5,"total_tokens":1},` +
		`"completion_tokens_details":{"reasoning_tokens":2}},"service_tier":"default"}`
	responseBody = `{"id":"resp_1","object":"response","status":"completed","error":null,"output":[{"type":"message",` +
		`"usage":{"total_tokens":1},"content":[{"type":"output_text","text":"hi"}]}],"usage":{"input_tokens":36,` +
		`"input_tokens_details":{"cached_tokens":0},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":123}}`
)

var (
	chatStream = sse(
		`{"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"usage":null}`,
		`{"id":"1","choices":[{"index":0,"delta":{"content":"Hello"}}],"usage":null}`,
		`{"id":"1","choices":[{"index":0,"delta":{"content":" w\u00f6rld \ud83d\ude00\n"}}],"usage":null}`,
		`{"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}`,
		`{"id":"1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`,
		`[DONE]`)
	toolStream = sse(
		`{"choices":[{"delta":{"reasoning_content":"hm","tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]}}]}`,
		`{"choices":[{"delta":{"refusal":"no"}},{"delta":{"function_call":{"name":"g","arguments":"1"}}}]}`)
	responsesStream = "event: response.created\n" +
		`data: {"type":"response.created","response":{"id":"r","usage":null,"error":null}}` + "\n\n" +
		"event: response.output_text.delta\n" +
		`data: {"type":"response.output_text.delta","item_id":"m","delta":"Hi"}` + "\n\n" +
		"event: response.function_call_arguments.delta\n" +
		`data: {"type":"response.function_call_arguments.delta","delta":"{}"}` + "\n\n" +
		"event: response.output_text.done\n" +
		`data: {"type":"response.output_text.done","text":"Hi"}` + "\n\n" +
		"event: response.completed\n" +
		`data: {"type":"response.completed","response":` + responseBody + `}` + "\n\n"
	quotaEvent = `{"type":"error","error":{"type":"insufficient_quota","code":"insufficient_quota",` +
		`"message":"You exceeded your current quota, please check your plan and billing details.","param":null},"sequence_number":2}`
)

func TestMeter(t *testing.T) {
	usage := func(in, out, total int64) *Usage { return &Usage{Input: in, Output: out, Total: total} }
	const open, done = false, true
	for _, c := range []struct {
		name, body string
		usage      *Usage
		done       bool
		text       string
	}{
		{"chat", chatBody, usage(19, 10, 29), done, ""},
		{"chat, white space around", "\ufeff\r\n  " + chatBody + "\n", usage(19, 10, 29), done, ""},
		{"chat, cut", chatBody[:len(chatBody)-20], usage(19, 10, 29), open, ""},
		{"chat, cut in usage", chatBody[:strings.Index(chatBody, `,"completion_tokens_details"`)], nil, open, ""},
		{"responses", responseBody, usage(36, 87, 123), done, ""},
		{"background response", `{"id":"r","background":true,"status":"queued","usage":null}`, nil, done, ""},
		{"embeddings", `{"data":[{"embedding":[0.1,-2e-3],"index":0}],"usage":{"prompt_tokens":8,"total_tokens":8}}`, usage(8, 0, 8), done, ""},
		{"image", `{"created":1,"data":[{"b64_json":"` + strings.Repeat("QUJD", 99) + `"}],"usage":{"total_tokens":100,"input_tokens":50,"output_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}`, usage(50, 50, 100), done, ""},
		{"dall-e", `{"created":1,"data":[{"url":"https://x"}]}`, nil, done, ""},
		{"transcription in seconds", `{"text":"a","duration":8.4,"usage":{"type":"duration","seconds":9}}`, &Usage{}, done, ""},
		{"transcription in tokens", `{"text":"a","usage":{"type":"tokens","input_tokens":14,"output_tokens":45,"total_tokens":59}}`, usage(14, 45, 59), done, ""},
		{"subtitles", "1\n00:00:00,000 --> 00:00:02,000\ndata: {not json\n", nil, open, ""},
		{"moderation", `{"id":"m","results":[]}`, nil, done, ""},

		{"no total", `{"usage":{"prompt_tokens":1,"completion_tokens":2}}`, usage(1, 2, 3), done, ""},
		{"zeros", `{"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}`, nil, done, ""},
		{"both names, one filled", `{"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"input_tokens":0,"output_tokens":0}}`, usage(3, 4, 7), done, ""},
		{"floats", `{"usage":{"prompt_tokens":3.0,"completion_tokens":4e0}}`, usage(3, 4, 7), done, ""},
		{"strings", `{"usage":{"prompt_tokens":"3","completion_tokens":"x","total_tokens":"7"}}`, usage(3, 4, 7), done, ""},
		{"negative, huge", `{"usage":{"prompt_tokens":-3,"completion_tokens":1e300,"total_tokens":99999999999999999999999999999999999999}}`, nil, done, ""},
		{"twice", `{"usage":{"total_tokens":1,"total_tokens":2},"usage":{"total_tokens":3},"usage":null}`, usage(0, 0, 3), done, ""},
		{"escaped key", `{"us\u0061ge":{"total\u005ftokens":3}}`, usage(0, 0, 3), done, ""},
		{"elsewhere", `{"data":{"usage":{"total_tokens":1}},"choices":[{"usage":{"total_tokens":1}}],"usage":[{"total_tokens":1}]}`, nil, done, ""},
		{"large usage", `{"usage":{"pad":"` + strings.Repeat("x", 1<<20) + `","total_tokens":4}}`, usage(0, 0, 4), done, ""},
		{"deep", `{"a":` + strings.Repeat("[", 1e5) + strings.Repeat("]", 1e5) + `,"usage":{"total_tokens":4}}`, usage(0, 0, 4), done, ""},

		{"no prompt beside a total", `{"usage":{"prompt_tokens":0,"completion_tokens":7,"total_tokens":12}}`, usage(5, 7, 12), done, ""},
		{"no completion beside a total", `{"usage":{"prompt_tokens":5,"completion_tokens":0,"total_tokens":12}}`, usage(5, 7, 12), done, ""},
		{"a total without its parts", `{"usage":{"prompt_tokens":0,"total_tokens":12}}`, usage(0, 0, 12), done, ""},
		{"a total below its parts", `{"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":7}}`, usage(5, 7, 12), done, ""},
		{"a total above its parts", `{"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":20}}`, usage(5, 15, 20), done, ""},
		{"usage in two chunks", sse(`{"usage":{"prompt_tokens":5,"total_tokens":5}}`, `{"usage":{"completion_tokens":7,"total_tokens":7}}`, `[DONE]`), usage(5, 7, 12), done, ""},
		{"usage in two chunks, the first whole", sse(`{"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`, `{"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}`, `[DONE]`), usage(5, 7, 12), done, ""},
		{"usage in two chunks, under both names", sse(`{"usage":{"input_tokens":5}}`, `{"usage":{"completion_tokens":7}}`, `[DONE]`), usage(5, 7, 12), done, ""},
		{"Groq's stream", sse(`{"choices":[{"delta":{"content":"a"}}],"x_groq":{"id":"req_1"}}`, `{"choices":[],"x_groq":{"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,"queue_time":0.1}}}`, `[DONE]`), usage(5, 7, 12), done, "a"},
		{"Moonshot's stream", sse(`{"choices":[{"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}]}`, `[DONE]`), usage(5, 7, 12), done, ""},
		{"empty errors", sse(`{"error":{},"choices":[{"delta":{"content":"a"}}]}`, `{"error":{"message":"","code":null},"usage":{"total_tokens":12}}`, `{"error":null}`, `{"error":""}`, `[DONE]`), usage(0, 0, 12), done, "a"},
		{"empty error in a document", `{"error":{},"usage":{"total_tokens":12}}`, usage(0, 0, 12), done, ""},
		{"an error that says nothing, beside a message", `{"message":"m","code":200,"error":{"message":"","code":0},"usage":{"total_tokens":12}}`, usage(0, 0, 12), done, ""},
		{"MiniMax's success", `{"usage":{"total_tokens":12},"base_resp":{"status_code":0,"status_msg":""}}`, usage(0, 0, 12), done, ""},

		{"Anthropic's", `{"id":"m","type":"message","usage":{"input_tokens":10,"cache_creation_input_tokens":100,"cache_read_input_tokens":50,"output_tokens":20}}`, usage(110, 20, 130), done, ""},
		{"Anthropic's cache in a total", `{"usage":{"input_tokens":110,"cache_creation_input_tokens":"100","output_tokens":20,"total_tokens":130}}`, usage(110, 20, 130), done, ""},
		{"Anthropic's stream", sse(`{"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":25,"output_tokens":1}}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`,
			`{"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":"hm"}}`,
			`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{}"}}`,
			`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}`), usage(25, 15, 40), open, "Hellohm{}"},
		{"a response that is done", sse(`{"type":"response.done","response":{"id":"r","usage":{"input_tokens":1,"output_tokens":2}}}`), usage(1, 2, 3), done, ""},
		{"Anthropic's stream, to its end", sse(`{"type":"message_delta","usage":{"output_tokens":15}}`, `{"type":"message_stop"}`), usage(0, 15, 15), done, ""},
		{"codes that are no errors", `{"code":200,"message":"success","usage":{"total_tokens":12}}`, usage(0, 0, 12), done, ""},
		{"a code above those of HTTP", `{"code":2000,"message":"ok","usage":{"total_tokens":12}}`, usage(0, 0, 12), done, ""},
		{"a code that says success", `{"code":"Success","message":"ok","usage":{"total_tokens":12}}`, usage(0, 0, 12), done, ""},
		{"a code without a message", `{"code":"404","usage":{"total_tokens":12}}`, usage(0, 0, 12), done, ""},
		{"Gemini's own", `{"candidates":[],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":20,"thoughtsTokenCount":5,"totalTokenCount":35}}`, usage(10, 25, 35), done, ""},
		{"camel case", `{"usage":{"inputTokens":10,"outputTokens":20,"totalTokens":30}}`, usage(10, 20, 30), done, ""},
		{"camel case, as a chat's", `{"usage":{"promptTokens":10,"completionTokens":20}}`, usage(10, 20, 30), done, ""},

		{"chat stream", chatStream, usage(5, 7, 12), done, "Hello wörld 😀\n"},
		{"CRLF", strings.ReplaceAll(chatStream, "\n", "\r\n"), usage(5, 7, 12), done, "Hello wörld 😀\n"},
		{"no space", strings.ReplaceAll(chatStream, "data: ", "data:"), usage(5, 7, 12), done, "Hello wörld 😀\n"},
		{"mark, BOM, comments", "\ufeff: ping\n\nid: 7\nretry: 10\n" + chatStream, usage(5, 7, 12), done, "Hello wörld 😀\n"},
		{"one newline", strings.ReplaceAll(chatStream, "\n\n", "\n"), usage(5, 7, 12), done, "Hello wörld 😀\n"},
		{"no end of line after the mark", strings.TrimSpace(chatStream), usage(5, 7, 12), done, "Hello wörld 😀\n"},
		{"interrupted", chatStream[:strings.Index(chatStream, `{"id":"1","choices":[]`)], nil, open, "Hello wörld 😀\n"},
		{"cumulative usage", sse(`{"usage":{"total_tokens":3}}`, `{"usage":{"total_tokens":5}}`), usage(0, 0, 5), open, ""},
		{"several data lines", "data: {\"usage\":\ndata: {\"total_tokens\":\ndata: 5}}\n\n", usage(0, 0, 5), open, ""},
		{"unfinished event", "data: {\"usage\":\n\ndata: {\"total_tokens\":5}}\n\n" + sse(`{"usage":{"total_tokens":4}}`), usage(0, 0, 4), open, ""},
		{"a name without an event", "event: error\n\n" + sse(`{"usage":{"total_tokens":4}}`), usage(0, 0, 4), open, ""},
		{"a line without a colon", "retry\n" + sse(`{"usage":{"total_tokens":4}}`), usage(0, 0, 4), open, ""},
		{"a comment like an event", ":data:[DONE]\n\n", nil, open, ""},
		{"tabs", strings.ReplaceAll(chatStream, "data: ", "data:\t"), usage(5, 7, 12), done, "Hello wörld 😀\n"},
		{"the same text behind many members", strings.Repeat(sse("{"+strings.Repeat(`"x":1,`, 2*maxHoles)+`"delta":"a"}`), 4), nil, open, "aaaa"},
		{"not quite the mark", sse(`[DONG]`, `[`, `DONE`), nil, open, ""},
		{"parts", sse(`{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"}]}}]}`), nil, open, "hma"},
		{"tools", toolStream, nil, open, `hmf{"a"nog1`},
		{"completions", sse(`{"choices":[{"text":"a"},{"text":"b"}]}`), nil, open, "ab"},
		{"responses stream", responsesStream, usage(36, 87, 123), done, "Hi{}"},
		{"response.failed", sse(`{"type":"response.failed","response":{"error":null,"usage":{"total_tokens":3}}}`), usage(0, 0, 3), done, ""},
		{"response.incomplete", sse(`{"response":{"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}},"type":"response.incomplete"}`), usage(1, 2, 3), done, ""},
		{"terminal by name only", "event: response.completed\n" + sse(`{"response":{}}`), nil, done, ""},
		{"image stream", sse(`{"type":"image_generation.partial_image","b64_json":"QQ=="}`,
			`{"type":"image_generation.completed","b64_json":"QQ==","usage":{"total_tokens":9,"input_tokens":4,"output_tokens":5}}`), usage(4, 5, 9), open, ""},
		{"transcript stream", sse(`{"type":"transcript.text.delta","delta":"a"}`,
			`{"type":"transcript.text.done","text":"a","usage":{"type":"tokens","input_tokens":14,"output_tokens":45,"total_tokens":59}}`), usage(14, 45, 59), done, "a"},
		{"speech stream", sse(`{"type":"speech.audio.delta","audio":"QQ=="}`,
			`{"type":"speech.audio.done","usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}`), usage(1, 2, 3), done, ""},
		{"audio deltas", sse(`{"type":"response.audio.delta","delta":"QQ=="}`), nil, open, ""},
		{"surrogates", sse(`{"delta":"\ud83d\ude00\ud83dx\ude00\ud83d\ud83d\ude00"}`), nil, open, "😀\ufffdx\ufffd\ufffd😀"},
		{"escapes", sse(`{"delta":"\b\f\r\t\/\"\\\u00E9\u00eA\u0ozz"}`), nil, open, "\b\f\r\t/\"\\éê\ufffdozz"},
		{"malformed", `{"choices":]{"usage":,"usage":{"total_tokens":4}}]`, usage(0, 0, 4), done, ""},
		{"long delta", sse(`{"delta":"` + strings.Repeat("ö", 2000) + `"}`), nil, open, strings.Repeat("ö", 2000)},
		{"nothing", "", nil, open, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := watch(200, []byte(c.body))
			var want Usage
			if c.usage != nil {
				want = *c.usage
			}
			if s.Usage != want || s.HasUsage != (c.usage != nil) {
				t.Errorf("usage %+v, %v; want %+v", s.Usage, s.HasUsage, c.usage)
			}
			if s.Done != c.done {
				t.Errorf("done %v", s.Done)
			}
			if ended := c.done || c.name == "image stream"; s.Ended != ended {
				t.Errorf("ended %v", s.Ended)
			}
			if text := strings.Join(s.Text, ""); text != c.text {
				t.Errorf("text %q; want %q", text, c.text)
			}
			if s.Refused {
				t.Errorf("refusal %+v", s.Refusal)
			}
		})
	}
}

func TestMeterID(t *testing.T) {
	for _, c := range []struct{ name, body, id string }{
		{"response", responseBody, "resp_1"},
		{"background response", `{"id":"resp_2","status":"queued","usage":null}`, "resp_2"},
		{"stream", responsesStream, "resp_1"},
		{"stream, cut after its first event", responsesStream[:strings.Index(responsesStream, "\n\n")], "r"},
		{"events of others", chatStream, ""},
		{"escaped", `{"\u0069d":"resp\u005f\n"}`, "resp_\n"},
		{"the longest", `{"id":"` + strings.Repeat("x", maxID) + `"}`, strings.Repeat("x", maxID)},
		{"too long", `{"id":"` + strings.Repeat("x", maxID+1) + `"}`, ""},
		{"far too long", `{"id":"` + strings.Repeat("x", 1<<20) + `"}`, ""},
		{"not a string", `{"id":7,"response":{"id":{"id":"x"}}}`, ""},
		{"elsewhere", `{"output":[{"id":"msg_1"}],"conversation":{"id":"conv_1"}}`, ""},
		{"none", `{"choices":[]}`, ""},
	} {
		if s, _ := watch(200, []byte(c.body)); s.ID != c.id {
			t.Errorf("%s: %q, want %q", c.name, s.ID, c.id)
		}
	}
}

func TestMeterSkipsBinary(t *testing.T) {
	for typ, reads := range map[string]bool{
		"": true, "application/json": true, "Application/JSON; charset=utf-8": true,
		"text/event-stream": true, "text/plain": true, "application/problem+json": true, "application/json ; charset=utf-8": true,
		"audio/mpeg": false, "image/png": false, "application/octet-stream": false,
	} {
		m := NewMeter(200, typ, nil)
		m.Write([]byte(chatBody))
		if _, ok := m.Usage(); ok != reads {
			t.Errorf("%q: read %v", typ, ok)
		}
	}
}

func TestMeterError(t *testing.T) {
	for _, c := range []struct {
		name, body string
		status     int
		kind       Kind
		message    string
		done       bool
	}{
		{"event", "event: error\n" + sse(quotaEvent), 200, Quota, "You exceeded", true},
		{"event's own members", sse(`{"type":"error","code":"rate_limit_exceeded","message":"Slow"}`), 200, RateLimit, "Slow", true},
		{"named event", "event: error\n" + sse(`{"code":"server_error","message":"Oops"}`), 200, Other, "Oops", true},
		{"chunk", sse(`{"choices":[]}`, `{"error":{"message":"The server had an error","type":"server_error"}}`), 200, Other, "The server", false},
		{"chunk, and the mark", sse(`{"error":{"message":"The server had an error","type":"server_error"}}`, `[DONE]`), 200, Other, "The server", true},
		{"chunk about a rate", sse(`{"choices":[]}`, `{"error":{"code":429,"message":"Rate"}}`), 200, RateLimit, "Rate", true},
		{"chunk about a rate after output", sse(`{"choices":[{"delta":{"content":"x"}}]}`, `{"error":{"code":429,"message":"Rate"}}`), 200, RateLimit, "Rate", false},
		{"chunk in an array", sse(`[{"error":{"code":429,"message":"Rate","status":"RESOURCE_EXHAUSTED"}}]`), 200, RateLimit, "Rate", true},
		{"document in an array", `[{"error":{"code":429,"message":"Rate","status":"RESOURCE_EXHAUSTED"}}]`, 200, RateLimit, "Rate", true},
		{"errors in an array that goes on", `[{"error":{"code":429,"message":"Rate"}},`, 429, RateLimit, "Rate", false},
		{"errors in an array", `[{"error":{"code":429,"message":"Rate"}},{"error":{"message":"x"}} ]`, 429, RateLimit, "Rate", true},
		{"errors in an array, of which a later one is cut", `[{"message":"Rate"},{"message":"x`, 429, RateLimit, "Rate", false},
		{"errors in an array, the first empty", `[{"choices":[]},{"error":{"code":"rate_limit_exceeded","message":"Rate"}}]`, 400, RateLimit, "Rate", true},
		{"a status in a chunk", sse(`{"error":{"message":"slow","status":429}}`), 200, RateLimit, "slow", true},
		{"a status code in a chunk", sse(`{"error":{"message":"slow","statusCode":429}}`), 200, RateLimit, "slow", true},
		{"a status code of another spelling", sse(`{"error":{"message":"slow","status_code":"429"}}`), 200, RateLimit, "slow", true},
		{"money by its status in a chunk", sse(`{"error":{"message":"no","status":402}}`), 200, Quota, "no", true},
		{"a failure by its status in a chunk", sse(`{"error":{"message":"no","status":500}}`), 200, Other, "no", false},
		{"a status behind a code", sse(`{"error":{"code":"insufficient_quota","message":"no","status":429}}`), 200, Quota, "no", true},
		{"a status before a code", sse(`{"error":{"status":429,"message":"no","code":"insufficient_quota"}}`), 200, Quota, "no", true},
		{"a status of HTTP alone", sse(`{"error":{"message":"fine","status":200}}`), 200, Other, "fine", false},
		{"a status of something else", sse(`{"error":{"message":"fine","status":4290}}`), 200, Other, "fine", false},
		{"string", sse(`{"error":"overloaded"}`), 200, Overloaded, "overloaded", true},
		{"choice", sse(`{"choices":[{"index":0,"error":{"code":429,"message":"Rate"},"delta":{"content":""},"finish_reason":"error"}]}`), 200, RateLimit, "Rate", true},
		{"choice of a document", `{"choices":[{"index":0,"error":{"code":429,"message":"Rate"},"message":{"content":""},"finish_reason":"error"}]}`, 200, RateLimit, "Rate", true},
		{"Mistral's event", sse(`{"object":"error","message":"Rate limit exceeded","type":"rate_limited","code":"1300"}`), 200, RateLimit, "Rate", true},
		{"Mistral's event, its object last", sse(`{"code":"1300","message":"Rate limit exceeded","object":"error"}`), 200, RateLimit, "Rate", true},
		{"response.failed", sse(`{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"Wait"}}}`), 200, RateLimit, "Wait", true},
		{"response.failed, and why", sse(`{"type":"response.failed","response":{"error":null,"usage":null}}`, `{"type":"error","error":{"code":"rate_limit_exceeded","message":"Wait"}}`), 200, RateLimit, "Wait", true},
		{"an event of text", "event: error\ndata: Rate limit exceeded, wait 20s\n\n", 200, RateLimit, "Rate limit exceeded, wait 20s", true},
		{"an event of a string", "event: error\r\ndata: \"Rate limit exceeded\"\r\n\r\n", 200, RateLimit, "Rate limit exceeded", true},
		{"an event of text behind another", sse(`{"type":"response.audio.delta","delta":"QQ=="}`) + "event: error\ndata: Rate limit exceeded\n\n", 200, RateLimit, "Rate limit exceeded", true},
		{"a long event of text", "event: error\ndata: Rate limit " + strings.Repeat("word ", 1000) + "\n\n", 200, RateLimit, "Rate limit word", true},
		{"chunk about a rate, around an empty error", sse(`{"error":{"error":{},"message":"Rate limit exceeded"}}`), 200, RateLimit, "Rate", true},
		{"errors in a chunk", sse(`{"errors":[{"code":429,"message":"Rate"}]}`), 200, RateLimit, "Rate", true},
		{"a violation alone", `{"error":{"details":[{"violations":[{}]}]}}`, 200, Other, "", true},
		{"a document with a code of HTTP", `{"code":429,"message":"Slow"}`, 200, RateLimit, "Slow", true},
		{"a document whose code comes last", `{"message":"Slow","data":null,"code":"429"}`, 200, RateLimit, "Slow", true},
		{"a chunk with a code of HTTP", sse(`{"choices":[]}`, `{"code":429,"message":"Slow"}`), 200, RateLimit, "Slow", true},
		{"a document with a code of a rate", `{"code":"rate_limit_daily","message":"Slow"}`, 200, RateLimit, "Slow", true},
		{"a code that fails", `{"code":500,"msg":"Oops"}`, 200, Other, "Oops", true},
		{"response.error", sse(`{"type":"response.error","code":"rate_limit_exceeded","message":"Slow"}`), 200, RateLimit, "Slow", true},
		{"response.error, of another kind", sse(`{"type":"response.error","message":"Oops"}`), 200, Other, "Oops", true},
		{"failed document", `{"status":"failed","error":{"code":"server_error","message":"Oops"}}`, 200, Other, "Oops", true},
		{"429", `{"error":{"message":"Rate","type":"tokens","code":"rate_limit_exceeded"}}`, 429, RateLimit, "Rate", true},
		{"429 as event", sse(`{"error":{"message":"Rate","type":"tokens","code":"rate_limit_exceeded"}}`), 429, RateLimit, "Rate", true},
		{"429 cut", `{"error":{"message":"Rate lim`, 429, RateLimit, "Rate", false},
		{"429 of a gateway", `{ "statusCode": 429, "message": "Rate limit is exceeded. Try again in 37 seconds." }`, 429, RateLimit, "Rate limit", true},
		{"429 cut in its code", `{"error":{"message":"Rate","code":"insufficient_quota or`, 429, RateLimit, "Rate", false},
		{"400 as an event that says nothing", sse(`{"x":1}`), 400, Other, "", true},
		{"400 of a page", `<html>Bad request</html>`, 400, Other, "", false},
		{"502", `<html>Bad gateway</html>`, 502, Other, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := watch(c.status, []byte(c.body))
			if !s.Refused || s.Refusal.Kind != c.kind || !strings.HasPrefix(s.Refusal.Message, c.message) || s.Done != c.done {
				t.Errorf("done %v, refused %v: %+v", s.Done, s.Refused, s.Refusal)
			}
		})
	}
}

// A body has failed once all of its error has come.
func TestMeterFailed(t *testing.T) {
	for body, want := range map[string]bool{
		chatBody:                                 false,
		`{"error":{"message":"Oops"}}`:           true,
		`{"error":{"message":"Oops"}`:            false,
		sse(`{"error":{"message":"Oops"}}`):      true,
		sse(`{"error":{"message":"Oops"}}`)[:30]: false,
	} {
		if s, _ := watch(200, []byte(body)); s.Failed != want {
			t.Errorf("%s: %v", body, s.Failed)
		}
	}
}

// A stream may go on behind an error, whose end is then not that of the output.
func TestMeterGoesOnAfterAnError(t *testing.T) {
	head := sse(`{"choices":[{"delta":{"content":"a"}}]}`, `{"error":{"message":"Oops","type":"server_error"}}`)
	s, _ := watch(200, []byte(head+sse(`{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`, `[DONE]`)))
	if s.Usage.Total != 12 || !s.Refused || s.Refusal.Message != "Oops" || !s.Done || s.Ended {
		t.Errorf("%+v", s)
	}
	if s, _ := watch(200, []byte(head)); s.Done || s.Ended {
		t.Errorf("behind the error alone: %+v", s)
	}
}

// A response that has failed puts out no more, whatever has failed.
func TestMeterEndsWithAFailedResponse(t *testing.T) {
	s, _ := watch(200, []byte(sse(`{"type":"response.output_text.delta","delta":"Hi"}`, `{"type":"response.failed","response":{"error":{"code":"server_error","message":"Oops"}}}`)))
	if !s.Done || !s.Ended || !s.Refused {
		t.Errorf("%+v", s)
	}
}

func TestMeterModel(t *testing.T) {
	for body, want := range map[string]string{
		`{"id":"x","model":"gpt-5-mini-2025-08-07","usage":null}`:             "gpt-5-mini-2025-08-07",
		sse(`{"model":"gpt-4o","choices":[]}`, `[DONE]`):                      "gpt-4o",
		sse(`{"type":"response.created","response":{"model":"o3","id":"r"}}`): "o3",
		sse(`{"type":"message_start","message":{"model":"c"}}`):               "c",
		`{"model":["x"],"data":{"model":"y"}}`:                                "",
		`{"model":"` + strings.Repeat("x", 300) + `"}`:                        "",
	} {
		m := NewMeter(200, "", nil)
		m.Write([]byte(body))
		if got := m.Model(); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestMeterShown(t *testing.T) {
	for body, want := range map[string]bool{
		sse(`{"choices":[{"delta":{"role":"assistant","content":""}}]}`):                              false,
		sse(`{"choices":[{"delta":{"content":"a"}}]}`):                                                true,
		sse(`{"type":"response.audio.delta","delta":"QQ=="}`):                                         true,
		sse(`{"choices":[{"delta":{"content":"","audio":{"data":"QQ=="}}}]}`):                         true,
		sse(`{"choices":[{"delta":{"content":"","images":[{"type":"image_url"}]}}]}`):                 true,
		sse(`{"choices":[{"delta":{"reasoning_details":[{"text":"hm"}]}}]}`):                          true,
		sse(`{"choices":[{"delta":{"content":[{"type":"text","text":"a"}]}}]}`):                       true,
		sse(`{"choices":[{"delta":{"content":[],"images":[],"audio":null,"reasoning_details":[]}}]}`): false,
		sse(`{"type":"image_generation.partial_image","b64_json":"QQ=="}`):                            true,
		sse(`{"type":"response.created","response":{"id":"r"}}`, `{"type":"error"}`):                  false,
	} {
		m := NewMeter(200, "", nil)
		m.Write([]byte(body))
		if m.Shown() != want {
			t.Errorf("%s: %v", body, !want)
		}
	}
}

// TestMeterMemory feeds bodies far larger than anything a meter may keep.
func TestMeterMemory(t *testing.T) {
	chunk := bytes.Repeat([]byte("QUJD"), 8<<10)
	for name, open := range map[string]string{
		"skipped string": `{"data":[{"b64_json":"`,
		"event line":     `data: {"type":"image_generation.completed","b64_json":"`,
		"text":           `data: {"delta":"`,
		"key":            `{"`,
		"message":        `{"error":{"message":"`,
		"number":         `{"usage":{"total_tokens":`,
		"field":          `data`,
		"event":          `event: `,
	} {
		m := NewMeter(429, "", func([]byte) {})
		m.Write([]byte(open))
		if n := testing.AllocsPerRun(100, func() { m.Write(chunk) }); n != 0 {
			t.Errorf("%s: %v allocations a write", name, n)
		}
	}
	line := []byte(chatStream)
	m := NewMeter(200, "text/event-stream", func([]byte) {})
	if n := testing.AllocsPerRun(100, func() { m.done = false; m.Write(line) }); n != 0 {
		t.Errorf("stream: %v allocations a write", n)
	}
}

// FuzzMeterSplit: how a body is cut changes nothing.
func FuzzMeterSplit(f *testing.F) {
	for _, body := range []string{chatBody, responseBody, chatStream, toolStream, responsesStream, sse(quotaEvent),
		"event: error\r\ndata: {\"message\":\"x\\ud83d\r\ndata: }\r\n\r\n",
		`{"error":{"message":"` + strings.Repeat("ö", 600) + `","code":429`,
		sse(`{"delta":"` + strings.Repeat("\xf0\x9f", 600) + `😀"}`),
		sse(`x{"usage":{"total_tokens":7}}`, `[xDONE]`, `[{"error":{"code":429,"message":"Rate"}}]`),
		`[{"error":{"message":"Rate"}}, {"error":{"message":"x","details":[{"retryDelay":{"seconds":46,"nanos":"5"}}]}}]`, `[{"message":"Rate"},{"message":"Wait 5s"}`} {
		f.Add([]byte(body), uint64(1), 200)
		f.Add([]byte(body), uint64(2), 429)
	}
	f.Fuzz(func(t *testing.T, body []byte, seed uint64, status int) {
		whole, _ := watch(status, body)

		single := make([]int, len(body))
		for i := range single {
			single[i] = i + 1
		}
		bytewise, doneAt := watch(status, body, single...)
		diff(t, whole, bytewise)

		random := rand.New(rand.NewPCG(seed, 0))
		var cuts []int
		for range 1 + random.IntN(8) {
			cuts = append(cuts, random.IntN(len(body)+1))
		}
		slices.Sort(cuts)
		pieces, doneIn := watch(status, body, cuts...)
		diff(t, whole, pieces)
		if want := slices.IndexFunc(append(cuts, len(body)), func(end int) bool { return doneAt < end }); doneAt >= 0 && doneIn != want {
			t.Errorf("done after byte %d, cut at %v: done in piece %d, want %d", doneAt, cuts, doneIn, want)
		}
	})
}

func diff(t *testing.T, want, got seen) {
	t.Helper()
	if w, g := fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got); w != g {
		t.Errorf("whole: %s\ncut:   %s", w, g)
	}
}

// FuzzMeterJSON: on valid JSON a meter finds what encoding/json finds.
func FuzzMeterJSON(f *testing.F) {
	f.Add([]byte(chatBody))
	f.Add([]byte(responseBody))
	f.Add([]byte(quotaEvent))
	f.Add([]byte(`{"code":429,"message":"m","error":{"code":0,"error":{"message":"","type":"t"}},"errors":["e",{"status":"s"}],"detail":{"message":"d"}}`))
	f.Add([]byte(`{"base_resp":{"status_code":1002,"status_msg":"rate"},"error":{"data":{"retry_after":1.5e3},"details":[{"retryDelay":"2s","violations":[{"quotaId":"q"}]}]}}`))
	for _, status := range []string{"399", "400", "599.5", "600"} {
		f.Add([]byte(`{"error":{"message":"m","status":` + status + `}}`))
	}
	f.Add([]byte(`{"id":"\ud800abc","model":"m"}`))
	f.Add([]byte(`{"error":{"status":429,"message":"m"},"errors":[{"status_code":"429"},{"statusCode":399}]}`))
	f.Add([]byte(`{"error":{"data":{"retry_after":{"seconds":5}},"details":[{"retryDelay":{"seconds":"46","nanos":1e8}},{"retry_delay":7}]},"retry_after":{"nanos":9}}`))
	f.Add([]byte(`{"errors":{"msg":"m","headers":{"retry-after":5},"description":"d"},"Message":"n","choices":[{"delta":{"reasoning_text":"hm"}}]}`))
	f.Add([]byte(`{"error":{"error_type":"t","details":{"error_code":"c"},"metadata":{"errorType":"u"}},"__type":"v","message":"m"}`))
	f.Add([]byte(`{"errorCode":"throttled","error_type":7,"message":"m"}`))
	f.Add([]byte(`{"error":"title","message":"m","retry_after":2,"choices":[{"error":{"message":"c","metadata":{"raw":"r","headers":{"retry-after":"3"}}}}]}`))
	for line := range strings.Lines(chatStream + toolStream + responsesStream) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			f.Add([]byte(data))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		body = bytes.TrimLeft(body, " \t\r\n")
		if !json.Valid(body) || body[0] != '{' {
			return
		}
		var want reference
		want.root(parse(t, body))
		want.fault.conclude()

		s, _ := watch(200, body)
		if s.Usage != want.usage || s.HasUsage != want.hasUsage || !s.Done || !s.Ended {
			t.Errorf("%q: %+v, want %+v", body, s, want)
		}
		if s.Refused != want.fault.seen {
			t.Errorf("%q: refused %v, want %v", body, s.Refused, want.fault.seen)
		}
		if utf8.Valid(body) && s.ID != want.id {
			t.Errorf("%q: id %q, want %q", body, s.ID, want.id)
		}
		if want.fault.seen && utf8.Valid(body) && (s.Refusal.Message != want.fault.full() || s.Refusal.Code != cmp.Or(want.fault.code, want.fault.hint)) {
			t.Errorf("%q: %+v, want %+v", body, s.Refusal, want.fault)
		}

		want = reference{stream: true}
		want.root(parse(t, body))
		s, _ = watch(200, []byte("data:"+string(bytes.ReplaceAll(body, []byte("\n"), []byte("\ndata: ")))+"\n\n"))
		if s.Usage != want.usage || s.HasUsage != want.hasUsage {
			t.Errorf("event %q: %+v, want %+v", body, s, want)
		}
		if text := plainText(strings.Join(s.Text, "")); text != want.text {
			t.Errorf("event %q: text %q, want %q", body, text, want.text)
		}
	})
}

// plainText replaces invalid UTF-8 as encoding/json does, byte by byte.
func plainText(s string) string { return string([]rune(s)) }

// members are an object's, in order and with duplicates.
type members []struct {
	name  string
	value any
}

func parse(t *testing.T, body []byte) members {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value func() any
	value = func() any {
		token, err := d.Token()
		if err != nil {
			t.Skip(err) // deeper than encoding/json goes
		}
		switch token {
		case json.Delim('['):
			list := []any{}
			for d.More() {
				list = append(list, value())
			}
			d.Token()
			return list
		case json.Delim('{'):
			m := members{}
			for d.More() {
				name := value().(string)
				if waitOf([]byte(name), waitNode, waitMSNode) != ignored && !isWait(name) {
					t.Skip("the reference does not know it")
				}
				m = append(m, struct {
					name  string
					value any
				}{name, value()})
			}
			d.Token()
			return m
		}
		return token
	}
	return value().(members)
}

// reference reads a parsed document as a meter is meant to.
type reference struct {
	stream   bool
	sum      counts
	usage    Usage
	hasUsage bool
	fault    fault
	text     string
	id       string
}

func (r *reference) root(root members) {
	audio := false
	for _, m := range root {
		switch m.name {
		case "response":
			r.response(m.value)
		case "x_groq":
			if groq, ok := m.value.(members); ok {
				for _, m := range groq {
					if m.name != "id" {
						r.shared(m.name, m.value)
					}
				}
			}
		case "type":
			if typ, ok := m.value.(string); ok {
				audio = typ == "response.audio.delta"
			}
		case "delta":
			if !audio {
				r.delta(m.value)
				r.message(m.value)
			}
		case "choices":
			list, _ := m.value.([]any)
			for _, c := range list {
				choice, _ := c.(members)
				for _, m := range choice {
					switch m.name {
					case "error":
						r.fail(m.value, 2)
					case "usage":
						if r.stream {
							r.shared(m.name, m.value)
						}
					case "text":
						r.delta(m.value)
					case "delta":
						r.message(m.value)
					}
				}
			}
		case "object":
			if m.value == "error" {
				r.fault.seen, r.fault.named = true, true
			}
		case "error":
			r.fail(m.value, 1)
		case "errors":
			if _, isString := m.value.(string); !isString {
				r.fail(m.value, 1)
			}
		case "base_resp":
			base, _ := m.value.(members)
			for _, m := range base {
				switch m.name {
				case "status_code":
					r.word("code", m.value)
				case "status_msg":
					r.own("message", m.value)
				}
			}
		case "detail":
			if object, ok := m.value.(members); ok {
				r.fail(object, 1)
			}
			r.own("message", m.value)
		case "message", "msg", "Message", "error_msg", "error_message", "errorMessage", "error_description":
			r.response(m.value)
			r.own("message", m.value)
		case "code":
			r.own("code", m.value)
		case "error_type", "error_code", "errorType", "errorCode", "__type":
			r.own("hint", m.value)
		default:
			if isWait(m.name) || m.name == "estimated_time" {
				r.own("wait", m.value)
			}
			r.shared(m.name, m.value)
		}
	}
}

func (r *reference) response(v any) {
	response, _ := v.(members)
	for _, m := range response {
		r.shared(m.name, m.value)
	}
}

func (r *reference) message(v any) {
	message, _ := v.(members)
	for _, m := range message {
		switch m.name {
		case "content", "refusal", "reasoning_content", "reasoning", "reasoning_text", "text", "thinking", "partial_json":
			r.delta(m.value)
		case "function_call":
			r.function(m.value)
		case "tool_calls":
			list, _ := m.value.([]any)
			for _, c := range list {
				call, _ := c.(members)
				for _, m := range call {
					if m.name == "function" || m.name == "custom" {
						r.function(m.value)
					}
				}
			}
		}
	}
}

func (r *reference) function(v any) {
	function, _ := v.(members)
	for _, m := range function {
		if m.name == "name" || m.name == "arguments" || m.name == "input" {
			r.delta(m.value)
		}
	}
}

func (r *reference) delta(v any) {
	switch v := v.(type) {
	case string:
		r.text += v
	case []any:
		for _, part := range v {
			r.message(part)
		}
	}
}

// shared reads what means the same at the top level and in response.
func (r *reference) shared(name string, v any) {
	switch object, isObject := v.(members); {
	case name == "id":
		if s, ok := v.(string); ok {
			r.id = ""
			if len(s) <= maxID {
				r.id = s
			}
		}
	case name == "usage" && isObject:
		var c counts
		fields := map[string]*int64{"total_tokens": &c.total, "prompt_tokens": &c.prompt,
			"completion_tokens": &c.completion, "input_tokens": &c.input, "output_tokens": &c.output}
		for _, m := range object {
			n, _ := m.value.(json.Number)
			if s, ok := m.value.(string); ok && len(s) <= bufferSize {
				n = json.Number(s)
			}
			if f, ok := parseNumber(string(n)); ok && m.name == "seconds" {
				c.seconds = f
			} else if p := fields[m.name]; ok && p != nil {
				*p = int64(f)
			}
		}
		r.sum.raise(&c)
		if u, ok := r.sum.usage(); ok {
			r.usage, r.hasUsage = u, true
		}
	case name == "error":
		r.fail(v, 2)
	}
}

// fail reads an error, which is the first that says something, or within it.
func (r *reference) fail(v any, depth int) {
	switch v := v.(type) {
	case string:
		if v != "" {
			r.fault.name(clip(v), depth == 1)
		}
	case []any:
		for _, e := range v {
			if _, isList := e.([]any); !isList {
				r.fail(e, depth+1)
			}
		}
	case members:
		if !r.fault.seen || r.fault.named {
			r.fault.named = false
			r.within(v, depth+1)
		}
	}
}

func (r *reference) within(object members, depth int) {
	for _, m := range object {
		switch inner, isObject := m.value.(members); {
		case m.name == "error" && isObject:
			r.fault.named = false
			r.within(inner, depth+1)
		case m.name == "error":
			r.fail(m.value, depth)
		case m.name == "metadata" && isObject, m.name == "data" && isObject, m.name == "details" && isObject:
			r.metadata(inner)
		case m.name == "details":
			r.details(m.value)
		case m.name == "headers":
			r.headers(m.value)
		case m.name == "msg", m.name == "description", m.name == "detail", m.name == "error_message":
			r.own("message", m.value)
		default:
			r.word(m.name, m.value)
		}
	}
}

// said is a string or a number, if it says something.
func said(v any) (string, bool) {
	if n, ok := v.(json.Number); ok {
		f, ok := positive(string(n))
		return strconv.FormatFloat(f, 'f', -1, 64), ok && f != 0
	}
	s, _ := v.(string)
	s = clip(s)
	return s, s != "" && s != "0"
}

// waited is what a wait says, which may be an object of seconds and nanoseconds.
func waited(v any) any {
	object, ok := v.(members)
	if !ok {
		return v
	}
	seconds := 0.0
	for _, m := range object {
		text := fmt.Sprint(m.value)
		switch f, ok := positive(text); {
		case !ok || len(text) > bufferSize:
		case m.name == "seconds":
			seconds += f
		case m.name == "nanos":
			seconds += f / 1e9
		}
	}
	return json.Number(strconv.FormatFloat(seconds, 'f', -1, 64))
}

// own reads the root's own members, which stand in for what an error object does not say.
func (r *reference) own(name string, v any) {
	if name == "wait" {
		v = waited(v)
	}
	s, ok := said(v)
	if isWait(name) && !strings.ContainsAny(s, "0123456789") {
		return
	}
	_, isString := v.(string)
	f := &r.fault
	stands := !f.seen || f.named
	switch {
	case !ok, name == "wait" && !strings.ContainsAny(s, "0123456789"):
	case name == "message" && isString && (stands || f.message == ""):
		f.message = s
	case name == "code" && (stands || f.code == ""):
		f.code = s
	case name == "hint" && isString && f.hint == "":
		f.hint = s
	case name == "wait" && f.wait == "":
		f.wait = s
	}
}

// word reads an error's own members.
func (r *reference) word(name string, v any) {
	if isWait(name) {
		v = waited(v)
	}
	s, ok := said(v)
	_, isString := v.(string)
	f := &r.fault
	status := name == "status" || name == "statusCode" || name == "status_code"
	switch {
	case !ok:
		return
	case status && !isString:
		n, ok := parseNumber(fmt.Sprint(v))
		if !ok || n < 400 || n >= 600 || f.code != "" {
			return
		}
		f.code = strconv.Itoa(int(n))
	case name == "message" && isString:
		f.message = s
	case name == "code":
		f.code = s
	case hintMembers[name] && isString:
		f.hint = s
	case name == "type" && isString:
		f.typ = s
	case status:
		if f.typ == "" {
			f.typ = s
		}
	case isWait(name):
		f.wait = s
	default:
		return
	}
	f.seen = true
}

var hintMembers = map[string]bool{"error_type": true, "error_code": true, "errorType": true, "errorCode": true}

// isWait reports whether a member is a wait, of those that the reference knows; parse skips the rest.
func isWait(name string) bool {
	switch strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name)) {
	case "wait", "retryafter", "retrydelay", "retryafterseconds", "resetsinseconds":
		return true
	}
	return false
}

func (r *reference) metadata(object members) {
	for _, m := range object {
		s, isString := m.value.(string)
		switch {
		case m.name == "raw" && isString:
			if s = clip(s); s != "" && s != "0" {
				r.fault.raw, r.fault.seen = s, true
			}
		case m.name == "headers":
			r.headers(m.value)
		case isWait(m.name), hintMembers[m.name]:
			r.word(m.name, m.value)
		}
	}
}

func (r *reference) headers(v any) {
	headers, _ := v.(members)
	for _, m := range headers {
		if n := strings.ToLower(m.name); n == "x-ratelimit-reset" || n == "retry-after" {
			r.word("retry_after", m.value)
		}
	}
}

func (r *reference) details(v any) {
	list, _ := v.([]any)
	for _, d := range list {
		detail, _ := d.(members)
		for _, m := range detail {
			if m.name == "retryDelay" || m.name == "retry_delay" {
				if s, ok := said(waited(m.value)); ok {
					r.fault.wait, r.fault.detailed, r.fault.seen = s, true, true
				}
			} else if isWait(m.name) {
				r.word(m.name, m.value)
			}
			if violations, ok := m.value.([]any); ok && m.name == "violations" {
				for _, v := range violations {
					if object, ok := v.(members); ok {
						r.fault.add(violationOf(object))
					}
				}
			}
		}
	}
}

func violationOf(object members) (v violation) {
	for _, m := range object {
		s, isString := m.value.(string)
		switch {
		case m.name == "quotaId" && isString:
			v.quotaID = clip(s)
		case m.name == "quotaValue" && isString:
			v.quotaValue = clip(s)
		case m.name == "quotaValue":
			switch l := m.value.(type) {
			case json.Number:
				v.quotaValue = string(l)
			case bool, nil:
				v.quotaValue = strings.ReplaceAll(fmt.Sprint(l), "<nil>", "null")
			}
		}
	}
	return v
}

// full is the message with what a gateway was told.
func (f *fault) full() string {
	if f.raw == "" {
		return f.message
	}
	return clip(f.message + ": " + f.raw)
}

func clip(s string) string {
	if len(s) > bufferSize {
		s = s[:bufferSize]
		s = s[:max(strings.LastIndexByte(s, ' '), 0)]
	}
	return s
}

func BenchmarkMeter(b *testing.B) {
	image := []byte(`{"created":1,"data":[{"b64_json":"` + strings.Repeat("QUJD", 1<<20) +
		`"}],"usage":{"total_tokens":100,"input_tokens":50,"output_tokens":50}}`)
	vector := strings.Repeat("-0.0069292834,", 1<<16)
	var words, deltas strings.Builder // as OpenAI sends them: each with filler of its own
	for i := range 1 << 12 {
		word, filler := strings.Repeat("ab", i%5), strings.Repeat("xyz", i%7)
		fmt.Fprintf(&words, `data: {"id":"chatcmpl-9lRLlzkVzpRjPmEHzJj7aZ1","object":"chat.completion.chunk","created":1721076543,`+
			`"model":"gpt-4o-2024-08-06","system_fingerprint":"fp_400f27fa1f","choices":[{"index":0,"delta":{"content":" %s"},`+
			`"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"%s"}`+"\n\n", word, filler)
		fmt.Fprintf(&deltas, "event: response.output_text.delta\n"+`data: {"type":"response.output_text.delta","sequence_number":%d,"item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c5",`+
			`"output_index":0,"content_index":0,"delta":" %s","logprobs":[],"obfuscation":"%s"}`+"\n\n", i, word, filler)
	}
	for name, body := range map[string][]byte{
		"chat_words": []byte(words.String()),
		"responses":  []byte(deltas.String()),
		"image":      image,
		"image_sse":  []byte("data: " + string(image) + "\n\n"),
		"embeddings": []byte(`{"data":[{"embedding":[` + vector + `0]}],"usage":{"prompt_tokens":8,"total_tokens":8}}`),
		"escapes":    []byte(`{"choices":[{"message":{"content":"` + strings.Repeat(`say \"hello\"\n`, 1<<16) + `"}}]}`),
		"chat_sse": []byte(strings.Repeat(`data: {"id":"chatcmpl-9lRLlzkVzpRjPmEHzJj7aZ1","object":"chat.completion.chunk","created":1721076543,`+
			`"model":"gpt-4o-2024-08-06","system_fingerprint":"fp_400f27fa1f","choices":[{"index":0,"delta":{"content":" world"},`+
			`"logprobs":null,"finish_reason":null}],"usage":null}`+"\n\n", 1<<12)),
		"audio": bytes.Repeat([]byte("\xff\xf3\xe4\x00"), 1<<18),
	} {
		const piece = 32 << 10
		typ := "application/json"
		if name == "audio" {
			typ = "audio/mpeg"
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				m := NewMeter(200, typ, nil)
				for p := range slices.Chunk(body, piece) {
					m.Write(p)
				}
			}
		})
	}
	b.Run("copy", func(b *testing.B) {
		b.SetBytes(int64(len(image)))
		dst := make([]byte, 32<<10)
		for b.Loop() {
			io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{bytes.NewReader(image)}, dst)
		}
	})
}

// Of a number, too, only so much is kept as counts.
func TestLongNumberIsNotKept(t *testing.T) {
	m := NewMeter(429, "", nil)
	m.Write([]byte(`{"error":{"message":"m","details":[{"violations":[{"quotaId":"q","quotaValue":` + strings.Repeat("1", bufferSize+1) + `}]}]}}`))
	if f := m.fault; f.quotaID != "q" || f.quotaValue != "" {
		t.Errorf("%+v", f)
	}
}

// A meter that is used again is as good as a new one, whatever it has seen before.
func TestMeterIsUsedAgain(t *testing.T) {
	read := func(m *Meter, body string) string {
		var texts []string
		m.Reset(200, "", func(b []byte) { texts = append(texts, string(b)) })
		done := m.Write([]byte(body))
		usage, ok := m.Usage()
		return fmt.Sprintf("%v %v %v %q %q %v %v %v %q %+v", done, usage, ok, m.ID(), m.Model(), m.Shown(), m.Failed(), m.Ended(), texts,
			m.Throttle(nil, func() time.Time { return now }))
	}
	named := func(model string, longer int) string { // an event that has a shape, unless it is too long
		return fmt.Sprintf("data: {\"model\":%q,\"x\":%q,\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", model, strings.Repeat("x", longer))
	}
	bodies := []string{chatBody, chatStream, toolStream, responseBody, responsesStream, quotaEvent, chatBody[:len(chatBody)/2], `{`, `{"id":"x"}`, "data: {}\n\n",
		chatStream[:len(chatStream)/2], "event: error\ndata: te", `{"id":"y","model":"m"}`,
		named("x", 0) + named("y", 0), named("p", maxShape) + named("q", maxShape) + named("y", 0)}
	for _, before := range bodies {
		for _, body := range bodies {
			m := new(Meter)
			read(m, before)
			if got, want := read(m, body), read(new(Meter), body); got != want {
				t.Errorf("after %.40q, %.40q gives\n%s, want\n%s", before, body, got, want)
			}
		}
	}
}
