package ratelimiterotel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/openai-ratelimiter/ratelimiter"
)

// WithTraces returns an option for [ratelimiter.New] that makes a span of each wait, a child
// of the caller's. A call that starts at once, or is rejected at once, has none.
func WithTraces(options ...Option) ratelimiter.Option {
	c := newConfig(options)
	tracer := c.tracers.Tracer(scope)
	waited := func(ctx context.Context, w who, d time.Duration, result string, err error) {
		now := time.Now()
		more := []attribute.KeyValue{resultKey.String(result)}
		if limit := limitOf(err); limit != "" {
			more = append(more, limitKey.String(limit))
		}
		if result != "started" {
			more = append(more, errorTypeKey.String(result))
		}
		set := c.attributes(w, more...)
		name := "ratelimiter wait"
		if w.shadow { // which has held nothing up
			name = "ratelimiter wait in shadow"
		}
		_, span := tracer.Start(ctx, name, trace.WithTimestamp(now.Add(-d)), trace.WithAttributes(set.ToSlice()...))
		if result != "started" {
			span.SetStatus(codes.Error, result)
		}
		span.End(trace.WithTimestamp(now))
	}
	return ratelimiter.WithTrace(&ratelimiter.Trace{
		Started: func(ctx context.Context, i ratelimiter.StartedInfo) {
			if i.Queued {
				waited(ctx, who{i.Account, i.Model, i.Class, i.Endpoint, i.Shadow}, i.Waited, "started", nil)
			}
		},
		NotStarted: func(ctx context.Context, i ratelimiter.NotStartedInfo) {
			if i.Queued {
				waited(ctx, who{i.Account, i.Model, i.Class, i.Endpoint, i.Shadow}, i.Waited, i.Code(), i.Err)
			}
		},
	})
}
