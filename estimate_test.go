package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/texttest"
	vocabulary "github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Every kind of call costs one request, and what it draws from the other
// dimensions. "Say this is a test" has 5 tokens, as the API's reference shows.
func TestCostOfCalls(t *testing.T) {
	const say = "Say this is a test"
	user := []ratelimiter.Message{{Role: "user", Content: say}}
	for _, test := range []struct {
		name string
		call ratelimiter.Call
		want ratelimiter.Cost
	}{
		{"chat", ratelimiter.Chat{Model: "gpt-4o", Messages: user, MaxTokens: 100, N: 3},
			ratelimiter.Cost{Model: "gpt-4o", Requests: 1, Tokens: 3 + 1 + 5 + 3 + 300}},
		{"text", ratelimiter.Text{Model: "davinci-002", Prompt: say},
			ratelimiter.Cost{Model: "davinci-002", Requests: 1, Tokens: 5 + 16}},
		{"text, the best of", ratelimiter.Text{Model: "davinci-002", Prompt: say, MaxTokens: 10, N: 2, BestOf: 5},
			ratelimiter.Cost{Model: "davinci-002", Requests: 1, Tokens: 5 + 50}},
		{"images of DALL·E", ratelimiter.Image{Model: "dall-e-2", Prompt: say, N: 4},
			ratelimiter.Cost{Model: "dall-e-2", Requests: 1, Images: 4}},
		{"an image in tokens", ratelimiter.Image{Model: "gpt-image-1", Prompt: say, Size: "1024x1024", Quality: "low"},
			ratelimiter.Cost{Model: "gpt-image-1", Requests: 1, Tokens: 5 + 272, Images: 1}},
		{"embeddings", ratelimiter.Embedding{Model: "text-embedding-3-small", Input: []string{say, say}},
			ratelimiter.Cost{Model: "text-embedding-3-small", Requests: 1, Tokens: 10}},
		{"a stated cost", ratelimiter.Cost{Model: "M", Tokens: 7},
			ratelimiter.Cost{Model: "m", Requests: 1, Tokens: 7}},
		{"a stated cost of several requests", ratelimiter.Cost{Model: "m", Requests: 3, Images: 2, Tokens: -1},
			ratelimiter.Cost{Model: "m", Requests: 3, Images: 2}},
		{"JSON", ratelimiter.JSON("/v1/moderations", []byte(`{"model":"omni-moderation-latest","input":"Say this is a test"}`)),
			ratelimiter.Cost{Model: "omni-moderation-latest", Requests: 1, Tokens: 5}},
		{"a deployment", ratelimiter.JSON("openai/deployments/gpt-35-turbo/chat/completions?api-version=1",
			[]byte(`{"messages":[{"role":"user","content":"お誕生日おめでとう"}],"max_tokens":1}`)), // 9 tokens in cl100k_base
			ratelimiter.Cost{Model: "gpt-35-turbo", Requests: 1, Tokens: 3 + 1 + 9 + 3 + 1}},
		{"a deployment of a model", ratelimiter.JSON("openai/deployments/mine/chat/completions",
			[]byte(`{"model":"gpt-4","messages":[{"role":"user","content":"お誕生日おめでとう"}],"max_tokens":1}`)),
			ratelimiter.Cost{Model: "mine", Requests: 1, Tokens: 3 + 1 + 9 + 3 + 1}},
		{"a compaction", ratelimiter.JSON("responses/compact", []byte(`{"model":"gpt-5.4","input":"Say this is a test","max_output_tokens":9}`)),
			ratelimiter.Cost{Model: "gpt-5.4", Requests: 1, Tokens: 3 + 1 + 5 + 3 + 9}},
		{"a body that is not understood", ratelimiter.JSON("embeddings", []byte(`<html>`)), ratelimiter.Cost{Requests: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := acquire(t, newLimiter(t, ratelimiter.WithAccount("a")), test.call)
			if got := r.Cost(); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
			r.Cancel()
		})
	}
	for name, call := range map[string]ratelimiter.Call{
		"files":                  ratelimiter.JSON("files", nil),
		"none":                   nil,
		"a nil pointer":          (*ratelimiter.Chat)(nil),
		"a nil pointer to Cost":  (*ratelimiter.Cost)(nil),
		"one that can't be made": brokenCall{},
	} {
		if _, err := newLimiter(t, ratelimiter.WithAccount("a")).Acquire(t.Context(), call); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// brokenCall is a call of a user's own whose body can't be made.
type brokenCall struct{}

func (brokenCall) Request() (string, []byte, error) { return "", nil, io.ErrUnexpectedEOF }

// SDKs write the model behind what is large. An upload may have 25 MB, and JSON 50 MB
// in base64.
func TestModelBehindLargeContents(t *testing.T) {
	for _, test := range []struct {
		path, typ, before string
		size              int64
		after             string
		want              ratelimiter.Cost
	}{
		{
			"audio/transcriptions", "multipart/form-data; boundary=b",
			"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n", 25_000_000,
			"\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt-4o-transcribe\r\n--b--\r\n",
			ratelimiter.Cost{Model: "gpt-4o-transcribe", Requests: 1, Tokens: 25_000_000 / 4000 * 10},
		},
		{
			"responses", "application/json",
			`{"input":[{"content":[{"type":"input_file","file_data":"`, 64_000_000, `"}]}],"max_output_tokens":7,"model":"m"}`,
			ratelimiter.Cost{Model: "m", Requests: 1, Tokens: 3 + 48_000_000/16 + 1 + 3 + 7},
		},
	} {
		var calls []ratelimiter.SettledInfo
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(settled(&calls)))
		req := newRequest(t, t.Context(), "http://api.openai.test/v1/"+test.path, io.MultiReader(
			strings.NewReader(test.before), io.LimitReader(letters{}, test.size), strings.NewReader(test.after)))
		req.Header.Set("Content-Type", test.typ)
		req.ContentLength = int64(len(test.before)) + test.size + int64(len(test.after))
		resp, err := l.Transport(answering("{}")).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if got := calls[0].Charged; got != test.want {
			t.Errorf("%s: %+v, want %+v", test.path, got, test.want)
		}
	}
}

// letters is a reader of nothing but A.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	p[0] = 'A'
	for n := 1; n < len(p); n *= 2 {
		copy(p[n:], p[:n])
	}
	return len(p), nil
}

