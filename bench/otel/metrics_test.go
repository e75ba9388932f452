package otel

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/openai-ratelimiter/ratelimiter"
	ratelimiterotel "github.com/openai-ratelimiter/ratelimiter/adapters/otel"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// newLimiter returns a limiter whose model "m" has 600 tokens a minute, and its metrics.
func newLimiter(t *testing.T, options ...ratelimiter.Option) (*ratelimiter.Limiter, *metric.ManualReader, *ratelimiterotel.Metrics) {
	t.Helper()
	reader := metric.NewManualReader()
	metrics := ratelimiterotel.WithMetrics(ratelimiterotel.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))),
		ratelimiterotel.WithAccountNames(), ratelimiterotel.WithProviderName(""))
	l, err := ratelimiter.New(append(options, metrics, ratelimiter.WithAccount("a"),
		ratelimiter.WithClasses(map[string]ratelimiter.Class{"batch": {}}),
		ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 600}))...)
	if err != nil {
		t.Fatal(err)
	}
	return l, reader, metrics
}

func tokens(n int64) ratelimiter.Cost { return ratelimiter.Cost{Model: "m", Tokens: n} }

// post sends a chat of a model through the limiter and reads the response.
func post(t *testing.T, l *ratelimiter.Limiter, srv *openaitest.Server, model string) {
	t.Helper()
	send(t, l.Client(srv.Direct()), model)
}

func send(t *testing.T, client *http.Client, model string) {
	t.Helper()
	resp, err := client.Post("https://api.openai.com/v1/chat/completions", "application/json",
		chat(model))
	if err != nil {
		t.Fatal(err)
	}
	drain(t, resp)
}

func chat(model string) io.Reader {
	return strings.NewReader(`{"model":"` + model + `","max_tokens":100,"messages":[{"role":"user","content":"` + secretPrompt + `"}]}`)
}

const secretPrompt = "Who is Joseph Conrad?"

// warm lets a response end the slow start of the model.
func warm(t *testing.T, l *ratelimiter.Limiter) {
	t.Helper()
	srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 600}))
	post(t, l, srv, "m")
	time.Sleep(2 * time.Minute)
}

