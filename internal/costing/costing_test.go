package costing_test

import (
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

const cookbookMessages = `[
 {"role":"system","content":"You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
 {"role":"system","name":"example_user","content":"New synergies will help drive top-line growth."},
 {"role":"system","name":"example_assistant","content":"Things working well together will increase revenue."},
 {"role":"system","name":"example_user","content":"Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
 {"role":"system","name":"example_assistant","content":"Let's talk later when we're less busy about how to do better."},
 {"role":"user","content":"This late pivot means we don't have time to boil the ocean for the client deliverable."}]`

const cookbookTools = `"messages":[
  {"role":"system","content":"You are a helpful assistant that can answer to questions about the weather."},
  {"role":"user","content":"What's the weather like in San Francisco?"}],
 "tools":[{"type":"function","function":{
  "name":"get_current_weather",
  "description":"Get the current weather in a given location",
  "parameters":{"type":"object","properties":{
   "location":{"type":"string","description":"The city and state, e.g. San Francisco, CA"},
   "unit":{"type":"string","description":"The unit of temperature to return","enum":["celsius","fahrenheit"]}},
  "required":["location"]}}}]`

// On gpt-5 and later a chat with functions has 83 tokens more, and a response has not.
func TestToolsOfLateModels(t *testing.T) {
	for model, more := range map[string]int64{
		"gpt-5": 83, "gpt-5-mini-2025-08-07": 83, "openai/gpt-5.4-mini": 83, "gpt-6-astra": 83, "GPT-5": 83,
		"gpt-4o": 0, "gpt-4.1": 0, "o3": 0, "gpt-oss-120b": 0, "some-model": 0,
	} {
		with := estimate(wire.Chat, `{`+cookbookTools+`,"model":"`+model+`"}`).Input
		flat := estimate(wire.Chat, `{`+cookbookTools+`,"model":"gpt-4o"}`).Input
		if with-flat != more {
			t.Errorf("%s: %d tokens more than gpt-4o; want %d", model, with-flat, more)
		}
		if none := estimate(wire.Chat, `{"messages":`+cookbookMessages+`,"model":"`+model+`"}`).Input; none != 124 {
			t.Errorf("%s: %d tokens without tools; want 124", model, none)
		}
	}
	response := `{"model":"gpt-5","input":"hi","tools":[{"type":"function","name":"f","parameters":{}}]}`
	if a, b := estimate(wire.Responses, response).Input, estimate(wire.Responses, strings.Replace(response, "gpt-5", "gpt-4o", 1)).Input; a != b {
		t.Errorf("a response has %d tokens on gpt-5, %d on gpt-4o", a, b)
	}
}

func estimate(e wire.Endpoint, body string) costing.Estimate {
	return costing.JSON(e, "", []byte(body), tokens.Exact{})
}

// The figures are what the OpenAI cookbook's notebook (How to count tokens with
// tiktoken, 6 and 7) shows its functions and the API's usage to agree on.
func TestCookbook(t *testing.T) {
	for _, test := range []struct {
		model           string
		messages, tools int64
	}{
		{"gpt-3.5-turbo", 129, 105},
		{"gpt-4", 129, 105},
		{"gpt-4-0613", 129, 105},
		{"gpt-4o", 124, 101},
		{"gpt-4o-mini", 124, 101},
	} {
		got := estimate(wire.Chat, `{"model":"`+test.model+`","messages":`+cookbookMessages+`}`)
		if got.Input != test.messages {
			t.Errorf("%s: example messages have %d tokens, want %d", test.model, got.Input, test.messages)
		}
		got = estimate(wire.Chat, `{`+cookbookTools+`,"model":"`+test.model+`"}`)
		if got.Input != test.tools {
			t.Errorf("%s: example tools have %d tokens, want %d", test.model, got.Input, test.tools)
		}
	}
}

// Chats with functions are told from others.
func TestFunctionsAreTold(t *testing.T) {
	const tool = `[{"type":"function","function":{"name":"f"}}]`
	for body, want := range map[string]bool{
		`{"messages":[{"content":"a"}],"tools":` + tool + `}`:        true,
		`{"messages":[{"content":"a"}],"functions":[{"name":"f"}]}`:  true,
		`{"messages":[{"content":"tools"}]}`:                         false,
		`{"messages":[{"content":"a"}],"tools":null}`:                false,
		`{"messages":[{"content":"a"}],"functions":null,"tools":[]}`: false,
	} {
		if got := costing.JSON(wire.Chat, "", []byte(body), tokens.Exact{}); got.Functions != want {
			t.Errorf("%s: %v", body, got.Functions)
		}
	}
	if costing.JSON(wire.Responses, "", []byte(`{"input":"a","tools":`+tool+`}`), tokens.Exact{}).Functions {
		t.Error("a response's functions are counted as they are")
	}
}
