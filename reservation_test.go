package ratelimiter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// informed answers with this usage, and with headers that tell where the server's bucket
// stands.
func informed(input, output int64) roundTripFunc {
	return func(r *http.Request) (*http.Response, error) {
		io.Copy(io.Discard, r.Body)
		resp := response(200, "application/json", io.NopCloser(strings.NewReader(answer("id", input, output))))
		for k, v := range map[string]string{
			"X-Ratelimit-Limit-Tokens": "6000", "X-Ratelimit-Remaining-Tokens": "5000", "X-Ratelimit-Reset-Tokens": "10s",
			"X-Ratelimit-Limit-Requests": "600", "X-Ratelimit-Remaining-Requests": "599", "X-Ratelimit-Reset-Requests": "100ms",
		} {
			resp.Header.Set(k, v)
		}
		return resp, nil
	}
}

// A Cost is all of what a call uses, not its input, whatever the headers report.
func TestCostIsAWhole(t *testing.T) {
	for _, x := range []struct {
		name string
		base roundTripFunc
		want int64
	}{
		{"usage", informed(12, 500), 512},
		{"usage without headers", answering(answer("id", 12, 500)), 512},
		{"more than stated", informed(12, 1500), 1512},
		{"total alone", answering(`{"id":"id","usage":{"total_tokens":512}}`), 512},
		{"text without usage", answering(`{"id":"id","choices":[{"message":{"content":"Hello there"}}]}`), 1000},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var all []ratelimiter.SettledInfo
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(settled(&all)),
					ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 6000}))
				client := l.Client(x.base)
				err := l.Do(t.Context(), tokens(1000), func(ctx context.Context) (ratelimiter.Usage, error) {
					resp, err := client.Do(newRequest(t, ctx, chatURL, strings.NewReader(chatBody("m", 500, false))))
					if err != nil {
						return ratelimiter.Usage{}, err
					}
					io.Copy(io.Discard, resp.Body)
					return ratelimiter.Usage{}, resp.Body.Close()
				})
				if err != nil || len(all) != 1 {
					t.Fatalf("%v, %+v", err, all)
				}
				if got := all[0].Final.Tokens; got != x.want {
					t.Errorf("%d tokens stay charged; want %d", got, x.want)
				}
			})
		})
	}
}

// Once a Transport has used a reservation, its response ends it: a deferred Cancel takes
// nothing back while a stream that was handed on still runs, nor does a Settle settle it.
func TestStreamOutlivesItsCaller(t *testing.T) {
	for name, end := range map[string]func(*ratelimiter.Reservation){
		"cancel": func(r *ratelimiter.Reservation) { r.Cancel() },
		"settle": func(r *ratelimiter.Reservation) { r.Settle(ratelimiter.Usage{TotalTokens: 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var all []ratelimiter.SettledInfo
				l := newWarm(t, ratelimiter.WithTrace(settled(&all)))
				all = nil
				pr, pw := io.Pipe()
				client := l.Client(roundTripFunc(func(r *http.Request) (*http.Response, error) {
					io.Copy(io.Discard, r.Body)
					return response(200, "text/event-stream", pr), nil
				}))
				handOn := func() io.ReadCloser {
					r := acquire(t, l, tokens(500))
					defer end(r)
					ctx := ratelimiter.ContextWithReservation(t.Context(), r)
					resp, err := client.Do(newRequest(t, ctx, chatURL, strings.NewReader(chatBody("m", 490, true))))
					if err != nil {
						t.Fatal(err)
					}
					return resp.Body
				}
				body := handOn()
				if left := remaining(t, l, "m", "tpm"); left != 100 || len(all) != 0 {
					t.Errorf("%d tokens remain while the stream runs, %+v", left, all)
				}
				go func() {
					fmt.Fprint(pw, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":295,\"total_tokens\":300}}\n\ndata: [DONE]\n\n")
					pw.Close()
				}()
				io.Copy(io.Discard, body)
				body.Close()
				if left := remaining(t, l, "m", "tpm"); left != 300 || len(all) != 1 || all[0].Usage.TotalTokens != 300 {
					t.Errorf("%d tokens remain, %+v", left, all)
				}
			})
		})
	}
}

// A reservation that its caller has ended pays for no request.
func TestEndedReservationPaysForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t)
		r := acquire(t, l, tokens(100))
		r.Cancel()
		ctx := ratelimiter.ContextWithReservation(t.Context(), r)
		resp, err := l.Client(answering(`{}`)).Do(newRequest(t, ctx, chatURL, strings.NewReader(chatBody("m", 100, false))))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if left := remaining(t, l, "m", "rpm"); left != 599 {
			t.Errorf("%d requests remain", left)
		}
	})
}

