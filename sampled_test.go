package ratelimiter_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/texttest"
	vocabulary "github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// Whatever a large body holds, a call of it is too large by its count and not by an
// estimate: for each limit near its tokens, and near what could be taken for them.
func TestEstimatesRejectNothing(t *testing.T) {
	kinds, err := texttest.Kinds(40_000)
	if err != nil {
		t.Fatal(err)
	}
	kinds = append(kinds,
		texttest.Text{Kind: "one letter, then noise", Content: strings.Repeat("a", 30_000) + strings.Repeat("Qz7", 5_000)},
		texttest.Text{Kind: "spaces among noise", Content: strings.Repeat(" ", 19_000) + strings.Repeat("Ω≈ç√∫", 1_000) + strings.Repeat(" ", 19_000)},
		texttest.Text{Kind: "a token a byte", Content: strings.Repeat("\x01\x02\x03", 10_000)},
		texttest.Text{Kind: "no UTF-8", Content: strings.Repeat("\xff\xc3", 20_000)})
	r := rand.New(rand.NewPCG(5, 6))
	for _, kind := range kinds {
		body := fmt.Appendf(nil, `{"model":"m","max_completion_tokens":50,"messages":[{"role":"user","content":%s}]}`, quoted(kind.Content))
		exact := costing.JSON(wire.Chat, "", body, vocabulary.Exact{})
		sampled := costing.Sampled(wire.Chat, "", body, vocabulary.Exact{})
		if sampled.Estimated == 0 || sampled.Most < exact.Input {
			t.Fatalf("%s: %+v, counted %d", kind.Kind, sampled, exact.Input)
		}
		need := exact.Input + exact.Output
		limits := []int64{need - 1, need, need + 1, sampled.Input + sampled.Output - 1, sampled.Input + sampled.Output, sampled.Most, sampled.Most + sampled.Output}
		for range 4 {
			limits = append(limits, 1+r.Int64N(2*need))
		}
		for _, limit := range limits {
			l, err := ratelimiter.New(ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: limit}))
			if err != nil {
				t.Fatal(err)
			}
			_, err = l.Delay(t.Context(), ratelimiter.JSON("chat/completions", body))
			if rejected := errors.Is(err, ratelimiter.ErrTooLarge); rejected != (need > limit) || err != nil && !rejected {
				t.Errorf("%s, %d tokens, a limit of %d: %v", kind.Kind, need, limit, err)
			}
		}
	}
}

// quoted is a JSON string of text, which need not be UTF-8.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(text) + `"`
}

// A large body is charged as estimated, or as counted where that is wanted or a limit may
// come near.
func TestLargeBodiesAreEstimated(t *testing.T) {
	kinds, err := texttest.Kinds(40_000)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Appendf(nil, `{"model":"m","max_completion_tokens":50,"messages":[{"role":"user","content":%s}]}`, quoted(kinds[0].Content))
	exact := costing.JSON(wire.Chat, "", body, vocabulary.Exact{})
	sampled := costing.Sampled(wire.Chat, "", body, vocabulary.Exact{})
	if exact.Input == sampled.Input {
		t.Fatal("the text is estimated to a token: it can't tell the two apart")
	}
	plenty := ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 1 << 30})
	for name, x := range map[string]struct {
		options []ratelimiter.Option
		want    int64
	}{
		"by itself":       {[]ratelimiter.Option{plenty}, sampled.Input},
		"no limit":        {nil, sampled.Input},
		"WithExactCounts": {[]ratelimiter.Option{plenty, ratelimiter.WithExactCounts()}, exact.Input},
		"WithCounter":     {[]ratelimiter.Option{plenty, ratelimiter.WithCounter(library{})}, exact.Input},
		"near a limit":    {[]ratelimiter.Option{ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: exact.Input + 100})}, exact.Input},
	} {
		l, err := ratelimiter.New(append(x.options, ratelimiter.WithAccount("a"))...)
		if err != nil {
			t.Fatal(err)
		}
		reservation, err := l.Acquire(t.Context(), ratelimiter.JSON("chat/completions", body))
		if err != nil {
			t.Fatal(err)
		}
		if got := reservation.Cost().Tokens; got != x.want+50 {
			t.Errorf("%s: %d tokens are charged, want %d", name, got, x.want+50)
		}
		reservation.Cancel()
	}
}

// library leaves everything to the library.
type library struct{}

func (library) Count(string, string, string) int { return -1 }
