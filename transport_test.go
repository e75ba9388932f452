package ratelimiter_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A RoundTripper must not modify the request, must close its body, and what it
// sends must be what it was given.
func TestRequestIsSentAsItWas(t *testing.T) {
	sizes := map[string]string{
		"small":    chatBody("m", 10, false),
		"empty":    "",
		"not JSON": "\x00\xff{{{",
		"large":    `{"model":"m","input":"` + strings.Repeat("x", 1<<20) + `"}`,
	}
	for name, body := range sizes {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/length=%t", name, known), func(t *testing.T) {
				var got []byte
				var sent *http.Request
				base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
					sent = r
					var err error
					if got, err = io.ReadAll(r.Body); err != nil {
						return nil, err
					}
					if err := r.Body.Close(); err != nil {
						return nil, err
					}
					return response(200, "application/json", io.NopCloser(strings.NewReader(usageBody))), nil
				})
				tracked := &trackedBody{Reader: strings.NewReader(body)}
				req := newRequest(t, t.Context(), chatURL, tracked)
				if known {
					req.ContentLength = int64(len(body))
				} else {
					req.ContentLength = -1
				}
				header, url, length := req.Header.Clone(), *req.URL, req.ContentLength
				resp, err := newLimiter(t).Transport(base).RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if string(got) != body {
					t.Errorf("sent %d bytes that are not the %d given", len(got), len(body))
				}
				if tracked.closed.Load() == 0 {
					t.Error("the request's body was not closed")
				}
				if sent.ContentLength != length {
					t.Errorf("ContentLength %d was sent; want %d", sent.ContentLength, length)
				}
				if req.Body != tracked || req.GetBody != nil || *req.URL != url ||
					req.ContentLength != length || fmt.Sprint(req.Header) != fmt.Sprint(header) {
					t.Error("the caller's request was modified")
				}
				if resp.Request != req {
					t.Error("resp.Request is not the caller's request")
				}
				if sent.GetBody != nil { // it must give the same bytes again and again
					for range 2 {
						again, err := sent.GetBody()
						if err != nil {
							t.Fatal(err)
						}
						if b, _ := io.ReadAll(again); string(b) != body {
							t.Error("GetBody gives another body")
						}
					}
				}
			})
		}
	}
}

// openai-go's WithRequestBody over a bytes.Reader sets a GetBody that returns
// the reader of Body itself, rewound; calling it would empty the request.
func TestGetBodyThatRewindsIsNotTrusted(t *testing.T) {
	body := []byte(chatBody("m", 10, false))
	overBoth(t, openaitest.New(), func(t *testing.T, url string, base http.RoundTripper) {
		reader := bytes.NewReader(body)
		req := newRequest(t, t.Context(), url+"/v1/chat/completions", io.NopCloser(reader))
		req.ContentLength = int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) {
			_, err := reader.Seek(0, io.SeekStart)
			return io.NopCloser(reader), err
		}
		resp, err := newLimiter(t).Client(base).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

// Over real connections the server gets the bytes and the length that were
// given, the response keeps its own, a redirect sends the body again, and the
// connection is used again.
func TestDutiesOverSockets(t *testing.T) {
	bodies := []string{chatBody("m", 10, false), strings.Repeat(" ", 2<<20)}
	connections := map[string]bool{}
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.URL.Path == "/old/chat/completions" {
			http.Redirect(w, r, "/v1/chat/completions", http.StatusTemporaryRedirect)
			return
		}
		connections[r.RemoteAddr] = true
		fmt.Fprintf(w, "%d bytes of %d", len(b), r.ContentLength)
	})
	overBoth(t, echo, func(t *testing.T, url string, base http.RoundTripper) {
		clear(connections)
		c := newLimiter(t).Client(base)
		for _, body := range bodies {
			for _, path := range []string{"/v1/chat/completions", "/old/chat/completions"} {
				req := newRequest(t, t.Context(), url+path, strings.NewReader(body))
				resp, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if want := fmt.Sprintf("%d bytes of %d", len(body), len(body)); err != nil || string(got) != want || resp.ContentLength != int64(len(want)) {
					t.Errorf("%s: the server got %q (%d, %v); want %q", path, got, resp.ContentLength, err, want)
				}
			}
		}
		if len(connections) != 1 {
			t.Errorf("%d connections were made; want one that is used again", len(connections))
		}
		// A rejection and a cancelled wait leave nothing open.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Do(newRequest(t, ctx, url+"/v1/chat/completions", strings.NewReader(bodies[0]))); !errors.Is(err, context.Canceled) {
			t.Errorf("%v; want context.Canceled", err)
		}
		c.CloseIdleConnections()
	})
}

