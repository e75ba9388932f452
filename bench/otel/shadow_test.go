package otel

import (
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/openai-ratelimiter/ratelimiter"
	ratelimiterotel "github.com/openai-ratelimiter/ratelimiter/adapters/otel"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// What would have been is measured under an attribute that tells it from what is, and a
// throttle says whether it would have come.
func TestShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recorder := tracetest.NewSpanRecorder()
		l, reader, _ := newLimiter(t, ratelimiter.WithShadow(), ratelimiter.WithMaxWait(10*time.Second),
			ratelimiterotel.WithTraces(ratelimiterotel.WithTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(recorder)))))
		warm(t, l)
		for _, n := range []int64{590, 60, 600} { // one starts, one would wait, one would be rejected
			r, err := l.Acquire(t.Context(), tokens(n))
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{})
			synctest.Wait()
		}
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 600}))
		srv.Inject(1, openaitest.Answer{Status: 429, RetryAfter: 20 * time.Second})
		post(t, l, srv, "m")
		time.Sleep(time.Minute)
		recorded := recorder.Ended()
		report := l.ShadowReport().Total
		const m, chat = "account=a model=m ", "account=a model=m name=chat "
		now := collect(t, reader)
		now.want(t, "requests queued_requests in_flight_requests request.time_in_queue_count server.throttles limit", collected{
			"requests{" + m + "result=started shadow=true}":                                          2,
			"requests{" + m + "result=max_wait shadow=true type=max_wait}":                           1,
			"requests{" + chat + "result=started shadow=true}":                                       1,
			"requests{" + chat + "result=max_wait shadow=true type=max_wait}":                        1,
			"request.time_in_queue_count{" + m + "result=started shadow=true}":                       1,
			"server.throttles{account=a avoided=true kind=rate_limit model=m name=chat shadow=true}": 1,
			"queued_requests{" + m + "shadow=true}":                                                  0,
			"in_flight_requests{" + m + "shadow=true}":                                               0,
			"in_flight_requests{" + chat + "shadow=true}":                                            0,
			"limit{account=a model=m name=tpm owner=m shadow=true}":                                  600,
			"limit{account=a model=m name=rpm owner=m shadow=true}":                                  600,
		})
		if len(recorded) != 1 || report.Waited != 1 {
			t.Errorf("%d spans, want one of %+v", len(recorded), report)
		}
		for _, span := range recorded {
			if span.Name() != "ratelimiter wait in shadow" {
				t.Errorf("a span is named %q", span.Name())
			}
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
