package costing_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/texttest"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// An estimate of ordinary text is within 3 % of its count, in one message or in many.
func TestSampledIsNear(t *testing.T) {
	worst := 0.0
	for _, size := range []int{20_000, 100_000, 1_000_000} {
		kinds, err := texttest.Kinds(size)
		if err != nil {
			t.Fatal(err)
		}
		models := []string{"gpt-5", "gpt-4", "davinci"}
		if size == 1_000_000 {
			models = models[:1] // the others take long
		}
		for _, model := range models {
			for _, kind := range kinds {
				for _, length := range []int{size, 2000, 150} {
					body := chat(model, kind.Content, length)
					exact := costing.JSON(wire.Chat, "", body, tokens.Exact{})
					is := costing.Sampled(wire.Chat, "", body, tokens.Exact{})
					off := float64(is.Input)/float64(exact.Input) - 1
					if math.Abs(off) > 0.03 {
						t.Errorf("%s, %s, %d bytes in messages of %d: %d tokens, estimated to be %d: %+.1f %%", model, kind.Kind, size, length, exact.Input, is.Input, 100*off)
					}
					worst = max(worst, math.Abs(off))
					if is.Estimated == 0 || is.Most < exact.Input || length < 300 && is.Estimated > is.Input*19/20 {
						t.Errorf("%s, %d bytes in messages of %d: %+v", kind.Kind, size, length, is)
					}
				}
			}
		}
	}
	t.Logf("%.1f %% off at most", 100*worst)
}

// Of text that is alike everywhere half as much is counted, and what comes after it weighs no more.
func TestSampledWhereItIsAlike(t *testing.T) {
	kinds, err := texttest.Kinds(200_000)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, kind := range kinds {
		texts[kind.Kind] = kind.Content
	}
	counted := func(content string) int {
		var b bytesSeen
		costing.Sampled(wire.Chat, "", chat("gpt-5", content, len(content)), &b)
		return b.n
	}
	if alike, other := counted(texts["base64"]), counted(texts["German"]); alike < other/2 || alike > other*3/4 {
		t.Errorf("%d bytes are counted where the text is alike, and %d where it is not", alike, other)
	}
	for _, first := range []string{"base64", "JSON", "log"} {
		for _, then := range []string{"German", "Chinese"} {
			for _, length := range []int{400_000, 2000, 150} {
				body := chat("gpt-5", texts[first]+texts[then], length)
				exact := costing.JSON(wire.Chat, "", body, tokens.Exact{})
				is := costing.Sampled(wire.Chat, "", body, tokens.Exact{})
				if off := float64(is.Input)/float64(exact.Input) - 1; math.Abs(off) > 0.03 {
					t.Errorf("%s and %s, in messages of %d: %+.1f %%", first, then, length, 100*off)
				}
			}
		}
	}
}

// Where most of a body is no text, that is estimated, or counted, by its own size.
func TestSampledBesideFiles(t *testing.T) {
	kinds, err := texttest.Kinds(40_000)
	if err != nil {
		t.Fatal(err)
	}
	file := strings.Repeat("QUJD", 250_000)
	for _, size := range []int{15_000, 40_000} {
		text, _ := json.Marshal(kinds[0].Content[:size])
		body := fmt.Appendf(nil, `{"model":"gpt-5","messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,%s"}},{"type":"text","text":%s}]}]}`, file, text)
		exact := costing.JSON(wire.Chat, "", body, tokens.Exact{})
		is := costing.Sampled(wire.Chat, "", body, tokens.Exact{})
		if size < 16<<10 && is != exact {
			t.Errorf("%d bytes of text: %+v, counted %+v", size, is, exact)
		}
		shown := float64(exact.Input - exact.Guessed)
		if off := float64(is.Input-is.Guessed) / shown; off < 0.97 || off > 1.03 {
			t.Errorf("%d bytes of text: %+v, counted %+v", size, is, exact)
		}
		if is.Guessed != exact.Guessed || exact.Guessed == 0 {
			t.Errorf("%d tokens are guessed, want %d", is.Guessed, exact.Guessed)
		}
	}
}

