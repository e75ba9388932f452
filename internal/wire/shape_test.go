package wire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// likeEvents are streams whose events differ as those of APIs do.
var likeEvents = []func(r *rand.Rand, i int) string{
	func(r *rand.Rand, i int) string {
		return fmt.Sprintf(`data: {"id":"c","object":"chat.completion.chunk","created":17,"model":"m%d","choices":[{"index":%d,"delta":{"content":"%s"},"finish_reason":null}],"usage":null,"obfuscation":"%s"}`,
			r.IntN(20)/19, r.IntN(2), word(r), word(r)) + "\n\n"
	},
	func(r *rand.Rand, i int) string {
		return "event: response.output_text.delta\n" +
			fmt.Sprintf(`data: {"type":"response.output_text.delta","sequence_number":%d,"item_id":"m","delta":"%s","logprobs":[],"obfuscation":"%s"}`, i, word(r), word(r)) + "\n\n"
	},
	func(r *rand.Rand, i int) string { // usage all along
		return fmt.Sprintf(`data:{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"%s"}}]}}],"usage":{"prompt_tokens":3,"completion_tokens":%d}}`, word(r), i) + "\r\n\r\n"
	},
	func(r *rand.Rand, i int) string { // what means something only by its "event:" line
		names := []string{"response.output_text.delta", "response.audio.delta", "image_generation.completed"}
		return "event: " + names[r.IntN(len(names))] + "\n" + fmt.Sprintf(`data: {"delta":"%s","n":%d}`, word(r), i) + "\n\n"
	},
	func(r *rand.Rand, i int) string { // ids and models that come and go
		return fmt.Sprintf(`data: {"response":{"id":"%s","model":"m"},"delta":"%s"}`, word(r), word(r)) + "\n\n"
	},
	func(r *rand.Rand, i int) string { // over two lines
		return fmt.Sprintf("data: {\"delta\":\"%s\",\ndata: \"x\":{\"%s\":%d}}\n\n", word(r), word(r), i)
	},
	func(r *rand.Rand, i int) string { // what an error would have, in a regular event
		return fmt.Sprintf(`data: {"message":"%s","code":%d,"delta":"%s"}`, word(r), i, word(r)) + "\n\n"
	},
}

func word(r *rand.Rand) string {
	words := []string{"", " the", " limiter", "ö", `\n`, `\"`, `\u00e9`, "😀", "{", "}", strings.Repeat("long ", 300), "\xff", " "}
	return words[r.IntN(len(words))]
}

// Events that are compared with the one before say the same as if they were scanned, which
// those are that come byte by byte.
func TestMeterAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 600 {
		var b bytes.Buffer
		kinds := []func(*rand.Rand, int) string{likeEvents[r.IntN(len(likeEvents))], likeEvents[r.IntN(len(likeEvents))]}
		for i := range 2 + r.IntN(12) {
			b.WriteString(kinds[max(0, r.IntN(8)-6)](r, i))
		}
		body := b.Bytes()
		if r.IntN(2) == 0 { // one byte is another
			const odd = "\"\\{}[]:,0a\n "
			body[r.IntN(len(body))] = odd[r.IntN(len(odd))]
		}
		whole, _ := watch(200, body)
		single := make([]int, len(body))
		for i := range single {
			single[i] = i + 1
		}
		bytewise, _ := watch(200, body, single...)
		diff(t, bytewise, whole)
		cuts := []int{r.IntN(len(body)), r.IntN(len(body)), r.IntN(len(body))}
		slices.Sort(cuts)
		pieces, _ := watch(200, body, cuts...)
		diff(t, bytewise, pieces)
		if t.Failed() {
			t.Fatalf("%q", body)
		}
	}
}

