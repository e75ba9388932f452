package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A service that ends shuts down its limiter before its server. The server waits for its
// handlers, and those for calls in line; the limiter rejects these at once. The second
// Shutdown of the limiter waits until what the last handlers have used is known to the backend.
func ExampleLimiter_Shutdown() {
	waits := make(chan struct{})
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 1}),
		ratelimiter.WithTrace(&ratelimiter.Trace{Waiting: func(context.Context, ratelimiter.WaitingInfo) { close(waits) }}))
	if err != nil {
		fmt.Println(err)
		return
	}
	call := ratelimiter.Cost{Model: "gpt-4o"}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r, err := limiter.Acquire(req.Context(), call)
		if errors.Is(err, ratelimiter.ErrShutdown) {
			w.Header().Set("Retry-After", "1") // another process takes it
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
		if err == nil {
			r.Settle(ratelimiter.Usage{}) // after the call
		}
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go server.Serve(listener)
	answers := make(chan string)
	if r, err := limiter.Acquire(context.Background(), call); err == nil {
		defer r.Cancel() // the minute's only call
	}
	go func() {
		resp, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answers <- err.Error()
			return
		}
		resp.Body.Close()
		answers <- resp.Status
	}()
	<-waits // in a service: for a signal, with signal.NotifyContext

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = errors.Join(limiter.Shutdown(ctx), server.Shutdown(ctx), limiter.Shutdown(ctx))
	fmt.Println(<-answers, err)
	// Output: 503 Service Unavailable <nil>
}
