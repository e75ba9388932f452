package ratelimiterotel

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/openai-ratelimiter/ratelimiter"
)

// Metrics is the option for [ratelimiter.New] that WithMetrics returns.
type Metrics struct {
	ratelimiter.Option
	config      *config
	instruments *instruments
	err         error // of instruments

	mu            sync.Mutex
	registrations []metric.Registration
}

// WithMetrics returns an option for [ratelimiter.New] that records metrics. New fails if the
// provider has no instruments for them.
//
// Each collection reads the limiter's State: with a backend elsewhere that is one look at
// the buckets for each model of each account.
func WithMetrics(options ...Option) *Metrics {
	m := &Metrics{config: newConfig(options)}
	m.instruments, m.err = newInstruments(m.config.meters.Meter(scope))
	m.Option = ratelimiter.WithTrace(m.trace())
	return m
}

// Unregister ends the gauges of all limiters that were made with the option: they are no longer
// collected. What calls do is still counted. It may be called more than once.
func (m *Metrics) Unregister() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, r := range m.registrations {
		errs = append(errs, r.Unregister())
	}
	m.registrations = nil
	return errors.Join(errs...)
}

// made starts the gauges of a limiter.
func (m *Metrics) made(l *ratelimiter.Limiter, up *atomic.Int32) error {
	if m.err != nil {
		return m.err
	}
	r, err := m.instruments.register(&gauges{config: m.config, limiter: l, instruments: m.instruments, up: up})
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.registrations = append(m.registrations, r)
	return nil
}

// trace are the hooks that record.
func (m *Metrics) trace() *ratelimiter.Trace {
	c, in := m.config, m.instruments
	if in == nil {
		return &ratelimiter.Trace{Made: func(*ratelimiter.Limiter) error { return m.err }}
	}
	up := new(atomic.Int32)
	ended := func(ctx context.Context, w who, result string, queued bool, waited float64) {
		more := []attribute.KeyValue{resultKey.String(result)}
		if result != "started" {
			more = append(more, errorTypeKey.String(result))
		}
		set := metric.WithAttributeSet(c.attributes(w, more...))
		in.requests.Add(ctx, 1, set)
		if queued {
			in.queued.Add(ctx, -1, metric.WithAttributeSet(c.attributes(w)))
			in.timeInQueue.Record(ctx, waited, set)
		}
	}
	return &ratelimiter.Trace{
		Made: func(l *ratelimiter.Limiter) error { return m.made(l, up) },
		Waiting: func(ctx context.Context, i ratelimiter.WaitingInfo) {
			in.queued.Add(ctx, 1, metric.WithAttributeSet(c.attributes(who{i.Account, i.Model, i.Class, i.Endpoint, i.Shadow})))
		},
		Started: func(ctx context.Context, i ratelimiter.StartedInfo) {
			w := who{i.Account, i.Model, i.Class, i.Endpoint, i.Shadow}
			ended(ctx, w, "started", i.Queued, i.Waited.Seconds())
			in.inFlight.Add(ctx, 1, metric.WithAttributeSet(c.attributes(w)))
		},
		NotStarted: func(ctx context.Context, i ratelimiter.NotStartedInfo) {
			ended(ctx, who{i.Account, i.Model, i.Class, i.Endpoint, i.Shadow}, i.Code(), i.Queued, i.Waited.Seconds())
		},
		Observed: func(ctx context.Context, i ratelimiter.ObservedInfo) {
			w := who{account: i.Account, model: i.Model, class: i.Class, shadow: i.Shadow}
			in.corrected(ctx, c, w, "requests", i.Requests.Corrected)
			in.corrected(ctx, c, w, "tokens", i.Tokens.Corrected)
		},
		Paused: func(ctx context.Context, i ratelimiter.PausedInfo) {
			more := []attribute.KeyValue{kindKey.String(i.Kind)}
			if i.Shadow {
				more = append(more, avoidedKey.Bool(i.Avoided))
			}
			set := metric.WithAttributeSet(c.attributes(who{i.Account, i.Model, i.Class, i.Endpoint, i.Shadow}, more...))
			in.throttles.Add(ctx, 1, set)
			if i.For > 0 {
				in.pauses.Record(ctx, i.For.Seconds(), set)
			}
		},
		Settled: func(ctx context.Context, i ratelimiter.SettledInfo) {
			w := who{i.Account, i.Model, i.Class, i.Endpoint, i.Shadow}
			in.inFlight.Add(ctx, -1, metric.WithAttributeSet(c.attributes(w)))
			in.charged(ctx, c, w, i.Final)
			if i.HasUsage {
				in.misjudged(ctx, c, w, "input", i.Estimate.InputTokens, i.Usage.InputTokens)
				in.misjudged(ctx, c, w, "output", i.Estimate.OutputTokens, i.Usage.OutputTokens)
			}
		},
		Command: func(i ratelimiter.CommandInfo) { in.command(i, up) },
	}
}

// corrected records by how much a response has moved what remains.
func (in *instruments) corrected(ctx context.Context, c *config, w who, unit string, by int64) {
	direction := "up"
	if by < 0 {
		direction, by = "down", -by
	}
	if by > 0 {
		in.corrections.Record(ctx, by, metric.WithAttributeSet(c.attributes(w, unitKey.String(unit), directionKey.String(direction))))
	}
}

// charged counts what stays charged for a call.
func (in *instruments) charged(ctx context.Context, c *config, w who, cost ratelimiter.Cost) {
	for _, n := range [...]struct {
		unit   string
		amount int64
	}{{"requests", cost.Requests}, {"tokens", cost.Tokens}, {"images", cost.Images}} {
		if n.amount > 0 {
			in.charge.Add(ctx, n.amount, metric.WithAttributeSet(c.attributes(w, unitKey.String(n.unit))))
		}
	}
}

// misjudged records how far an estimate was above what was used, as a part of that.
func (in *instruments) misjudged(ctx context.Context, c *config, w who, typ string, estimate, used int64) {
	if used > 0 {
		in.estimateError.Record(ctx, float64(estimate-used)/float64(used), metric.WithAttributeSet(c.attributes(w, tokenTypeKey.String(typ))))
	}
}

// command records a command to the backend, and whether that answers. up is 0 before any.
func (in *instruments) command(i ratelimiter.CommandInfo, up *atomic.Int32) {
	attrs := []attribute.KeyValue{commandKey.String(i.Name)}
	failed := failure(i)
	switch {
	case i.GaveUp:
		failed = "gave_up" // which says nothing of the backend
	case failed == "":
		up.Store(1)
	default:
		up.Store(-1)
	}
	if failed != "" {
		attrs = append(attrs, errorTypeKey.String(failed))
	}
	in.backendDuration.Record(context.Background(), i.Duration.Seconds(), metric.WithAttributes(attrs...))
}