// A form is one whatever the case of its type.
func TestContentTypeHasNoCase(t *testing.T) {
	const form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt-4o-transcribe\r\n--b--\r\n"
	for _, typ := range []string{"multipart/form-data; boundary=b", "Multipart/Form-Data; boundary=b"} {
		var calls []ratelimiter.SettledInfo
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(settled(&calls)))
		resp, err := l.Client(answering("{}")).Post("http://api.openai.test/v1/audio/transcriptions", typ, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if got := calls[0].Model; got != "gpt-4o-transcribe" {
			t.Errorf("%s: model %q", typ, got)
		}
	}
}

// settled collects what becomes of calls.
func settled(into *[]ratelimiter.SettledInfo) *ratelimiter.Trace {
	var mu sync.Mutex
	return &ratelimiter.Trace{Settled: func(_ context.Context, i ratelimiter.SettledInfo) {
		mu.Lock()
		defer mu.Unlock()
		*into = append(*into, i)
	}}
}

// What a call continues is input that its body does not show.
func TestHiddenInput(t *testing.T) {
	// A text of 5 tokens is 9 as a message; 3 for the reply.
	const own = 3 + 1 + 5 + 3
	say := func(more string) string {
		return `{"model":"gpt-4o","input":"Say this is a test","max_output_tokens":50` + more + `}`
	}
	tool := `,"tools":[{"type":"function","name":"f"}]`
	const toolTokens = 7 + 1 + 12
	for _, test := range []struct {
		name          string
		first, answer string // with which the first is answered
		next          string
		hidden        int64
	}{
		{"previous response", say(``), answer("resp_1", 1000, 234), say(`,"previous_response_id":"resp_1"`), 1234},
		{"of a stream", say(`,"stream":true`), streamed(answer("resp_1", 1000, 234)), say(`,"previous_response_id":"resp_1"`), 1234},
		{"conversation", say(`,"conversation":"conv_1"`), answer("resp_1", 1000, 234), say(`,"conversation":{"id":"conv_1"}`), 1234},
		{"conversation as an object", say(`,"conversation":{"id":"conv_1"}`), answer("resp_1", 1000, 234), say(`,"conversation":"conv_1"`), 1234},
		{"a response of a conversation", say(`,"conversation":"conv_1"`), answer("resp_1", 1000, 234), say(`,"previous_response_id":"resp_1"`), 1234},
		{"another response", say(``), answer("resp_1", 1000, 234), say(`,"previous_response_id":"resp_2"`), 0},
		{"another conversation", say(`,"conversation":"conv_1"`), answer("resp_1", 1000, 234), say(`,"conversation":"conv_2"`), 0},
		{"none", say(``), answer("resp_1", 1000, 234), say(``), 0},
		{"null", say(``), answer("resp_1", 1000, 234), say(`,"previous_response_id":null,"conversation":null`), 0},
		{"instructions and tools do not carry over", say(`,"instructions":"Say this is a test"` + tool), answer("resp_1", 1000, 234),
			say(`,"previous_response_id":"resp_1"`), 1234 - 9 - toolTokens},
		{"no usage", say(`,"background":true`), `{"id":"resp_1","status":"queued","usage":null}`, say(`,"previous_response_id":"resp_1"`), 0},
		{"not an id", say(``), answer("resp_1", 1000, 234), say(`,"previous_response_id":7,"conversation":{"id":[]}`), 0},
		// Absurd.
		{"above the context of gpt-4o", say(``), answer("resp_1", 1_000_000, 234), say(`,"previous_response_id":"resp_1"`), 128_000},
		{"above any", say(``), answer("resp_1", 1e15, 0), say(`,"previous_response_id":"resp_1"`), 128_000},
		{"less than what does not carry over", say(tool), answer("resp_1", 1, 1), say(`,"previous_response_id":"resp_1"`), 0},
		{"a long id", say(``), answer(strings.Repeat("x", 1000), 1000, 234), say(`,"previous_response_id":"` + strings.Repeat("x", 1000) + `"`), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var calls []ratelimiter.SettledInfo
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(settled(&calls)))
			client := l.Client(answering(test.answer, answer("resp_9", 5000, 50)))
			post(t, client, responsesURL, test.first)
			post(t, client, responsesURL, test.next)
			got := calls[1]
			if want := (ratelimiter.Usage{InputTokens: own + test.hidden, OutputTokens: 50}); got.Estimate != want {
				t.Errorf("estimate %+v, want %+v", got.Estimate, want)
			}
			if want := own + test.hidden + 50; got.Charged.Tokens != want || got.Final.Tokens != 5050 {
				t.Errorf("charged %d, then %d; want %d, then 5050", got.Charged.Tokens, got.Final.Tokens, want)
			}
		})
	}
}

