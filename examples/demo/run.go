package main

import (
	"context"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// apiKey is any: the stand-in does not check it.
const apiKey = "demo"

// A run is the burst on its way to a server of its own.
type run struct {
	name    string
	server  *openaitest.Server
	limiter *ratelimiter.Limiter // nil for bare clients
	total   int
	started time.Time

	answered, lost atomic.Int64
	longest        atomic.Int64 // time.Duration of an answered call
}

func newRun(name string, calls []call, limiter *ratelimiter.Limiter) *run {
	return &run{name: name, server: newStandIn(), limiter: limiter, total: len(calls)}
}

// send makes all calls at once and returns when each has its answer or error.
func (r *run) send(ctx context.Context, calls []call) {
	s := httptest.NewServer(r.server)
	defer s.Close()
	clients := []interface {
		send(context.Context, call) error
	}{
		newOpenAIGo(s.URL+"/v1", r.limiter),
		newGoOpenAI(s.URL+"/v1", r.limiter),
	}
	r.started = time.Now()
	var wg sync.WaitGroup
	for _, c := range calls {
		wg.Go(func() {
			if err := clients[c.sdk].send(ctx, c); err != nil {
				r.lost.Add(1)
				return
			}
			r.answered.Add(1)
			took := int64(time.Since(r.started))
			for {
				if old := r.longest.Load(); took <= old || r.longest.CompareAndSwap(old, took) {
					return
				}
			}
		})
	}
	wg.Wait()
}

// throttled is how many 429s the server has sent.
func (r *run) throttled() int64 {
	var n int64
	for _, m := range models {
		n += r.server.Account(m).Throttled
	}
	return n
}
