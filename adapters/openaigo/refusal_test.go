package openaigo_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai/openai-go/v3"

	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/internal/sdktest"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Only refusals by the limiter are answered for the SDK: the network's errors
// and the server's 429s are tried again as ever.
func TestOtherFailuresAreRetried(t *testing.T) {
	for _, how := range how {
		t.Run("network/"+how.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := errors.New("broken")
				b := &sdktest.Book{}
				base := b.Count(sdktest.RoundTripFunc(func(*http.Request) (*http.Response, error) { return nil, broken }))
				client := newClient(sdktest.NewLimiter(t, b), base, sdktest.PipeURL)
				if err := how.call(t.Context(), client, chat(1)); !errors.Is(err, broken) {
					t.Errorf("error %v", err)
				}
				if b.Sent() != 3 {
					t.Errorf("%d attempts", b.Sent())
				}
				b.Last(t, 3)
			})
		})
		t.Run("429/"+how.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 100, TPM: 30_000}))
				defer srv.Close()
				srv.Inject(2, openaitest.Answer{Status: http.StatusTooManyRequests, RetryAfter: 3 * time.Second})
				b := &sdktest.Book{}
				client := newClient(sdktest.NewLimiter(t, b), b.Count(srv.Transport()), sdktest.PipeURL)
				start := time.Now()
				if err := how.call(t.Context(), client, chat(1)); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took < 6*time.Second || b.Sent() != 3 {
					t.Errorf("%d attempts in %v", b.Sent(), took)
				}
				b.Last(t, 3)
			})
		})
		t.Run("quota/"+how.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New()
				defer srv.Close()
				srv.Inject(3, openaitest.InsufficientQuota())
				client := newClient(sdktest.NewLimiter(t, &sdktest.Book{}), srv.Transport(), sdktest.PipeURL)
				err := how.call(t.Context(), client, chat(1))
				var answer *openai.Error
				if !errors.As(err, &answer) || answer.Code != "insufficient_quota" {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

// Parameters that can't be marshaled fail as early as in the SDK.
func TestParamsThatCannotBeMarshaled(t *testing.T) {
	params := chat(1)
	params.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
		Name: "f", Parameters: openai.FunctionParameters{"impossible": func() {}},
	})}
	limiter := sdktest.NewLimiter(t, &sdktest.Book{})
	r, err := limiter.Acquire(t.Context(), openaigo.Chat(params))
	if err == nil {
		r.Cancel()
		t.Fatal("no error")
	}
	if _, marshal := params.MarshalJSON(); !strings.Contains(err.Error(), marshal.Error()) {
		t.Errorf("error %v, want %v", err, marshal)
	}
}
