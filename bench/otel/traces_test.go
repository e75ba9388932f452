package otel

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/openai-ratelimiter/ratelimiter"
	ratelimiterotel "github.com/openai-ratelimiter/ratelimiter/adapters/otel"
)

// Each wait is a span, a child of the caller's, and nothing else is one.
func TestWaitsAreSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recorder := tracetest.NewSpanRecorder()
		provider := trace.NewTracerProvider(trace.WithSpanProcessor(recorder))
		l, err := ratelimiter.New(ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 600}),
			ratelimiterotel.WithTraces(ratelimiterotel.WithTracerProvider(provider)))
		if err != nil {
			t.Fatal(err)
		}
		warm(t, l)
		ctx, parent := provider.Tracer("caller").Start(t.Context(), "caller")
		started := time.Now()
		for _, n := range []int64{600, 60} {
			r, err := l.Acquire(ctx, tokens(n))
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{})
		}
		_, _ = l.Acquire(ctx, tokens(601)) // rejected at once
		ctx2, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Second, cancel)
		_, _ = l.Acquire(ctx2, tokens(600))
		late, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		go func() {
			time.Sleep(time.Second)
			_ = l.SetLimits(ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 400}))
		}()
		_, _ = l.Acquire(late, tokens(200))
		synctest.Wait()

		var got []string
		for _, s := range recorder.Ended() {
			if s.Parent().SpanID() != parent.SpanContext().SpanID() || s.Name() != "ratelimiter wait" {
				t.Errorf("%s is a child of %v", s.Name(), s.Parent())
			}
			got = append(got, fmt.Sprint(s.StartTime().Sub(started), " ", s.EndTime().Sub(s.StartTime()), " ",
				strings.Trim(attributes(attribute.NewSet(s.Attributes()...)), "{}"), " ", s.Status().Code == codes.Error))
		}
		const who = "account=9410192ef784efeb253d14375ff01834 model=m name=openai "
		want := []string{
			"0s 6.3s " + who + "result=started false",
			"6.3s 1s " + who + "result=cancelled type=cancelled true",
			"7.3s 29.99s " + who + "name=tpm result=deadline type=deadline true",
		}
		if !slices.Equal(got, want) {
			t.Errorf("spans\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}
