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

// Configured limits are there before any call has come. What remains is not: it is an account's.
func TestLimitsBeforeAnyCall(t *testing.T) {
	for name, c := range map[string]struct {
		options []ratelimiter.Option
		want    int
	}{
		"nothing is configured":           {nil, 0},
		"the account is not known":        {[]ratelimiter.Option{ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 10, TPM: 20})}, 2},
		"the account is known beforehand": {[]ratelimiter.Option{ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 10}), ratelimiter.WithAccount("a")}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			m := WithMetrics()
			l, err := ratelimiter.New(append(c.options, m)...)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Unregister()
			o := &observer{seen: map[any]int{}}
			if err := (&gauges{config: m.config, limiter: l, instruments: m.instruments, up: new(atomic.Int32)}).observe(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if len(o.seen) != c.want {
				t.Errorf("%d gauges, want %d", len(o.seen), c.want)
			}
		})
	}
}
