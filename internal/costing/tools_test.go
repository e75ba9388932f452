package costing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// What is not of the kind that it should be costs nothing, and what stands behind it costs what it
// does alone.
func TestToolsOfAnotherKind(t *testing.T) {
	input := func(members string) int64 {
		body := fmt.Sprintf(`{"model":"gpt-5","messages":[{"role":"user","content":"Hello"}],%s}`, members)
		return costing.JSON(wire.Chat, "", []byte(body), tokens.Exact{}).Input
	}
	const behind = `"description":"What is behind it counts"`
	for _, x := range []struct{ members, odd string }{
		{`"tools":[%s{"type":"function","function":{"name":"f"}}]`, `"x",7,null,["f"],`},
		{`"tools":[{"type":"function",%s` + behind + `},{"type":"function","name":"next"}]`, `"function":"x",`},
		{`"tools":[{"type":"function",%s` + behind + `}]`, `"tools":7,`},
		{`"tools":[{"type":"custom",%s` + behind + `}]`, `"format":"x",`},
		{`"tools":[{"type":"custom","format":{%s"definition":"start: word"}}]`, `"grammar":null,`},
		{`"tools":[{"type":"function",%s` + behind + `}]`, `"parameters":7,`},
		{`"tools":[{"type":"function","parameters":{%s"items":{` + behind + `}}}]`, `"enum":"x",`},
		{`"tools":[{"type":"function","parameters":{%s"items":{` + behind + `}}}]`, `"properties":null,`},
		{`"response_format":{"type":"json_schema",%s"name":"of the answer"},"description":"of nothing"`, `"json_schema":"x",`},
	} {
		with, without := input(fmt.Sprintf(x.members, x.odd)), input(fmt.Sprintf(x.members, ""))
		if with != without {
			t.Errorf("%s: %d tokens with it, %d without", x.odd, with, without)
		}
	}
}

// A body that begins with empty texts is estimated as if they were not there.
func TestSampledBehindEmptyTexts(t *testing.T) {
	text := strings.Repeat("Some words that are estimated. ", 2000)
	input := func(empty int) int64 {
		parts := strings.Repeat(`{"type":"text","text":""},`, empty)
		body := fmt.Sprintf(`{"model":"gpt-5","messages":[{"role":"user","content":[%s{"type":"text","text":%q}]}]}`, parts, text)
		return costing.Sampled(wire.Chat, "", []byte(body), tokens.Exact{}).Input
	}
	with, without := input(2000), input(0)
	if off := float64(with)/float64(without) - 1; off < -0.03 || off > 0.03 {
		t.Errorf("%d tokens behind empty texts, %d without", with, without)
	}
}

// Where no prompt is given there is one.
func TestNoPromptIsOne(t *testing.T) {
	est := costing.JSON(wire.Completions, "", []byte(`{"model":"davinci-002","max_tokens":10}`), tokens.Exact{})
	if est.Choices != 1 || est.Output != 10 {
		t.Errorf("%+v", est)
	}
}