// Each way in which a call can end is a result, and the gauges of those that wait and run
// are right meanwhile and afterwards.
func TestResultsOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, reader, _ := newLimiter(t, ratelimiter.WithMaxWaiting(1))
		warm(t, l)
		ctx, cancel := context.WithCancel(ratelimiter.ContextWithClass(t.Context(), "batch"))
		first, err := l.Acquire(ctx, tokens(590))
		if err != nil {
			t.Fatal(err)
		}
		waits := make(chan error)
		acquire := func(ctx context.Context, n int64) {
			r, err := l.Acquire(ctx, tokens(n))
			if err == nil {
				r.Cancel()
			}
			waits <- err
		}
		go acquire(ctx, 60)
		synctest.Wait()
		now := collect(t, reader)
		now.want(t, "queued_requests in_flight_requests", collected{
			"queued_requests{account=a class=batch model=m}":                1,
			"in_flight_requests{account=a class=batch model=m}":             1,
			"in_flight_requests{account=a model=m name=chat}":               0,
			"requests{account=a class=batch model=m result=started}":        1,
			"requests{account=a model=m name=chat result=started}":          1,
			"charge{account=a model=m name=chat unit=requests}":             1,
			"charge{account=a model=m name=chat unit=tokens}":               now["charge{account=a model=m name=chat unit=tokens}"],
			"limit{account=a model=m name=tpm owner=m}":                     600,
			"remaining{account=a model=m name=tpm owner=m}":                 10,
			"margin{account=a model=m name=rpm owner=m}":                    now["margin{account=a model=m name=rpm owner=m}"],
			"limit{account=a model=m name=rpm owner=m}":                     600,
			"estimate.error_count{account=a model=m name=chat type=output}": 1,
		})
		_, full := l.Acquire(t.Context(), tokens(60))
		if !errors.Is(full, ratelimiter.ErrQueueFull) {
			t.Error(full)
		}
		time.Sleep(time.Second)
		cancel()
		if err := <-waits; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		for _, n := range []int64{60, 601} {
			_, _ = l.Acquire(ratelimiter.ContextWithMaxWait(t.Context(), 0), tokens(n))
		}
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _ = l.Acquire(late, tokens(500))
		first.Settle(ratelimiter.Usage{TotalTokens: 590})
		go acquire(t.Context(), 60)
		if err := <-waits; err != nil {
			t.Error(err)
		}
		_ = l.Shutdown(t.Context())
		_, _ = l.Acquire(t.Context(), tokens(1))
		now = collect(t, reader)
		const m = "account=a model=m "
		deadline := "request.time_in_queue_count{" + m + "result=deadline type=deadline}"
		now.want(t, "charge requests queued_requests in_flight_requests request.time_in_queue_count", collected{
			"requests{account=a class=batch model=m result=started}":                                     1,
			"requests{account=a class=batch model=m result=cancelled type=cancelled}":                    1,
			"requests{" + m + "name=chat result=started}":                                                1,
			"requests{" + m + "result=started}":                                                          1,
			"requests{" + m + "result=queue_full type=queue_full}":                                       1,
			"requests{" + m + "result=max_wait type=max_wait}":                                           1,
			"requests{" + m + "result=too_large type=too_large}":                                         1,
			"requests{" + m + "result=deadline type=deadline}":                                           1,
			"requests{" + m + "result=shutdown type=shutdown}":                                           1,
			"queued_requests{account=a class=batch model=m}":                                             0,
			"queued_requests{account=a model=m}":                                                         0,
			"in_flight_requests{account=a class=batch model=m}":                                          0,
			"in_flight_requests{account=a model=m name=chat}":                                            0,
			"in_flight_requests{account=a model=m}":                                                      0,
			"request.time_in_queue_count{account=a class=batch model=m result=cancelled type=cancelled}": 1,
			"request.time_in_queue_sum{account=a class=batch model=m result=cancelled type=cancelled}":   1,
			"request.time_in_queue_count{" + m + "result=started}":                                       1,
			"request.time_in_queue_sum{" + m + "result=started}":                                         4,
			deadline: 1,
			"charge{account=a class=batch model=m unit=requests}": 1,
			"charge{account=a model=m name=chat unit=requests}":   1,
			"charge{account=a model=m name=chat unit=tokens}":     now["charge{account=a model=m name=chat unit=tokens}"],
			"charge{account=a class=batch model=m unit=tokens}":   590,
		})
	})
}

// A call whose wait ends with its context's deadline, and one whose hook panics.
func TestResultsThatAreNoRejections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		armed := false
		l, reader, _ := newLimiter(t, ratelimiter.WithTrace(&ratelimiter.Trace{Waiting: func(context.Context, ratelimiter.WaitingInfo) {
			if armed {
				panic("hook")
			}
		}}))
		warm(t, l)
		r, err := l.Acquire(t.Context(), tokens(600))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Cancel()
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("anything"))
		_, _ = l.Acquire(ctx, tokens(1))
		armed = true
		func() {
			defer func() { _ = recover() }()
			_, _ = l.Acquire(t.Context(), tokens(1))
		}()
		collect(t, reader).want(t, "queued_requests", collected{
			"queued_requests{account=a model=m}":                          0,
			"requests{account=a model=m result=cancelled type=cancelled}": 1,
			"requests{account=a model=m result=panic type=panic}":         1,
		})
	})
}

