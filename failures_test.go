package ratelimiter_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// The limiter reads the beginning of a failure before its caller does, who still gets
// all of it, whatever its size, and in whatever pieces it comes.
func TestFailuresArriveWhole(t *testing.T) {
	const peeked = 16 << 10 // so much is read ahead; the rest is on its way as it was
	for _, status := range []int{400, 402, 403, 404, 429, 500, 503} {
		for _, size := range []int{0, 1, 100, peeked - 1, peeked, peeked + 1, 2 * peeked, 100_000} {
			body := strings.Repeat("0123456789abcde\n", size/16+1)[:size]
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(status)
				for rest := body; rest != ""; {
					n := min(len(rest), 5000)
					_, _ = io.WriteString(w, rest[:n])
					rest = rest[n:]
					_ = http.NewResponseController(w).Flush()
				}
			}))
			l := newLimiter(t, ratelimiter.WithAccount("a"))
			got, length := sendTo(t, l.Client(srv.Client().Transport), srv.URL)
			want, wanted := sendTo(t, srv.Client(), srv.URL)
			if got != body || got != want || length != wanted {
				t.Errorf("status %d: %d bytes, length %d; want %d, %d", status, len(got), length, len(body), wanted)
			}
			srv.Close()
		}
	}
}

func sendTo(t *testing.T, c *http.Client, url string) (body string, length int64) {
	t.Helper()
	resp, err := c.Do(newRequest(t, t.Context(), url+"/v1/chat/completions", strings.NewReader(chatBody("m", 1, false))))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b), resp.ContentLength
}

// Of a failure that breaks off, the caller gets what came and the error that ended it,
// before and after what was read ahead.
func TestFailureThatBreaksOff(t *testing.T) {
	boom := errors.New("boom")
	for _, size := range []int{0, 10, 20_000} {
		body := &trackedBody{Reader: io.MultiReader(strings.NewReader(strings.Repeat("x", size)), errReader{boom})}
		resp, err := newLimiter(t).Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
			return response(429, "application/json", body), nil
		})).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 1, false))))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if len(got) != size || err != boom {
			t.Errorf("%d of %d bytes, then %v; want the body's own error", len(got), size, err)
		}
		if resp.Body.Close(); body.closed.Load() == 0 {
			t.Error("the body was not closed")
		}
	}
}

// A failure whose body takes long holds the caller up for a moment at most, and then
// comes as it comes.
func TestSlowFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			time.Sleep(10 * time.Second)
			_, _ = io.WriteString(w, "late")
			w.Close()
		}()
		start := time.Now()
		resp, err := newLimiter(t).Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
			return response(429, "application/json", r), nil
		})).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 1, false))))
		if err != nil || time.Since(start) > time.Second {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		if got, err := io.ReadAll(resp.Body); string(got) != "late" || err != nil || time.Since(start) != 10*time.Second {
			t.Errorf("%q, %v after %v", got, err, time.Since(start))
		}
		resp.Body.Close()
	})
}

// A failure's body comes piece by piece, each before the next one is there, and nothing is
// read of it once it is closed.
func TestFailureComesInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		resp, err := newLimiter(t).Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
			return response(500, "text/event-stream", r), nil
		})).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 1, false))))
		if err != nil {
			t.Fatal(err)
		}
		for _, piece := range []string{"a", strings.Repeat("b", 900), strings.Repeat("c", 30_000), "d"} {
			go func() { _, _ = io.WriteString(w, piece) }() // is over when all of it was read
			got := make([]byte, len(piece))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != piece {
				t.Fatalf("%d bytes of %d, %v", len(got), len(piece), err)
			}
		}
		resp.Body.Close()
		if n, err := resp.Body.Read(make([]byte, 10)); n != 0 || err != io.ErrClosedPipe {
			t.Errorf("%d bytes when closed, %v", n, err)
		}
	})
}

// What was read ahead of a failure is not to be had once its body is closed, nor its end.
func TestFailureThatIsClosed(t *testing.T) {
	for _, read := range []int64{0, 5, 100} {
		r, w := io.Pipe()
		go func() { _, _ = io.WriteString(w, "ten bytes."); w.Close() }()
		resp, err := newLimiter(t).Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
			return response(429, "text/plain", r), nil
		})).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 1, false))))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.CopyN(io.Discard, resp.Body, read)
		resp.Body.Close()
		if n, err := resp.Body.Read(make([]byte, 10)); n != 0 || err != io.ErrClosedPipe {
			t.Errorf("%d bytes when closed after %d, %v", n, read, err)
		}
	}
}

// A request whose context has ended before it was sent fails with the cause, as net/http has
// it.
func TestCauseOfTheContext(t *testing.T) {
	cause := errors.New("had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for _, body := range []io.Reader{strings.NewReader(chatBody("m", 1, false)), io.MultiReader(strings.NewReader(chatBody("m", 1, false)))} {
		_, err := newLimiter(t).Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
			t.Error("it was sent")
			return nil, errors.New("sent")
		})).RoundTrip(newRequest(t, ctx, chatURL, body))
		if err != cause {
			t.Errorf("%v; want the cause", err)
		}
	}
}

// An error of the base reaches the caller as it is, also where it is the context's.
func TestErrorOfTheBase(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := newLimiter(t).Transport(roundTripFunc(func(req *http.Request) (*http.Response, error) {
		cancel(errors.New("had enough"))
		return nil, req.Context().Err()
	})).RoundTrip(newRequest(t, ctx, chatURL, strings.NewReader(chatBody("m", 1, false))))
	if err != context.Canceled {
		t.Errorf("%v; want the base's", err)
	}
}

// An error event ends a stream, but is no end that tells how much output there was: the
// call keeps its charge.
func TestErrorInAStreamIsNoRegularEnd(t *testing.T) {
	const delta = "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n"
	for end, regular := range map[string]bool{
		"data: [DONE]\n\n": true,
		"data: {\"error\":{\"message\":\"The server had an error\",\"type\":\"server_error\"}}\n\n":                                     false,
		"event: error\ndata: {\"error\":{\"message\":\"Rate limit reached\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}\n\n": false,
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newWarm(t)
			var info ratelimiter.SettledInfo
			settled := 0
			ctx := ratelimiter.ContextWithTrace(t.Context(), &ratelimiter.Trace{
				Settled: func(_ context.Context, i ratelimiter.SettledInfo) { settled++; info = i },
			})
			resp, err := l.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
				// The SDKs stop reading here, and close.
				body := io.MultiReader(strings.NewReader(delta+end), errReader{errors.New("read on")})
				return response(200, "text/event-stream", io.NopCloser(body)), nil
			})).RoundTrip(newRequest(t, ctx, chatURL, strings.NewReader(chatBody("m", 100, true))))
			if err != nil {
				t.Fatal(err)
			}
			p := make([]byte, len(delta+end))
			if _, err := io.ReadFull(resp.Body, p); err != nil || string(p) != delta+end {
				t.Errorf("%q, %v", p, err)
			}
			resp.Body.Close()
			want := info.Charged.Tokens
			if regular {
				want = info.Estimate.InputTokens + 1
			}
			if settled != 1 || info.Final.Tokens != want || info.HasUsage {
				t.Errorf("%q: settled %d times, to %+v; want %d tokens", end, settled, info.Final, want)
			}
		})
	}
}
