package ratelimiter_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// State's JSON has names of its own, and lists where nothing is.
func TestStateAsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(nil, 0))
		say := func(want string) {
			t.Helper()
			state := stateOf(t, l)
			if got, err := json.Marshal(state); err != nil || string(got) != want {
				t.Errorf("%s, %v\nwant %s", got, err, want)
			}
		}
		say(`{"account":"a","scopes":[]}`)
		acquire(t, l, tokens(1)).Cancel()
		say(`{"account":"a","scopes":[{"model":"m","waiting":0,"in_flight":0,"oldest_ns":0,"paused_ns":0,"limits":[]}]}`)
		setLimits(t, l, ratelimiter.WithLimits("n", ratelimiter.Limits{RPM: 60, Burst: time.Second}))
		say(`{"account":"a","scopes":[{"model":"m","waiting":0,"in_flight":0,"oldest_ns":0,"paused_ns":0,"limits":[]},` +
			`{"model":"n","unused":true,"waiting":0,"in_flight":0,"oldest_ns":0,"paused_ns":0,"limits":[` +
			`{"name":"rpm","owner":"n","limit":60,"remaining":1,"reset_ns":0,"margin":0,"burst_ns":1000000000,"source":"configured"}]}]}`)
	})
}

// Classes that are configured are shown before their first call; those that SetLimits takes away
// are not, once nothing of theirs is left.
func TestStateOfConfiguredClasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {}, "batch": {}, "": {Weight: 2}}))
		shown := func(want ...string) {
			t.Helper()
			var got []string
			for _, c := range stateOf(t, l).Classes {
				got = append(got, c.Class)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q are shown; want %q", got, want)
			}
		}
		shown("", "batch", "chat")
		acquireIn(t, l, ratelimiter.ContextWithClass(t.Context(), "chat"), tokens(1)).Settle(ratelimiter.Usage{TotalTokens: 1})
		setLimits(t, l)
		shown("", "batch", "chat")
		setLimits(t, l, ratelimiter.WithClasses(map[string]ratelimiter.Class{"night": {}}))
		shown("chat", "night")
		time.Sleep(time.Minute)
		shown("night")
	})
}

// One of a unit is in the singular.
func TestOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 1}))
		acquire(t, l, ratelimiter.Cost{Model: "m"}).Settle(ratelimiter.Usage{})
		ctx := ratelimiter.ContextWithMaxWait(t.Context(), 10*time.Second)
		_, err := l.Acquire(ctx, ratelimiter.Cost{Model: "m"})
		if !errors.Is(err, ratelimiter.ErrMaxWait) || !strings.Contains(err.Error(), " for 1 request of 1 per minute") {
			t.Errorf("error %v", err)
		}
		_, err = l.Acquire(ctx, ratelimiter.Cost{Model: "m", Requests: 2})
		if !errors.Is(err, ratelimiter.ErrTooLarge) || !strings.Contains(err.Error(), "needs 2 requests, the limit is 1 per minute (configured): make them in several calls") {
			t.Errorf("error %v", err)
		}
	})
}
