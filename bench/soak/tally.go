package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A tally counts what the limiters report of calls.
type tally struct {
	waited, started, notStarted, settled atomic.Int64
	throttled                            atomic.Int64
	// charged are the requests that stay charged of calls over HTTP, and answered those of
	// them that had a response. Of the others the server may have seen nothing.
	charged, answered atomic.Int64
	lost, cut         atomic.Int64
}

func (t *tally) trace() *ratelimiter.Trace {
	return &ratelimiter.Trace{
		Waiting: func(context.Context, ratelimiter.WaitingInfo) { t.waited.Add(1) },
		Started: func(context.Context, ratelimiter.StartedInfo) { t.started.Add(1) },
		NotStarted: func(context.Context, ratelimiter.NotStartedInfo) {
			t.notStarted.Add(1)
		},
		Observed: func(context.Context, ratelimiter.ObservedInfo) { t.answered.Add(1) },
		Paused:   func(context.Context, ratelimiter.PausedInfo) { t.throttled.Add(1) },
		Settled: func(_ context.Context, i ratelimiter.SettledInfo) {
			t.settled.Add(1)
			if i.Endpoint != "" {
				t.charged.Add(i.Final.Requests)
			}
		},
	}
}

// String says what has happened.
func (t *tally) String() string {
	return fmt.Sprintf("%d calls started, %d of those that waited; %d did not start; %d responses were throttled, %d bodies lost, %d broken off, %d requests are charged, and %d answered",
		t.started.Load(), t.waited.Load(), t.notStarted.Load(), t.throttled.Load(), t.lost.Load(), t.cut.Load(), t.charged.Load(), t.answered.Load())
}
