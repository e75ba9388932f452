package main

import (
	"errors"
	"io"
	"log/slog"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	goredis "github.com/redis/go-redis/v9"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/openai-ratelimiter/ratelimiter"
	ratelimiterotel "github.com/openai-ratelimiter/ratelimiter/adapters/otel"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/statuspage"
)

// A limited is a limiter, and what it was made with.
type limited struct {
	*ratelimiter.Limiter
	metrics *prometheus.Registry
	page    *statuspage.Page
	client  goredis.UniversalClient // or nil
}

func newLimiter(c *config, log *slog.Logger) (*limited, error) {
	l := &limited{metrics: prometheus.NewRegistry(), page: statuspage.New()}
	export, err := exporter.New(exporter.WithRegisterer(l.metrics))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(l.metrics.Register(collectors.NewGoCollector()),
		l.metrics.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))); err != nil {
		return nil, err
	}
	options := append(c.options(),
		l.page, ratelimiter.WithTrace(trace), ratelimiter.WithTrace(ratelimiter.LogTrace(log, nil)), ratelimiter.WithWarnings(log, 0),
		ratelimiter.WithDecoder("br", func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }),
		ratelimiter.WithDecoder("zstd", unzstd),
		ratelimiterotel.WithMetrics(ratelimiterotel.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(export)))))
	if c.redis != nil {
		l.client = c.redis()
		options = append(options, ratelimiter.WithBackend(redis.New(l.client)))
	}
	if l.Limiter, err = ratelimiter.New(options...); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// close ends the connections to Redis.
func (l *limited) close() error {
	if l.client == nil {
		return nil
	}
	return l.client.Close()
}

// unzstd decodes on the goroutine that reads.
func unzstd(r io.Reader) (io.Reader, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}
