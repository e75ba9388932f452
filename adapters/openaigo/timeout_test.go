package openaigo_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai/openai-go/v3/option"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/internal/sdktest"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// The SDK's request timeout includes the wait; this package's does not.
func TestRequestTimeoutWithoutTheWait(t *testing.T) {
	for _, how := range how {
		for _, own := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLatency(time.Second, 2*time.Second))
				defer srv.Close()
				b := &sdktest.Book{}
				limiter := sdktest.NewLimiter(t, b, ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 1}))
				timeout := option.WithRequestTimeout(5 * time.Second)
				if own {
					timeout = openaigo.WithRequestTimeout(5 * time.Second)
				}
				client := newClient(limiter, b.Count(srv.Transport()), sdktest.PipeURL, timeout)
				if err := how.call(t.Context(), client, chat(1)); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				err := how.call(t.Context(), client, chat(1))
				if own {
					if err != nil || time.Since(start) < 50*time.Second {
						t.Errorf("error %v after %v", err, time.Since(start))
					}
					return
				}
				if !errors.Is(err, ratelimiter.ErrDeadline) || !strings.Contains(err.Error(), "option.WithRequestTimeout includes the wait") {
					t.Errorf("error %v", err)
				}
			})
		}
	}
}

// It bounds an attempt that gets no headers, which is tried again, and one
// whose body does not end.
func TestRequestTimeout(t *testing.T) {
	for _, how := range how {
		t.Run("headers/"+how.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New()
				defer srv.Close()
				srv.Inject(2, openaitest.Answer{Stall: time.Hour})
				b := &sdktest.Book{}
				client := newClient(sdktest.NewLimiter(t, b), b.Count(srv.Transport()), sdktest.PipeURL, openaigo.WithRequestTimeout(5*time.Second))
				start := time.Now()
				if err := how.call(t.Context(), client, chat(1)); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); b.Sent() != 3 || took < 10*time.Second || took > 13*time.Second {
					t.Errorf("%d attempts in %v", b.Sent(), took)
				}
				b.Last(t, 3)
			})
		})
		t.Run("body/"+how.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithAnswer(func(*openaitest.Call) openaitest.Answer {
					return openaitest.Answer{After: 200, Stall: 10 * time.Second}
				}))
				defer srv.Close()
				b := &sdktest.Book{}
				client := newClient(sdktest.NewLimiter(t, b), b.Count(srv.Transport()), sdktest.PipeURL, openaigo.WithRequestTimeout(time.Hour))
				start := time.Now()
				err := how.call(t.Context(), client, chat(50), openaigo.WithRequestTimeout(5*time.Second))
				if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != 5*time.Second || b.Sent() != 1 {
					t.Errorf("%d attempts in %v: %v", b.Sent(), took, err)
				}
				b.Last(t, 1)
				if err := how.call(t.Context(), client, chat(50), openaigo.WithRequestTimeout(0)); err != nil {
					t.Error(err)
				}
				synctest.Wait()
			})
		})
	}
}

// A connection that is switched over, as the Realtime API's, outlives it.
func TestRequestTimeoutLeavesUpgradesAlone(t *testing.T) {
	body := &openBody{}
	base := sdktest.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: body, Request: req}, nil
	})
	limiter := sdktest.NewLimiter(t, &sdktest.Book{})
	client := newClient(limiter, base, sdktest.PipeURL, openaigo.WithRequestTimeout(time.Second))
	var resp *http.Response
	if err := client.Get(t.Context(), "realtime", nil, &resp); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Body != io.ReadCloser(body) {
		t.Errorf("the connection is wrapped in a %T", resp.Body)
	}
}

type openBody struct{ io.ReadWriteCloser }

func (*openBody) Close() error { return nil }

// With its body an attempt is over: no timer is left of it.
func TestRequestTimeoutEndsWithTheBody(t *testing.T) {
	var sent context.Context
	base := sdktest.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
		sent = req.Context()
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}")), Request: req}, nil
	})
	client := newClient(sdktest.NewLimiter(t, &sdktest.Book{}), base, sdktest.PipeURL, openaigo.WithRequestTimeout(time.Hour))
	var resp *http.Response
	if err := client.Get(t.Context(), "models", nil, &resp); err != nil {
		t.Fatal(err)
	}
	before := sent.Err()
	if resp.Body.Close(); before != nil || sent.Err() != context.Canceled {
		t.Errorf("the attempt's context: %v, then %v", before, sent.Err())
	}
}

// A deadline that is not the SDK's timeout says nothing of that.
func TestDeadlineOfTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New()
		defer srv.Close()
		limiter := sdktest.NewLimiter(t, &sdktest.Book{}, ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 1}))
		client := newClient(limiter, srv.Transport(), sdktest.PipeURL)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := client.Chat.Completions.New(ctx, chat(1))
		if err == nil {
			_, err = client.Chat.Completions.New(ctx, chat(1))
		}
		if !errors.Is(err, ratelimiter.ErrDeadline) || strings.Contains(err.Error(), "WithRequestTimeout") {
			t.Errorf("error %v", err)
		}
	})
}
