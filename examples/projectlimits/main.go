// Projectlimits loads the limits of a project from the API itself, so that they need not be
// kept up to date by hand. An admin key may read them.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

func main() {
	ctx := context.Background()
	options, closeStandIn := standin.Options("OPENAI_ADMIN_KEY")
	defer closeStandIn()
	admin := openai.NewClient(options...)
	limits, err := load(ctx, admin, cmp.Or(os.Getenv("OPENAI_PROJECT_ID"), "proj_example"))
	if err != nil {
		log.Fatal(err)
	}
	limiter, err := ratelimiter.New(limits...)
	if err != nil {
		log.Fatal(err)
	}
	// Where limits change while the program runs: load them again now and then, and hand
	// them to limiter.SetLimits.

	base := standin.Base("OPENAI_API_KEY")
	client := openai.NewClient(option.WithAPIKey(os.Getenv("OPENAI_API_KEY")), openaigo.WithLimiter(limiter, base))
	if _, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
		Model:    openai.ChatModelGPT5_4Mini,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Name a star.")},
	}); err != nil {
		log.Fatal(err)
	}
	state, err := limiter.State(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, scope := range state.Scopes {
		for _, limit := range scope.Limits {
			fmt.Printf("%s: %d of %d %s remain\n", scope.Model, limit.Remaining, limit.Limit, limit.Name)
		}
	}
}

// load reads the limits of all models.
func load(ctx context.Context, admin openai.Client, project string) (options []ratelimiter.Option, err error) {
	pages := admin.Admin.Organization.Projects.RateLimits.ListRateLimitsAutoPaging(ctx, project,
		openai.AdminOrganizationProjectRateLimitListRateLimitsParams{})
	for pages.Next() {
		l := pages.Current()
		limits := ratelimiter.Limits{
			RPM: l.MaxRequestsPer1Minute, TPM: l.MaxTokensPer1Minute, IPM: l.MaxImagesPer1Minute, RPD: l.MaxRequestsPer1Day,
		}
		if limits.RPD > 0 && limits.RPM > limits.RPD {
			limits.RPM = limits.RPD // the API lists such limits, and New takes them for mistakes
		}
		if limits != (ratelimiter.Limits{}) {
			options = append(options, ratelimiter.WithLimits(l.Model, limits))
		}
	}
	return options, pages.Err()
}
