package ratelimiterotel

import (
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"

	"github.com/openai-ratelimiter/ratelimiter"
)

// An observer counts observations of the same.
type observer struct {
	embedded.Observer
	seen map[any]int
}

func (o *observer) ObserveInt64(g metric.Int64Observable, _ int64, options ...metric.ObserveOption) {
	attrs := metric.NewObserveConfig(options).Attributes()
	o.seen[[2]any{g, attrs.Equivalent()}]++
}

func (o *observer) ObserveFloat64(metric.Float64Observable, float64, ...metric.ObserveOption) {}

// A callback must not observe the same twice, so a limit that models share is observed once.
func TestSharedLimitsAreObservedOnce(t *testing.T) {
	m := WithMetrics()
	l, err := ratelimiter.New(m, ratelimiter.WithAccount("a"), ratelimiter.WithShared("all", ratelimiter.Limits{RPM: 10}, "m", "n"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Unregister()
	for _, model := range []string{"m", "n"} {
		r, err := l.Acquire(t.Context(), ratelimiter.Cost{Model: model})
		if err != nil {
			t.Fatal(err)
		}
		r.Cancel()
	}
	o := &observer{seen: map[any]int{}}
	g := &gauges{config: m.config, limiter: l, instruments: m.instruments, up: new(atomic.Int32)}
	if err := g.observe(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(o.seen) != 3 {
		t.Errorf("%d gauges", len(o.seen))
	}
	for what, n := range o.seen {
		if n != 1 {
			t.Errorf("%v is observed %d times", what, n)
		}
	}
}
