// Package ratelimiterotel reports what a limiter does to OpenTelemetry: [WithMetrics] as
// metrics, [WithTraces] as a span for each wait.
//
//	limiter, err := ratelimiter.New(
//		ratelimiter.WithLimits("gpt-5.4-mini", limits),
//		ratelimiterotel.WithMetrics(),
//		ratelimiterotel.WithTraces())
//
// It needs OpenTelemetry's API alone. An SDK and its exporters are for the program to set up;
// without one nothing is recorded. docs/OBSERVABILITY.md lists the metrics, and has a
// dashboard and alerts for them.
//
// Attributes are names of models, classes and limits, and accounts as digests of their names.
// No API key, no prompt and no tenant is ever among them. What the model used in tokens is
// left to instrumentation of the SDK (gen_ai.client.*).
package ratelimiterotel

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name of the instrumentation.
const scope = "github.com/openai-ratelimiter/ratelimiter/adapters/otel"

// An Option is one of [WithMetrics] and [WithTraces].
type Option interface {
	apply(*config)
}

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	meters   metric.MeterProvider
	tracers  trace.TracerProvider
	provider string
	clear    bool // accounts in the clear
}

func newConfig(options []Option) *config {
	c := &config{meters: otel.GetMeterProvider(), tracers: otel.GetTracerProvider(), provider: "openai"}
	for _, o := range options {
		if o != nil {
			o.apply(c)
		}
	}
	return c
}

// WithMeterProvider takes meters from p instead of from the global provider. A nil p changes
// nothing.
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(c *config) {
		if p != nil {
			c.meters = p
		}
	})
}

// WithTracerProvider takes tracers from p instead of from the global provider. A nil p
// changes nothing.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(c *config) {
		if p != nil {
			c.tracers = p
		}
	})
}

// WithProviderName sets gen_ai.provider.name, which is "openai" otherwise: such as
// "azure.ai.openai", "aws.bedrock" or "groq". An empty name leaves it out.
func WithProviderName(name string) Option {
	return optionFunc(func(c *config) { c.provider = name })
}

// WithAccountNames writes accounts' names in the clear, in place of digests of them.
func WithAccountNames() Option {
	return optionFunc(func(c *config) { c.clear = true })
}