// Accounts know nothing of each other's responses.
func TestHiddenInputIsTheAccounts(t *testing.T) {
	l := newLimiter(t)
	client := l.Client(answering(answer("resp_1", 1000, 234)))
	post(t, client, responsesURL, `{"model":"m","input":"x","max_output_tokens":1}`)
	for account, want := range map[string]int64{"api.openai.test": 1234, "another": 0} {
		ctx := ratelimiter.ContextWithAccount(t.Context(), account)
		r, err := l.Acquire(ctx, ratelimiter.JSON("responses", []byte(`{"model":"m","previous_response_id":"resp_1","max_output_tokens":1}`)))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Cost().Tokens - 1; got != want {
			t.Errorf("account %s: %d hidden tokens, want %d", account, got, want)
		}
		r.Cancel()
	}
}

// Without HTTP a conversation is known by its name alone.
func TestHiddenInputWithoutHTTP(t *testing.T) {
	l := newLimiter(t, ratelimiter.WithAccount("a"))
	call := ratelimiter.JSON("responses", []byte(`{"model":"m","conversation":"conv_1","max_output_tokens":1}`))
	acquire(t, l, call).Settle(ratelimiter.Usage{InputTokens: 70, OutputTokens: 7})
	r := acquire(t, l, call)
	if got := r.Cost().Tokens; got != 77+1 {
		t.Errorf("%d tokens, want 78", got)
	}
	r.Cancel()
}

