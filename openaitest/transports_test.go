package openaitest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const streamed = `{"model":"m","stream":true,"max_tokens":100,"messages":[{"role":"user","content":"x"}]}`

// inBubble runs f over each way to reach a server inside a synctest bubble.
func inBubble(t *testing.T, f func(t *testing.T, srv *Server, rt http.RoundTripper), options ...Option) {
	t.Run("direct", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := New(options...)
			f(t, srv, srv.Direct())
			synctest.Wait()
		})
	})
	t.Run("pipe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := New(options...)
			defer srv.Close()
			f(t, srv, srv.Transport())
			synctest.Wait()
		})
	})
}

func start(t *testing.T, ctx context.Context, rt http.RoundTripper, body string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://api.test"+chatPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return rt.RoundTrip(req)
}

// Chunks arrive one by one, each at its time, while the handler runs.
func TestStreams(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *Server, rt http.RoundTripper) {
		begin := time.Now()
		resp, err := start(t, t.Context(), rt, streamed)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if took := time.Since(begin); took != time.Second {
			t.Errorf("headers after %v", took)
		}
		if n := srv.Account("m").InFlight(); n != 1 {
			t.Errorf("%d in flight while it streams", n)
		}
		var at []time.Duration
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if lines.Text() != "" {
				at = append(at, time.Since(begin))
			}
		}
		// role, 4 deltas, then the finish and [DONE] together
		want := []time.Duration{1, 2, 3, 4, 5, 6, 6}
		for i := range want {
			if i >= len(at) || at[i] != want[i]*time.Second {
				t.Fatalf("chunks at %v", at)
			}
		}
		if a := srv.Account("m"); a.Completed != 1 || a.InFlight() != 0 {
			t.Errorf("%+v", a)
		}
	}, WithLatency(time.Second, 6*time.Second), WithAnswer(func(*Call) Answer { return Answer{Deltas: 4} }))
}

// However the caller leaves, the handler ends at once and the charge stays.
func TestCallerLeaves(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int // in the log
		leave  func(t *testing.T, rt http.RoundTripper)
	}{
		{"cancelled before the headers", 0, func(t *testing.T, rt http.RoundTripper) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if _, err := start(t, ctx, rt, streamed); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
		}},
		{"cancelled in the body", http.StatusOK, func(t *testing.T, rt http.RoundTripper) {
			ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
			defer cancel()
			resp, err := start(t, ctx, rt, streamed)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); !errors.Is(err, context.DeadlineExceeded) || len(b) == 0 {
				t.Errorf("%d bytes, error %v", len(b), err)
			}
		}},
		{"closed in the body", http.StatusOK, func(t *testing.T, rt http.RoundTripper) {
			resp, err := start(t, t.Context(), rt, streamed)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := resp.Body.Read(make([]byte, 10)); err != nil {
				t.Error(err)
			}
			resp.Body.Close()
			if _, err := resp.Body.Read(make([]byte, 10)); err == nil {
				t.Error("read after Close")
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var logged Record
			inBubble(t, func(t *testing.T, srv *Server, rt http.RoundTripper) {
				begin := time.Now()
				logged = Record{}
				c.leave(t, rt)
				synctest.Wait()
				if logged.Outcome != Aborted || logged.Status != c.status {
					t.Errorf("%+v", logged)
				}
				a := srv.Account("m")
				if a.Aborted != 1 || a.InFlight() != 0 || a.Bucket(TPM).Net() != 102 {
					t.Errorf("%+v", a)
				}
				if took := time.Since(begin); took > 3*time.Second {
					t.Errorf("it took %v", took)
				}
			}, WithLimits("m", Limits{TPM: 1000}), WithRefunds(true), WithLatency(time.Second, time.Minute),
				WithLog(func(r Record) { logged = r }))
		})
	}
}

// Calls whose caller leaves on the way never reach the buckets.
func TestLeavesOnTheWay(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *Server, rt http.RoundTripper) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := start(t, ctx, rt, streamed); err == nil {
			t.Error("answered")
		}
		synctest.Wait()
		if a := srv.Account("m"); a.Seen != 0 {
			t.Errorf("%+v", a)
		}
	}, WithTiming(func(*Call) Timing { return Timing{Admission: 2 * time.Second} }))
}

