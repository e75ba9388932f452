package ratelimiter_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A path that a user names is limited, and charged as the user says.
func TestWithEndpoint(t *testing.T) {
	const chat = `{"model":"m","messages":[{"role":"user","content":"Who is Joseph Conrad?"}],"max_tokens":100}`
	options := []ratelimiter.Option{
		ratelimiter.WithEndpoint("v2/chat", ratelimiter.ChatAccounting),
		ratelimiter.WithEndpoint("/rerank/", ratelimiter.EmbeddingAccounting),
		ratelimiter.WithEndpoint("vector_stores/*/search", ratelimiter.RequestAccounting),
		ratelimiter.WithEndpoint("audio/speech", ratelimiter.RequestAccounting),
		ratelimiter.WithEndpoint("pictures", ratelimiter.ImageAccounting),
		ratelimiter.WithEndpoint("answers", ratelimiter.ResponsesAccounting),
	}
	for _, tt := range []struct {
		path, body string
		want       ratelimiter.Cost // nothing: it passes
	}{
		{"/v2/chat", chat, ratelimiter.Cost{Model: "m", Requests: 1, Tokens: 112}},
		{"/gateway/v2/chat/?x=1", chat, ratelimiter.Cost{Model: "m", Requests: 1, Tokens: 112}},
		{"/v1/chat", chat, ratelimiter.Cost{}},
		{"/v1/chat/completions", chat, ratelimiter.Cost{Model: "m", Requests: 1, Tokens: 112}},
		{"/v1/rerank", `{"model":"r","input":"Who is Joseph Conrad?"}`, ratelimiter.Cost{Model: "r", Requests: 1, Tokens: 5}},
		{"/v1/vector_stores/vs%2F1/search", `{"query":"a","model":"m"}`, ratelimiter.Cost{}},
		{"/v1/vector_stores/vs_1/search", `{"query":"a","model":"m"}`, ratelimiter.Cost{Model: "vector_stores/*/search", Requests: 1}},
		{"/v1//Vector_Stores//vs_1//Search//", `{"query":"a"}`, ratelimiter.Cost{Model: "vector_stores/*/search", Requests: 1}},
		{"/v1/vector_stores//search", `{}`, ratelimiter.Cost{}},
		{"/v1/vector_stores/search", `{}`, ratelimiter.Cost{}},
		{"/v1/audio/speech", `{"model":"tts","input":"a"}`, ratelimiter.Cost{Model: "audio/speech", Requests: 1}},
		{"/v1/pictures", `{"model":"dall-e-2","prompt":"a","n":3}`, ratelimiter.Cost{Model: "dall-e-2", Requests: 1, Images: 3}},
		{"/answers", `{"model":"m","input":"Who is Joseph Conrad?","max_output_tokens":100}`, ratelimiter.Cost{Model: "m", Requests: 1, Tokens: 112}},
	} {
		var started []ratelimiter.Cost
		trace := &ratelimiter.Trace{Started: func(_ context.Context, info ratelimiter.StartedInfo) { started = append(started, info.Cost) }}
		l := newLimiter(t, append(options, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(trace))...)
		base := roundTripFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		})
		post(t, l.Client(base), "http://api.openai.test"+tt.path, tt.body)
		var got ratelimiter.Cost
		if len(started) > 0 {
			got = started[0]
		}
		if got != tt.want {
			t.Errorf("%s: %+v; want %+v", tt.path, got, tt.want)
		}
		r, err := l.Acquire(t.Context(), ratelimiter.JSON(tt.path, []byte(tt.body)))
		if (err != nil) != (tt.want == ratelimiter.Cost{}) {
			t.Errorf("%s, without HTTP: %v", tt.path, err)
		} else if err == nil {
			r.Cancel()
		}
	}
}

// What is charged by requests has limits of its own, which other calls don't touch.
func TestRequestsOfAnEndpointOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"),
			ratelimiter.WithEndpoint("vector_stores/*/search", ratelimiter.RequestAccounting),
			ratelimiter.WithLimits("vector_stores/*/search", ratelimiter.Limits{RPM: 60}))
		begun := time.Now()
		for range 65 {
			r, err := l.Acquire(t.Context(), ratelimiter.JSON("vector_stores/vs_1/search", []byte(`{"query":"a"}`)))
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{})
		}
		if took := time.Since(begun); took < 4*time.Second || took > 7*time.Second {
			t.Errorf("65 searches of 60 a minute took %v", took)
		}
	})
}