// A reservation pays for a request of its own model and account alone. Inside Do others
// take their own, and leave it for the one that it is meant for.
func TestReservationPaysForItsOwnModel(t *testing.T) {
	for _, other := range []struct{ name, path, body, account string }{
		{"another model", "https://api.openai.com/v1/embeddings", `{"model":"e","input":"hi"}`, "a"},
		{"another account", chatURL, chatBody("m", 100, false), "b"},
	} {
		t.Run(other.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var all []ratelimiter.SettledInfo
				l := newLimiter(t, ratelimiter.WithTrace(&ratelimiter.Trace{Settled: func(_ context.Context, info ratelimiter.SettledInfo) {
					mu.Lock()
					defer mu.Unlock()
					all = append(all, info)
				}}), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 600}))
				client := l.Client(answering(`{"usage":{"prompt_tokens":2,"total_tokens":2}}`, answer("id", 10, 90)))
				send := func(ctx context.Context, path, body string) {
					resp, err := client.Do(newRequest(t, ctx, path, strings.NewReader(body)))
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				ctx := ratelimiter.ContextWithAccount(t.Context(), "a")
				err := l.Do(ctx, tokens(500), func(ctx context.Context) (ratelimiter.Usage, error) {
					send(ratelimiter.ContextWithAccount(ctx, other.account), other.path, other.body)
					send(ctx, chatURL, chatBody("m", 490, false))
					return ratelimiter.Usage{}, nil
				})
				if err != nil || len(all) != 2 {
					t.Fatalf("%v, %+v", err, all)
				}
				if first := all[0]; first.Account != other.account || first.Charged.Tokens >= 500 {
					t.Errorf("the other request was paid for by %+v", first)
				}
				if chat := all[1]; chat.Charged.Tokens != 500 || chat.Final.Tokens != 100 || chat.Account != "a" {
					t.Errorf("the reservation was settled to %+v", chat)
				}
			})
		})
	}
}

// Who cancels after the grant and before the request is sent is charged nothing, also
// where the base looks at the context only itself.
func TestCancelledBetweenGrantAndSend(t *testing.T) {
	sent := 0
	for name, base := range map[string]http.RoundTripper{
		"function": roundTripFunc(func(r *http.Request) (*http.Response, error) {
			sent++
			return nil, r.Context().Err()
		}),
		"transport": &http.Transport{},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newWarm(t)
				ctx, cancel := context.WithCancel(t.Context())
				ctx = ratelimiter.ContextWithTrace(ctx, &ratelimiter.Trace{
					Started: func(context.Context, ratelimiter.StartedInfo) { cancel() },
				})
				body := &trackedBody{Reader: strings.NewReader(chatBody("m", 100, false))}
				_, err := l.Client(base).Do(newRequest(t, ctx, chatURL, body))
				if err == nil || ctx.Err() == nil {
					t.Errorf("%v", err)
				}
				if left, requests := remaining(t, l, "m", "tpm"), remaining(t, l, "m", "rpm"); left != 600 || requests != 600 || sent > 0 {
					t.Errorf("%d tokens and %d requests remain, %d were sent", left, requests, sent)
				}
				if state := scopeOf(t, l, "m"); state.InFlight != 0 {
					t.Errorf("%+v", state)
				}
				if body.closed.Load() == 0 {
					t.Error("the body was not closed")
				}
			})
		})
	}
}

// Settle and Cancel may come while the response is read: one of them ends the call.
func TestEndsRace(t *testing.T) {
	l := newWarm(t)
	for range 50 {
		r := acquire(t, l, ratelimiter.Chat{Model: "m", Messages: []ratelimiter.Message{{Role: "user", Content: "hi"}}})
		ctx := ratelimiter.ContextWithReservation(t.Context(), r)
		body := strings.Replace(chatBody("m", 0, true), `"max_tokens":0,`, "", 1)
		base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
			return response(200, "text/event-stream", io.NopCloser(strings.NewReader(streamed("Hello")))), nil
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			resp, err := l.Client(base).Do(newRequest(t, ctx, chatURL, strings.NewReader(body)))
			if err != nil {
				t.Error(err)
				return
			}
			wg.Go(func() { resp.Body.Close() })
			io.Copy(io.Discard, resp.Body)
		})
		wg.Go(func() { r.Settle(ratelimiter.Usage{TotalTokens: 20}) })
		wg.Go(func() { r.Cancel() })
		wg.Go(func() { r.Cost() })
		wg.Wait()
		if err := l.Clear(t.Context(), "m"); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(10 * time.Millisecond)
	if state := scopeOf(t, l, "m"); state.InFlight != 0 {
		t.Errorf("%+v", state)
	}
}
