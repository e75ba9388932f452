package openaigo_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// away is a store that does not answer.
type away struct{ backend.Backend }

func (away) Take(context.Context, backend.Ask) (backend.Answer, error) {
	return backend.Answer{}, errors.New("away")
}

// A rejection is one attempt, through the adapter and, with WithRejectionResponses, through any
// client of the limiter: the SDK then sees an error of the API.
func TestRejectionsAreNotRetried(t *testing.T) {
	for name, tt := range map[string]struct {
		options []ratelimiter.Option
		reason  error
		status  int
		code    string
		after   string
	}{
		"too large": {[]ratelimiter.Option{ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{TPM: 10})}, ratelimiter.ErrTooLarge, 429, "too_large", ""},
		"max wait": {[]ratelimiter.Option{ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 1}), ratelimiter.WithMaxWait(1)},
			ratelimiter.ErrMaxWait, 429, "max_wait", "60"},
		"the store": {[]ratelimiter.Option{ratelimiter.WithBackend(away{})}, ratelimiter.ErrBackend, 503, "backend", ""},
	} {
		for _, adapter := range []bool{true, false} {
			for _, h := range how {
				t.Run(name+"/"+h.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						rejected := 0
						options := append([]ratelimiter.Option{ratelimiter.WithAccount("a"), ratelimiter.WithTrace(&ratelimiter.Trace{
							NotStarted: func(context.Context, ratelimiter.NotStartedInfo) { rejected++ },
						})}, tt.options...)
						if !adapter {
							options = append(options, ratelimiter.WithRejectionResponses())
						}
						l, err := ratelimiter.New(options...)
						if err != nil {
							t.Fatal(err)
						}
						if tt.after != "" {
							r, err := l.Acquire(t.Context(), ratelimiter.Cost{Model: "gpt-4o"})
							if err != nil {
								t.Fatal(err)
							}
							r.Settle(ratelimiter.Usage{})
						}
						srv := openaitest.New()
						limited := option.WithHTTPClient(l.Client(srv.Direct()))
						if adapter {
							limited = openaigo.WithLimiter(l, srv.Direct())
						}
						err = h.call(t.Context(), openai.NewClient(option.WithAPIKey("key"), limited), chat(20))
						var api *openai.Error
						switch {
						case adapter && !errors.Is(err, tt.reason):
							t.Errorf("error %v; want %v", err, tt.reason)
						case adapter:
						case !errors.As(err, &api) || api.StatusCode != tt.status || api.Code != tt.code || api.Type != "ratelimiter":
							t.Errorf("error %v; want a %d, %s", err, tt.status, tt.code)
						case api.Response.Header.Get("Retry-After") != tt.after || !strings.HasPrefix(api.Message, "ratelimiter: gpt-4o: "):
							t.Errorf("%v, message %q", api.Response.Header, api.Message)
						}
						if seen := srv.Account("gpt-4o").Seen; rejected != 1 || seen != 0 {
							t.Errorf("%d attempts, %d requests sent", rejected, seen)
						}
						if err := l.Shutdown(t.Context()); err != nil {
							t.Error(err)
						}
					})
				})
			}
		}
	}
}
