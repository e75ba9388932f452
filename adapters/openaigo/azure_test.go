package openaigo_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// On a deployment, addressed as the SDK's azure package does it, the budget is
// the deployment's and belongs to the resource, whatever the key.
func TestAzure(t *testing.T) {
	for _, how := range how {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.New(openaitest.WithLimits("my/gpt", openaitest.Limits{RPM: 60, TPM: 6_000}))
			defer srv.Close()
			base := srv.Transport()
			base.DialTLSContext = base.DialContext
			limiter, err := ratelimiter.New(ratelimiter.WithLimits("my/gpt", ratelimiter.Limits{RPM: 60, TPM: 6_000}))
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"one", "two"} {
				client := openai.NewClient(option.WithBaseURL("https://resource.openai.azure.com/openai/deployments/my%2Fgpt/"),
					option.WithHeader("Api-Key", key), option.WithQuery("api-version", "2024-10-21"), openaigo.WithLimiter(limiter, base))
				for range 40 {
					if err := how.call(t.Context(), client, chat(80)); err != nil {
						t.Fatal(err)
					}
				}
				var refusal *ratelimiter.Error
				if err := how.call(t.Context(), client, chat(6_000)); !errors.As(err, &refusal) {
					t.Errorf("error %v", err)
				}
			}
			if a := srv.Account("my/gpt"); a.Refused != 0 || a.Admitted != 80 {
				t.Errorf("%+v", a)
			}
			state, err := limiter.State(t.Context())
			if err != nil || state.Account != "resource.openai.azure.com" || len(state.Scopes) != 1 || state.Scopes[0].Model != "my/gpt" {
				t.Errorf("%+v, error %v", state, err)
			}
		})
	}
}
