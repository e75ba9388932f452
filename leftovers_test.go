package ratelimiter_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// What a limiter keeps does not grow with the names that requests and responses bring, each
// of them once: it is in proportion to those of the last minutes.
func TestNamesLeaveNothing(t *testing.T) {
	plenty := ratelimiter.Limits{RPM: 1 << 30, TPM: 1 << 40}
	shared := ratelimiter.WithAccountLimits(plenty)
	one := ratelimiter.WithAccount("a")
	// A named call brings a name that never comes again.
	type named struct {
		ctx    context.Context
		host   string
		model  string
		key    string
		more   string // members of the request
		answer string // members of the response
		header string // of the response, and its value
		value  string
	}
	for kind, x := range map[string]struct {
		options []ratelimiter.Option
		name    func(c *named, name string)
	}{
		"models":                 {[]ratelimiter.Option{one, shared}, func(c *named, name string) { c.model = name }},
		"models without limits":  {[]ratelimiter.Option{one}, func(c *named, name string) { c.model = name }},
		"models beside others":   {[]ratelimiter.Option{one, ratelimiter.WithLimits("m", plenty)}, func(c *named, name string) { c.model = name }},
		"models of other stores": {[]ratelimiter.Option{one, shared, ratelimiter.WithBackend(remote{memory.New()}), ratelimiter.WithFallback(plenty)}, func(c *named, name string) { c.model = name }},
		"API keys":               {[]ratelimiter.Option{shared}, func(c *named, name string) { c.key = name }},
		"API keys, with slots": {[]ratelimiter.Option{ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 1 << 30, Concurrent: 10})},
			func(c *named, name string) { c.key = name }},
		"hosts": {[]ratelimiter.Option{shared}, func(c *named, name string) { c.host = name + ".example.com" }},
		"accounts": {[]ratelimiter.Option{shared}, func(c *named, name string) {
			c.ctx = ratelimiter.ContextWithAccount(c.ctx, name)
		}},
		"tenants": {[]ratelimiter.Option{one, shared}, func(c *named, name string) {
			c.ctx = ratelimiter.ContextWithTenant(c.ctx, name)
		}},
		"classes": {[]ratelimiter.Option{one, shared, ratelimiter.WithClasses(map[string]ratelimiter.Class{"c": {}})}, func(c *named, name string) {
			c.ctx = ratelimiter.ContextWithClass(c.ctx, name)
		}},
		"ids of responses": {[]ratelimiter.Option{one, shared}, func(c *named, name string) {
			c.answer = `"id":"` + name + `",`
			c.more = `"previous_response_id":"` + name + `",`
		}},
		"limits of the server": {[]ratelimiter.Option{one}, func(c *named, name string) {
			c.header, c.value = "X-Ratelimit-Limit-Tokens", "10"+name[1:]
		}},
		"headers of the server": {[]ratelimiter.Option{one}, func(c *named, name string) {
			c.header, c.value = "X-Ratelimit-Limit-"+name, "1000"
		}},
		"models of the server": {[]ratelimiter.Option{one}, func(c *named, name string) {
			c.answer = `"model":"` + name + `",`
		}},
	} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				options := append(x.options, ratelimiter.WithWarnings(slog.New(slog.DiscardHandler), 0),
					ratelimiter.WithTrace(ratelimiter.LogTrace(slog.New(everything{}), nil)))
				l := newLimiter(t, options...)
				var c named
				transport := l.Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
					resp := response(200, "application/json", io.NopCloser(strings.NewReader(`{`+c.answer+`"usage":{"prompt_tokens":5,"completion_tokens":5,"total_tokens":10}}`)))
					if c.header != "" {
						resp.Header.Set(c.header, c.value)
						resp.Header.Set("X-Ratelimit-Remaining-Tokens", "1000000")
					}
					return resp, nil
				}))
				leavesNothing(t, l, func(i int) {
					c = named{ctx: t.Context(), host: "api.example.com", model: "m", key: "k"}
					x.name(&c, fmt.Sprintf("n%08d", i))
					body := strings.Replace(chatBody(c.model, 10, false), "{", "{"+c.more, 1)
					req := newRequest(t, c.ctx, "https://"+c.host+"/v1/chat/completions", strings.NewReader(body))
					req.Header.Set("Authorization", "Bearer "+c.key)
					resp, err := transport.RoundTrip(req)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := io.ReadAll(resp.Body); err != nil {
						t.Error(err)
					}
					resp.Body.Close()
				})
			})
		})
	}
	t.Run("tenants that wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, one, ratelimiter.WithBackend(memory.New()), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60_000_000 / between.Microseconds()}))
			warm(t, l, "m")
			var wg sync.WaitGroup
			for range 5 {
				acquire(t, l, ratelimiter.Cost{Model: "m", Requests: 1}).Settle(ratelimiter.Usage{})
			}
			line := make(chan struct{}, 5) // as many wait at any time
			leavesNothing(t, l, func(i int) {
				line <- struct{}{}
				wg.Go(func() {
					ctx := ratelimiter.ContextWithTenant(t.Context(), fmt.Sprint("tenant", i))
					r, err := l.Acquire(ctx, ratelimiter.Cost{Model: "m", Requests: 1})
					if err != nil {
						t.Error(err)
						return
					}
					r.Settle(ratelimiter.Usage{})
					<-line
				})
			})
			wg.Wait()
		})
	})
}

// between is the time between two names: the last minutes, for which the budget of a name is
// kept, have a few hundred.
const between = time.Second

// A remote backend is one that has to be asked: it hides that memory is Local.
type remote struct{ backend.Backend }

// leavesNothing brings names, and looks at the heap when half of them have come and at last.
func leavesNothing(t *testing.T, l *ratelimiter.Limiter, bring func(i int)) {
	half := 50_000
	if raceEnabled || testing.Short() {
		half = 2_500
	}
	var heap [2]int64
	for part := range heap {
		for i := range half {
			time.Sleep(between)
			bring(part*half + i)
		}
		heap[part] = heapNow()
	}
	if grown := heap[1] - heap[0]; grown > int64(half)*20+100_000 {
		t.Errorf("the heap has grown by %d bytes, %d for each name", grown, grown/int64(half))
	}
	const most = 1100 // of each: 1,024, and those in which something happens
	accounts := l.Accounts()
	if len(accounts) > most {
		t.Errorf("%d accounts are kept", len(accounts))
	}
	state, err := l.State(ratelimiter.ContextWithAccount(t.Context(), accounts[0]))
	if err != nil || len(state.Scopes) > most {
		t.Errorf("%d models are kept: %v", len(state.Scopes), err)
	}
}

// everything is a handler of slog that takes all and writes nothing.
type everything struct{}

func (everything) Enabled(context.Context, slog.Level) bool  { return true }
func (everything) Handle(context.Context, slog.Record) error { return nil }
func (e everything) WithAttrs([]slog.Attr) slog.Handler      { return e }
func (e everything) WithGroup(string) slog.Handler           { return e }
