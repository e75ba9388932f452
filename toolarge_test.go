package ratelimiter_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/texttest"
	vocabulary "github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Where only the backend knows that a call is too large, those that ask together
// with it are not refused.
func TestOnlyWhatIsTooLargeIsRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		miser := newStore()
		miser.before = func(ask backend.Ask) error {
			for _, c := range ask.Costs {
				if c[backend.Tokens] > 20 {
					return backend.ErrTooLarge
				}
			}
			return nil
		}
		l := newLimiter(t, ratelimiter.WithBackend(miser), ratelimiter.WithAccount("a"),
			ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 60_000, Burst: time.Second}))
		warm(t, l, "m")
		for range 50 {
			acquire(t, l, tokens(20)).Settle(ratelimiter.Usage{})
		}
		var work sync.WaitGroup
		for _, n := range []int64{5, 21, 6, 22, 23, 7} {
			work.Go(func() {
				r, err := l.Acquire(t.Context(), tokens(n))
				switch {
				case n <= 20 && err != nil:
					t.Errorf("%d tokens: %v", n, err)
				case n <= 20:
					r.Settle(ratelimiter.Usage{})
				case !errors.Is(err, ratelimiter.ErrTooLarge) || strings.Contains(err.Error(), "needs 0"):
					t.Errorf("%d tokens: %v; want ErrTooLarge", n, err)
				}
			})
			synctest.Wait()
		}
		work.Wait()
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A call of exactly the limit is one that can be sent; one more can't.
func TestCallOfExactlyTheLimit(t *testing.T) {
	for _, tt := range []struct {
		call  ratelimiter.Cost
		large bool
	}{
		{ratelimiter.Cost{Model: "m", Tokens: 600}, false},
		{ratelimiter.Cost{Model: "m", Tokens: 601}, true},
		{ratelimiter.Cost{Model: "m", Requests: 60}, false},
		{ratelimiter.Cost{Model: "m", Requests: 61}, true},
		{ratelimiter.Cost{Model: "m", Images: 6}, false},
		{ratelimiter.Cost{Model: "m", Images: 7}, true},
	} {
		t.Run(fmt.Sprint(tt.call), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60, TPM: 600, IPM: 6}))
				warm(t, l, "m")
				for range 2 {
					_, delayed := l.Delay(t.Context(), tt.call)
					r, err := l.Acquire(t.Context(), tt.call)
					for _, err := range []error{err, delayed} {
						if errors.Is(err, ratelimiter.ErrTooLarge) != tt.large || !tt.large && err != nil {
							t.Errorf("%v", err)
						}
						var e *ratelimiter.Error
						if tt.large && (!errors.As(err, &e) || e.Unit == "" || e.Need != e.Limit+1 || e.Source != "configured") {
							t.Errorf("%+v; want the limit's figures", err)
						}
					}
					if err == nil {
						r.Settle(ratelimiter.Usage{})
					}
				}
			})
		})
	}
}

// A limit that the server has told holds calls of exactly that.
func TestCallOfExactlyALearnedLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 10_000}))
		l := newLimiter(t, ratelimiter.WithAccount("a"))
		for range 3 {
			post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 1, false))
		}
		acquire(t, l, tokens(10_000)).Cancel()
		if _, err := l.Acquire(t.Context(), tokens(10_001)); !errors.Is(err, ratelimiter.ErrTooLarge) {
			t.Errorf("%v; want ErrTooLarge", err)
		}
	})
}

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