// overTheCap is the size of a body that is more than the limiter keeps of one.
const overTheCap = 64<<20 + 1000

// padded is a JSON body of the size that is overTheCap, made while it is read: what
// begins it, and then spaces, which end it.
func padded(begin, end string) io.Reader {
	return io.MultiReader(strings.NewReader(begin), io.LimitReader(spaces{}, overTheCap-int64(len(begin)+len(end))), strings.NewReader(end))
}

// Of a body that is more than the limiter keeps of one, the server still gets every
// byte, and nothing is added. It can't be sent again, not by the caller's GetBody
// either, which would send what the limiter has not seen.
func TestBodyBeyondTheCap(t *testing.T) {
	const begin, end = `{"model":"m","stream":true,"max_tokens":5,"messages":[{"role":"user","content":"hi"}]`, `}`
	hash := func(r io.Reader) (string, int64) {
		h := sha256.New()
		n, err := io.Copy(h, r)
		if err != nil {
			t.Error(err)
		}
		return fmt.Sprintf("%x", h.Sum(nil)), n
	}
	want, size := hash(padded(begin, end))
	if size != overTheCap {
		t.Fatalf("%d bytes", size)
	}
	type arrival struct {
		hash      string
		n, length int64
		encoding  []string
	}
	arrived := make(chan arrival, 1)
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, n := hash(r.Body)
		arrived <- arrival{h, n, r.ContentLength, r.TransferEncoding}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, usageBody)
	})
	overBoth(t, server, func(t *testing.T, url string, base http.RoundTripper) {
		for _, known := range []bool{true, false} {
			var cost ratelimiter.Cost
			ctx := ratelimiter.ContextWithTrace(t.Context(), &ratelimiter.Trace{
				Started: func(_ context.Context, i ratelimiter.StartedInfo) { cost = i.Cost },
			})
			body := &trackedBody{Reader: padded(begin, end)}
			req := newRequest(t, ctx, url+"/v1/chat/completions", body)
			req.ContentLength = -1
			if known {
				req.ContentLength = size
			}
			replayed := 0
			req.GetBody = func() (io.ReadCloser, error) { replayed++; return io.NopCloser(padded(begin, end)), nil }
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithStreamUsage())
			resp, err := l.Client(roundTripFunc(func(r *http.Request) (*http.Response, error) {
				if r.GetBody != nil {
					t.Error("the body can be sent again: it is below the cap, or GetBody is the caller's")
				}
				if r.ContentLength != req.ContentLength {
					t.Errorf("a length of %d is sent; want %d", r.ContentLength, req.ContentLength)
				}
				return base.RoundTrip(r)
			})).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			if resp.Body.Close(); string(got) != usageBody || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			if a := <-arrived; a.n != size || a.hash != want || a.length != req.ContentLength || known && len(a.encoding) > 0 {
				t.Errorf("length known: %t: the server got %+v; want %d bytes, %s", known, a, size, want)
			}
			if replayed > 0 || body.closed.Load() == 0 {
				t.Errorf("GetBody was called %d times, Close %d times", replayed, body.closed.Load())
			}
			if cost.Model != "m" || cost.Tokens < 5 || cost.Tokens > 100 {
				t.Errorf("charged %+v; what was kept of the body tells more", cost)
			}
		}
	})
}

