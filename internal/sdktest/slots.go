package sdktest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// streamsHoldTheirSlot: where a limit counts calls in flight, a stream is one until the SDK
// has closed it, or read it to its end.
func streamsHoldTheirSlot(t *testing.T, sdk SDK) {
	for name, end := range map[string]func(Stream){
		"closed": func(s Stream) { _ = s.Close() },
		"read and closed": func(s Stream) {
			for s.Next() {
			}
			_ = s.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithHeaders(false), openaitest.WithLatency(time.Second, 9*time.Second))
				defer srv.Close()
				limiter := NewLimiter(t, &Book{}, ratelimiter.WithLimits(Model, ratelimiter.Limits{Concurrent: 1}))
				client := sdk.Limited(limiter, srv.Transport(), PipeURL)
				first := client.Stream(t.Context(), Chat{MaxTokens: 80})
				if !first.Next() {
					t.Fatal(first.Err())
				}
				started := make(chan Stream, 1)
				go func() {
					s := client.Stream(t.Context(), Chat{MaxTokens: 80})
					s.Next()
					started <- s
				}()
				time.Sleep(5 * time.Second)
				if len(started) > 0 {
					t.Error("a second stream starts while the first is open")
				}
				end(first)
				began := time.Now()
				second := <-started
				if waited := time.Since(began); waited != time.Second {
					t.Errorf("the second stream begins %v after the first has ended; its server takes a second", waited)
				}
				_ = second.Close()
			})
		})
	}
}
