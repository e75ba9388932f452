// Package standin lets the examples run without a key.
package standin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/openai/openai-go/v3/option"

	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Base returns what sends an example's requests: nil, which means over the
// network, where the variable holds a key; else a stand-in within the program
// that takes any key, and has these options beside its own.
func Base(variable string, options ...openaitest.Option) http.RoundTripper {
	if os.Getenv(variable) != "" {
		return nil
	}
	announce(variable)
	return server(options...).Direct()
}

// Upstream returns the address of a stand-in for the API, which close ends; or "" where the
// variable holds a key, for the real one.
func Upstream(variable string) (url string, close func()) {
	if os.Getenv(variable) != "" {
		return "", func() {}
	}
	announce(variable)
	srv := httptest.NewServer(API())
	return srv.URL, srv.Close
}

// Options are those of a client that calls the stand-in, which close ends; or none where the
// variable holds a key. They are for what [Base] can't serve.
func Options(variable string) (options []option.RequestOption, close func()) {
	url, close := Upstream(variable)
	if url != "" {
		options = []option.RequestOption{option.WithBaseURL(url + "/v1/")}
	}
	return options, close
}

// Redis returns the address in the variable, or that of a redis-server that it starts, which
// close ends.
func Redis(variable string) (address string, close func(), err error) {
	if address := os.Getenv(variable); address != "" {
		return address, func() {}, nil
	}
	server, err := redistest.Start()
	if err != nil {
		return "", nil, err
	}
	return server.Addr, server.Close, nil
}

// announce says where the responses come from, and puts a key in its place.
func announce(variable string) {
	fmt.Fprintf(os.Stderr, "%s is not set: the responses come from a stand-in for the API\n", variable)
	os.Setenv(variable, "none")
}

func server(options ...openaitest.Option) *openaitest.Server {
	return openaitest.New(append([]openaitest.Option{
		openaitest.WithLimits("", openaitest.Limits{RPM: 500, TPM: 30_000}),
		openaitest.WithLatency(50*time.Millisecond, 200*time.Millisecond),
	}, options...)...)
}