func TestBodyIsClosedWhenNothingIsSent(t *testing.T) {
	never := roundTripFunc(func(*http.Request) (*http.Response, error) {
		t.Error("the request was sent")
		return nil, errors.New("sent")
	})
	tests := map[string]struct {
		body io.Reader
		ctx  func() (context.Context, context.CancelFunc)
		want error
	}{
		"refused": {strings.NewReader(chatBody("m", 601, false)), func() (context.Context, context.CancelFunc) {
			return context.WithCancel(context.Background())
		}, ratelimiter.ErrTooLarge},
		"cancelled": {strings.NewReader(chatBody("m", 100, false)), func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, context.Canceled},
		"refused above the cap": {padded("", chatBody("m", 601, false)), func() (context.Context, context.CancelFunc) {
			return context.WithCancel(ratelimiter.ContextWithMaxWait(context.Background(), 0))
		}, ratelimiter.ErrMaxWait},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, ratelimiter.WithAccount("a"),
					ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 600}), ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 1}))
				warm(t, l, "m")
				acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
				ctx, cancel := tt.ctx()
				defer cancel()
				body := &trackedBody{Reader: tt.body}
				resp, err := l.Transport(never).RoundTrip(newRequest(t, ctx, chatURL, body))
				if !errors.Is(err, tt.want) || resp != nil {
					t.Errorf("%v, %v; want %v", resp, err, tt.want)
				}
				if body.closed.Load() == 0 {
					t.Error("the body was not closed")
				}
				// Of one that is above the cap a rest was open, unless the cap has grown.
				if rest, _ := io.Copy(io.Discard, tt.body); rest > 0 != strings.HasSuffix(name, "above the cap") {
					t.Errorf("%d bytes are left", rest)
				}
			})
		})
	}
}

// A body that delivers nothing holds the request up no longer than its context.
func TestBodyThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		defer w.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := newLimiter(t).Transport(roundTripFunc(nil)).RoundTrip(newRequest(t, ctx, chatURL, r))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v; want the context's error", err)
		}
	})
}

// Money is no matter of buckets, whatever the status it is refused with.
func TestQuotaUnderOtherStatuses(t *testing.T) {
	for status, code := range map[int]string{
		402: "insufficient_quota", 403: "insufficient_quota", 503: "insufficient_quota", 400: "billing_hard_limit_reached",
	} {
		kind := ""
		ctx := ratelimiter.ContextWithTrace(t.Context(), &ratelimiter.Trace{
			Paused: func(_ context.Context, i ratelimiter.PausedInfo) { kind = i.Kind },
		})
		resp, err := newLimiter(t).Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
			return response(status, "application/json", io.NopCloser(strings.NewReader(`{"error":{"code":"`+code+`","message":"x"}}`))), nil
		})).RoundTrip(newRequest(t, ctx, chatURL, strings.NewReader(chatBody("m", 1, false))))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if kind != "quota" {
			t.Errorf("%d: reported as %q; want quota", status, kind)
		}
	}
}

func TestErrorsOfTheBodyAndOfTheBase(t *testing.T) {
	boom := errors.New("boom")
	body := &trackedBody{Reader: io.MultiReader(strings.NewReader(`{"model":`), errReader{boom})}
	calls := 0
	base := roundTripFunc(func(*http.Request) (*http.Response, error) { calls++; return nil, boom })
	tr := newLimiter(t).Transport(base)
	if _, err := tr.RoundTrip(newRequest(t, t.Context(), chatURL, body)); !errors.Is(err, boom) || body.closed.Load() == 0 || calls != 0 {
		t.Errorf("a body that can't be read: %v, closed %d, sent %d", err, body.closed.Load(), calls)
	}
	if _, err := tr.RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader("{}"))); err != boom || calls != 1 {
		t.Errorf("%v after %d calls; want the base's own error, once", err, calls)
	}
}

// eofBody returns its last bytes together with io.EOF, as net/http may.
type eofBody struct {
	data   []byte
	closed int
}

func (b *eofBody) Read(p []byte) (int, error) {
	n := copy(p, b.data)
	b.data = b.data[n:]
	if len(b.data) == 0 {
		return n, io.EOF
	}
	return n, nil
}

