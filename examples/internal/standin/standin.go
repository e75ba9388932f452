// Package standin lets the examples run without a key.
package standin

import (
	"net/http"
	"os"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Base returns what sends an example's requests: nil, which means over the
// network, where the variable holds a key; else a stand-in within the program
// that takes any key, and has these options beside its own.
func Base(variable string, options ...openaitest.Option) http.RoundTripper {
	if os.Getenv(variable) != "" {
		return nil
	}
	os.Setenv(variable, "none")
	return server(options...).Direct()
}

func server(options ...openaitest.Option) *openaitest.Server {
	return openaitest.New(append([]openaitest.Option{
		openaitest.WithLimits("", openaitest.Limits{RPM: 500, TPM: 30_000}),
		openaitest.WithLatency(50*time.Millisecond, 200*time.Millisecond),
	}, options...)...)
}
