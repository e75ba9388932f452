package tokens_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/pkoukk/tiktoken-go"
	tiktoken_loader "github.com/pkoukk/tiktoken-go-loader"

	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
)

var all = []tokens.Encoding{tokens.O200kBase, tokens.CL100kBase, tokens.P50kBase, tokens.P50kEdit, tokens.R50kBase}

// reference returns tiktoken-go's encoding of the same name.
var reference = func() func(tokens.Encoding) *tiktoken.Tiktoken {
	var mu sync.Mutex
	loaded := make(map[tokens.Encoding]*tiktoken.Tiktoken)
	return func(e tokens.Encoding) *tiktoken.Tiktoken {
		mu.Lock()
		defer mu.Unlock()
		if loaded[e] == nil {
			tiktoken.SetBpeLoader(tiktoken_loader.NewOfflineLoader())
			enc, err := tiktoken.GetEncoding(e.String())
			if err != nil {
				panic(err)
			}
			loaded[e] = enc
		}
		return loaded[e]
	}
}()

func count(e tokens.Encoding, text string) int {
	return tokens.Exact{}.Count("", e, []byte(text))
}

// The figures are those of the OpenAI cookbook, How to count tokens with tiktoken.
func TestCountPublished(t *testing.T) {
	for _, test := range []struct {
		text     string
		encoding tokens.Encoding
		want     int
	}{
		{"tiktoken is great!", tokens.CL100kBase, 6},
		{"tiktoken is great!", tokens.O200kBase, 6},
		{"antidisestablishmentarianism", tokens.R50kBase, 5},
		{"antidisestablishmentarianism", tokens.P50kEdit, 5},
		{"2 + 2 = 4", tokens.P50kBase, 5},
		{"2 + 2 = 4", tokens.CL100kBase, 7},
		{"お誕生日おめでとう", tokens.R50kBase, 14},
		{"お誕生日おめでとう", tokens.O200kBase, 8},
		{"tiktoken is great!", tokens.Encoding(200), 6}, // as the newest
	} {
		if got := count(test.encoding, test.text); got != test.want {
			t.Errorf("%v: %q has %d tokens, want %d", test.encoding, test.text, got, test.want)
		}
	}
}

var samples = []string{
	"",
	" ",
	"Hello, world! It's THEIR'S, they'll've I'D",
	"x\n    \n    \ny",
	"\r\n\r\n \t\n  end  ",
	"func main() {\n\tfor i := 0; i < 10; i++ {\n\t\tfmt.Println(i) // n°\n\t}\n}\n",
	`{"level":"info","ts":"2026-11-24T20:40:01.123Z","msg":"done","n":1234567890}`,
	"http://example.com//a/b?c=d\n///\n//\n",
	"<|endoftext|> and <|fim_prefix|><|endofprompt|> are text here",
	"<|start|>assistant<|channel|>final<|message|>and so is harmony's<|return|>",
	"你好，世界！今天天气怎么样？",
	"こんにちは世界。カタカナとひらがな",
	"안녕하세요 세계",
	"Привет, мир! Ёлки-палки",
	"مرحبا بالعالم، كيف حالك؟",
	"שלום עולם",
	"नमस्ते दुनिया, क्या हाल है?",
	"สวัสดีชาวโลก วันนี้อากาศดี",
	"γειά σου Κόσμε",
	"Xin chào thế giới e\u0301a\u0300\u0301",
	"👩‍👩‍👧‍👦 🇩🇪 ☃️ 🤷🏽‍♀️",
	"\x00\x01\x7f\u0085\u00a0\u2028\ufeff",
	"\xff\xfe invalid \xc3\x28 \xe2\x82",
	"٣١٤ ⅷ ² 1234567 12 ௧௨௩",
	strings.Repeat("-", 300) + "\n" + strings.Repeat("=", 300),
	strings.Repeat(" ", 300) + "a" + strings.Repeat("\n", 300),
}

// Each encoding is the one of its name.
func TestCountAgainstTiktoken(t *testing.T) {
	for _, e := range all {
		for _, text := range samples {
			if got, want := count(e, text), len(reference(e).EncodeOrdinary(text)); got != want {
				t.Errorf("%v: %.40q (%d bytes) has %d tokens, want %d", e, text, len(text), got, want)
			}
		}
	}
}

// Whatever Cut cuts off counts as it does in the whole.
func TestCut(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, text := range samples {
		if !utf8.ValidString(text) {
			continue
		}
		runes := []rune(text)
		for range 20 {
			head := string(runes[:random.IntN(len(runes)+1)])
			checkCut(t, text, head)
		}
	}
}

func FuzzCut(f *testing.F) {
	for _, s := range samples {
		f.Add(s, s+" and more")
	}
	f.Fuzz(func(t *testing.T, head, rest string) { checkCut(t, head+rest, head) })
}

// checkCut cuts head, with which text begins.
func checkCut(t *testing.T, text, head string) {
	t.Helper()
	n := tokens.Cut([]byte(head))
	if n < 0 || n > len(head) || n == 0 && head != "" {
		t.Fatalf("Cut(%q) = %d", head, n)
	}
	if n == len(head) || !utf8.ValidString(text) {
		return // no safe place
	}
	for _, e := range all {
		sum := count(e, text[:n]) + count(e, text[n:])
		if whole := count(e, text); sum != whole {
			t.Errorf("%v: %q + %q have %d tokens, together %d", e, text[:n], text[n:], sum, whole)
		}
	}
}
