package invisible

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	goopenai "github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
	adapter "github.com/openai-ratelimiter/ratelimiter/adapters/goopenai"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
)

// sdks returns all, and a file that they may upload.
func sdks(t *testing.T) []sdk {
	path := filepath.Join(t.TempDir(), "file.txt")
	if err := os.WriteFile(path, []byte("content of a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []sdk{openAISDK(path), goOpenAISDK(path), callerSDK("langchaingo", true, ofLangchain), callerSDK("eino", false, ofEino)}
}

// openAISDK is OpenAI's own.
func openAISDK(path string) sdk {
	options := func(url string) []option.RequestOption {
		return []option.RequestOption{option.WithAPIKey("key"), option.WithAdminAPIKey("admin"), option.WithMaxRetryDelay(time.Millisecond), option.WithBaseURL(url + "/v1/")}
	}
	return sdk{
		name:  "openai-go",
		doers: true,
		bare: func(c doer, url string) any {
			client := openai.NewClient(append(options(url), option.WithHTTPClient(c))...)
			return &client
		},
		adapted: func(l *ratelimiter.Limiter, base http.RoundTripper, url string) any {
			client := openai.NewClient(append(options(url), openaigo.WithLimiter(l, base))...)
			return &client
		},
		filler: func() *filler {
			return &filler{special: common(), needed: func(_ reflect.Type, f reflect.StructField) bool {
				return f.Tag.Get("api") == "required"
			}}
		},
		args: map[string][]any{
			"Beta.Agents.Environments.Files.Prepare":          {map[string]string{"/workspace/file.txt": path}},
			"Beta.Agents.Environments.Files.PrepareDirectory": {filepath.Dir(path), "/workspace/files", []string{"*"}},
			"Beta.Agents.Environments.Files.Upload":           {"env", path, "/workspace/file.txt"},
			"Beta.Agents.Sessions.Stream":                     {"session", openai.AgentSessionStreamParams{Input: "hello"}},
		},
		silent: map[string]string{
			"Beta.Agents.Sessions.Artifacts.ForResult":     "makes a service",
			"Webhooks.Unwrap":                              "looks at what has come",
			"Webhooks.UnwrapWithTolerance":                 "looks at what has come",
			"Webhooks.UnwrapWithToleranceAndTime":          "looks at what has come",
			"Webhooks.VerifySignature":                     "looks at what has come",
			"Webhooks.VerifySignatureWithTolerance":        "looks at what has come",
			"Webhooks.VerifySignatureWithToleranceAndTime": "looks at what has come",
		},
	}
}

// goOpenAISDK is sashabaranov's.
func goOpenAISDK(path string) sdk {
	config := func(url string) goopenai.ClientConfig {
		c := goopenai.DefaultConfig("key")
		c.BaseURL = url + "/v1"
		return c
	}
	return sdk{
		name:  "go-openai",
		doers: true,
		bare: func(client doer, url string) any {
			c := config(url)
			c.HTTPClient = client
			return goopenai.NewClientWithConfig(c)
		},
		adapted: func(l *ratelimiter.Limiter, base http.RoundTripper, url string) any {
			c := config(url)
			c.HTTPClient = &http.Client{Transport: base}
			return goopenai.NewClientWithConfig(adapter.WithLimiter(c, l))
		},
		filler: func() *filler {
			special := common()
			special[reflect.TypeFor[goopenai.EmbeddingRequestConverter]()] = func() any {
				return goopenai.EmbeddingRequest{Model: goopenai.SmallEmbedding3, Input: "x"}
			}
			special[reflect.TypeFor[[]goopenai.BatchLineItem]()] = func() any {
				return []goopenai.BatchLineItem{goopenai.BatchChatCompletionRequest{CustomID: "1", URL: goopenai.BatchEndpointChatCompletions}}
			}
			special[reflect.TypeFor[goopenai.FileRequest]()] = func() any {
				return goopenai.FileRequest{FileName: "file.txt", FilePath: path, Purpose: "batch"}
			}
			special[reflect.TypeFor[goopenai.ModerationRequest]()] = func() any { return goopenai.ModerationRequest{Input: "x"} }
			// The SDK says itself whether it streams, and takes one kind of content.
			return &filler{special: special, needed: func(_ reflect.Type, f reflect.StructField) bool {
				return f.Name != "Stream" && f.Name != "MultiContent"
			}}
		},
	}
}

// callerSDK is a library by the calls that a program makes with it.
func callerSDK(name string, doers bool, of func(d doer, url string) (*caller, error)) sdk {
	return sdk{
		name: name, doers: doers,
		bare: func(d doer, url string) any {
			c, err := of(d, url)
			if err != nil {
				panic(err)
			}
			return c
		},
		filler: func() *filler { return new(filler) },
	}
}

// compare compares the SDK alone with it over the Transport, over a Doer and with its adapter.
func (k *sdk) compare(t *testing.T, url string, play func(way[any]) outcome) {
	t.Helper()
	free, wide := newLimiter(t), wideLimiter(t)
	others := []way[any]{{"Transport", func(base http.RoundTripper) any { return k.bare(free.Client(base), url) }}}
	if k.doers {
		others = append(others, way[any]{"Doer", func(base http.RoundTripper) any { return k.bare(wide.Doer(base), url) }})
	}
	if k.adapted != nil {
		others = append(others, way[any]{"adapter", func(base http.RoundTripper) any { return k.adapted(wide, base, url) }})
	}
	compare(t, play, way[any]{"alone", func(base http.RoundTripper) any { return k.bare(&http.Client{Transport: base}, url) }}, others...)
}
