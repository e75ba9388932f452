package costing_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/lineartest"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// bytesCounter counts bytes, so that a test sees what was counted.
type bytesCounter struct{}

func (bytesCounter) Count(_ string, _ tokens.Encoding, text []byte) int { return len(text) }

// absurd is a counter that breaks its promises.
type absurd int

func (n absurd) Count(string, tokens.Encoding, []byte) int { return int(n) }

var endpoints = []wire.Endpoint{
	wire.None, wire.Chat, wire.Completions, wire.Responses, wire.Embeddings, wire.ImageGenerations, wire.ImageEdits,
	wire.ImageVariations, wire.Speech, wire.Transcriptions, wire.Translations, wire.Moderations, wire.Endpoint(200),
}

// bounded checks what holds for every body.
func bounded(t *testing.T, e wire.Endpoint, body []byte, got costing.Estimate) {
	t.Helper()
	const most = 1 << 40
	if got.Input < 0 || got.Input > most || got.Output < 0 || got.Output > most ||
		got.Passing < 0 || got.Passing > got.Input || got.Guessed < 0 || got.Guessed > got.Input+got.Output ||
		got.Images < 0 || got.Images > 1<<20 ||
		len(got.Model) > 256 || len(got.Previous) > 256 || len(got.Conversation) > 256 ||
		got.Choices < 0 || got.Choices > 1<<20 || e != wire.None && got != (costing.Estimate{}) && got.Choices < 1 ||
		!got.Declared && got.Output != 0 {
		t.Errorf("%v %.300q: %+v", e, body, got)
	}
}

// What is guessed twice, as audio within a prediction, is still no more than there is.
func TestNoMoreIsGuessedThanThereIs(t *testing.T) {
	audio := `{"type":"input_audio","input_audio":{"format":"wav","data":"` + strings.Repeat("UklG", 100_000) + `"}}`
	body := []byte(`{"model":"gpt-4o-audio-preview","messages":[],"prediction":{"type":"content","content":[` + audio + `]}}`)
	got := costing.JSON(wire.Chat, "", body, bytesCounter{})
	bounded(t, wire.Chat, body, got)
	if got.Guessed < got.Input/2 {
		t.Errorf("%+v; want nearly all of the input guessed, or this test tests nothing", got)
	}
}

func TestCaps(t *testing.T) {
	for _, test := range []struct {
		endpoint                wire.Endpoint
		members                 string
		output, choices, images int64
		declared                bool
	}{
		{wire.Chat, `"max_tokens":1,"max_completion_tokens":5000`, 5000, 1, 0, true},
		{wire.Chat, `"max_completion_tokens":5000,"max_tokens":1`, 5000, 1, 0, true},
		{wire.Chat, `"max_tokens":9,"max_tokens":7`, 9, 1, 0, true},
		{wire.Chat, `"max_tokens":"9"`, 9, 1, 0, true},
		{wire.Chat, `"max_tokens":9.1`, 10, 1, 0, true},
		{wire.Chat, `"max_tokens":1e3`, 1000, 1, 0, true},
		{wire.Chat, `"max_tokens":1e400`, 1 << 40, 1, 0, true},
		{wire.Chat, `"max_tokens":` + strings.Repeat("9", 1000), 1 << 40, 1, 0, true},
		{wire.Responses, `"max_output_tokens":50,"prompt_cache_options":{"ttl":"30m","prewarm":true}`, 0, 1, 0, true},
		{wire.Responses, `"prompt_cache_options":{"prewarm":true}`, 0, 1, 0, true},
		{wire.Responses, `"max_output_tokens":50,"prompt_cache_options":{"prewarm":false}`, 50, 1, 0, true},
		{wire.Responses, `"max_output_tokens":50,"stream_options":{"prewarm":true}`, 50, 1, 0, true},
		{wire.Chat, `"max_tokens":-1`, 0, 1, 0, false},
		{wire.Chat, `"max_tokens":-1e400`, 0, 1, 0, false},
		{wire.Chat, `"max_tokens":null`, 0, 1, 0, false},
		{wire.Chat, `"max_tokens":{"max_tokens":7}`, 0, 1, 0, false},
		{wire.Chat, `"max_tokens":NaN`, 0, 1, 0, false},
		{wire.Chat, `"max_tokens":"many"`, 0, 1, 0, false},
		{wire.Chat, `"max_tokens":true`, 0, 1, 0, false},
		{wire.Chat, `"max_\u0074okens":7`, 7, 1, 0, true},
		{wire.Chat, `"n":3`, 0, 3, 0, false},
		{wire.Chat, `"n":3,"n":2,"max_tokens":10`, 20, 2, 0, true},
		{wire.Chat, `"n":1000000000,"max_tokens":10`, 10, 1, 0, true},
		{wire.Chat, `"n":128,"max_tokens":10`, 1280, 128, 0, true},
		{wire.Chat, `"n":129,"max_tokens":10`, 10, 1, 0, true}, // more than the API takes
		{wire.Chat, `"n":128,"max_tokens":100000000000`, 1 << 40, 128, 0, true},
		{wire.Chat, `"n":-3,"max_tokens":10`, 10, 1, 0, true},
		{wire.Chat, `"n":0,"max_tokens":10`, 10, 1, 0, true},
		{wire.Responses, `"max_output_tokens":70`, 70, 1, 0, true},
		{wire.Responses, `"max_output_tokens":70,"max_tokens":80,"n":4`, 80, 1, 0, true},
		{wire.Completions, ``, 16, 1, 0, true},
		{wire.Completions, `"max_tokens":0,"echo":true`, 0, 1, 0, true},
		{wire.Completions, `"n":2,"best_of":5,"max_tokens":10`, 50, 5, 0, true},
		{wire.Completions, `"n":5,"best_of":2,"max_tokens":10`, 50, 5, 0, true},
		{wire.Completions, `"prompt":["a","b",[1,2],3,4],"max_tokens":10`, 40, 4, 0, true},
		{wire.Completions, `"prompt":[1,2,3],"max_tokens":10`, 10, 1, 0, true},
		{wire.Completions, `"prompt":["a","b"],"best_of":1000000000`, 32, 2, 0, true},
		{wire.Embeddings, `"max_tokens":10,"n":4`, 0, 1, 0, false},
		{wire.ImageGenerations, `"model":"dall-e-2","n":10`, 0, 10, 10, true},
		{wire.ImageGenerations, `"model":"dall-e-2"`, 0, 1, 1, true},
		{wire.ImageGenerations, `"model":"dall-e-2","n":1000000000`, 0, 1, 1, true},
		{wire.ImageGenerations, `"model":"gpt-image-1","size":"1024x1024","quality":"low","partial_images":2,"n":2`, 2 * 272, 2, 2, true},
		{wire.ImageGenerations, `"model":"gpt-image-1","size":"1024x1024","quality":"low","partial_images":2,"n":2,"stream":true`, 2 * (272 + 200), 2, 2, true},
		{wire.ImageGenerations, `"model":"gpt-image-2.6-flare","size":"512x512","quality":"low","output_format":"gif","frame_count":2`, 439, 1, 1, true},
		{wire.ImageGenerations, `"model":"gpt-image-2.6-flare","size":"512x512","quality":"high","output_format":"gif"`, 12329, 1, 1, true},
		{wire.ImageGenerations, `"model":"gpt-image-2.6-flare","size":"512x512","quality":"high","output_format":"gif","frame_count":1`, 12329, 1, 1, true},
		{wire.ImageGenerations, `"model":"gpt-image-2.6-flare","size":"720x720","quality":"max","frame_count":16,"n":2`, 2 * 4 * 13932, 2, 2, true},
		{wire.ImageGenerations, `"model":"mine","size":"512x512","quality":"high","frame_count":99`, 16 * 1056, 1, 1, true},
		{wire.ImageGenerations, `"model":"mine","size":"512x512","quality":"high","frame_count":-1`, 1056, 1, 1, true},
		{wire.ImageGenerations, `"model":"Dalle3"`, 0, 1, 1, true},
		{wire.ImageGenerations, `"model":"my-dall-e-3","quality":"high"`, 0, 1, 1, true},
		{wire.ImageGenerations, `"model":"mine","quality":"hd"`, 0, 1, 1, true},
		{wire.ImageGenerations, `"model":"mine","style":"vivid"`, 0, 1, 1, true},
		{wire.ImageGenerations, `"model":"mine","response_format":"url"`, 0, 1, 1, true},
		{wire.ImageGenerations, `"model":"mine","style":null,"response_format":null,"size":"1024x1024","quality":"low"`, 272, 1, 1, true},
		{wire.ImageGenerations, `"model":"gpt-image-2","response_format":"url","size":"1024x1024","quality":"high"`, 7024, 1, 1, true},
	} {
		body := []byte("{" + test.members + "}")
		got := costing.JSON(test.endpoint, "", body, bytesCounter{})
		if got.Output != test.output || got.Choices != test.choices || got.Images != test.images || got.Declared != test.declared {
			t.Errorf("%v %.100s: %+v", test.endpoint, body, got)
		}
	}
}