// Where the server says where its bucket stands, the input stays what we made of
// it, but for input that only the server could see.
func TestHiddenInputIsSettledToUsage(t *testing.T) {
	for more, want := range map[string]int64{``: 12 + 20, `,"previous_response_id":"resp_0"`: 500 + 20} {
		var calls []ratelimiter.SettledInfo
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(settled(&calls)))
		base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
			resp := response(200, "application/json", io.NopCloser(strings.NewReader(answer("resp_1", 500, 20))))
			resp.Header.Set("X-Ratelimit-Limit-Tokens", "100000")
			resp.Header.Set("X-Ratelimit-Remaining-Tokens", "99000")
			resp.Header.Set("X-Ratelimit-Reset-Tokens", "600ms")
			return resp, nil
		})
		post(t, l.Client(base), responsesURL, `{"model":"m","input":"Say this is a test","max_output_tokens":50`+more+`}`)
		if got := calls[0].Final.Tokens; got != want {
			t.Errorf("%s: settled to %d, want %d", more, got, want)
		}
	}
}

// What nobody declared is reserved as the mean of what recent answers have needed.
func TestUndeclaredOutput(t *testing.T) {
	const input = 12 // chatBody's and the tokens of Acquire's Chat
	chat := func(model string, n int64) ratelimiter.Chat {
		return ratelimiter.Chat{Model: model, N: n, Messages: []ratelimiter.Message{{Role: "user", Content: "Who is Joseph Conrad?"}}}
	}
	for _, test := range []struct {
		name, model string
		outputs     []int64
		n           int64
		want        int64
	}{
		{"before any answer", "gpt-4o", nil, 1, 256},
		{"one answer", "gpt-4o", []int64{40}, 1, 40},
		{"the mean, rounded up", "gpt-4o", []int64{10, 20, 31}, 1, 21},
		{"for each choice", "gpt-4o", []int64{10, 20, 30}, 3, 60},
		{"the last 32", "gpt-4o", append(repeat(5000, 100), repeat(100, 32)...), 1, 100},
		{"an answer without output teaches nothing", "gpt-4o", []int64{40, 0}, 1, 40},
		{"the model's maximum", "gpt-4o", []int64{1_000_000}, 1, 16_384},
		{"no maximum is known", "my-model", []int64{1_000_000}, 1, 1_000_000},
		{"absurd", "my-model", []int64{1 << 62, 1 << 62}, 128, 1<<40 - input},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLimiter(t, ratelimiter.WithAccount("a"))
			for _, output := range test.outputs {
				acquire(t, l, chat(test.model, 1)).Settle(ratelimiter.Usage{InputTokens: input, OutputTokens: output})
			}
			r := acquire(t, l, chat(test.model, test.n))
			if got := r.Cost().Tokens - input; got != test.want {
				t.Errorf("%d tokens are reserved for output, want %d", got, test.want)
			}
			r.Cancel()
		})
	}
}

func repeat(n int64, times int) []int64 {
	out := make([]int64, times)
	for i := range out {
		out[i] = n
	}
	return out
}

