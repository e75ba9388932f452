package openaitest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// post sends body to path of the server, in the process, and returns the
// response with its body read.
func post(t testing.TB, rt http.RoundTripper, path, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://api.test"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// chat returns the body of a chat call.
func chat(model, prompt string, maxTokens int) string {
	return fmt.Sprintf(`{"model":%q,"max_completion_tokens":%d,"messages":[{"role":"user","content":%q}]}`, model, maxTokens, prompt)
}

// chatOf returns the body of a chat call that is charged exactly n tokens: one
// for the message, one for its only character, and the declared output.
func chatOf(model string, n int) string { return chat(model, "x", n-2) }

const chatPath = "/v1/chat/completions"

func wantHeaders(t *testing.T, h http.Header, want map[string]string) {
	t.Helper()
	for name, v := range want {
		if got := h.Get(name); got != v {
			t.Errorf("%s: got %q, want %q", name, got, v)
		}
	}
}

func contains(t *testing.T, s string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(s, part) {
			t.Errorf("%q is missing in %s", part, bytes.TrimSpace([]byte(s)))
		}
	}
}
