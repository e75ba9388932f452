package wire

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		url        string
		endpoint   Endpoint
		deployment string
	}{
		{"https://api.openai.com/v1/chat/completions", Chat, ""},
		{"https://api.openai.com/v1/chat/completions/?x=1", Chat, ""},
		{"https://api.openai.com/v1/completions", Completions, ""},
		{"https://api.openai.com/v1/responses", Responses, ""},
		{"https://api.openai.com/v1/responses/compact", Responses, ""},
		{"https://api.openai.com/v1/embeddings", Embeddings, ""},
		{"https://api.openai.com/v1/images/generations", ImageGenerations, ""},
		{"https://api.openai.com/v1/images/edits", ImageEdits, ""},
		{"https://api.openai.com/v1/images/variations", ImageVariations, ""},
		{"https://api.openai.com/v1/audio/speech", Speech, ""},
		{"https://api.openai.com/v1/audio/transcriptions", Transcriptions, ""},
		{"https://api.openai.com/v1/audio/translations", Translations, ""},
		{"https://api.openai.com/v1/moderations", Moderations, ""},
		{"https://api.openai.com/v1/decisions", Decisions, ""},
		{"https://api.openai.com/v1/agents/sessions", Agents, ""},
		{"https://api.openai.com/v1/agents/sessions/as_1/events", Agents, ""},
		{"https://api.openai.com/v1/agents/automations/aa_1/invocations", Agents, ""},
		{"http://localhost:8080/chat/completions", Chat, ""},
		{"https://openrouter.ai/api/v1/chat/completions", Chat, ""},
		{"https://x.openai.azure.com/openai/v1/responses", Responses, ""},
		{"https://x.openai.azure.com/openai/responses?api-version=2025-04-01-preview", Responses, ""},
		{"https://x.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", Chat, "gpt-4o"},
		{"https://x.openai.azure.com/openai/deployments/a%20b%2Fc%25/embeddings", Embeddings, "a b/c%"},
		{"https://x.openai.azure.com/openai/deployments/50%25/completions", Completions, "50%"},
		{"https://gw.example.com/azure/openai/deployments/deployments/images/generations", ImageGenerations, "deployments"},
		{"https://gw.example.com/deployments/eu/openai/deployments/gpt-4o/chat/completions", Chat, "gpt-4o"},
		{"https://x.openai.azure.com/openai/deployments/d/extensions/chat/completions", Chat, "d"},
		{"https://x.openai.azure.com/openai/deployments/chat/completions", Completions, "chat"},
		{"https://x.openai.azure.com/openai/deployments/chat/chat/completions", Chat, "chat"},

		{"https://x.openai.azure.com/OpenAI/Deployments/GPT-4o/chat/completions", Chat, "GPT-4o"},
		{"https://x.openai.azure.com/OPENAI/DEPLOYMENTS/d/Chat/Completions", Chat, "d"},
		{"https://x.openai.azure.com/openai/v1/Responses", Responses, ""},
		{"https://api.openai.com/v1/engines/davinci/completions", Completions, "davinci"},
		{"https://api.openai.com/v1/engines/text-embedding-ada-002/embeddings", Embeddings, "text-embedding-ada-002"},
		{"https://api.openai.com/v1/engines/gpt-4o/chat/completions", Chat, "gpt-4o"},
		{"https://api.openai.com/v1/Engines/gpt%204/completions", Completions, "gpt 4"},
		{"http://localhost:12434/engines/v1/chat/completions", Chat, ""},
		{"http://localhost:12434/engines/V1/chat/completions", Chat, ""},
		{"http://localhost:12434/engines/llama.cpp/v1/chat/completions", Chat, ""},
		{"https://gateway.ai.cloudflare.com/v1/acc/gw/azure-openai/res/dep/chat/completions?api-version=2024-10-21", Chat, "dep"},
		{"https://gateway.ai.cloudflare.com/v1/acc/gw/Azure-OpenAI/res/my%20dep/embeddings", Embeddings, "my dep"},
		{"https://gateway.ai.cloudflare.com/v1/acc/gw/azure-openai/res/dep/responses", Responses, "dep"},
		{"https://gateway.ai.cloudflare.com/v1/acc/gw/azure-openai/res/openai/deployments/dep/chat/completions", Chat, "dep"},
		{"https://gateway.ai.cloudflare.com/v1/acc/gw/azure-openai/res/openai/v1/chat/completions", Chat, ""},
		{"https://gw.example.com/azure-openai/v1/chat/completions", Chat, ""},
		{"https://gw.example.com/azure-openai/chat/completions", Chat, ""},
		{"https://gw.example.com/azure-openai/team/chat/completions", Chat, ""},
		{"https://gateway.ai.cloudflare.com/v1/acc/gw/openai/chat/completions", Chat, ""},

		{"https://api.openai.com/v1//chat//completions//", Chat, ""},
		{"https://x.openai.azure.com//openai//deployments//d//chat//completions", Chat, "d"},
		{"https://api.openai.com/v1//agents//sessions//as_1//events", Agents, ""},
		{"https://api.openai.com/v1/Agents/Sessions", Agents, ""},
		{"https://api.openai.com/v1/agents/S%65ssions/as_1/Events", Agents, ""},
		{"https://api.openai.com/v1/agents/Automations/aa_1/Invocations", Agents, ""},
		{"https://api.openai.com/v1/ch%61t/complet%69ons", Chat, ""},
		{"https://x.openai.azure.com/openai/deployments/a%20b%2Fc/ch%61t/completions", Chat, "a b/c"},
		{"https://api.mistral.ai/v1/agents/completions", Chat, ""},
		{"https://api.mistral.ai/v1/fim/completions", Completions, ""},

		{"https://api.openai.com/", None, ""},
		{"https://api.openai.com/v1/engines", None, ""},
		{"https://api.openai.com", None, ""},
		{"https://api.openai.com/v1/models", None, ""},
		{"https://api.openai.com/v1/agents", None, ""},
		{"https://api.openai.com/v1/agents/sessions/as_1", None, ""},
		{"https://api.openai.com/v1/agents/automations/aa_1/events", None, ""},
		{"https://api.openai.com/v1/agents/sessions/as_1/invocations", None, ""},
		{"https://api.openai.com/v1/events", None, ""},
		{"https://api.openai.com/v1/live/sessions", None, ""},
		{"https://api.openai.com/v1/chatkit/sessions", None, ""},
		{"https://api.openai.com/v1/vector_stores/vs_1/search", None, ""},
		{"https://api.openai.com/v1/batches", None, ""},
		{"https://api.openai.com/v1/files", None, ""},
		{"https://api.openai.com/v1/uploads/u/complete", None, ""},
		{"https://api.openai.com/v1/chat/completions/chatcmpl-1", None, ""},
		{"https://api.openai.com/v1/responses/resp_1/cancel", None, ""},
		{"https://api.openai.com/v1/responses/input_tokens", None, ""},
		{"https://api.openai.com/v1/organization/usage/completions", None, ""},
		{"https://api.openai.com/v1/videos/edits", None, ""},
		{"https://api.openai.com/v1/realtime/translations", None, ""},
		{"https://api.openai.com/v1/threads/runs", None, ""},
	} {
		r := httptest.NewRequest(http.MethodPost, c.url, nil)
		if e, d := Classify(r); e != c.endpoint || d != c.deployment {
			t.Errorf("%s: %v, %q", c.url, e, d)
		}
		if e, d := ClassifyPath(r.URL.RequestURI()); e != c.endpoint || d != c.deployment {
			t.Errorf("path of %s: %v, %q", c.url, e, d)
		}
		r.Method = http.MethodGet
		if e, _ := Classify(r); e != None {
			t.Errorf("GET %s: %v", c.url, e)
		}
	}
	if e, _ := Classify(&http.Request{Method: http.MethodPost}); e != None {
		t.Errorf("no URL: %v", e)
	}
	if e, _ := ClassifyPath("chat/completions"); e != Chat {
		t.Errorf("relative path: %v", e)
	}
}

func TestClassifyAllocatesNothing(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "https://x.openai.azure.com/openai/deployments/gpt-4o/chat/completions?a=b", nil)
	r.URL.RawPath = r.URL.Path // as openai-go's azure middleware leaves it
	if n := testing.AllocsPerRun(100, func() { Classify(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEndpointString(t *testing.T) {
	for e := Chat; e <= Moderations; e++ {
		if got, _ := ClassifyPath("/v1/" + e.String()); got != e {
			t.Errorf("%v reads back as %v", e, got)
		}
	}
	for _, e := range []Endpoint{None, Endpoint(len(endpointNames)), 200} {
		if s := e.String(); s != "none" {
			t.Errorf("%d: %s", e, s)
		}
	}
}

func TestIsVersion(t *testing.T) {
	for path, want := range map[string]bool{
		"": false, "v": false, "v1": true, "V1": true, "w1": false, "vx": false, "v1/": true, "v1/chat": true, "v10": false, "v10/": true,
		"v10/chat": true, "v1beta/": false, "v100/": false, "vision/chat": false, "v1x": false,
	} {
		if got := isVersion(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}
