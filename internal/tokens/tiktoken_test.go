package tokens_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pkoukk/tiktoken-go"
	tiktoken_loader "github.com/pkoukk/tiktoken-go-loader"

	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
)

var all = []tokens.Encoding{tokens.O200kBase, tokens.CL100kBase, tokens.P50kBase, tokens.P50kEdit, tokens.R50kBase}

// reference returns tiktoken-go's own encoding, to check our patterns as well.
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
		{"antidisestablishmentarianism", tokens.P50kBase, 5},
		{"antidisestablishmentarianism", tokens.CL100kBase, 6},
		{"antidisestablishmentarianism", tokens.O200kBase, 6},
		{"2 + 2 = 4", tokens.R50kBase, 5},
		{"2 + 2 = 4", tokens.P50kBase, 5},
		{"2 + 2 = 4", tokens.CL100kBase, 7},
		{"2 + 2 = 4", tokens.O200kBase, 7},
		{"お誕生日おめでとう", tokens.R50kBase, 14},
		{"お誕生日おめでとう", tokens.P50kBase, 14},
		{"お誕生日おめでとう", tokens.CL100kBase, 9},
		{"お誕生日おめでとう", tokens.O200kBase, 8},
	} {
		if got := (tokens.Tiktoken{}).Count(test.encoding, []byte(test.text)); got != test.want {
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

func TestCountAgainstTiktoken(t *testing.T) {
	texts := append([]string{}, samples...)
	// Above what is counted at a time: slices must fit together.
	for _, s := range samples {
		texts = append(texts, strings.Repeat(s+" and the rest.\n\n", 20_000/(len(s)+17)))
	}
	for _, e := range all {
		for _, text := range texts {
			want := len(reference(e).EncodeOrdinary(text))
			if got := (tokens.Tiktoken{}).Count(e, []byte(text)); got != want {
				t.Errorf("%v: %.40q (%d bytes) has %d tokens, want %d", e, text, len(text), got, want)
			}
		}
	}
}

// Beyond the cap on runs the count may be above tiktoken's, by little.
func TestCountLongRuns(t *testing.T) {
	for _, unit := range []string{"a", "A", " ", "\n", "-", "/\n", "7", "é", "好", "\u0301", "ab", "\t ", "\xff"} {
		text := strings.Repeat(unit, 2_000/len(unit))
		for _, e := range all {
			want := len(reference(e).EncodeOrdinary(text))
			got := (tokens.Tiktoken{}).Count(e, []byte(text))
			if got < want-2 || got > want+2+want/20+2*len(text)/512 {
				t.Errorf("%v: %d bytes of %q have %d tokens, want about %d", e, len(text), unit, got, want)
			}
		}
	}
}

func TestCountIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	for _, unit := range []string{"a", " ", "/\n", "\u0301"} {
		text := []byte(strings.Repeat(unit, 100_000/len(unit)))
		start := time.Now()
		tokens.Tiktoken{}.Count(tokens.O200kBase, text)
		// tiktoken-go alone needs 6 s for the letter, and four times that for twice as many.
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%d bytes of %q took %v", len(text), unit, took)
		}
	}
}

func TestCountConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			e := all[i%len(all)]
			if got := (tokens.Tiktoken{}).Count(e, []byte("tiktoken is great!")); got < 5 || got > 7 {
				t.Errorf("%v: %d tokens", e, got)
			}
		})
	}
	wg.Wait()
}

func TestCountUnknownEncoding(t *testing.T) {
	e := tokens.Encoding(200)
	if got := (tokens.Tiktoken{}).Count(e, []byte("tiktoken is great!")); got != 6 || e.String() != "o200k_base" {
		t.Errorf("%v: %d tokens", e, got)
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
			n := tokens.Cut([]byte(head))
			if n < 0 || n > len(head) || n == 0 && head != "" {
				t.Fatalf("Cut(%q) = %d", head, n)
			}
			if n == len(head) {
				continue // no safe place
			}
			for _, e := range all {
				enc := reference(e)
				sum := len(enc.EncodeOrdinary(text[:n])) + len(enc.EncodeOrdinary(text[n:]))
				if whole := len(enc.EncodeOrdinary(text)); sum != whole {
					t.Errorf("%v: %q + %q have %d tokens, together %d", e, text[:n], text[n:], sum, whole)
				}
			}
		}
	}
}

func FuzzCount(f *testing.F) {
	for i, s := range samples {
		f.Add(uint8(i), s)
	}
	f.Fuzz(func(t *testing.T, encoding uint8, text string) {
		if len(text) > 400 {
			return // the cap on runs would show
		}
		e := all[int(encoding)%len(all)]
		want := len(reference(e).EncodeOrdinary(text))
		if got := (tokens.Tiktoken{}).Count(e, []byte(text)); got != want {
			t.Errorf("%v: %q has %d tokens, want %d", e, text, got, want)
		}
		n := tokens.Cut([]byte(text))
		if n < 0 || n > len(text) || n == 0 && text != "" {
			t.Fatalf("Cut(%q) = %d", text, n)
		}
		if n < len(text) && utf8.ValidString(text) {
			sum := tokens.Tiktoken{}.Count(e, []byte(text[:n])) + tokens.Tiktoken{}.Count(e, []byte(text[n:]))
			if sum != want {
				t.Errorf("%v: %q + %q have %d tokens, together %d", e, text[:n], text[n:], sum, want)
			}
		}
	})
}

func BenchmarkCount(b *testing.B) {
	for _, bm := range []struct{ name, text string }{
		{"english", strings.Repeat("The quick brown fox jumps over the lazy dog, again and again. ", 1_600)},
		{"letter", strings.Repeat("a", 100_000)},
		{"spaces", strings.Repeat(" ", 100_000)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			text := []byte(bm.text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				tokens.Tiktoken{}.Count(tokens.O200kBase, text)
			}
		})
	}
}
