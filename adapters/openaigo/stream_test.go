package openaigo_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai/openai-go/v3"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// However a stream ends, its call is settled once, as soon as the SDK is done
// with it: at [DONE], when the caller closes it, when the context ends, when
// the connection breaks.
func TestStreamsSettleOnce(t *testing.T) {
	const declared, prompt = 80, 12
	type closer interface{ Close() error }
	tests := []struct {
		name  string
		cut   bool
		end   func(s closer, cancel context.CancelFunc) // after the first delta; nil reads on
		err   error
		final int64 // tokens; what was declared where the stream is cut short
	}{
		{name: "whole", final: prompt + declared/4},
		{name: "close", final: prompt + declared, end: func(s closer, _ context.CancelFunc) { _ = s.Close() }},
		{name: "cancel", final: prompt + declared, err: context.Canceled, end: func(_ closer, cancel context.CancelFunc) { cancel() }},
		{name: "cut", final: prompt + declared, cut: true},
	}
	for _, test := range tests {
		for _, usage := range []bool{false, true} {
			t.Run(test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					answer := openaitest.Answer{Deltas: declared / 4} // a token each
					if test.cut {
						answer.Cut, answer.After = true, 1_000
					}
					srv := openaitest.New(openaitest.WithLatency(time.Second, 9*time.Second),
						openaitest.WithAnswer(func(*openaitest.Call) openaitest.Answer { return answer }))
					defer srv.Close()
					b := &book{}
					client := newClient(newLimiter(t, b), srv.Transport(), pipeURL)
					params := chat(declared)
					if usage {
						params.StreamOptions.IncludeUsage = openai.Bool(true)
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					s := client.Chat.Completions.NewStreaming(ctx, params)
					for s.Next() {
						if len(s.Current().Choices) > 0 && s.Current().Choices[0].Delta.Content != "" && test.end != nil {
							test.end(s, cancel)
							break
						}
					}
					if test.name == "cancel" && s.Next() {
						t.Error("a chunk after the context had ended")
					}
					if err := s.Err(); test.cut && err == nil || !test.cut && !errors.Is(err, test.err) {
						t.Errorf("error %v", err)
					}
					synctest.Wait()
					settled := b.last(t, 1)
					if settled.Final.Tokens != test.final || settled.Final.Requests != 1 {
						t.Errorf("final %+v, want %d tokens", settled.Final, test.final)
					}
					if said := test.name == "whole" && usage; settled.HasUsage != said {
						t.Errorf("usage %+v, said %t", settled.Usage, settled.HasUsage)
					}
				})
			})
		}
	}
}
