package costing_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// recorder keeps what it was given to count.
type recorder struct{ strings.Builder }

func (r *recorder) Count(_ string, _ tokens.Encoding, text []byte) int {
	r.Write(text)
	return len(text)
}

// Text reaches the counter as encoding/json decodes it, whether it has escapes or
// not and however long it is.
func FuzzText(f *testing.F) {
	for _, text := range []string{
		"", "plain", "<b>\"quoted\"</b> & \\ / \b\f\n\r\t\x00\x7f", "日本語 😀\u2028\ufffd",
		strings.Repeat("word <b>😀 ", 10_000), strings.Repeat("<", 100_000), strings.Repeat("😀\n", 30_000),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		encoded, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var r recorder
		got := costing.JSON(wire.Speech, "", []byte(`{"input":`+string(encoded)+`}`), &r)
		if r.String() != text || got.Input != int64(len(text)) {
			t.Errorf("counted %.300q (%d), want %.300q (%d)", r.String(), got.Input, text, len(text))
		}
	})
}

// Long text is unescaped piece by piece; the pieces have the tokens of the whole.
func TestLongText(t *testing.T) {
	text := strings.Repeat("\"Quoted\" words, it's 12345 <b>tags</b> and\n\n\tlines; 日本語の文章。", 1500)
	encoded, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, model := range []string{"gpt-4o", "gpt-4", "davinci"} {
		got := estimate(wire.Speech, `{"model":"`+model+`","input":`+string(encoded)+`}`)
		if want := (tokens.Exact{}).Count("", tokens.ForModel(model), []byte(text)); got.Input != int64(want) {
			t.Errorf("%s: %d tokens, want %d", model, got.Input, want)
		}
	}
}

// What the heading of a response format costs is a constant.
func TestFormatInit(t *testing.T) {
	for _, model := range []string{"gpt-4", "gpt-4o"} {
		const schema = `{"type":"object"}`
		e := tokens.ForModel(model)
		heading := tokens.Exact{}.Count("", e, []byte("\n\n# Response Formats\n\n## answer\n\n"+schema))
		got := estimate(wire.Chat, `{"model":"`+model+`","response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":`+schema+`}}}`)
		if got.Input < int64(heading)-1 || got.Input > int64(heading)+1 {
			t.Errorf("%s: %d tokens, want about %d", model, got.Input, heading)
		}
	}
}