func TestFaultyEndpoints(t *testing.T) {
	for _, options := range [][]ratelimiter.Option{
		{ratelimiter.WithEndpoint("", ratelimiter.ChatAccounting)},
		{ratelimiter.WithEndpoint("/", ratelimiter.ChatAccounting)},
		{ratelimiter.WithEndpoint("a?b=c", ratelimiter.ChatAccounting)},
		{ratelimiter.WithEndpoint("a", 0)},
		{ratelimiter.WithEndpoint("a", 99)},
		{ratelimiter.WithEndpoint("a", ratelimiter.ChatAccounting), ratelimiter.WithEndpoint("/A", ratelimiter.RequestAccounting)},
	} {
		if _, err := ratelimiter.New(options...); err == nil {
			t.Errorf("%v are taken", options)
		}
	}
}

// What runs an agent is a request of the model that it names, or else of one called "agents". What
// its turns use nobody knows, so that it takes no tokens.
func TestAgents(t *testing.T) {
	const rpm, tpm = 120, 1000
	for _, tt := range []struct{ path, body, model string }{
		{"/v1/agents/sessions", `{"agent":{"id":"agent_1"},"input":"` + strings.Repeat("word ", 500) + `","max_output_tokens":100000}`, "agents"},
		{"/v1/agents/sessions", `{"model":"gpt-6-luna","input":"word"}`, "gpt-6-luna"},
		{"/v1/agents/sessions/sess_1/events", `{"type":"input","content":"` + strings.Repeat("word ", 500) + `"}`, "agents"},
		{"/v1/agents/automations/auto_1/invocations", `{}`, "agents"},
	} {
		t.Run(tt.path+" of "+tt.model, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("", openaitest.Limits{RPM: rpm, TPM: tpm}), openaitest.WithLatency(0, 100*time.Millisecond))
				defer srv.Close()
				var settled []ratelimiter.SettledInfo
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(&ratelimiter.Trace{
					Settled: func(_ context.Context, info ratelimiter.SettledInfo) { settled = append(settled, info) },
				}))
				c := l.Client(srv.Transport())
				begun := time.Now()
				for range 2 * rpm {
					if status, body := post(t, c, "http://api.openai.test"+tt.path, tt.body); status != http.StatusOK {
						t.Fatalf("%d %s", status, body)
					}
				}
				if took := time.Since(begun); took < 59*time.Second || took > 70*time.Second {
					t.Errorf("%d calls of %d a minute took %v", 2*rpm, rpm, took)
				}
				a := srv.Account(tt.model)
				if a.Throttled > 0 || a.Completed != 2*rpm || a.Bucket(openaitest.TPM).Charged != 0 {
					t.Errorf("%+v, %+v", a.Calls, a.Bucket(openaitest.TPM))
				}
				for _, s := range settled {
					if want := (ratelimiter.Cost{Model: tt.model, Requests: 1}); s.Charged != want || s.Final != want {
						t.Fatalf("charged %+v, finally %+v; want %+v", s.Charged, s.Final, want)
					}
				}
			})
		})
	}
}

// Decisions are settled to the usage that each response has.
func TestDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("gpt-6-luna", openaitest.Limits{RPM: 60_000, TPM: 60_000}),
			openaitest.WithLatency(0, 100*time.Millisecond))
		var settled []ratelimiter.SettledInfo
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(&ratelimiter.Trace{
			Settled: func(_ context.Context, info ratelimiter.SettledInfo) { settled = append(settled, info) },
		}))
		body := `{"model":"gpt-6-luna","input":"` + strings.Repeat("word ", 800) + `","questions":[{"type":"predicate","instructions":"Is it long?"}]}`
		for range 100 {
			post(t, l.Client(srv.Direct()), "http://api.openai.test/v1/decisions", body)
		}
		a := srv.Account("gpt-6-luna")
		if a.Throttled > 0 || a.Completed != 100 {
			t.Errorf("%d of %d calls were refused", a.Throttled, a.Seen)
		}
		if len(settled) != 100 || settled[99].Usage.TotalTokens < 1000 {
			t.Errorf("%d were settled, the last as %+v", len(settled), settled[len(settled)-1])
		}
	})
}