func (b *eofBody) Close() error { b.closed++; return nil }

func TestResponseBodyPassesThrough(t *testing.T) {
	for _, status := range []int{200, 429, 500} {
		body := &eofBody{data: []byte(usageBody)}
		l := newLimiter(t)
		resp, err := l.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
			r := response(status, "application/json", body)
			r.ContentLength, r.Uncompressed = int64(len(usageBody)), true
			return r, nil
		})).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 10, false))))
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 1000)
		n, err := resp.Body.Read(p)
		if string(p[:n]) != usageBody || err != io.EOF {
			t.Errorf("%d: read %q, %v; want the body and io.EOF at once", status, p[:n], err)
		}
		if n, err := resp.Body.Read(p); n != 0 || err != io.EOF {
			t.Errorf("%d: then %d, %v", status, n, err)
		}
		if resp.ContentLength != int64(len(usageBody)) || !resp.Uncompressed {
			t.Errorf("%d: ContentLength or Uncompressed were lost", status)
		}
		if err := errors.Join(resp.Body.Close(), resp.Body.Close()); err != nil || body.closed == 0 {
			t.Errorf("%d: Close: %v, closed %d times", status, err, body.closed)
		}
	}
}

func TestSwitchingProtocolsIsLeftAlone(t *testing.T) {
	type stream struct{ io.ReadWriteCloser }
	want := stream{}
	resp, err := newLimiter(t).Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
		return response(http.StatusSwitchingProtocols, "", want), nil
	})).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader("{}")))
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body != want {
		t.Error("the body of a 101 response was wrapped")
	}
}

func TestWhatIsNotLimitedPassesUnread(t *testing.T) {
	for _, tt := range []struct{ method, path string }{
		{"GET", "/v1/models"}, {"GET", "/v1/responses/resp_1"}, {"DELETE", "/v1/responses/resp_1"},
		{"POST", "/v1/files"}, {"POST", "/v1/batches"}, {"POST", "/v1/realtime/sessions"}, {"POST", "/"},
	} {
		body := &trackedBody{Reader: strings.NewReader("x")}
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://api.openai.test"+tt.path, body)
		if err != nil {
			t.Fatal(err)
		}
		want := response(200, "", http.NoBody)
		resp, err := newLimiter(t).Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
			if r != req {
				t.Errorf("%s %s: another request was sent", tt.method, tt.path)
			}
			return want, nil
		})).RoundTrip(req)
		if err != nil || resp != want || body.closed.Load() != 0 {
			t.Errorf("%s %s: %v, %v; want it untouched", tt.method, tt.path, resp, err)
		}
	}
}

type idleCloser struct {
	http.RoundTripper
	closed int
}

func (c *idleCloser) CloseIdleConnections() { c.closed++ }

func TestBase(t *testing.T) {
	base := &idleCloser{}
	l := newLimiter(t)
	l.Client(base).CloseIdleConnections()
	if base.closed != 1 {
		t.Error("CloseIdleConnections does not reach the base")
	}
	l.Client(roundTripFunc(nil)).CloseIdleConnections() // a base without it
	if c := l.Client(nil); c.Timeout != 0 {
		t.Errorf("the client's Timeout is %v; it would include the wait", c.Timeout)
	}
}

// Chunks of a stream arrive one by one, over HTTP/1.1 and HTTP/2.
func TestStreamIsForwardedAsItComes(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", version), func(t *testing.T) {
			step := make(chan struct{})
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "text/event-stream")
				for i := range 3 {
					fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":\"%d\"}}]}\n\n", i)
					w.(http.Flusher).Flush()
					<-step
				}
				fmt.Fprint(w, "data: [DONE]\n\n")
			}))
			srv.EnableHTTP2 = version == 2
			srv.StartTLS()
			defer srv.Close()
			resp, err := newLimiter(t).Client(srv.Client().Transport).Do(
				newRequest(t, t.Context(), srv.URL+"/v1/chat/completions", strings.NewReader(chatBody("m", 10, true))))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.ProtoMajor != version {
				t.Fatalf("spoke %s", resp.Proto)
			}
			lines := bufio.NewScanner(resp.Body)
			for range 3 {
				if !lines.Scan() { // blocks for ever where a chunk is held back
					t.Fatal(lines.Err())
				}
				lines.Scan()
				step <- struct{}{}
			}
			if !lines.Scan() || lines.Text() != "data: [DONE]" {
				t.Errorf("ends with %q, %v", lines.Text(), lines.Err())
			}
		})
	}
}