// What is counted, in bytes, with the figures of the rules beside it.
func TestInput(t *testing.T) {
	const message, reply = 3, 3
	for _, test := range []struct {
		endpoint wire.Endpoint
		body     string
		want     int64
	}{
		{wire.Chat, `{"messages":[{"content":"abc"}]}`, message + 3 + reply},
		{wire.Chat, `{"messages":[{"content":"\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00"}]}`, message + 8 + 1 + 2 + 4 + reply},
		{wire.Chat, `{"messages":[{"content":"\ud83d\ud83d\ude00\ude00x\uZZ"}]}`, message + 3 + 4 + 3 + 1 + 4 + reply},
		{wire.Chat, `{"messages":[{"content":["abc",{"type":"text","text":"de"},{"type":"refusal","refusal":"f"}]}]}`, message + 6 + reply},
		{wire.Chat, `{"messages":[{"content":null,"refusal":"abc"}]}`, message + 3 + reply},
		{wire.Chat, `{"messages":[{"name":"abc"}]}`, message + 3 + 1 + reply},
		{wire.Chat, `{"messages":[{"tool_calls":[{"id":"x","type":"custom","custom":{"name":"ab","input":"cde"}}]}]}`, message + 3 + 5 + reply},
		{wire.Chat, `{"messages":[{"function_call":{"name":"ab","arguments":"cde"}}]}`, message + 3 + 5 + reply},
		{wire.Chat, `{"messages":[{"content":"wrong"}],"messages":[{"content":"abc"}]}`, message + 3 + reply},
		{wire.Chat, `{"messages":[],"prediction":{"type":"content","content":[{"type":"text","text":"abc"}]}}`, reply + 3},
		{wire.Chat, `{"messages":[],"prediction":{"type":"content","content":"abc"}}`, reply + 3},
		{wire.Chat, `{"messages":[],"input":"not chat's"}`, reply},
		{wire.Chat, `{"messages":[{"role":"developer","content":"abc"}]}`, message + 9 + 3 + reply},
		// What SDKs write as null costs nothing.
		{wire.Chat, `{"messages":[{"content":"abc","name":null,"tool_calls":null,"function_call":null,"refusal":null,"audio":null}]}`, message + 3 + reply},
		{wire.Responses, `{"input":[{"content":"abc","name":null,"arguments":null,"input":null,"code":null,"action":null,"operation":null,"error":null}]}`, message + 3 + reply},
		{wire.Responses, `{"input":[{"type":"code_interpreter_call","code":"abc","action":null,"name":null}]}`, message + 3 + 3 + reply},
		{wire.Decisions, `{"input":"abc","questions":null}`, message + 1 + 3 + reply},
		// How fast and for how much it is served changes nothing.
		{wire.Chat, `{"messages":[{"content":"abc"}],"service_tier":"flex","reasoning_effort":"high"}`, message + 3 + reply},
		{wire.Responses, `{"input":"abc","service_tier":"priority","reasoning":{"effort":"high","summary":"auto"}}`, message + 1 + 3 + reply},
		{wire.Chat, `{"model":"openai/GPT-4o-Mini","messages":[{"content":[{"type":"image_url","image_url":{"url":"https://example.com","detail":"low"}}]}]}`, message + 2833 + reply},
		{wire.Chat, `{"response_format":{"type":"json_object"}}`, 0},
		{wire.Chat, `{"response_format":{"type":"json_schema","json_schema":{"name":"ab","strict":true,"schema":{"type":"object"}}}}`, 2 + 7 + 17},
		{wire.Responses, `{"text":{"format":{"type":"json_schema","name":"ab","schema":{"type":"object"}}}}`, 2 + 7 + 17},
		// Tools: 7 each, 12 together.
		{wire.Chat, `{"tools":[{"type":"function","function":{"name":"ab"}}]}`, 7 + 2 + 12},
		{wire.Chat, `{"tools":[{"type":"function","function":{"description":"cde.","name":"ab"}}]}`, 7 + 6 + 12},
		{wire.Chat, `{"tools":[]}`, 0},
		{wire.Chat, `{"model":"gpt-4","functions":[{"name":"ab"},{"name":"cd"}]}`, 10 + 2 + 10 + 2 + 12},
		{wire.Chat, `{"tools":[{"type":"custom","custom":{"name":"ab","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"xyz"}}}}]}`, 7 + 2 + 7 + 12},
		{wire.Responses, `{"tools":[{"type":"web_search"},{"type":"mcp","server_label":"ab","server_url":"https://example.com"}]}`, 7 + 7 + 2 + 12},
		{wire.Responses, `{"tools":[{"type":"namespace","name":"ab","tools":[{"type":"function","name":"cd"}]}]}`, 7 + 2 + 7 + 2 + 12},
		// Parameters: 3 for any, 3 each; an enum -3 and 3 for each value.
		{wire.Chat, `{"functions":[{"parameters":{"properties":{}}}]}`, 7 + 12},
		{wire.Chat, `{"functions":[{"parameters":{"type":"object","properties":{"ab":{"type":"cde"}}}}]}`, 7 + 3 + 3 + 6 + 12},
		{wire.Chat, `{"functions":[{"parameters":{"properties":{"a\"":{"type":["string","null"],"description":"x\"."}}}}]}`, 7 + 3 + 3 + 2 + 1 + 6 + 1 + 2 + 12},
		{wire.Chat, `{"functions":[{"parameters":{"properties":{"ab":{"enum":["cd",7]}}}}]}`, 7 + 3 + 3 + 2 + 3 + 3 + 12},
		{wire.Chat, `{"functions":[{"parameters":{"properties":{"ab":{"type":"array","items":{"type":"cd"}}}}}]}`, 7 + 3 + 3 + 8 + 2 + 12},
		{wire.Chat, `{"functions":[{"parameters":{"properties":{"ab":{"properties":{"cd":{}}}}}}]}`, 7 + 3 + 3 + 2 + 3 + 3 + 2 + 12},
		{wire.Chat, `{"functions":[{"parameters":{"properties":{"ab":{"anyOf":[{"type":"cd"},{"$ref":"#"}]}}}}]}`, 7 + 3 + 3 + 2 + 2 + 12},
		{wire.Chat, `{"functions":[{"parameters":{"patternProperties":{"ab":{"type":"cd"}}}}]}`, 7 + 3 + 3 + 5 + 12},
		{wire.Chat, `{"functions":[{"parameters":{"properties":{"ab":{"items":[{"type":"cd"},{"type":"efg"}]}}}}]}`, 7 + 3 + 3 + 2 + 5 + 12},
		{wire.Chat, `{"functions":[{"parameters":{"not":{"type":"a"},"if":{"type":"bc"},"then":{"type":"def"},"else":{"type":"ghij"}}}]}`, 7 + 1 + 2 + 3 + 4 + 12},
		// Members in any order, also where one is null.
		{wire.Chat, `{"tools":[{"type":"function","function":null}]}`, 7 + 12},
		{wire.Chat, `{"tools":[{"function":{"name":"ab"},"description":"cde","function":null}]}`, 7 + 2 + 3 + 12},
		{wire.Responses, `{"tools":[{"name":"ab","format":{"syntax":"c","definition":"de"},"custom":null}]}`, 7 + 2 + 3 + 12},
		{wire.Responses, `{"tools":[{"type":"x","tools":[{"name":"ab"}],"function":{"name":"cd"}}]}`, 7 + 7 + 2 + 2 + 12},
		// Responses.
		{wire.Responses, `{"input":"abc"}`, message + 1 + 3 + reply},
		{wire.Responses, `{"input":[{"role":"u","content":"abc"}]}`, message + 1 + 3 + reply},
		{wire.Responses, `{"input":[{"type":"item_reference","id":"x"}]}`, message + reply},
		{wire.Responses, `{"input":[{"type":"reasoning","summary":[{"text":"unseen"}],"encrypted_content":"` + strings.Repeat("A", 160) + `"}]}`, message + 30 + reply},
		{wire.Responses, `{"input":[{"type":"function_call","call_id":"x","name":"ab","arguments":"{}"},{"type":"function_call_output","call_id":"x","output":[{"type":"input_text","text":"abc"}]}]}`, message + 3 + 4 + message + 3 + reply},
		{wire.Responses, `{"input":[{"type":"tool_search_call","arguments":{"a":1}}]}`, message + 3 + 7 + reply},
		{wire.Responses, `{"input":[{"type":"mcp_list_tools","tools":[{"name":"ab","input_schema":{"properties":{"c":{}}}}]}]}`, message + 7 + 2 + 3 + 3 + 1 + reply},
		{wire.Responses, `{"input":[{"type":"mcp_call","name":"ab","arguments":"{}","output":null,"error":"cde"}]}`, message + 3 + 2 + 2 + 3 + reply},
		{wire.Responses, `{"input":[{"type":"mcp_call","arguments":"{}","error":{"code":1}},{"type":"mcp_call","arguments":"{}","error":null}]}`, 2*(message+3+2) + 10 + reply},
		{wire.Responses, `{"input":[{"type":"shell_call_output","output":[{"stdout":"ab","stderr":"c"}]}]}`, message + 3 + reply},
		{wire.Responses, `{"prompt":{"id":"x","variables":{"a":"bcd","e":{"type":"input_text","text":"fg"}}}}`, 5},
		{wire.Responses, `{"model":"gpt-4o","input":[{"content":[{"type":"input_file","file_url":"https://example.com"},{"type":"input_file","file_data":"data:text/plain;base64,` + strings.Repeat("A", 160) + `"}]}]}`, message + 4096 + 31 + reply},
		{wire.Responses, `{"model":"gpt-4o","input":[{"type":"computer_call_output","output":{"type":"computer_screenshot","file_id":"x"}}]}`, message + 1445 + reply},
		{wire.Responses, `{"model":"gpt-4o","input":[{"type":"image_generation_call","result":"` + strings.Repeat("A", 99) + `"}]}`, message + 1445 + reply},
		// What is null is not there, and text brings nothing else.
		{wire.Responses, `{"input":[{"content":[{"type":"input_text","text":"abc","image_url":null,"file_id":null,"input_audio":null,"file":null}]}]}`, message + 3 + reply},
		{wire.Chat, `{"messages":[{"content":[{"text":"abc","image_url":null,"file_id":null,"file":null,"input_audio":null}]}]}`, message + 3 + reply},
		{wire.Chat, `{"messages":[{"content":[{"type":"text","text":"abc","image_url":"https://example.com","file_id":"x"}]}]}`, message + 3 + reply},
		{wire.Responses, `{"input":[{"type":"file_search_call","queries":["x"],"results":[{"file_id":"x","filename":"y","text":"abc"},{"file_id":"x","text":"de"}]}]}`, message + 5 + reply},
		// Audio: 10 tokens a second.
		{wire.Chat, `{"messages":[{"content":[{"input_audio":{"format":"pcm16","data":"` + strings.Repeat("A", 64_000) + `"}}]}]}`, message + 10 + reply},
		{wire.Chat, `{"messages":[{"content":[{"input_audio":{"format":"mp3","data":"` + strings.Repeat("A", 64_000) + `"}}]}]}`, message + 120 + reply},
		{wire.Chat, `{"messages":[{"content":[{"input_audio":{"format":"wav","data":"` + base64.StdEncoding.EncodeToString(claiming(wavOf(48_000, 4), 1<<32-1)) + `"}}]}]}`, message + 11 + reply},
		// What other hosts take there: a data: URL, another URL, one in place of the object.
		{wire.Chat, `{"messages":[{"content":[{"input_audio":{"format":"wav","data":"data:;base64,` + base64.StdEncoding.EncodeToString(claiming(wavOf(48_000, 4), 1<<32-1)) + `"}}]}]}`, message + 11 + reply},
		{wire.Chat, `{"messages":[{"content":[{"input_audio":{"format":"mp3","data":"https://example.com/a.mp3"}}]}]}`, message + 600 + reply},
		{wire.Chat, `{"messages":[{"content":[{"type":"input_audio","input_audio":"` + strings.Repeat("A", 64_000) + `"}]}]}`, message + 120 + reply},
		{wire.Chat, `{"messages":[{"content":[{"type":"audio_url","audio_url":{"url":"https:\/\/example.com/a.mp3"}},{"type":"audio_url","audio_url":"data:audio/mp3;base64,` + strings.Repeat("A", 64_000) + `"}]}]}`, message + 600 + 120 + reply},
		{wire.Chat, `{"messages":[{"content":[{"type":"video_url","video_url":{"url":"https://example.com"}},{"type":"video","video":["https://example.com"]}]}]}`, message + 2*4096 + reply},
		{wire.Chat, `{"messages":[{"content":[{"type":"document_url","document_url":"https://example.com"},{"type":"file_url","file_url":{"url":"https://example.com"}}]}]}`, message + 2*4096 + reply},
		{wire.Chat, `{"messages":[{"content":[{"type":"file","file":{"file_data":"https://example.com/a.pdf"}}]}]}`, message + 4096 + reply},
		{wire.Chat, `{"messages":[{"content":[{"type":"document","source":{"type":"base64","media_type":"text/plain","data":"` + strings.Repeat("A", 160) + `"}}]}]}`, message + 8 + reply},
		{wire.Chat, `{"model":"gpt-4o","messages":[{"content":[{"type":"image","image":"https://example.com"},{"type":"image","image":{"url":"https://example.com","detail":"low"}}]}]}`, message + 1445 + 85 + reply},
		{wire.Chat, `{"model":"gpt-4o","messages":[{"content":[{"type":"image","source":{"type":"base64","data":"` + base64.StdEncoding.EncodeToString(pngOf(512, 512)) + `"}}]}]}`, message + 255 + reply},
		{wire.Chat, `{"messages":[{"content":[{"text":"abc","image":null,"video":null,"video_url":null,"audio_url":null,"document_url":null,"file_url":null,"source":null,"thinking":null,"content":null}]}]}`, message + 3 + reply},
		// Reasoning that goes back, however many members have it.
		{wire.Chat, `{"messages":[{"content":"abc","reasoning_content":"0123456789"}]}`, message + 3 + 10 + reply},
		{wire.Chat, `{"messages":[{"content":"abc","reasoning":"0123","reasoning_content":"0123"}]}`, message + 3 + 4 + reply},
		{wire.Chat, `{"messages":[{"content":"abc","reasoning":null,"reasoning_content":null}]}`, message + 3 + reply},
		{wire.Chat, `{"messages":[{"content":[{"type":"thinking","thinking":[{"type":"text","text":"0123456789"}]},{"type":"text","text":"abc"}]}]}`, message + 3 + 10 + reply},
		{wire.Chat, `{"messages":[{"content":[{"type":"thinking","thinking":"0123456789","signature":"unseen"}]}]}`, message + 10 + reply},
		// As OpenRouter and LiteLLM have returned it.
		{wire.Chat, `{"messages":[{"content":"abc","reasoning":"0123","reasoning_details":[{"type":"reasoning.text","text":"0123","signature":"unseen"},{"type":"reasoning.summary","summary":"unseen"}]}]}`, message + 3 + 4 + reply},
		{wire.Chat, `{"messages":[{"content":null,"reasoning_details":[{"type":"reasoning.encrypted","data":"` + strings.Repeat("A", 160) + `","id":"x"}]}]}`, message + 30 + reply},
		{wire.Chat, `{"messages":[{"content":"abc","thinking_blocks":[{"type":"thinking","thinking":"0123456789","signature":"unseen"},{"type":"redacted_thinking","data":"` + strings.Repeat("A", 160) + `"}]}]}`, message + 3 + 10 + 30 + reply},
		// Images that the model has made before (OpenRouter), and those of MCP's tools.
		{wire.Chat, `{"model":"gpt-4o","messages":[{"content":"abc","images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + base64.StdEncoding.EncodeToString(pngOf(512, 512)) + `"}}, "unseen"]}]}`, message + 3 + 255 + reply},
		{wire.Chat, `{"messages":[{"content":"abc","images":null}]}`, message + 3 + reply},
		{wire.Chat, `{"model":"gpt-4o","messages":[{"role":"t","content":[{"type":"image","mimeType":"image/png","data":"` + base64.StdEncoding.EncodeToString(pngOf(512, 512)) + `"}]}]}`, message + 1 + 255 + reply},
		{wire.Chat, `{"prompt":"abc"}`, 3}, // OpenRouter's
		{wire.Chat, `{"prompt":"unseen","messages":[{"content":"abc"}]}`, message + 3 + reply},
		{wire.Chat, `{"messages":[{"content":[{"type":"tool_result","content":[{"type":"text","text":"abc"}]}]}]}`, message + 3 + reply},
		{wire.Embeddings, `{"input":[{"content":[{"type":"text","text":"abc"}]}]}`, 3},
		{wire.Embeddings, `{"messages":[{"role":"user","content":"abc"}]}`, message + 4 + 3},
		{wire.Embeddings, `{"input":"ab","messages":[{"role":"user","content":"abc"}]}`, 2},
		// Text.
		{wire.Completions, `{"prompt":"abc","suffix":"de"}`, 5},
		{wire.Completions, `{"prompt":[1, 2, 3]}`, 3},
		// A token id is a token, whichever it is: the API refuses those that are none.
		{wire.Completions, `{"prompt":[-1, 200019, 1e400, 99999999999999999999999999]}`, 4},
		{wire.Embeddings, `{"input":[[-1, 0.5], [1e400, null, true], []]}`, 5},
		{wire.Completions, `{"prompt":["abc",7,[8,9],null]}`, 3 + 2 + 2},
		{wire.Embeddings, `{"input":["abc","de"]}`, 5},
		{wire.Embeddings, `{"input":[[1,2,3],[4]]}`, 4},
		{wire.Embeddings, `{"input":[]}`, 0},
		{wire.Embeddings, `{"input":7}`, 0},
		{wire.Embeddings, `{}`, 0},
		{wire.Moderations, `{"input":["abc"]}`, 3},
		{wire.Speech, `{"input":"abc","instructions":"de"}`, 5},
		{wire.ImageGenerations, `{"model":"gpt-image-1","prompt":"abc","n":2}`, 6},
		{wire.ImageGenerations, `{"model":"dall-e-3","prompt":"abc"}`, 0},
		{wire.ImageEdits, `{"model":"gpt-image-1","prompt":"abc","images":[{"image_url":"https://example.com"},{"file_id":"x"}]}`, 3 + 2*(65+4*129)},
		{wire.ImageEdits, `{"model":"gpt-image-1","prompt":"abc","input_fidelity":"high","image":"https://example.com"}`, 3 + 65 + 4*129 + 6240},
	} {
		got := costing.JSON(test.endpoint, "", []byte(test.body), bytesCounter{})
		if got.Input != test.want {
			t.Errorf("%v %.200s: %d, want %d (%+v)", test.endpoint, test.body, got.Input, test.want, got)
		}
		if !json.Valid([]byte(test.body)) && !strings.Contains(test.body, "ZZ") {
			t.Errorf("%.200s is not JSON", test.body)
		}
	}
}

// claiming changes how many bytes a second a WAV file says it has.
func claiming(wav []byte, rate uint32) []byte {
	binary.LittleEndian.PutUint32(wav[28:], rate)
	return wav
}

// Tools a thousand deep are read as far as a model could be meant to, and what
// follows them counts as ever.
func TestDeepTools(t *testing.T) {
	tools := strings.Repeat(`[{"name":"a","tools":`, 1000) + "[]" + strings.Repeat("}]", 1000)
	got := costing.JSON(wire.Responses, "", []byte(`{"tools":`+tools+`,"input":"abc","max_output_tokens":9,"model":"m"}`), bytesCounter{})
	want := costing.Estimate{
		Model: "m", Input: 65*(7+1) + 12 + 3 + 1 + 3 + 3, Output: 9, Choices: 1, Declared: true, Passing: 65*(7+1) + 12,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Where the body names no model, as on Azure, the deployment's name stands for it.
func TestDeployment(t *testing.T) {
	const rest = `"messages":[{"role":"user","content":"お誕生日おめでとう"}]}` // 8 tokens in o200k_base, 9 in cl100k_base
	for _, test := range []struct {
		deployment, body string
		input            int64
	}{
		{"gpt-4o", `{` + rest, 3 + 1 + 8 + 3},
		{"gpt-35-turbo-16k", `{` + rest, 3 + 1 + 9 + 3},
		{"GPT-4", `{` + rest, 3 + 1 + 9 + 3},
		{"mine", `{` + rest, 3 + 1 + 8 + 3},
		{"mine", `{"model":"gpt-4",` + rest, 3 + 1 + 9 + 3},
		{"gpt-4", `{"model":"gpt-4o",` + rest, 3 + 1 + 8 + 3},
		{"gpt-4", `{"model":"",` + rest, 3 + 1 + 9 + 3},
		{"", `{` + rest, 3 + 1 + 8 + 3},
	} {
		if got := costing.JSON(wire.Chat, test.deployment, []byte(test.body), tokens.Exact{}); got.Input != test.input {
			t.Errorf("deployment %q, %.20s: %d tokens, want %d", test.deployment, test.body, got.Input, test.input)
		}
	}
	// A model's other rules likewise: DALL·E counts images only.
	body := []byte("--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nabc\r\n--b--\r\n")
	got := costing.Multipart(wire.ImageEdits, "dall-e-3", "multipart/form-data; boundary=b", body, tokens.Exact{})
	if want := (costing.Estimate{Choices: 1, Declared: true, Images: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// What a response continues.
func TestContinued(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, test := range []struct{ body, previous, conversation string }{
		{`{"previous_response_id":"resp_1"}`, "resp_1", ""},
		{`{"conversation":"conv_1"}`, "", "conv_1"},
		{`{"conversation":{"object":"conversation","id":"conv_1"}}`, "", "conv_1"},
		{`{"previous_response_id":"no","previous_response_id":"resp\u005f1"}`, "resp_1", ""},
		{`{"previous_response_id":null,"conversation":null}`, "", ""},
		{`{"previous_response_id":7,"conversation":["conv_1"]}`, "", ""},
		{`{"previous_response_id":{"id":"resp_1"},"conversation":{"id":{"id":"conv_1"}}}`, "", ""},
		{`{"previous_response_id":"` + long + `"}`, long, ""},
		{`{"previous_response_id":"` + long + `x","conversation":"` + long + `x"}`, "", ""},
	} {
		body := []byte(test.body)
		if got := costing.JSON(wire.Responses, "", body, bytesCounter{}); got.Previous != test.previous || got.Conversation != test.conversation {
			t.Errorf("%.100s: %+v", body, got)
		}
		if got := costing.JSON(wire.Chat, "", body, bytesCounter{}); got.Previous != "" || got.Conversation != "" {
			t.Errorf("%.100s: of a chat: %+v", body, got)
		}
	}
}

// Where neither the body nor a deployment names a model the API has one in mind, if it is
// none that is gone.
func TestDefaultModel(t *testing.T) {
	for _, test := range []struct {
		endpoint         wire.Endpoint
		deployment, body string
		want             string
	}{
		{wire.ImageGenerations, "", `{"prompt":"a"}`, ""},
		{wire.ImageGenerations, "", `{"model":null,"background":"auto","stream":true}`, ""},
		{wire.ImageGenerations, "", `{"model":"dall-e-3","background":"auto"}`, "dall-e-3"},
		{wire.ImageGenerations, "mine", `{}`, ""},
		{wire.ImageEdits, "", `{}`, ""},
		{wire.ImageVariations, "", `{}`, ""},
		{wire.Moderations, "", `{}`, "omni-moderation-latest"},
		{wire.Chat, "", `{}`, ""},
		{wire.Embeddings, "", `{}`, ""},
		{wire.Transcriptions, "", `{}`, ""},
		{wire.Decisions, "", `{"model":"gpt-6-luna"}`, "gpt-6-luna"},
		{wire.Agents, "", `{"agent_id":"agent_1"}`, "agents"},
		{wire.Agents, "", `{"agent":"agent_1"}`, "agents"},
		{wire.Agents, "", `{"agent":{"instructions":"a","model":"gpt-6-sol"},"input":"b"}`, "gpt-6-sol"},
		{wire.Chat, "", `{"agent":{"model":"gpt-6-sol"}}`, ""},
		{wire.Chat, "", `{"models":["a/b","c"]}`, "a/b"},
		{wire.Chat, "", `{"models":["a/b","c"],"model":"m"}`, "m"},
		{wire.Chat, "", `{"models":[],"stream":true}`, ""},
		{wire.Chat, "", `{"models":{"a":1}}`, ""},
	} {
		if got := costing.JSON(test.endpoint, test.deployment, []byte(test.body), bytesCounter{}); got.Model != test.want {
			t.Errorf("%v %s: model %q, want %q", test.endpoint, test.body, got.Model, test.want)
		}
	}
}

func TestModel(t *testing.T) {
	for _, test := range []struct{ body, want string }{
		{`{"model":"gpt-4o"}`, "gpt-4o"},
		{`{"messages":[{"model":"no"}],"model":"gpt-4o"}`, "gpt-4o"},
		{`{"model":"no","model":"gpt-4o"}`, "gpt-4o"},
		{`{"mod\u0065l":"gpt\u002d4o"}`, "gpt-4o"},
		{`{"\u006dodel":"\u0067pt-4o"}`, "gpt-4o"},
		{`{"model":""}`, ""},
		{`{"model":null}`, ""},
		{`{"model":{"model":"no"}}`, ""},
		{`{"model":["no"]}`, ""},
		{`{}`, ""},
		{`{"model":"` + strings.Repeat("x", 1000) + `"}`, strings.Repeat("x", 256)},
	} {
		if got := estimate(wire.Chat, test.body).Model; got != test.want {
			t.Errorf("%.100s: model %q, want %q", test.body, got, test.want)
		}
	}
}

// Of what is no object, or a malformed one, what could be read counts.
func TestMalformed(t *testing.T) {
	for body, want := range map[string]int64{
		` { "input" : "abc" } `:        3,
		`{"input":"abc","a":[{"b":1`:   3,
		`{"input":"abc","a":}`:         3,
		`{"input":"abc","a" 1}`:        3,
		`{"input":"abc",a:1}`:          3,
		`{"input":"ab`:                 2,
		`{"a":[{"b":[]}],"input":"c}"`: 2,
		`{"input":`:                    0,
		`["input"]`:                    0,
		`"input"`:                      0,
		`null`:                         0,
		`7`:                            0,
		``:                             0,
		`{`:                            0,
		`<html>502 Bad Gateway`:        0,
		"\x1f\x8b\x08\x00 compressed":  0,
	} {
		for _, e := range endpoints[1:] {
			got := costing.JSON(e, "", []byte(body), bytesCounter{})
			if e == wire.Embeddings && got.Input != want {
				t.Errorf("%q: %d, want %d", body, got.Input, want)
			}
			bounded(t, e, []byte(body), got)
		}
	}
	for name, estimate := range map[string]func(wire.Endpoint, string, []byte, tokens.Counter) costing.Estimate{
		"counted": costing.JSON, "sampled": costing.Sampled,
	} {
		if got := estimate(wire.None, "", []byte(`{"model":"gpt-4o"}`), bytesCounter{}); got != (costing.Estimate{}) {
			t.Errorf("no endpoint, %s: %+v", name, got)
		}
	}
}

// A literal ends where another value, or the end of what it is in, begins, and at any space.
func TestLiteralsEnd(t *testing.T) {
	for _, space := range []string{"", " ", "\t", "\r", "\n"} {
		if got := estimate(wire.Chat, `{"stream":true`+space+`,"max_tokens":7`+space+`}`); !got.Stream || got.Output != 7 {
			t.Errorf("%q: %+v", space, got)
		}
	}
	for _, malformed := range []string{"[", "{", "}", "]", ":", `"`} {
		if got := estimate(wire.Chat, `{"n":1`+malformed+`,"max_tokens":7}`); got.Declared {
			t.Errorf("%q ends no literal: %+v", malformed, got)
		}
	}
}

// Of a body that is cut off, at the cap or by mistake, what there is counts.
func TestCutOff(t *testing.T) {
	got := estimate(wire.Chat, `{"model":"gpt-4o","max_tokens":70,"messages":[{"role":"user","content":"Say this is`)
	want := costing.Estimate{Model: "gpt-4o", Input: 3 + 1 + 3 + 3, Output: 70, Choices: 1, Declared: true}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, body := range []string{cookbookTools, `"model":"gpt-4o","input":[1,"a",{"b":"\ud83d\ude00"}],"text":{}`} {
		body = "{" + body + "}"
		for i := range body {
			for _, e := range endpoints {
				bounded(t, e, []byte(body[:i]), costing.JSON(e, "", []byte(body[:i]), bytesCounter{}))
			}
		}
	}
}

func TestAbsurdCounter(t *testing.T) {
	body := []byte(`{"messages":[{"content":"abc"},{"content":"a\nc"}],"input":["a","b"],"prompt":"a"}`)
	for _, counter := range []absurd{math.MinInt, -1, math.MaxInt} {
		for _, e := range endpoints {
			bounded(t, e, body, costing.JSON(e, "", body, counter))
		}
	}
}

// hostile bodies of a given size; time must be linear in it.
var hostile = map[string]func(size int) string{
	"nested arrays":     func(n int) string { return `{"messages":` + strings.Repeat("[", n) },
	"nested objects":    func(n int) string { return strings.Repeat(`{"messages":`, n/12) },
	"nested and closed": func(n int) string { return `{"input":` + strings.Repeat("[", n/2) + strings.Repeat("]", n/2) + "}" },
	"nested schemas": func(n int) string {
		return `{"functions":[{"parameters":` + strings.Repeat(`{"properties":{"a":`, n/19)
	},
	"nested items": func(n int) string { return `{"functions":[{"parameters":` + strings.Repeat(`{"items":`, n/9) },
	"tools in tools": func(n int) string {
		return `{"tools":` + strings.Repeat(`[{"name":"a","tools":`, n/23) + "[]" + strings.Repeat("}]", n/23) + "}"
	},
	"nested tools":       func(n int) string { return strings.Repeat(`{"tools":[`, n/10) },
	"nested functions":   func(n int) string { return `{"tools":[` + strings.Repeat(`{"function":`, n/12) },
	"nested formats":     func(n int) string { return `{"response_format":` + strings.Repeat(`{"json_schema":`, n/15) },
	"nested parts":       func(n int) string { return `{"messages":[{"content":` + strings.Repeat(`[{"content":`, n/12) },
	"nested thoughts":    func(n int) string { return `{"messages":[{"content":` + strings.Repeat(`[{"thinking":`, n/13) },
	"nested grammars":    func(n int) string { return `{"tools":[{"format":` + strings.Repeat(`{"grammar":`, n/11) },
	"nested predictions": func(n int) string { return `{"prediction":` + strings.Repeat(`{"content":[`, n/12) },
	"quotes":             func(n int) string { return `{"messages":[{"content":"` + strings.Repeat(`\"`, n/2) + `"}]}` },
	"backslashes":        func(n int) string { return `{"messages":[{"content":"` + strings.Repeat(`\\`, n/2) + `"}]}` },
	"one backslash less": func(n int) string { return `{"messages":[{"content":"` + strings.Repeat(`\`, n|1) + `"}]}` },
	"escapes":            func(n int) string { return `{"messages":[{"content":"` + strings.Repeat(`\ud83d\ude00`, n/12) + `"}]}` },
	"commas":             func(n int) string { return `{"input":[` + strings.Repeat(",", n) + "]}" },
	"numbers":            func(n int) string { return `{"input":[` + strings.Repeat("1,", n/2) + "1]}" },
	"one number":         func(n int) string { return `{"n":` + strings.Repeat("1", n) + `}` },
	"keys":               func(n int) string { return "{" + strings.Repeat(`"n":1,`, n/6) + `"n":1}` },
	"one key":            func(n int) string { return `{"` + strings.Repeat(`\u006d`, n/6) + `":1}` },
	"messages again":     func(n int) string { return "{" + strings.Repeat(`"messages":[{}],`, n/16) + `"n":1}` },
	"images": func(n int) string {
		return `{"model":"gpt-5.6","messages":[{"content":[` + strings.Repeat(`{"image_url":""},`, n/17) + `{}]}]}`
	},
	"jpeg without end": func(n int) string {
		return `{"messages":[{"content":[{"image_url":"data:image/jpeg;base64,/9j/` + strings.Repeat("/+AA", n/4) + `"}]}]}`
	},
}

func TestHostile(t *testing.T) {
	for name, make := range hostile {
		err := lineartest.Check(32<<10, func(size int) func() {
			body := []byte(make(size))
			return func() {
				for _, e := range endpoints {
					bounded(t, e, body, costing.JSON(e, "", body, bytesCounter{}))
				}
			}
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAllocations(t *testing.T) {
	for _, size := range []int{1 << 10, 256 << 10} {
		for name, make := range hostile {
			body := []byte(make(size))
			// The model's name is the one thing that is kept.
			n := math.Inf(1) // the least: what else the process does counts too
			for range 3 {
				n = min(n, testing.AllocsPerRun(10, func() { costing.JSON(wire.Chat, "", body, bytesCounter{}) }))
			}
			if n > 1 {
				t.Errorf("%s: %d bytes: %v allocations", name, len(body), n)
			}
		}
	}
}

func TestMultipart(t *testing.T) {
	const contentType = `multipart/form-data; boundary="b"`
	part := func(disposition, value string) string {
		return "--b\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + value + "\r\n"
	}
	image := part(`name="image"; filename="a.png"`, string(pngOf(1024, 1024)))
	fields := part(`name="model"`, "gpt-image-1") + part(`name="n"`, "2") + part(`name="prompt"`, "abc") +
		part(`name="size"`, "1024x1024") + part(`name="quality"`, "low") + part(`name="stream"`, "true")
	want := costing.Estimate{
		Model: "gpt-image-1", Input: 2 * (194 + 3), Output: 2 * 272, Choices: 2, Declared: true, Images: 2,
		Stream: true,
	}
	for name, body := range map[string]string{
		"fields first": fields + image + "--b--\r\n",
		"fields last":  image + fields + "--b--\r\n",
		"no end":       image + fields,
		"cut off":      image + strings.TrimSuffix(fields, "\r\n"),
		"preamble":     "ignored\r\n" + image + fields + "--b--",
		"after end":    image + fields + "--b--\r\n" + part(`name="n"`, "9"),
		"other fields": part(`name="messages"`, "[]") + part(`name="x"; filename="n"`, "9") + image + fields,
		"header case":  strings.ReplaceAll(image+fields, "Content-Disposition", "content-disposition"),
		"more headers": strings.ReplaceAll(image+fields, "Content-Disp", "Content-Type: text/plain\r\nContent-Disp"),
	} {
		if got := costing.Multipart(wire.ImageEdits, "", contentType, []byte(body), bytesCounter{}); got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}

	high := image + fields + part(`name="input_fidelity"`, "high")
	if got := costing.Multipart(wire.ImageEdits, "", contentType, []byte(high), bytesCounter{}); got.Input != 2*(194+4160+3) {
		t.Errorf("high fidelity: %+v", got)
	}
	raw := part(`name="model"`, `gpt\u002dimage`)
	if got := costing.Multipart(wire.ImageEdits, "", contentType, []byte(raw), bytesCounter{}); got.Model != `gpt\u002dimage` {
		t.Errorf("a backslash in a form is itself, not part of %q", got.Model)
	}
	for _, contentType := range []string{"", "multipart/form-data", "text/plain; boundary=b", "multipart/form-data; boundary=other", ";;"} {
		got := costing.Multipart(wire.ImageEdits, "", contentType, []byte(image+fields), bytesCounter{})
		if got.Model != "" {
			t.Errorf("%q: %+v", contentType, got)
		}
		bounded(t, wire.ImageEdits, nil, got)
	}
	if got := costing.Multipart(wire.Chat, "", contentType, []byte(fields), bytesCounter{}); got != (costing.Estimate{}) {
		t.Errorf("chat: %+v", got)
	}
	for i := range len(fields) {
		got := costing.Multipart(wire.ImageEdits, "", contentType, []byte(fields[:i]), bytesCounter{})
		bounded(t, wire.ImageEdits, []byte(fields[:i]), got)
	}
	for name, content := range map[string]string{
		"parts": part(`name="n"`, "2"), "delimiters": "\r\n--", "a file": "\r\n-", "a header": "Content-Disposition: form-data\r\n",
	} {
		err := lineartest.Check(64<<10, func(size int) func() {
			many := []byte(part(`name="file"; filename="a"`, strings.Repeat(content, size/len(content))))
			return func() {
				bounded(t, wire.ImageEdits, nil, costing.Multipart(wire.ImageEdits, "", contentType, many, bytesCounter{}))
			}
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func ExampleJSON() {
	body := `{"model":"gpt-4o","n":2,"max_completion_tokens":100,
		"messages":[{"role":"user","content":"Say this is a test"}]}`
	e := costing.JSON(wire.Chat, "", []byte(body), tokens.Exact{})
	fmt.Println(e.Model, e.Input, e.Output)
	// Output: gpt-4o 12 200
}

// What is not of its kind counts nothing, and what stands behind it all the same.
func TestOfAnotherKind(t *testing.T) {
	for _, x := range []struct {
		endpoint     wire.Endpoint
		odd, regular string
	}{
		{wire.Chat, `{"prediction":5,"messages":[{"role":"u","content":"abc"}]}`, `{"messages":[{"role":"u","content":"abc"}]}`},
		{wire.Chat, `{"messages":5,"max_tokens":7}`, `{"messages":[],"max_tokens":7}`},
		{wire.Responses, `{"tools":5,"input":"abc"}`, `{"input":"abc"}`},
		{wire.Embeddings, `{"input":5}`, `{"input":[]}`},
		{wire.Chat, `{"messages":[{"role":"u","tool_calls":5,"content":"efg"}]}`, `{"messages":[{"role":"u","content":"efg"}]}`},
		{wire.Chat, `{"tools":[{"function":{"name":"ab","parameters":5}}]}`, `{"tools":[{"function":{"name":"ab"}}]}`},
		{wire.Chat, `{"tools":[{"function":{"name":"ab","parameters":{"properties":5}}}]}`, `{"tools":[{"function":{"name":"ab"}}]}`},
		{wire.Chat, `{"messages":[5,{"role":"u","content":"abc"}]}`, `{"messages":[{"role":"u","content":"abc"}]}`},
		{wire.Chat, `{"messages":[{"role":"u","tool_calls":[5,{"function":{"name":"ab","arguments":"cd"}}],"content":"efg"}]}`,
			`{"messages":[{"role":"u","tool_calls":[{"function":{"name":"ab","arguments":"cd"}}],"content":"efg"}]}`},
		{wire.Chat, `{"messages":[{"role":"u","tool_calls":[{"function":5,"name":"ab"}],"content":"efg"}]}`,
			`{"messages":[{"role":"u","tool_calls":[{"name":"ab"}],"content":"efg"}]}`},
		{wire.Chat, `{"messages":[{"role":"u","content":[5,{"type":"text","text":"ab"}]}]}`, `{"messages":[{"role":"u","content":[{"type":"text","text":"ab"}]}]}`},
		{wire.Chat, `{"stream":true,"stream_options":5,"max_tokens":7}`, `{"stream":true,"max_tokens":7}`},
		{wire.Chat, `{"stream":true,"stream_options":{"a":{"include_usage":true},"include_usage":false},"max_tokens":7}`, `{"stream":true,"max_tokens":7}`},
		{wire.Chat, `{"messages":[{"role":"u","content":[{"type":"input_audio","input_audio":5,"text":"ab"}]}]}`,
			`{"messages":[{"role":"u","content":[{"type":"input_audio","text":"ab"}]}]}`},
		{wire.ImageEdits, `{"model":"gpt-image-1","images":[5,{"a":1,"image_url":"u","b":2}],"prompt":"abc"}`, `{"model":"gpt-image-1","images":["u","u"],"prompt":"abc"}`},
		{wire.ImageEdits, `{"model":"gpt-image-1","images":5,"prompt":"abc"}`, `{"model":"gpt-image-1","prompt":"abc"}`},
	} {
		odd := costing.JSON(x.endpoint, "", []byte(x.odd), bytesCounter{})
		if want := costing.JSON(x.endpoint, "", []byte(x.regular), bytesCounter{}); odd != want {
			t.Errorf("%s: %+v; want %+v", x.odd, odd, want)
		}
	}
}

// What refers to itself is followed so deep, and no deeper.
func TestDepths(t *testing.T) {
	const deepest = "0123456789"
	nest := func(n int, open, inner, end string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for name, x := range map[string]struct {
		endpoint wire.Endpoint
		body     func(n int, inner string) string
		most     int
	}{
		"content": {wire.Chat, func(n int, inner string) string {
			return `{"messages":[{"role":"u","content":` + nest(n, `[{"content":`, `"`+inner+`"`, `}]`) + `}]}`
		}, 65},
		"thoughts": {wire.Chat, func(n int, inner string) string {
			return `{"messages":[{"role":"u","content":` + nest(n, `[{"thinking":`, `"`+inner+`"`, `}]`) + `}]}`
		}, 65},
		"a prompt's parts": {wire.Embeddings, func(n int, inner string) string {
			return `{"input":[` + nest(n, `{"content":`, `"`+inner+`"`, `}`) + `]}`
		}, 65},
		"groups of tools": {wire.Responses, func(n int, inner string) string {
			return `{"tools":[` + nest(n, `{"tools":[`, `{"name":"`+inner+`"}`, `]}`) + `]}`
		}, 64},
		"functions": {wire.Chat, func(n int, inner string) string {
			return `{"tools":[` + nest(n, `{"function":`, `{"name":"`+inner+`"}`, `}`) + `]}`
		}, 64},
		"properties": {wire.Chat, func(n int, inner string) string {
			return `{"tools":[{"function":{"parameters":` + nest(n, `{"properties":{"a":`, `{"description":"`+inner+`"}`, `}}`) + `}}]}`
		}, 63},
		"subschemas": {wire.Chat, func(n int, inner string) string {
			return `{"tools":[{"function":{"parameters":{"properties":{"a":` + nest(n, `{"items":`, `{"enum":["`+inner+`"]}`, `}`) + `}}}}]}`
		}, 62},
		"grammars": {wire.Chat, func(n int, inner string) string {
			return `{"tools":[{"custom":{"format":` + nest(n, `{"grammar":`, `{"definition":"`+inner+`"}`, `}`) + `}}]}`
		}, 63},
		"formats": {wire.Chat, func(n int, inner string) string {
			return `{"response_format":` + nest(n, `{"json_schema":`, `{"name":"`+inner+`"}`, `}`) + `}`
		}, 64},
		"formats of text": {wire.Responses, func(n int, inner string) string {
			return `{"text":{"format":` + nest(n, `{"json_schema":`, `{"name":"`+inner+`"}`, `}`) + `}}`
		}, 64},
	} {
		input := func(n int, inner string) int64 {
			return costing.JSON(x.endpoint, "", []byte(x.body(n, inner)), bytesCounter{}).Input
		}
		most := 0
		for n := 1; n < 100; n++ {
			if input(n, deepest) >= input(n, "")+int64(len(deepest)) {
				most = n
			}
		}
		if most != x.most {
			t.Errorf("%s are read %d deep; want %d", name, most, x.most)
		}
	}
}

// What is made or seen by a rule that is another model's, or that nobody has published, is guessed.
// Thoughts that stand in several members are guessed once.
func TestGuessedThoughts(t *testing.T) {
	for _, thoughts := range []string{
		`"reasoning":"0123456789","reasoning_details":[{"type":"reasoning.text","text":"0123456789"}]`,
		`"reasoning_content":"0123456789","thinking_blocks":[{"type":"thinking","thinking":"0123456789"}]`,
	} {
		got := costing.JSON(wire.Chat, "", []byte(`{"messages":[{"content":"abc",`+thoughts+`}]}`), bytesCounter{})
		if got.Guessed != 10 {
			t.Errorf("%s: %d guessed; want 10", thoughts, got.Guessed)
		}
	}
}

func TestGuessedImages(t *testing.T) {
	image := `{"messages":[{"role":"u","content":[{"type":"image_url","image_url":{"url":"data:image/gif;base64,R0lGODlhAQABAAAAACw="}}]}]`
	unseen := `{"messages":[{"role":"u","content":[{"type":"image_url","image_url":{"url":"https://a/b"}}]}]`
	for _, x := range []struct {
		endpoint wire.Endpoint
		body     string
		want     int64
	}{
		{wire.Chat, image + `,"model":"gpt-4o"}`, 0}, {wire.Chat, image + `,"model":"mine"}`, 85 + 170},
		{wire.Chat, unseen + `,"model":"gpt-4o"}`, 85 + 8*170}, {wire.Chat, unseen + `,"model":"mine"}`, 85 + 8*170},
		{wire.ImageGenerations, `{"model":"gpt-image-1","size":"1024x1024","quality":"low","n":2}`, 0},
		{wire.ImageGenerations, `{"model":"gpt-image-2","size":"1024x1024","quality":"high","n":2}`, 2 * 7024},
		{wire.ImageGenerations, `{"model":"mine","size":"1024x1024","quality":"low","n":2}`, 2 * 272},
	} {
		if got := costing.JSON(x.endpoint, "", []byte(x.body), bytesCounter{}); got.Guessed != x.want {
			t.Errorf("%s: %d guessed; want %d", x.body, got.Guessed, x.want)
		}
	}
}

func TestOfOtherEndpoints(t *testing.T) {
	for _, x := range []struct {
		endpoint wire.Endpoint
		body     string
		want     int64
	}{
		{wire.Transcriptions, `{"model":"whisper-1","prompt":"abc"}`, 0}, {wire.Transcriptions, `{"model":"gpt-4o-transcribe","prompt":"abc"}`, 3},
		{wire.Decisions, `{"input":"abc"}`, 3 + 1 + 3 + 3}, {wire.Decisions, `{"questions":"abcd"}`, 4},
		{wire.Decisions, `{"state":{"a":1},"questions":"abcd"}`, 7 + 4}, {wire.Decisions, `{"state":null}`, 0},
		{wire.Decisions, `{"input":"abc","questions":"abcd"}`, 3 + 1 + 3 + 3 + 4}, {wire.Decisions, `{}`, 0},
		{wire.Responses, `{"prompt":5,"input":"abc"}`, 3 + 1 + 3 + 3},
	} {
		if got := costing.JSON(x.endpoint, "", []byte(x.body), bytesCounter{}); got.Input != x.want {
			t.Errorf("%v %s: %d; want %d", x.endpoint, x.body, got.Input, x.want)
		}
	}
}
