package ratelimiterotel

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// instruments are the metrics of a meter. Their names follow ASP.NET Core's rate limiter,
// whose convention is the only stable one of its kind.
type instruments struct {
	meter metric.Meter

	requests        metric.Int64Counter
	timeInQueue     metric.Float64Histogram
	queued          metric.Int64UpDownCounter
	inFlight        metric.Int64UpDownCounter
	charge          metric.Int64Counter
	estimateError   metric.Float64Histogram
	throttles       metric.Int64Counter
	pauses          metric.Float64Histogram
	corrections     metric.Int64Histogram
	backendDuration metric.Float64Histogram

	limit, remaining, margin metric.Int64ObservableGauge
	available                metric.Int64ObservableGauge
}

func newInstruments(m metric.Meter) (*instruments, error) {
	in := &instruments{meter: m}
	var errs [14]error
	in.requests, errs[0] = m.Int64Counter("ratelimiter.requests", metric.WithUnit("{request}"),
		metric.WithDescription("Calls that asked for their budget, by result"))
	in.timeInQueue, errs[1] = m.Float64Histogram("ratelimiter.request.time_in_queue", metric.WithUnit("s"),
		metric.WithDescription("How long calls waited that had to, by result"),
		metric.WithExplicitBucketBoundaries(.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600))
	in.queued, errs[2] = m.Int64UpDownCounter("ratelimiter.queued_requests", metric.WithUnit("{request}"),
		metric.WithDescription("Calls that wait"))
	in.inFlight, errs[3] = m.Int64UpDownCounter("ratelimiter.in_flight_requests", metric.WithUnit("{request}"),
		metric.WithDescription("Calls that have started and not ended"))
	in.charge, errs[4] = m.Int64Counter("ratelimiter.charge",
		metric.WithDescription("What was charged for calls that have ended, by unit"))
	in.estimateError, errs[5] = m.Float64Histogram("ratelimiter.estimate.error", metric.WithUnit("1"),
		metric.WithDescription("How far estimates of tokens were above what was used, as a part of that"),
		metric.WithExplicitBucketBoundaries(-.9, -.5, -.2, -.1, -.05, -.01, .01, .05, .1, .2, .5, 1, 2, 5, 10))
	in.throttles, errs[6] = m.Int64Counter("ratelimiter.server.throttles", metric.WithUnit("{response}"),
		metric.WithDescription("Responses by which the server throttled a call, by kind"))
	in.pauses, errs[7] = m.Float64Histogram("ratelimiter.pause.duration", metric.WithUnit("s"),
		metric.WithDescription("How long throttles paused calls"),
		metric.WithExplicitBucketBoundaries(.1, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600))
	in.corrections, errs[8] = m.Int64Histogram("ratelimiter.corrections",
		metric.WithDescription("By how much responses moved what remains, up or down, by unit"),
		metric.WithExplicitBucketBoundaries(1, 10, 100, 1_000, 10_000, 100_000, 1_000_000))
	in.backendDuration, errs[9] = m.Float64Histogram("ratelimiter.backend.duration", metric.WithUnit("s"),
		metric.WithDescription("How long the backend took for a command"),
		metric.WithExplicitBucketBoundaries(.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5))
	in.limit, errs[10] = m.Int64ObservableGauge("ratelimiter.limit", metric.WithDescription("The limit"))
	in.remaining, errs[11] = m.Int64ObservableGauge("ratelimiter.remaining",
		metric.WithDescription("What remains of the limit; negative while a debt is refilled"))
	in.margin, errs[12] = m.Int64ObservableGauge("ratelimiter.margin", metric.WithDescription("What is left unused of the limit"))
	in.available, errs[13] = m.Int64ObservableGauge("ratelimiter.backend.available",
		metric.WithDescription("1 if the backend answered the last command, else 0"))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return in, nil
}

// register has the gauges of a limiter collected.
func (in *instruments) register(g *gauges) (metric.Registration, error) {
	return in.meter.RegisterCallback(g.observe, in.limit, in.remaining, in.margin, in.available)
}
