package openaigo_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// marginTime is in which the margin that is left refills.
const marginTime = 400 * time.Millisecond

// A call that finds too little of its budget starts at the moment there is
// enough, beside the margin: when it has refilled, or when a call in flight gives
// back.
func TestWaitEndsWhenTheBudgetIsFree(t *testing.T) {
	tests := []struct {
		name   string
		answer time.Duration // when the call ahead ends, and gives back
		starts time.Duration
	}{
		// 6,000 − 5,912 = 88 are left, 200 are needed, 100 refill in a second.
		{"refill", time.Minute, 1120 * time.Millisecond},
		{"refund", 500 * time.Millisecond, 500 * time.Millisecond},
	}
	for _, test := range tests {
		for _, how := range how {
			t.Run(test.name+"/"+how.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var admitted []time.Time
					srv := openaitest.New(
						openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 600, TPM: 6_000}),
						openaitest.WithRefunds(true),
						openaitest.WithPromptEstimate(func(c *openaitest.Call) int64 { return c.PromptTokens }),
						openaitest.WithTiming(func(c *openaitest.Call) openaitest.Timing {
							if c.Declared == 5_900 {
								return openaitest.Timing{Total: test.answer}
							}
							return openaitest.Timing{}
						}),
						openaitest.WithLog(func(r openaitest.Record) {
							if r.Outcome != openaitest.Completed {
								t.Errorf("%+v", r)
							}
						}),
						openaitest.WithHeader(func(c *openaitest.Call, _ int, _ http.Header) {
							if c.Declared == 188 {
								admitted = append(admitted, time.Now())
							}
						}))
					defer srv.Close()
					limiter := newLimiter(t, &book{}, ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 600, TPM: 6_000}))
					client := newClient(limiter, srv.Transport(), pipeURL)
					for range 100 { // so many answers leave little to allow for
						if err := how.call(t.Context(), client, chat(1)); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(time.Hour) // the opening is over

					start := time.Now()
					var wg sync.WaitGroup
					wg.Go(func() {
						if err := how.call(t.Context(), client, chat(5_900)); err != nil {
							t.Error(err)
						}
					})
					synctest.Wait()
					if err := how.call(t.Context(), client, chat(188)); err != nil {
						t.Error(err)
					}
					wg.Wait()
					if len(admitted) != 1 {
						t.Fatalf("%d calls", len(admitted))
					}
					if at := admitted[0].Sub(start); at < test.starts || at > test.starts+marginTime {
						t.Errorf("it started after %v, want %v to %v later", at, test.starts, marginTime)
					}
				})
			})
		}
	}
}
