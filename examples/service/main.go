// Service is an HTTP service that asks a model. It does not let its users wait for longer
// than two seconds in line: it says 503, and when to come back. On SIGTERM it shuts down in
// the order in which nobody waits for nothing.
//
//	go run ./service -listen 127.0.0.1:8080
//	curl 'http://127.0.0.1:8080/?q=Name+a+star'
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/openai/openai-go/v3"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to serve")
	flag.Parse()
	limiter, err := ratelimiter.New(
		ratelimiter.WithMaxWait(2*time.Second),
		ratelimiter.WithMaxWaiting(1000),
		ratelimiter.WithLimits(openai.ChatModelGPT5_4Mini, ratelimiter.Limits{RPM: 120, Burst: time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	base := standin.Base("OPENAI_API_KEY")
	client := openai.NewClient(openaigo.WithLimiter(limiter, base))

	server := &http.Server{Handler: handler(client)}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("serving http://%s\n", listener.Addr())
	go func() {
		if err := server.Serve(listener); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()

	stopped, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	<-stopped.Done()
	stop()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	// First the limiter, so that calls in line end and their handlers return; then the
	// server, which waits for calls under way; then what those have settled.
	if err := errors.Join(limiter.Shutdown(ctx), server.Shutdown(ctx), limiter.Shutdown(ctx)); err != nil {
		log.Fatal(err)
	}
	fmt.Println("shut down")
}

func handler(client openai.Client) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := client.Chat.Completions.New(r.Context(), openai.ChatCompletionNewParams{
			Model:               openai.ChatModelGPT5_4Mini,
			Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage(r.FormValue("q"))},
			MaxCompletionTokens: openai.Int(50),
		})
		var rejection *ratelimiter.Error
		switch {
		case errors.As(err, &rejection) && rejection.Reason == ratelimiter.ErrTooLarge:
			http.Error(w, rejection.Error(), http.StatusRequestEntityTooLarge)
		case errors.As(err, &rejection):
			seconds := math.Ceil(rejection.RetryAfter().Seconds())
			w.Header().Set("Retry-After", strconv.Itoa(int(max(1, seconds))))
			http.Error(w, "busy, try again later", http.StatusServiceUnavailable)
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadGateway)
		default:
			fmt.Fprintln(w, answer.Choices[0].Message.Content)
		}
	})
}
