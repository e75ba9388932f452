package ratelimiter_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// What Mistral says it has charged settles a call without usage, unless it says how full its
// bucket is, which corrects ours by as much.
func TestStatedCharges(t *testing.T) {
	for _, tt := range []struct {
		name  string
		model string
		level bool
		reply openaitest.Answer
		want  int64 // of 100 declared tokens, 12 of input as we count them and 7 as Mistral does
	}{
		{"a failure", "m", false, openaitest.Answer{Status: http.StatusInternalServerError}, 107},
		{"a model that reasons, without usage", "gpt-5", false, openaitest.Answer{NoUsage: true}, 107},
		{"usage", "m", false, openaitest.Answer{OutputTokens: 10}, 22},
		{"beside the level", "m", true, openaitest.Answer{Status: http.StatusInternalServerError}, 112},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("", openaitest.Limits{RPM: 600, TPM: 60_000}), openaitest.WithDialect(openaitest.Mistral),
					openaitest.WithAnswer(func(*openaitest.Call) openaitest.Answer { return tt.reply }),
					openaitest.WithHeader(func(_ *openaitest.Call, _ int, h http.Header) {
						if !tt.level {
							h.Del("X-Ratelimit-Remaining-Tokens-Minute")
						}
					}))
				defer srv.Close()
				var settled []int64
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(&ratelimiter.Trace{
					Settled: func(_ context.Context, info ratelimiter.SettledInfo) { settled = append(settled, info.Final.Tokens) },
				}))
				post(t, l.Client(srv.Transport()), chatURL, chatBody(tt.model, 100, false))
				if charged := srv.Account(tt.model).Bucket(openaitest.TPM).Charged; charged != 107 || len(settled) != 1 || settled[0] != tt.want {
					t.Errorf("settled to %v; want %d. The server has charged %d", settled, tt.want, charged)
				}
			})
		})
	}
}