// Reasoning is output that nobody sees and everybody pays for.
func TestUndeclaredOutputHoldsReasoning(t *testing.T) {
	var calls []ratelimiter.SettledInfo
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(settled(&calls)))
	srv := openaitest.New(openaitest.WithAnswer(func(*openaitest.Call) openaitest.Answer {
		return openaitest.Answer{Text: "Yes.", OutputTokens: 900, ReasoningTokens: 899}
	}))
	for range 2 {
		post(t, l.Client(srv.Direct()), chatURL, `{"model":"o3","messages":[{"role":"user","content":"Why?"}]}`)
	}
	if got := calls[1].Estimate.OutputTokens; got != 900 {
		t.Errorf("%d tokens are reserved for output, want 900", got)
	}
}

// A stream without usage is charged by its text, and teaches it, where that is all
// there was: not of models that reason, and not of a stream that was broken off.
func TestStreamsWithoutUsage(t *testing.T) {
	const input, undeclared = 12, 256                                                  // of chatBody and of Acquire's Chat
	const text = "data: {\"choices\":[{\"delta\":{\"content\":\"Hello world\"}}]}\n\n" // 2 tokens
	const done = "data: [DONE]\n\n"
	for _, test := range []struct {
		name, model, stream string
		closed              bool // by the caller after the first event
		err                 error
		output, next        int64
	}{
		{"ended", "gpt-4o", text + done, false, nil, 2, 2},
		{"ended without a mark", "gpt-4o", text, false, nil, 2, 2},
		{"with usage", "gpt-5.4", text + `data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":900,"total_tokens":912}}` + "\n\n" + done, false, nil, 900, 900},
		{"a model that reasons", "gpt-5.4", text + done, false, nil, undeclared, undeclared},
		{"a model that reasons, at length", "o3", strings.Repeat(text, 200) + done, false, nil, 400, undeclared},
		{"abandoned", "gpt-4o", text + text + done, true, nil, undeclared, undeclared},
		{"abandoned late", "gpt-4o", strings.Repeat(text, 200) + done, true, nil, 400, undeclared},
		{"cut off", "gpt-4o", text, false, io.ErrUnexpectedEOF, undeclared, undeclared},
		{"nothing", "gpt-4o", done, false, nil, undeclared, undeclared},
	} {
		t.Run(test.name, func(t *testing.T) {
			var calls []ratelimiter.SettledInfo
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(settled(&calls)))
			base := roundTripFunc(func(*http.Request) (*http.Response, error) {
				body := io.Reader(strings.NewReader(test.stream))
				if test.err != nil {
					body = io.MultiReader(body, iotest.ErrReader(test.err))
				}
				return response(200, "text/event-stream", io.NopCloser(body)), nil
			})
			body := `{"model":"` + test.model + `","stream":true,"messages":[{"role":"user","content":"Who is Joseph Conrad?"}]}`
			resp, err := l.Client(base).Post(chatURL, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if test.closed {
				io.CopyN(io.Discard, resp.Body, int64(len(test.stream)-len(done)))
			} else {
				io.Copy(io.Discard, resp.Body)
			}
			resp.Body.Close()
			if got := calls[0].Final.Tokens - input; got != test.output {
				t.Errorf("charged %d for output, want %d", got, test.output)
			}
			r := acquire(t, l, ratelimiter.Chat{Model: test.model, Messages: []ratelimiter.Message{{Role: "user", Content: "Who is Joseph Conrad?"}}})
			if got := r.Cost().Tokens - input; got != test.next {
				t.Errorf("%d tokens are reserved for the next output, want %d", got, test.next)
			}
			r.Cancel()
		})
	}
}