// What lies between events that are alike changes nothing for those that follow, and an
// event is as much like another as it is the same.
func TestMeterOddEvents(t *testing.T) {
	long := strings.Repeat("x", maxShape)
	line := func(data string) string { return "data: " + data + "\n\n" }
	for name, x := range map[string]struct{ like, odd, then string }{
		"another id":      {line(`{"response":{"id":"a","model":"m"},"delta":"x"}`), line(`{"response":{"id":"b","model":"n"},"x":"` + long + `"}`), ""},
		"a value begun":   {line(`{"delta":"x"}`), "data: {\"a\":\n", "data: ,\"usage\":{\"total_tokens\":3}}\n\n"},
		"a quoted event":  {line(`{"delta":"x"}`), "data: {\"a\":\"\n", "data: \"}\n\n"},
		"no error":        {line(`{"type":"response.audio.delta","delta":"QUJD"}`), "event: error\n", ""},
		"an error":        {line(`{"message":"slow down","n":1}`), "event: error\n", ""},
		"a newline":       {line(`{"delta":"x","filler":"a"}`) + line(`{"delta":"x","filler":"b"}`), line("{\"delta\":\"x\",\"filler\":\"a\n\"}"), ""},
		"a newline, text": {line(`{"delta":"x"}`), line("{\"delta\":\"a\n\"}"), ""},
		"usage":           {line(`{"delta":"x","usage":{"total_tokens":3}}`), line(`{"usage":{"total_tokens":2}}`), ""},
		"an end":          {line(`{"delta":"x"}`), line(`{"delta":"x","type":"response.completed"}`), ""},
		"an error before": {line(`{"type":"image_generation.completed","b64_json":"QQ=="}`), line(`{"error":{"message":"Oops"}}`), ""},
		"a cut event":     {line(`{"delta":"x","n":1}`) + line(`{"delta":"x","n":2}`), `data: {"delta":"x","n":3`, "}\n\n"},
		"two in a line":   {line(`{"delta":"x"}`), `data: {"delta":"x"}{"delta":"x"}` + "\n\n", ""},
	} {
		body := []byte(x.like + x.like + x.like + x.odd + x.like + x.then + x.like)
		single := make([]int, len(body))
		for i := range single {
			single[i] = i + 1
		}
		bytewise, _ := watch(200, body, single...)
		whole, _ := watch(200, body)
		lines, _ := watch(200, body, len(x.like)*3, len(x.like)*3+len(x.odd))
		if diff(t, bytewise, whole); t.Failed() {
			t.Fatal(name)
		}
		if diff(t, bytewise, lines); t.Failed() {
			t.Fatal(name, ", line by line")
		}
	}
}

// What a stream of the usual kind differs in from event to event is learned from its first
// three.
func TestMeterLearnsAShape(t *testing.T) {
	event := func(number int, text, filler string) string {
		return fmt.Sprintf(`{"type":"response.output_text.delta","sequence_number":%d,"delta":"%s","obfuscation":"%s"}`, number, text, filler)
	}
	m := NewMeter(200, "text/event-stream", nil)
	m.Write([]byte(sse(event(1, "a", "xy"), event(2, "bc", "z"), event(2, `\n`, "z"))))
	var texts [maxHoles]hole
	for next, want := range map[string]int{
		event(31, "def", "uvw"): 1,
		event(31, "", "uvw"):    0,
		event(0, "d", "u"):      1,
		event(9, "d", "u"):      1,
		event(-1, "d", "u"):     1,
	} {
		if length, n := m.shape.match([]byte(next+"\n"), &texts); length != len(next) || n != want {
			t.Errorf("%s: %d of %d bytes and %d texts match", next, length, len(next), n)
		}
	}
	for _, next := range []string{
		event(3, `\n`, "x"), strings.Replace(event(3, "a", "b"), "text", "next", 1),
		strings.Replace(event(3, "a", "b"), ":3,", `:"3",`, 1),
		strings.Replace(event(3, "a", "b"), ":3,", ":/,", 1), strings.Replace(event(3, "a", "b"), ":3,", "::,", 1), event(3, "a", "b")[:80], event(3, "a", "b")[:strings.Index(event(3, "a", "b"), "3")],
		event(3, strings.Repeat("x", bufferSize+1), "b"),
	} {
		if length, _ := m.shape.match([]byte(next), &texts); length != 0 {
			t.Errorf("%s matches", next)
		}
	}
}
