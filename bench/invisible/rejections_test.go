package invisible

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	eino "github.com/cloudwego/eino-ext/components/model/openai"
	fork "github.com/meguminnnnnnnnn/go-openai"
	"github.com/openai/openai-go/v3"
	goopenai "github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// kinds are the calls of a caller, by name.
var kinds = []struct {
	name string
	call func(ctx context.Context, c *caller) error
}{
	{"chat", func(ctx context.Context, c *caller) error {
		text, err := c.chat(ctx)
		if err == nil && text == "" {
			err = errors.New("an empty answer")
		}
		return err
	}},
	{"stream", func(ctx context.Context, c *caller) error {
		pieces := 0
		err := c.stream(ctx, func(s string) {
			if s != "" {
				pieces++
			}
		})
		if err == nil && pieces < 2 {
			err = fmt.Errorf("%d pieces", pieces)
		}
		return err
	}},
	{"embeddings", func(ctx context.Context, c *caller) error {
		vector, err := c.embed(ctx)
		if err == nil && len(vector) == 0 {
			err = errors.New("no vector")
		}
		return err
	}},
}

// Calls of every kind work through every library, wait for their budget, are charged and
// settled.
func TestCallsWork(t *testing.T) {
	for _, s := range setups() {
		for _, kind := range kinds {
			t.Run(fmt.Sprint(s.library, ", ", s.how, ", ", kind.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := openaitest.New(openaitest.WithLimits("", openaitest.Limits{RPM: 30, TPM: 100_000}))
					started, settled := 0, 0
					l, err := ratelimiter.New(append([]ratelimiter.Option{
						ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 30, TPM: 100_000}),
						ratelimiter.WithWarnings(nil, 0),
						ratelimiter.WithTrace(&ratelimiter.Trace{
							Started: func(context.Context, ratelimiter.StartedInfo) { started++ },
							Settled: func(context.Context, ratelimiter.SettledInfo) { settled++ },
						})}, s.options...)...)
					if err != nil {
						t.Fatal(err)
					}
					c, err := s.client(l, srv.Direct())
					if err != nil {
						t.Fatal(err)
					}
					begun := time.Now()
					const calls = 40 // more than a full bucket holds
					for range calls {
						if err := kind.call(t.Context(), c); err != nil {
							t.Fatal(err)
						}
					}
					synctest.Wait()
					if took := time.Since(begun); took < 15*time.Second || took > 60*time.Second {
						t.Errorf("%d calls at 30 a minute took %v", calls, took)
					}
					if started != calls || settled != calls {
						t.Errorf("%d calls started and %d were settled, want %d", started, settled, calls)
					}
					for _, model := range []string{chatModel, embedModel} {
						if a := srv.Account(model); a.Throttled != 0 {
							t.Errorf("%s: %d 429s", model, a.Throttled)
						}
					}
					if err := l.Shutdown(t.Context()); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// away is a store that does not answer.
type away struct{ backend.Backend }

func (away) Take(context.Context, backend.Ask) (backend.Answer, error) {
	return backend.Answer{}, errors.New("away")
}

// rejections are four ways to be rejected.
var rejections = []struct {
	name    string
	reason  error
	options []ratelimiter.Option
	timeout time.Duration
}{
	{"too large", ratelimiter.ErrTooLarge, []ratelimiter.Option{ratelimiter.WithAccountLimits(ratelimiter.Limits{TPM: 2})}, time.Hour},
	{"longest wait", ratelimiter.ErrMaxWait, []ratelimiter.Option{ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 1}), ratelimiter.WithMaxWait(1)}, time.Hour},
	{"deadline", ratelimiter.ErrDeadline, []ratelimiter.Option{ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 1})}, time.Second},
	{"store", ratelimiter.ErrBackend, []ratelimiter.Option{ratelimiter.WithBackend(away{})}, time.Hour},
}

// seen says what a program can tell of a rejection.
func seen(err, reason error) string {
	var own *ratelimiter.Error
	var a *openai.Error
	var b *goopenai.APIError
	var c *eino.APIError
	var d *fork.APIError // eino's embeddings return it
	switch {
	case errors.As(err, &own) && errors.Is(err, reason):
		return "`*ratelimiter.Error`"
	case errors.As(err, &a) && a.Type == "ratelimiter":
		return fmt.Sprintf("`*openai.Error`, %d", a.StatusCode)
	case errors.As(err, &b) && b.Type == "ratelimiter":
		return fmt.Sprintf("`*openai.APIError`, %d", b.HTTPStatusCode)
	case errors.As(err, &c) && c.Type == "ratelimiter":
		return fmt.Sprintf("`*openai.APIError`, %d", c.HTTPStatusCode)
	case errors.As(err, &d) && d.Type == "ratelimiter":
		return fmt.Sprintf("`*openai.APIError`, %d", d.HTTPStatusCode)
	case strings.Contains(err.Error(), "ratelimiter: "):
		return "its text"
	}
	return "“" + strings.TrimPrefix(err.Error(), "failed to create openai embeddings: ") + "”"
}

// reject makes a call that is rejected, and returns what comes out and how often the limiter
// was asked.
func reject(t *testing.T, s *setup, call func(context.Context, *caller) error, options []ratelimiter.Option, reason error, timeout time.Duration) (outcome string, attempts int) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New()
		l, err := ratelimiter.New(append(append([]ratelimiter.Option{
			ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0),
			ratelimiter.WithTrace(&ratelimiter.Trace{NotStarted: func(context.Context, ratelimiter.NotStartedInfo) { attempts++ }}),
		}, options...), s.options...)...)
		if err != nil {
			t.Fatal(err)
		}
		if reason == ratelimiter.ErrMaxWait || reason == ratelimiter.ErrDeadline {
			r, err := l.Acquire(t.Context(), ratelimiter.Cost{Model: chatModel})
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{})
		}
		c, err := s.client(l, srv.Direct())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		if err = call(ctx, c); err == nil {
			t.Fatal("no error")
		}
		outcome = seen(err, reason)
		for _, model := range []string{chatModel, embedModel} {
			if a := srv.Account(model); a.Seen != 0 {
				t.Errorf("%d requests of %s were sent", a.Seen, model)
			}
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return outcome, attempts
}

// What comes out of a rejection is what docs/CLIENTS.md says, for calls of all kinds.
func TestRejections(t *testing.T) {
	var table strings.Builder
	table.WriteString("| library | what it is given |")
	for _, r := range rejections {
		table.WriteString(" " + r.name + " |")
	}
	table.WriteString(" attempts |\n|---|---|" + strings.Repeat("---|", len(rejections)+1) + "\n")
	for _, s := range setups() {
		fmt.Fprintf(&table, "| %s | %s |", s.library, s.how)
		most := 0
		for _, r := range rejections {
			said := ""
			for _, kind := range kinds {
				outcome, attempts := reject(t, &s, kind.call, r.options, r.reason, r.timeout)
				if said != "" && said != outcome {
					t.Errorf("%s, %s, %s: a %s gives %s, others %s", s.library, s.how, r.name, kind.name, outcome, said)
				}
				said, most = outcome, max(most, attempts)
			}
			fmt.Fprintf(&table, " %s |", said)
		}
		fmt.Fprintf(&table, " %d |\n", most)
	}
	doc, err := os.ReadFile("../../docs/CLIENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), table.String()) {
		t.Errorf("docs/CLIENTS.md lacks the table:\n%s", table.String())
	}
}