// A guess alone makes no call too large for its limit: it would be refused for
// ever, and the guess never be corrected.
func TestGuessesFitTheLimits(t *testing.T) {
	user := func(model, parts string) string {
		return `{"model":"` + model + `","messages":[{"role":"user","content":[` + parts + `]}],"max_completion_tokens":10}`
	}
	icon := `{"type":"image_url","image_url":{"url":"https://example.com/icon.png"}}`
	// A header that claims 2³¹ × 2³¹ pixels.
	absurd := `{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUoAAAACAAAAA"}}`
	pdf := `{"type":"file","file":{"file_data":"data:application/pdf;base64,` + strings.Repeat("A", 8<<20*4/3) + `"}}`
	for _, test := range []struct {
		name, path, model, body string
		tpm                     int64
	}{
		{"remote images", "chat/completions", "gpt-4o-mini", user("gpt-4o-mini", strings.Repeat(icon+",", 4)+icon), 200_000},
		{"images by name", "responses", "gpt-4o-mini", `{"model":"gpt-4o-mini","input":[{"role":"user","content":[` +
			strings.Repeat(`{"type":"input_image","file_id":"f"},`, 4) + `{"type":"input_image","file_id":"f"}]}]}`, 200_000},
		{"a document", "chat/completions", "gpt-4.1", user("gpt-4.1", pdf), 450_000},
		{"files by name", "responses", "gpt-5.4", `{"model":"gpt-5.4","input":[{"role":"user","content":[` +
			strings.Repeat(`{"type":"input_file","file_id":"f"},`, 9) + `{"type":"input_file","file_id":"f"}]}]}`, 30_000},
		{"a header's claim", "chat/completions", "gpt-5.6", user("gpt-5.6", absurd), 450_000},
		{"a deployment's images", "openai/deployments/mine/chat/completions", "mine", user("", strings.Repeat(absurd+",", 9)+absurd), 5000},
		{"audio", "chat/completions", "gpt-audio", user("gpt-audio", `{"type":"input_audio","input_audio":{"format":"mp3","data":"`+strings.Repeat("A", 1<<20)+`"}}`), 1000},
		{"a prediction", "chat/completions", "gpt-4o", `{"model":"gpt-4o","messages":[],"prediction":{"content":"` + strings.Repeat("a ", 5000) + `"}}`, 1000},
		{"what was thought", "responses", "gpt-5.4", `{"model":"gpt-5.4","input":[{"type":"reasoning","encrypted_content":"` + strings.Repeat("A", 1<<20) + `"}]}`, 30_000},
		{"the model's choice of quality", "images/generations", "gpt-image-1", `{"model":"gpt-image-1","prompt":"a","n":10}`, 20_000},
		{"an edit of a remote image", "images/edits", "gpt-image-1", `{"model":"gpt-image-1","prompt":"a","size":"1024x1024","quality":"low","input_fidelity":"high","images":[{"image_url":"https://example.com"}]}`, 5000},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits(test.model, ratelimiter.Limits{TPM: test.tpm}))
			r := acquire(t, l, ratelimiter.JSON(test.path, []byte(test.body)))
			if got := r.Cost().Tokens; got != test.tpm {
				t.Errorf("%d tokens are charged, want the limit", got)
			}
			r.Cancel()
		})
	}

	t.Run("a conversation", func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 1000}))
		call := ratelimiter.JSON("responses", []byte(`{"model":"m","conversation":"conv_1","input":"Say this is a test"}`))
		acquire(t, l, call).Settle(ratelimiter.Usage{InputTokens: 4000, OutputTokens: 3000})
		if err := l.Clear(t.Context(), "m"); err != nil {
			t.Fatal(err)
		}
		r := acquire(t, l, call)
		if got := r.Cost().Tokens; got != 1000 {
			t.Errorf("%d tokens are charged, want the limit", got)
		}
		r.Cancel()
	})

	// What is certain makes a call too large, with guesses or without.
	certain := user("gpt-4o", icon+`,{"type":"text","text":"`+strings.Repeat("a ", 2000)+`"}`)
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{TPM: 1000}))
	if _, err := l.Acquire(t.Context(), ratelimiter.JSON("chat/completions", []byte(certain))); !errors.Is(err, ratelimiter.ErrTooLarge) {
		t.Errorf("error %v, want ErrTooLarge", err)
	}
}

