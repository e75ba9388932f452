package otel

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Names of models that come once leave no more series than OpenTelemetry's SDK keeps of a
// metric, and no gauges but those of models that the limiter has not forgotten.
func TestSeriesAreBounded(t *testing.T) {
	const names, most = 5_000, 2_000
	srv := openaitest.New(openaitest.WithLimits("", openaitest.Limits{RPM: 1 << 30, TPM: 1 << 40}))
	l, reader, metrics := newLimiter(t, ratelimiter.WithWarnings(nil, 0))
	defer func() {
		if err := metrics.Unregister(); err != nil {
			t.Error(err)
		}
	}()
	for i := range names {
		post(t, l, srv, fmt.Sprint("model", i))
	}
	series := map[string]int{}
	for name := range collect(t, reader) {
		metric, _, _ := strings.Cut(name, "{")
		series[metric]++
	}
	if series["requests"] < most-1 {
		t.Errorf("the test sees too little: %v", series)
	}
	for metric, n := range series {
		if n > most {
			t.Errorf("%s has %d series", metric, n)
		}
	}
}
