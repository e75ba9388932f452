package costing

import (
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

func TestAskForUsage(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"absent", `{"model":"m","stream":true}`, `{"stream_options":{"include_usage":true},"model":"m","stream":true}`},
		{"white space", "\n { \"model\" : \"m\"\n}", "\n {\"stream_options\":{\"include_usage\":true}, \"model\" : \"m\"\n}"},
		{"byte order mark", "\ufeff{\"model\":\"m\"}", "\ufeff{\"stream_options\":{\"include_usage\":true},\"model\":\"m\"}"},
		{"null", `{"stream_options": null ,"model":"m"}`, `{"stream_options": {"include_usage":true} ,"model":"m"}`},
		{"empty", `{"model":"m","stream_options":{ }}`, `{"model":"m","stream_options":{"include_usage":true }}`},
		{"another option", `{"stream_options":{"include_obfuscation":false}}`, `{"stream_options":{"include_usage":true,"include_obfuscation":false}}`},
		{"include_usage null", `{"stream_options":{"include_usage": null,"x":1}}`, `{"stream_options":{"include_usage": true,"x":1}}`},
		{"within a tool", `{"tools":[{"function":{"parameters":{"properties":{"stream_options":{"include_usage":true}}}}}],"stream":true}`,
			`{"stream_options":{"include_usage":true},"tools":[{"function":{"parameters":{"properties":{"stream_options":{"include_usage":true}}}}}],"stream":true}`},
		{"within metadata", `{"metadata":{"stream_options":"none"},"stream":true}`,
			`{"stream_options":{"include_usage":true},"metadata":{"stream_options":"none"},"stream":true}`},
		{"within text", `{"messages":[{"content":"\"stream_options\":{}"}]}`,
			`{"stream_options":{"include_usage":true},"messages":[{"content":"\"stream_options\":{}"}]}`},
		{"within the option", `{"stream_options":{"x":{"include_usage":true}}}`, `{"stream_options":{"include_usage":true,"x":{"include_usage":true}}}`},
		{"escaped name", `{"stream\u005foptions":{"a":1}}`, `{"stream\u005foptions":{"include_usage":true,"a":1}}`},
		{"the last of two", `{"stream_options":{"include_usage":true},"stream_options":null}`, `{"stream_options":{"include_usage":true},"stream_options":{"include_usage":true}}`},

		{"no other member", `{ }`, `{"stream_options":{"include_usage":true} }`},
		{"asked already", `{"stream_options":{"include_usage":true}}`, ""},
		{"not wanted", `{"stream_options":{"include_usage":false}}`, ""},
		{"asked already, the last of two", `{"stream_options":null,"stream_options":{"include_usage":true}}`, ""},
		{"not an object", `{"stream_options":"usage"}`, ""},
		{"a list", `{"stream_options":[{}]}`, ""},
		{"cut off", `{"model":"m","messages":[`, ""},
		{"cut off within the option", `{"stream_options":{"include_us`, ""},
		{"not JSON", `model=m`, ""},
		{"nothing", ``, ""},
	} {
		got, ok := AskForUsage([]byte(c.body))
		want := c.want
		if want == "" {
			want = c.body
		}
		if string(got) != want || ok != (c.want != "") {
			t.Errorf("%s: %v\n%s, want\n%s", c.name, ok, got, want)
		}
	}
}

func TestMayReason(t *testing.T) {
	for name, want := range map[string]bool{
		"gpt-5-mini": true, "openai/gpt-5-mini": true, "my-gpt-5-deployment": true, "MY_GPT-5": true,
		"openai.gpt-oss-120b-1:0": true, "azure:o3": true, "prod-o4-mini-eu": true, "gpt5-mini": true,
		"team_gpt_5": true, "us.openai.gpt-6-sol": true, "gpt-5-codex@azure": true, "o1": true,
		"gpt-5@2026": true, "gpt_5_mini": true, "gpt-5+tools": true, "gpt-5[high]": true, "gpt-5.4-mini-2026-03-05:thinking": true,
		"azure-gpt-5-mini": true, "google/gemini-2.5-pro": true, "models/gemini-3-flash": true, "x-ai/grok-4": true,
		"grok-beta": false, "grok-code-fast-1": false, "grok-2-vision": false, "gemini-flash-latest": true, "gemini-pro-latest": true, "gemini-4-pro": true, "grok-5-fast": true, "gemini-1.5-pro": false,
		"gemini2.5-pro": true, "gemini_1.5_pro": false, "grok4": true, "grok2": false, "grok-4-fast-reasoning": true, "grok-4-fast-non-reasoning": false,
		"gpt-4o@latest": false, "gemini-2.0-flash": false, "deepseek-reasoner": false, "grok-3-mini": false,
		"gpt-4o": false, "my-gpt-4o-deployment": false, "gpt-35-turbo": false, "gpt35": false, "gpt-4.1-2025-04-14": false,
		"ft:gpt-4o-mini:acme:o3-like:x": false, "davinci:ft-acme-o3": false, "ft:gpt-5:acme::x": true,
		"text-embedding-3-small": false, "foo1": false, "": false, "claude-sonnet-4": false,
	} {
		if got := MayReason(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// What begins with a byte order mark is the same request.
func TestByteOrderMark(t *testing.T) {
	const body = `{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}],"max_tokens":7}`
	want := JSON(wire.Chat, "", []byte(body), tokens.Exact{})
	got := JSON(wire.Chat, "", []byte("\ufeff"+body), tokens.Exact{})
	if got != want || got.Model != "gpt-4o" || got.Input == 0 || got.Output != 7 {
		t.Errorf("%+v, want %+v", got, want)
	}
}