// A limit that is learned while calls wait cuts their guesses as it does those of
// calls that come later.
func TestGuessesOfCallsInLineFitTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("gpt-4o-mini", openaitest.Limits{RPM: 600, TPM: 200_000}),
			openaitest.WithLatency(time.Second, time.Second))
		c := newLimiter(t, ratelimiter.WithAccount("a")).Client(srv.Direct())
		image := `{"type":"image_url","image_url":{"url":"https://example.com/icon.png"}}`
		body := `{"model":"gpt-4o-mini","messages":[{"role":"user","content":[` + strings.Repeat(image+",", 5) + image + `]}],"max_tokens":10}`
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if status, answer := post(t, c, chatURL, body); status != http.StatusOK {
					t.Errorf("%d: %s", status, answer)
				}
			})
		}
		wg.Wait()
	})
}

// What usage says of chats with functions is charged in advance after a few of them.
func TestFunctionsAreLearned(t *testing.T) {
	const body = `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"Hello"}],"tools":[{"type":"function","function":{"name":"f"}}]}`
	synctest.Test(t, func(t *testing.T) {
		var all []ratelimiter.SettledInfo
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(settled(&all)),
			ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 60_000}))
		client := l.Client(answering(slices.Repeat([]string{answer("id", 250, 50)}, 12)...))
		for range 12 {
			resp, err := client.Do(newRequest(t, t.Context(), chatURL, strings.NewReader(body)))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			time.Sleep(time.Second)
		}
		if first, last := all[0].Charged.Tokens, all[len(all)-1].Charged.Tokens; first >= 300 || last != 350 {
			t.Errorf("%d tokens are charged at first, %d at last; want 350", first, last)
		}
	})
}

// quoted is a JSON string of text, which need not be UTF-8.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(text) + `"`
}

// A large body is charged as estimated, or as counted where that is wanted or a limit may
// come near.
func TestLargeBodiesAreEstimated(t *testing.T) {
	kinds, err := texttest.Kinds(40_000)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Appendf(nil, `{"model":"m","max_completion_tokens":50,"messages":[{"role":"user","content":%s}]}`, quoted(kinds[0].Content))
	exact := costing.JSON(wire.Chat, "", body, vocabulary.Exact{})
	sampled := costing.Sampled(wire.Chat, "", body, vocabulary.Exact{})
	if exact.Input == sampled.Input {
		t.Fatal("the text is estimated to a token: it can't tell the two apart")
	}
	plenty := ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 1 << 30})
	for name, x := range map[string]struct {
		options []ratelimiter.Option
		want    int64
	}{
		"by itself":       {[]ratelimiter.Option{plenty}, sampled.Input},
		"no limit":        {nil, sampled.Input},
		"WithExactCounts": {[]ratelimiter.Option{plenty, ratelimiter.WithExactCounts()}, exact.Input},
		"WithCounter":     {[]ratelimiter.Option{plenty, ratelimiter.WithCounter(library{})}, exact.Input},
		"near a limit":    {[]ratelimiter.Option{ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: exact.Input + 100})}, exact.Input},
	} {
		l, err := ratelimiter.New(append(x.options, ratelimiter.WithAccount("a"))...)
		if err != nil {
			t.Fatal(err)
		}
		reservation, err := l.Acquire(t.Context(), ratelimiter.JSON("chat/completions", body))
		if err != nil {
			t.Fatal(err)
		}
		if got := reservation.Cost().Tokens; got != x.want+50 {
			t.Errorf("%s: %d tokens are charged, want %d", name, got, x.want+50)
		}
		reservation.Cancel()
	}
}

// library leaves everything to the library.
type library struct{}

func (library) Count(string, string, string) int { return -1 }
