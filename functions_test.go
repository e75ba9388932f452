package ratelimiter_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// What usage says of chats with functions is charged in advance after a few of them.
func TestFunctionsAreLearned(t *testing.T) {
	const body = `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"Hello"}],"tools":[{"type":"function","function":{"name":"f"}}]}`
	synctest.Test(t, func(t *testing.T) {
		var all []ratelimiter.SettledInfo
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(settled(&all)),
			ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 60_000}))
		client := l.Client(answering(slices.Repeat([]string{answer("id", 250, 50)}, 12)...))
		for range 12 {
			resp, err := client.Do(newRequest(t, t.Context(), chatURL, strings.NewReader(body)))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			time.Sleep(time.Second)
		}
		if first, last := all[0].Charged.Tokens, all[len(all)-1].Charged.Tokens; first >= 300 || last != 350 {
			t.Errorf("%d tokens are charged at first, %d at last; want 350", first, last)
		}
	})
}
