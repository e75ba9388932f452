package ratelimiter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A name that is misspelt shows: the model that is called is warned of once, and State marks
// the one whose limits nobody uses.
func TestModelsWithoutLimits(t *testing.T) {
	limits := ratelimiter.Limits{RPM: 1000}
	one := ratelimiter.WithLimits("gpt-4o", limits)
	family := ratelimiter.WithShared("f", limits, "gpt-5", "gpt-5-mini")
	for _, tt := range []struct {
		name    string
		options []ratelimiter.Option
		called  []string
		warned  []string
		unused  []string
	}{
		{"the dated name", []ratelimiter.Option{one}, []string{"gpt-4o-2024-08-06", "gpt-4o-2024-08-06"}, []string{"gpt-4o-2024-08-06"}, []string{"gpt-4o"}},
		{"as configured", []ratelimiter.Option{one, family}, []string{" GPT-4o", "gpt-5"}, nil, []string{"gpt-5-mini"}},
		{"misspelt in a family", []ratelimiter.Option{family}, []string{"gpt-5", "gpt5-mini", "gpt5-mini"}, []string{"gpt5-mini"}, []string{"gpt-5-mini"}},
		{"nothing is configured", nil, []string{"a", "b"}, nil, nil},
		{"only for the account", []ratelimiter.Option{ratelimiter.WithAccountLimits(limits)}, []string{"a", "b"}, nil, nil},
		{"turned off", []ratelimiter.Option{one, ratelimiter.WithWarnings(nil, 0)}, []string{"a"}, nil, []string{"gpt-4o"}},
		{"no model", []ratelimiter.Option{one}, []string{"", ""}, []string{`""`}, []string{"gpt-4o"}},
		{"no model, nothing is configured", nil, []string{""}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			logger, log := logged()
			options := append([]ratelimiter.Option{ratelimiter.WithWarnings(logger, 0), ratelimiter.WithAccount("a")}, tt.options...)
			l := newLimiter(t, options...)
			for _, model := range tt.called {
				acquire(t, l, ratelimiter.Cost{Model: model}).Cancel()
			}
			got := strings.Split(strings.TrimSuffix(log.take(), "\n"), "\n")
			if len(tt.warned) == 0 && got[0] != "" || len(tt.warned) > 0 && len(got) != len(tt.warned) {
				t.Errorf("warned %q; want of %v", got, tt.warned)
			}
			for i, model := range tt.warned {
				if i >= len(got) || !strings.Contains(got[i], `msg="ratelimiter: no limits are configured for this model, only for others" ratelimiter.model=`+model+" ratelimiter.configured=") {
					t.Errorf("warned %q; want of %s", got, model)
				}
			}
			state := stateOf(t, l)
			var unused []string
			for _, s := range state.Scopes {
				if s.Unused {
					unused = append(unused, s.Model)
					if len(s.Limits) != 1 || s.Limits[0].Limit != 1000 || s.Limits[0].Remaining != 1000 {
						t.Errorf("%+v", s)
					}
				}
			}
			if fmt.Sprint(unused) != fmt.Sprint(tt.unused) {
				t.Errorf("unused %v; want %v", unused, tt.unused)
			}
		})
	}
}

// Names may come from anywhere: not all of them are warned of. SetLimits changes which are.
func TestManyModelsWithoutLimits(t *testing.T) {
	logger, log := logged()
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(logger, 0))
	c := l.Client(openaitest.New().Direct())
	post(t, c, chatURL, chatBody("m", 1, false))
	if got := log.take(); got != "" {
		t.Error(got)
	}
	setLimits(t, l, ratelimiter.WithLimits("x", ratelimiter.Limits{RPM: 1000}))
	for i := range 1000 {
		post(t, c, chatURL, chatBody(fmt.Sprint("m", i%500), 1, false))
	}
	if n := strings.Count(log.take(), "\n"); n != 64 {
		t.Errorf("%d warnings of 500 models", n)
	}
}
