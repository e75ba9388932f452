package openaitest

import (
	"net/http"
	"strings"
	"testing"
)

func parse(t *testing.T, endpoint, body string) *Call {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://api.test/v1/"+endpoint, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	c, err := readCall(r, endpoint, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPromptEstimate(t *testing.T) {
	big := strings.Repeat("A", 1<<20)
	user := func(content string) string {
		return `{"model":"m","messages":[{"role":"user","content":` + content + `}]}`
	}
	for _, c := range []struct {
		name, endpoint, body string
		estimate, usage      int64
	}{
		{"captured: 21 characters", "chat/completions", user(`"Who is Joseph Conrad?"`), 7, 12},
		{"captured: 13 characters", "chat/completions", user(`"Hello, world?"`), 6, 10},
		{"captured: 14 characters", "chat/completions", user(`"Tell me a joke"`), 5, 11},
		{"characters, not bytes", "chat/completions", user(`"жжжжжжжж"`), 3, 9},
		{"image", "chat/completions", user(`[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + big + `"}}]`), 766, 772},
		{"image, low detail", "chat/completions", user(`[{"type":"text","text":"abcd"},{"type":"image_url","image_url":{"url":"u","detail":"low"}}]`), 87, 93},
		{"file", "chat/completions", user(`[{"type":"file","file":{"file_data":"data:application/pdf;base64,` + big + `"}}]`), 1, 7},
		{"audio", "chat/completions", user(`[{"type":"input_audio","input_audio":{"data":"` + big + `","format":"wav"}}]`), 1, 7},
		{"response from a string", "responses", `{"model":"m","input":"Who is Joseph Conrad?"}`, 7, 12},
		{"response with instructions", "responses", `{"model":"m","instructions":"abcd","input":"Who is Joseph Conrad?"}`, 9, 17},
		{"response from items", "responses", `{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"abcd"},{"type":"input_image","image_url":"data:image/png;base64,` + big + `"}]}]}`, 767, 773},
		{"embeddings of strings", "embeddings", `{"model":"m","input":["abcd","abcd"]}`, 4, 2},
		{"embeddings of tokens", "embeddings", `{"model":"m","input":[1,2,3]}`, 4, 3},
		{"embeddings of lists of tokens", "embeddings", `{"model":"m","input":[[1,2,3],[4]]}`, 6, 4},
		{"tools", "chat/completions", `{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"abcd"}}]}`, 7, 10},
		{"completion", "completions", `{"model":"m","prompt":"abcd"}`, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := parse(t, c.endpoint, c.body)
			if got.PromptEstimate != c.estimate || got.PromptTokens != c.usage {
				t.Errorf("estimate %d, usage %d; want %d, %d", got.PromptEstimate, got.PromptTokens, c.estimate, c.usage)
			}
		})
	}
}

func TestDeclared(t *testing.T) {
	for _, c := range []struct {
		endpoint, body    string
		declared, choices int64
	}{
		{"chat/completions", `{"model":"m","messages":[]}`, 0, 1},
		{"chat/completions", `{"model":"m","max_tokens":7,"n":3}`, 7, 3},
		{"chat/completions", `{"model":"m","max_tokens":7,"max_completion_tokens":9}`, 9, 1},
		{"completions", `{"model":"m","prompt":"x"}`, 16, 1},
		{"completions", `{"model":"m","prompt":"x","max_tokens":5,"n":2,"best_of":4}`, 5, 4},
		{"responses", `{"model":"m","max_output_tokens":11,"input":"x"}`, 11, 1},
		{"images/generations", `{"model":"m","prompt":"x","n":4}`, 0, 4},
	} {
		got := parse(t, c.endpoint, c.body)
		if got.Declared != c.declared || got.Choices != c.choices {
			t.Errorf("%s %s: declared %d × %d, want %d × %d", c.endpoint, c.body, got.Declared, got.Choices, c.declared, c.choices)
		}
	}
}
