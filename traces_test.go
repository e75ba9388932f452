package ratelimiter_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/openai-ratelimiter/ratelimiter"
)

// The hooks of several traces run in order, the context's first, and those that follow also
// where one panics.
func TestSeveralTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran []string
		armed := false
		trace := func(name string) *ratelimiter.Trace {
			return &ratelimiter.Trace{Started: func(context.Context, ratelimiter.StartedInfo) {
				ran = append(ran, name)
				if armed && name != "third" {
					panic(name)
				}
			}}
		}
		l := newWarm(t, ratelimiter.WithTrace(trace("first")), ratelimiter.WithTrace(nil), ratelimiter.WithTrace(trace("second")),
			ratelimiter.WithTrace(trace("third")))
		waits := 0
		ctx := ratelimiter.ContextWithTrace(t.Context(), trace("own"))
		for _, armed = range []bool{false, true} {
			ran = nil
			p := panics(func() {
				r, err := l.Acquire(ctx, tokens(1))
				if err == nil {
					r.Cancel()
				}
			})
			if want := []string{"own", "first", "second", "third"}; !slices.Equal(ran, want) || (p != nil) != armed {
				t.Errorf("armed %v: ran %v, recovered %v", armed, ran, p)
			}
		}
		armed = false
		l = newWarm(t, ratelimiter.WithTrace(trace("first")),
			ratelimiter.WithTrace(&ratelimiter.Trace{Waiting: func(context.Context, ratelimiter.WaitingInfo) { waits++ }}))
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		acquire(t, l, tokens(600)).Cancel()
		if waits != 1 {
			t.Errorf("the second trace was told of %d waits", waits)
		}
	})
}