// Each outcome of docs/CHARGING.md's table, and what stays charged of 1 request and of
// the tokens that were reserved.
func TestOutcomes(t *testing.T) {
	const stream = "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\" world\"}}]}\n\n"
	failure := func(kind, message string) string {
		return fmt.Sprintf(`{"error":{"message":%q,"type":%q,"code":%q}}`, message, kind, kind)
	}
	all := int64(-1) // as reserved
	tests := []struct {
		name     string
		status   int
		typ      string
		body     string
		err      error
		requests int64
		tokens   int64
	}{
		{"usage", 200, "application/json", usageBody, nil, 1, 12},
		{"usage is null", 200, "application/json", `{"usage":null}`, nil, 1, all},
		{"no usage", 200, "application/json", `{}`, nil, 1, all},
		{"not JSON", 200, "application/json", "<html>", nil, 1, all},
		{"audio", 200, "audio/mpeg", "\x00\x01", nil, 1, all},
		{"stream with usage", 200, "text/event-stream", stream + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\ndata: [DONE]\n\n", nil, 1, 7},
		{"stream without usage", 200, "text/event-stream", stream + "data: [DONE]\n\n", nil, 1, 12 + 2},
		{"400", 400, "application/json", failure("invalid_request_error", "no"), nil, 1, 0},
		{"401", 401, "application/json", failure("invalid_api_key", "no"), nil, 1, 0},
		{"404", 404, "application/json", failure("model_not_found", "no"), nil, 1, 0},
		{"429", 429, "application/json", failure("rate_limit_exceeded", "Rate limit reached"), nil, 1, 0},
		{"insufficient_quota", 429, "application/json", failure("insufficient_quota", "You exceeded your current quota"), nil, 1, 0},
		{"500", 500, "application/json", failure("server_error", "oops"), nil, 1, all},
		{"cancelled after it was written", 0, "", "", context.Canceled, 1, all},
		{"never connected", 0, "", "", &net.OpError{Op: "dial", Err: errors.New("refused")}, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newWarm(t)
				var reserved, final ratelimiter.Cost
				settled := 0
				ctx := ratelimiter.ContextWithTrace(t.Context(), &ratelimiter.Trace{
					Settled: func(_ context.Context, i ratelimiter.SettledInfo) {
						settled++
						reserved, final = i.Charged, i.Final
					},
				})
				resp, err := l.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
					if tt.err != nil {
						return nil, tt.err
					}
					return response(tt.status, tt.typ, io.NopCloser(strings.NewReader(tt.body))), nil
				})).RoundTrip(newRequest(t, ctx, chatURL, strings.NewReader(chatBody("m", 100, false))))
				if err != tt.err {
					t.Fatal(err)
				}
				if err == nil {
					if b, err := io.ReadAll(resp.Body); err != nil || string(b) != tt.body {
						t.Errorf("body %q, %v", b, err)
					}
					resp.Body.Close()
				}
				want := tt.tokens
				if want == all {
					want = reserved.Tokens
				}
				if settled != 1 || final.Requests != tt.requests || final.Tokens != want {
					t.Errorf("settled %d times to %+v; want once to %d and %d of %+v", settled, final, tt.requests, want, reserved)
				}
				if got := remaining(t, l, "m", "tpm"); got != 600-want {
					t.Errorf("%d tokens remain; want %d", got, 600-want)
				}
			})
		})
	}
}