// bytesSeen counts the bytes that it is given to count.
type bytesSeen struct {
	tokens.Exact
	n int
}

func (b *bytesSeen) Count(model string, e tokens.Encoding, text []byte) int {
	b.n += len(text)
	return b.Exact.Count(model, e, text)
}

// Tools are counted in any case. Where they are most of a body, its text has windows enough, and
// nothing is counted twice.
func TestSampledBesideTools(t *testing.T) {
	kinds, err := texttest.Kinds(80_000)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(kinds[0].Content[:20_000])
	tools, _ := json.Marshal(kinds[0].Content)
	body := fmt.Appendf(nil, `{"model":"gpt-5","messages":[{"role":"user","content":%s}],"tools":[{"type":"function","function":{"name":"f","description":%s}}]}`, text, tools)
	var b bytesSeen
	if costing.Sampled(wire.Chat, "", body, &b); b.n < len(tools) || b.n > len(body) {
		t.Errorf("of a body of %d bytes %d are counted", len(body), b.n)
	}
}

// chat is the body of a chat whose messages have so many bytes each of the text.
func chat(model, text string, length int) []byte {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	var messages []message
	for len(text) > 0 {
		n := min(length, len(text))
		for n < len(text) && text[n]&0xC0 == 0x80 {
			n++
		}
		messages = append(messages, message{"user", text[:n]})
		text = text[n:]
	}
	b, err := json.Marshal(messages)
	if err != nil {
		panic(err) // strings can be marshalled
	}
	return fmt.Appendf(nil, `{"model":%q,"max_completion_tokens":10,"messages":%s}`, model, b)
}

func BenchmarkSampled(b *testing.B) {
	for _, size := range []int{100_000, 1_000_000} {
		kinds, err := texttest.Kinds(size)
		if err != nil {
			b.Fatal(err)
		}
		for _, kind := range kinds {
			body := chat("gpt-5", kind.Content, size)
			for name, f := range map[string]func() costing.Estimate{
				"exact":   func() costing.Estimate { return costing.JSON(wire.Chat, "", body, tokens.Exact{}) },
				"sampled": func() costing.Estimate { return costing.Sampled(wire.Chat, "", body, tokens.Exact{}) },
			} {
				b.Run(fmt.Sprintf("%s/%d/%s", kind.Kind, size, name), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						f()
					}
				})
			}
		}
	}
}

// Where text has as many tokens everywhere, its estimate is exact, whatever it is cut into. About as
// many bytes are counted as that takes, wherever the texts end.
func TestSampledEvenText(t *testing.T) {
	text := strings.Repeat("abc def ghi ", 9000)
	for _, size := range []int{20_000, 100_000} {
		for _, length := range []int{100, 150, 319, 320, 321, 640, 641, 700, 2000, size} {
			body := chat("gpt-5", text[:size], length)
			exact := costing.JSON(wire.Chat, "", body, bytesCounter{})
			var seen bytesCounted
			is := costing.Sampled(wire.Chat, "", body, &seen)
			if is.Input != exact.Input || is.Output != exact.Output {
				t.Errorf("%d bytes in texts of %d: %d tokens; want %d", size, length, is.Input, exact.Input)
			}
			if is.Estimated <= 0 || is.Estimated > is.Input || length > 2*320 && is.Estimated < int64(size)*95/100 || is.Most != is.Input {
				t.Errorf("%d bytes in texts of %d: %d are estimated, and %d at most", size, length, is.Estimated, is.Most)
			}
			sampled := float64(min(12<<10+size/40, 64<<10)) // half of it where all text is alike
			if part := float64(seen.n) / sampled; part < 0.4 || part > 1.3 || seen.n > size {
				t.Errorf("%d bytes in texts of %d: %d are counted, %.2f of what is meant to be", size, length, seen.n, part)
			}
		}
	}
}

// bytesCounted counts a token for each byte, and how many it has counted.
type bytesCounted struct{ n int }

func (b *bytesCounted) Count(_ string, _ tokens.Encoding, text []byte) int {
	if len(text) > len("assistant") { // else it may be a role
		b.n += len(text)
	}
	return len(text)
}
