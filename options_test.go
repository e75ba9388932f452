package ratelimiter_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

func TestFaultsAreReportedTogether(t *testing.T) {
	limits := ratelimiter.Limits{RPM: 10}
	_, err := ratelimiter.New(
		ratelimiter.WithLimits("", limits),
		ratelimiter.WithLimits("a", ratelimiter.Limits{RPM: -1, TPM: -2}),
		ratelimiter.WithLimits("b", ratelimiter.Limits{RPM: 1, Burst: 2 * time.Minute}),
		ratelimiter.WithLimits("c", ratelimiter.Limits{RPD: 1, Burst: time.Second}),
		ratelimiter.WithLimits("d", ratelimiter.Limits{}),
		ratelimiter.WithLimits("e", ratelimiter.Limits{TPM: 1 << 50}),
		ratelimiter.WithLimits("f", ratelimiter.Limits{RPM: 100, RPD: 10}),
		ratelimiter.WithLimits("g", ratelimiter.Limits{TPM: 100, TPD: 10}),
		ratelimiter.WithLimits("h", limits), ratelimiter.WithLimits(" H ", ratelimiter.Limits{RPM: 20}),
		ratelimiter.WithShared("x", limits, "m", "n"), ratelimiter.WithShared("y", limits, "n"),
		ratelimiter.WithShared("x", limits, "o"), ratelimiter.WithShared("z", limits), ratelimiter.WithShared("", limits, " "),
		ratelimiter.WithAccountLimits(limits), ratelimiter.WithAccountLimits(limits),
		ratelimiter.WithAccount(""), ratelimiter.WithBackend(nil),
		ratelimiter.WithMaxWait(-1), ratelimiter.WithMaxPause(0), ratelimiter.WithMaxWaiting(0), ratelimiter.WithCounter(nil),
	)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`WithLimits: the model's name is empty`,
		`WithLimits("a"): RPM is -1`, `WithLimits("a"): TPM is -2`,
		`WithLimits("b"): Burst is 2m0s: it is above the minute`,
		`WithLimits("c"): Burst is set without a limit per minute`,
		`WithLimits("d"): no limit is set`,
		`WithLimits("e"): TPM is 1125899906842624: the most is`,
		`WithLimits("f"): RPM 100 is above RPD 10`,
		`WithLimits("g"): TPM 100 is above TPD 10`,
		`WithLimits: model "h" is configured twice: put all its limits together`,
		`model "n" is in two families, "x" and "y"`,
		`WithShared("x"): the family is given twice`,
		`WithShared("z"): no models are named`,
		`WithShared: the family's name is empty`, `WithShared(""): a model's name is empty`,
		`WithAccountLimits is given twice`,
		`WithAccount: the name is empty`, `WithBackend: the backend is nil`,
		`WithMaxWait: -1ns is negative`, `WithMaxPause: 0s is not positive`, `WithMaxWaiting: 0 is not positive`,
		`WithCounter: the counter is nil`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported", want)
		}
	}
	if n := strings.Count(err.Error(), "\n"); n < 21 {
		t.Errorf("%d lines in\n%v", n, err)
	}
}

// What New rejects although each option is right, and what it takes at its bound.
func TestFaultsOfOptionsTogether(t *testing.T) {
	limits := ratelimiter.Limits{RPM: 10}
	const needsBackend = "WithFallback and WithFailOpen need WithBackend"
	for _, x := range []struct {
		options []ratelimiter.Option
		want    string
	}{
		{[]ratelimiter.Option{ratelimiter.WithFailOpen()}, needsBackend},
		{[]ratelimiter.Option{ratelimiter.WithFallback(limits)}, needsBackend},
		{[]ratelimiter.Option{ratelimiter.WithBackend(newStore()), ratelimiter.WithFallback(limits), ratelimiter.WithFailOpen()}, "contradict each other"},
		{[]ratelimiter.Option{ratelimiter.WithBackend(newStore()), ratelimiter.WithFallback(ratelimiter.Limits{RPM: -1})}, "WithFallback: RPM is -1"},
		{[]ratelimiter.Option{ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: -1})}, "WithAccountLimits: RPM is -1"},
		{[]ratelimiter.Option{ratelimiter.WithDigestKey(make([]byte, 16)), ratelimiter.WithMaxWait(0)}, ""},
	} {
		_, err := ratelimiter.New(x.options...)
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%v; want %q", err, x.want)
		}
	}
}

// Names of models are compared without surrounding space and in lower case, and in no
// other way. A long one is known by a digest.
func TestModelNames(t *testing.T) {
	long := strings.Repeat("x", 200)
	for _, tt := range []struct {
		configured, called string
		same               bool
	}{
		{"gpt-4o", "gpt-4o", true},
		{" GPT-4o\n", "gpt-4o", true},
		{"gpt-4o", "\tGpt-4O ", true},
		{"gpt-4o", "gpt-4o-2024-08-06", false},
		{"gpt-4o", "ft:gpt-4o:org::id", false},
		{"gpt-4o", "gpt-4", false},
		{long, long, true},
		{long, " " + strings.ToUpper(long), true},
		{long, long + "y", false},
		{long, long[:199] + "y", false},
		{long, long[:128], false},
		{long[:128], long[:128], true},
	} {
		limits := ratelimiter.Limits{TPM: 600}
		for name, option := range map[string]ratelimiter.Option{
			"WithLimits": ratelimiter.WithLimits(tt.configured, limits),
			"WithShared": ratelimiter.WithShared("family", limits, tt.configured),
		} {
			l := newLimiter(t, ratelimiter.WithAccount("a"), option)
			what := fmt.Sprintf("%s(%.20q): %.20q of %d bytes", name, tt.configured, tt.called, len(tt.called))
			r, err := l.Acquire(t.Context(), ratelimiter.Cost{Model: tt.called, Tokens: 601})
			if tt.same != errors.Is(err, ratelimiter.ErrTooLarge) {
				t.Errorf("%s: %v", what, err)
			}
			if err == nil {
				r.Cancel()
			}
			// A call over HTTP is one of the same model, and Clear knows it too.
			post(t, l.Client(openaitest.New().Direct()), chatURL, chatBody(tt.called, 1, false))
			if err := l.Clear(t.Context(), tt.called); err != nil {
				t.Error(err)
			}
			state, err := l.State(t.Context())
			state.Scopes = slices.DeleteFunc(state.Scopes, func(s ratelimiter.ScopeState) bool { return s.Unused })
			if err != nil || len(state.Scopes) != 1 {
				t.Fatalf("%s: %+v, %v; want one model", what, state, err)
			}
			if model := state.Scopes[0].Model; len(model) > 128 || len(tt.called) <= 128 && model != strings.ToLower(strings.TrimSpace(tt.called)) {
				t.Errorf("%s is known as %q", what, model)
			}
		}
	}
}