// A stream that is cut keeps its charge; one that is left early too.
func TestBrokenStreamKeepsItsCharge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithHeaders(false), openaitest.WithAnswer(func(*openaitest.Call) openaitest.Answer {
			return openaitest.Answer{After: 300, Cut: true}
		}))
		l := newWarm(t)
		resp, err := l.Client(srv.Direct()).Do(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 100, true))))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Error("the stream was not cut")
		}
		resp.Body.Close()
		if got := remaining(t, l, "m", "tpm"); got > 500 {
			t.Errorf("%d tokens remain; want the 100 and the prompt charged", got)
		}
	})
}

func TestThrottlePausesItsScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 600}))
		l := newWarm(t)
		c := l.Client(srv.Direct())
		srv.Inject(1, openaitest.Answer{Status: 429, RetryAfter: 7 * time.Second})
		if status, _ := post(t, c, chatURL, chatBody("m", 1, false)); status != 429 {
			t.Fatalf("status %d", status)
		}
		start := time.Now()
		post(t, c, chatURL, chatBody("m", 1, false))
		if waited := time.Since(start); waited != 7*time.Second {
			t.Errorf("waited %v; want the 7s that the throttle asked for", waited)
		}
		srv.Inject(1, openaitest.InsufficientQuota())
		var kind string
		ctx := ratelimiter.ContextWithTrace(t.Context(), &ratelimiter.Trace{
			Paused: func(_ context.Context, i ratelimiter.PausedInfo) { kind = fmt.Sprint(i.Kind, " ", i.For) },
		})
		resp, err := c.Do(newRequest(t, ctx, chatURL, strings.NewReader(chatBody("m", 1, false))))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		start = time.Now()
		post(t, c, chatURL, chatBody("m", 1, false))
		if waited := time.Since(start); waited != 0 || kind != "quota 0s" {
			t.Errorf("waited %v after %q; want nobody to wait for money", waited, kind)
		}
	})
}

// A throttle whose body never comes holds nobody up.
func TestThrottleWithoutABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		defer w.Close()
		resp, err := newLimiter(t).Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
			return response(429, "application/json", r), nil
		})).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 1, false))))
		if err != nil || resp.StatusCode != 429 {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
		synctest.Wait()
	})
}

func TestStreamUsageOption(t *testing.T) {
	tests := map[string]struct{ body, want string }{
		"stream": {`{"model":"m","stream":true}`, `{"stream_options":{"include_usage":true},"model":"m","stream":true}`},
		"chosen": {`{"stream_options":{"include_usage":false},"model":"m","stream":true}`, `{"stream_options":{"include_usage":false},"model":"m","stream":true}`},
		"null":   {`{"model":"m","stream":true,"stream_options":null}`, `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`},
		"other":  {`{"stream_options":{"include_obfuscation":false},"model":"m","stream":true}`, `{"stream_options":{"include_usage":true,"include_obfuscation":false},"model":"m","stream":true}`},
		"in a tool": {`{"model":"m","tools":[{"stream_options":{"include_usage":true}}],"stream":true}`,
			`{"stream_options":{"include_usage":true},"model":"m","tools":[{"stream_options":{"include_usage":true}}],"stream":true}`},
		"mark":  {"\ufeff" + `{"model":"m","stream":true}`, "\ufeff" + `{"stream_options":{"include_usage":true},"model":"m","stream":true}`},
		"whole": {`{"model":"m"}`, `{"model":"m"}`},
	}
	for name, tt := range tests {
		var got string
		var length int64
		resp, err := newLimiter(t, ratelimiter.WithStreamUsage()).Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
			b, err := io.ReadAll(r.Body)
			got, length = string(b), r.ContentLength
			return response(200, "text/event-stream", http.NoBody), err
		})).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(tt.body)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got != tt.want || length != int64(len(tt.want)) {
			t.Errorf("%s: sent %q of %d bytes; want %q", name, got, length, tt.want)
		}
	}
}