func TestCut(t *testing.T) {
	const whole = `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"x"}]}`
	for _, c := range []struct {
		name, body string
		answer     Answer
		headers    bool // whether there is a response at all
		bytes      int  // of the body, before it breaks; -1: it does not
		took       time.Duration
		outcome    Outcome
	}{
		{"before the headers", whole, Answer{Cut: true}, false, 0, 0, Aborted},
		{"in JSON", whole, Answer{Cut: true, After: 30}, true, 30, 0, Aborted},
		{"in a stream", streamed, Answer{Cut: true, After: 300}, true, 300, 0, Aborted},
		{"stalled, then cut", streamed, Answer{Cut: true, After: 300, Stall: time.Minute}, true, 300, time.Minute, Aborted},
		{"stalled", streamed, Answer{After: 300, Stall: time.Minute}, true, -1, time.Minute, Completed},
		{"stalled before the headers", whole, Answer{Stall: time.Minute}, true, -1, time.Minute, Completed},
		{"after the end", whole, Answer{Cut: true, After: 1 << 20}, true, -1, 0, Completed},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, srv *Server, rt http.RoundTripper) {
				begin := time.Now()
				resp, err := start(t, t.Context(), rt, c.body)
				if (err == nil) != c.headers {
					t.Fatalf("error %v", err)
				}
				if err == nil {
					b, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if (err == nil) != (c.bytes < 0) || c.bytes >= 0 && len(b) != c.bytes {
						t.Errorf("%d bytes, then %v", len(b), err)
					}
				}
				if took := time.Since(begin); took != c.took {
					t.Errorf("it took %v", took)
				}
				synctest.Wait()
				a := srv.Account("m")
				if got := []int64{a.Completed, a.Failed, a.Aborted}[c.outcome]; got != 1 || a.InFlight() != 0 {
					t.Errorf("%+v", a)
				}
			}, WithAnswer(func(*Call) Answer { return c.answer }))
		})
	}
}

// Direct keeps a RoundTripper's duties: it closes the request's body and leaves
// the request as it was.
func TestDirectDuties(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader(streamed)}
	req, err := http.NewRequest(http.MethodPost, "http://api.test"+chatPath, body)
	if err != nil {
		t.Fatal(err)
	}
	before := *req
	resp, err := New().Direct().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Error(err)
	}
	resp.Body.Close()
	if body.closed == 0 {
		t.Error("the request's body was not closed")
	}
	if req.Host != before.Host || req.RequestURI != "" || req.Body != before.Body || resp.Request != req {
		t.Error("the request was changed, or is not the response's")
	}
}

type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

func TestHTTP2(t *testing.T) {
	ts := httptest.NewUnstartedServer(New(WithAnswer(func(c *Call) Answer {
		return Answer{Cut: c.Model == "cut", After: 300}
	})))
	ts.EnableHTTP2 = true
	ts.StartTLS()
	defer ts.Close()
	for _, model := range []string{"m", "cut"} {
		resp, err := ts.Client().Post(ts.URL+chatPath, "application/json", strings.NewReader(strings.Replace(streamed, `"m"`, `"`+model+`"`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.ProtoMajor != 2 || (err != nil) != (model == "cut") || strings.HasSuffix(string(b), done) != (model == "m") {
			t.Errorf("HTTP/%d, %s, error %v", resp.ProtoMajor, b, err)
		}
	}
}

func TestCloseAndAgain(t *testing.T) {
	srv := New()
	srv.Close() // nothing to close
	for range 2 {
		client := srv.Client()
		for range 3 {
			resp, err := client.Post("http://api.test"+chatPath, "application/json", strings.NewReader(streamed))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Error(err)
			}
			resp.Body.Close()
		}
		srv.Close()
		if _, err := client.Get("http://api.test/v1/models"); err == nil {
			t.Error("answered after Close")
		}
	}
}