// Throttles, pauses and corrections are those of the server's responses.
func TestWhatResponsesTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		moved := map[bool]int64{}
		l, reader, _ := newLimiter(t, ratelimiter.WithTrace(&ratelimiter.Trace{Observed: func(_ context.Context, i ratelimiter.ObservedInfo) {
			moved[i.Tokens.Corrected < 0] += i.Tokens.Corrected
		}}))
		warm(t, l)
		for _, answer := range []openaitest.Answer{{Status: 429, RetryAfter: 20 * time.Second}, openaitest.InsufficientQuota(), {}} {
			srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 600}))
			for range 3 { // others spend from the same budget
				send(t, &http.Client{Transport: srv.Direct()}, "m")
			}
			srv.Inject(1, answer)
			post(t, l, srv, "m")
			time.Sleep(2 * time.Minute)
		}
		if moved[true] > -300 || moved[false] == 0 {
			t.Errorf("corrected by %v", moved)
		}
		collect(t, reader).want(t, "server.throttles pause.duration_sum pause.duration_count estimate.error_sum estimate.error_count", collected{
			"server.throttles{account=a kind=rate_limit model=m name=chat}":     1,
			"server.throttles{account=a kind=quota model=m name=chat}":          1,
			"pause.duration_count{account=a kind=rate_limit model=m name=chat}": 1,
			"pause.duration_sum{account=a kind=rate_limit model=m name=chat}":   20,
			"corrections_sum{account=a direction=down model=m unit=tokens}":     float64(-moved[true]),
			"corrections_sum{account=a direction=up model=m unit=tokens}":       float64(moved[false]),
			"estimate.error_count{account=a model=m name=chat type=input}":      2,
			"estimate.error_sum{account=a model=m name=chat type=input}":        0,
			"estimate.error_count{account=a model=m name=chat type=output}":     2,
			"estimate.error_sum{account=a model=m name=chat type=output}":       6, // of 100 tokens 25 were used
		})
	})
}

// A limit that several models share is one gauge, and belongs to no model. Those of other
// accounts are apart.
func TestSharedLimitsAreObservedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, reader, metrics := newLimiter(t, ratelimiter.WithShared("all", ratelimiter.Limits{RPD: 100}, "m", "n"),
			ratelimiter.WithAccountLimits(ratelimiter.Limits{TPD: 9000}))
		for _, account := range []string{"a", "b"} {
			for _, model := range []string{"m", "n"} {
				r, err := l.Acquire(ratelimiter.ContextWithAccount(t.Context(), account), ratelimiter.Cost{Model: model, Tokens: 10})
				if err != nil {
					t.Fatal(err)
				}
				r.Settle(ratelimiter.Usage{TotalTokens: 10})
			}
		}
		want := collected{}
		for _, account := range []string{"a", "b"} {
			want["remaining{account="+account+" name=rpd owner=family:all}"] = 98
			want["remaining{account="+account+" name=tpd owner=account}"] = 8980
			want["remaining{account="+account+" model=m name=rpm owner=m}"] = 599
			want["remaining{account="+account+" model=m name=tpm owner=m}"] = 590
		}
		collect(t, reader).want(t, "remaining", want)

		if err := errors.Join(metrics.Unregister(), metrics.Unregister()); err != nil {
			t.Error(err)
		}
		after := collect(t, reader)
		if _, ok := after["remaining{account=a name=tpd owner=account}"]; ok {
			t.Errorf("still observed: %v", after)
		}
		after.want(t, "in_flight_requests", collected{
			"in_flight_requests{account=a model=m}": 0, "in_flight_requests{account=a model=n}": 0,
			"in_flight_requests{account=b model=m}": 0, "in_flight_requests{account=b model=n}": 0,
		})
	})
}

// What calls do is named as OpenTelemetry's convention does, or else as their endpoint.
func TestOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, reader, _ := newLimiter(t)
		for path, operation := range map[string]string{
			"chat/completions": "chat", "responses": "chat", "completions": "text_completion", "embeddings": "embeddings", "moderations": "moderations",
		} {
			r, err := l.Acquire(t.Context(), ratelimiter.JSON(path, []byte(`{"model":"`+path+`"}`)))
			if err != nil {
				t.Fatal(err)
			}
			r.Cancel()
			if key := "requests{account=a model=" + path + " name=" + operation + " result=started}"; collect(t, reader)[key] != 1 {
				t.Errorf("there is no %s in %v", key, collect(t, reader))
			}
		}
	})
}

// An estimate has no error if nothing was used of its kind.
func TestEstimatesOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, reader, _ := newLimiter(t)
		r, err := l.Acquire(t.Context(), ratelimiter.Chat{Model: "m", MaxTokens: 100})
		if err != nil {
			t.Fatal(err)
		}
		r.Settle(ratelimiter.Usage{InputTokens: 6, TotalTokens: 6})
		collect(t, reader).want(t, "estimate.error_count", collected{"estimate.error_count{account=a model=m name=chat type=input}": 1})
	})
}
