package tested

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// newClient returns a client of the server, which allows 60 requests a minute, through a
// limiter that knows it.
func newClient(t *testing.T, srv *openaitest.Server, options ...ratelimiter.Option) openai.Client {
	t.Helper()
	limiter, err := ratelimiter.New(append(options,
		ratelimiter.WithLimits(openai.ChatModelGPT5_4Mini, ratelimiter.Limits{RPM: 60}))...)
	if err != nil {
		t.Fatal(err)
	}
	return openai.NewClient(option.WithAPIKey("any"), openaigo.WithLimiter(limiter, srv.Direct()))
}

func newServer(options ...openaitest.Option) *openaitest.Server {
	return openaitest.New(append(options,
		openaitest.WithLimits(openai.ChatModelGPT5_4Mini, openaitest.Limits{RPM: 60}))...)
}

// A hundred texts are more than a minute's budget. The bubble's clock jumps over the wait.
func TestSummariesOfMoreThanTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(openaitest.WithAnswer(func(*openaitest.Call) openaitest.Answer { return openaitest.Answer{Text: "Short."} }))
		begun := time.Now()
		summaries, err := Summarize(t.Context(), newClient(t, srv, ratelimiter.WithWarnings(nil, 0)), make([]string, 100))
		if err != nil || strings.TrimSpace(summaries[99]) == "" {
			t.Fatalf("%q, %v", summaries[99], err)
		}
		if took := time.Since(begun); took < 40*time.Second || took > time.Minute {
			t.Errorf("it took %v", took)
		}
		if a := srv.Account(openai.ChatModelGPT5_4Mini); a.Admitted != 100 || a.Seen != 100 {
			t.Errorf("the server has admitted %d of %d requests", a.Admitted, a.Seen)
		}
	})
}

// A failure of the server is tried again by the SDK; one of the budget is what the caller sees.
func TestSummariesThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer()
		srv.Inject(1, openaitest.Answer{Status: 503})
		if _, err := Summarize(t.Context(), newClient(t, srv), []string{"a text"}); err != nil {
			t.Error(err)
		}
		_, err := Summarize(t.Context(), newClient(t, srv, ratelimiter.WithMaxWait(time.Second)), make([]string, 100))
		if !errors.Is(err, ratelimiter.ErrMaxWait) {
			t.Errorf("%v", err)
		}
	})
}