// Whatever the body, it is sent as it was, costs one request at least, and
// takes no more memory than itself, nor than the cap.
func TestBadBodies(t *testing.T) {
	deep := strings.Repeat(`{"messages":[`, 100_000)
	const cap = 64 << 20
	bodies := map[string]struct{ typ, body string }{
		"not JSON":              {"application/json", "hello"},
		"truncated":             {"application/json", chatBody("m", 10, false)[:40]},
		"duplicate keys":        {"application/json", `{"model":"m","max_tokens":5,"model":"m","max_tokens":50}`},
		"numbers as strings":    {"application/json", `{"model":"m","max_tokens":"50","n":"3"}`},
		"absurd n":              {"application/json", `{"model":"m","n":1000000000,"max_tokens":1000000000}`},
		"negative":              {"application/json", `{"model":"m","n":-3,"max_tokens":-9223372036854775808}`},
		"deep":                  {"application/json", deep},
		"wrong types":           {"application/json", `{"model":{"a":[]},"messages":7,"stream":"yes"}`},
		"40 MB":                 {"application/json", `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + strings.Repeat("A", 40<<20) + `"}}]}]}`},
		"beyond the cap":        {"application/json", chatBody("m", 10, false) + strings.Repeat(" ", 2*cap)},
		"multipart without end": {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n" + strings.Repeat("x", 1<<20)},
		"multipart of nothing":  {"multipart/form-data", "--"},
		"compressed":            {"application/json", "\x1f\x8b\x08"},
	}
	for name, tt := range bodies {
		t.Run(name, func(t *testing.T) {
			l := newLimiter(t, ratelimiter.WithAccount("a"))
			var cost ratelimiter.Cost
			ctx := ratelimiter.ContextWithTrace(t.Context(), &ratelimiter.Trace{
				Started: func(_ context.Context, i ratelimiter.StartedInfo) { cost = i.Cost },
			})
			var sent int64
			body := io.NopCloser(strings.NewReader(tt.body))
			req := newRequest(t, ctx, chatURL, body)
			req.Header.Set("Content-Type", tt.typ)
			if name == "compressed" {
				req.Header.Set("Content-Encoding", "gzip")
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			resp, err := l.Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
				runtime.GC()
				runtime.ReadMemStats(&after)
				n, err := io.Copy(io.Discard, r.Body)
				sent = n
				return response(400, "application/json", http.NoBody), err
			})).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if sent != int64(len(tt.body)) {
				t.Errorf("%d of %d bytes were sent", sent, len(tt.body))
			}
			if cost.Requests < 1 || cost.Tokens < 0 || cost.Tokens > 1<<40 || cost.Images < 0 {
				t.Errorf("cost %+v", cost)
			}
			// A buffer that has grown with a body of unknown length may be a third larger.
			most := min(int64(len(tt.body)), cap)*4/3 + 1<<20
			if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > most {
				t.Errorf("%d KB are kept of a body of %d", kept>>10, len(tt.body)>>10)
			}
		})
	}
}

func TestHooksSeeACallsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 60, TPM: 6000}), openaitest.WithLatency(time.Second, time.Second))
		var mu sync.Mutex
		var life []string
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			life = append(life, fmt.Sprintf(format, args...))
		}
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60, TPM: 6000}),
			ratelimiter.WithTrace(&ratelimiter.Trace{
				Waiting: func(_ context.Context, i ratelimiter.WaitingInfo) { note("waiting behind %d", i.Ahead) },
				Started: func(_ context.Context, i ratelimiter.StartedInfo) {
					note("started after %v", i.Waited.Round(time.Millisecond))
				},
				Observed: func(_ context.Context, i ratelimiter.ObservedInfo) {
					note("observed %d requests left", i.Requests.Remaining)
				},
				Settled: func(_ context.Context, i ratelimiter.SettledInfo) {
					note("settled after %v, usage %t", i.Duration, i.HasUsage)
				},
			}))
		warm(t, l, "m")
		acquire(t, l, ratelimiter.Cost{Model: "m", Requests: 60}).Settle(ratelimiter.Usage{})
		life = nil
		post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 1, false))
		want := []string{"waiting behind 0", "started after 1.1s", "observed 59 requests left", "settled after 1s, usage true"}
		if fmt.Sprint(life) != fmt.Sprint(want) {
			t.Errorf("%q; want %q", life, want)
		}
	})
}
