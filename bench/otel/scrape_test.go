package otel

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/openai-ratelimiter/ratelimiter"
	ratelimiterotel "github.com/openai-ratelimiter/ratelimiter/adapters/otel"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// scrape lets a limiter meet everything that is measured, and reads its metrics as
// Prometheus does, over a socket.
func scrape(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewRegistry()
	export, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		t.Fatal(err)
	}
	l, err := ratelimiter.New(
		ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 60_000}),
		ratelimiter.WithLimits("n", ratelimiter.Limits{TPM: 10_000}),
		ratelimiter.WithBackend(&store{Backend: memory.New()}),
		ratelimiter.WithClasses(map[string]ratelimiter.Class{"batch": {}}),
		ratelimiterotel.WithMetrics(ratelimiterotel.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(export)))))
	if err != nil {
		t.Fatal(err)
	}
	srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 60_000}))
	api := httptest.NewServer(srv)
	defer api.Close()
	call := func(ctx context.Context) (*http.Response, error) {
		ctx = ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, "batch"), secretTenant)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, api.URL+"/v1/chat/completions", chat("m"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+secretKey)
		return l.Client(nil).Do(req)
	}
	for range 3 { // others spend too
		send(t, &http.Client{Transport: srv.Direct()}, "m")
	}
	for i := range 2 {
		srv.Inject(i, openaitest.Answer{Status: 429, RetryAfter: time.Minute}) // for the second
		resp, err := call(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ctx = ratelimiter.ContextWithTrace(ctx, &ratelimiter.Trace{Waiting: func(context.Context, ratelimiter.WaitingInfo) { cancel() }})
	if _, err := call(ctx); !errors.Is(err, context.Canceled) { // it waits for the pause to end
		t.Error(err)
	}
	_, _ = l.Acquire(t.Context(), tokens(60_001))
	if _, err := l.Acquire(t.Context(), ratelimiter.Cost{Model: "n", Tokens: unanswered}); !errors.Is(err, ratelimiter.ErrBackend) {
		t.Error(err)
	}

	site := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	defer site.Close()
	resp, err := http.Get(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	return families
}

// What must never be among the attributes.
const secretKey, secretTenant = "sk-secret-key", "secret tenant"
