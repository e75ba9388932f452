package openaigo_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/sdktest"
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
