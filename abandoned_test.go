package ratelimiter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A lostCall is one whose caller loses the response's body without closing it.
type lostCall struct {
	status int
	// answer is what the server sends before it keeps the response open.
	answer string
	// read is how much of it the caller reads.
	read int
	// zipped says that the answer is compressed, of which too little is read to show a text.
	zipped bool
	// throttled says that the answer has ended the reservation before.
	throttled bool
}

// Over real connections a body that nobody closes ends when the garbage collector finds it:
// its charge is settled by what was seen, its slot starts the next call, and its connection
// is closed, also over HTTP/2, and where an error's body has not come yet.
func TestLostBodyEnds(t *testing.T) {
	const event = "data: {\"choices\":[{\"delta\":{\"content\":\"one two three four\"}}]}\n\n"
	for name, call := range map[string]lostCall{
		"a stream, not read":             {status: 200, answer: event},
		"a stream, read a little":        {status: 200, answer: strings.Repeat(event, 100), read: 100 * len(event)},
		"a zipped stream, read a little": {status: 200, answer: strings.Repeat(event, 100), read: 60, zipped: true},
		"an error, not read":             {status: 500, throttled: true},
		"a throttle, not read":           {status: 429, answer: `{"error":{`, throttled: true},
	} {
		t.Run(name, func(t *testing.T) {
			left := make(chan struct{}, 1)
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "text/event-stream")
				answer := call.answer
				if call.zipped {
					w.Header().Set("Content-Encoding", "gzip")
					answer = compress(t, "gzip", answer)
				}
				w.WriteHeader(call.status)
				_, _ = io.WriteString(w, answer)
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				left <- struct{}{}
			})
			overBoth(t, handler, func(t *testing.T, url string, base http.RoundTripper) {
				settled := make(chan ratelimiter.SettledInfo, 1)
				l := newLimiter(t, ratelimiter.WithAccount("a"),
					ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60_000, TPM: 600_000, Concurrent: 1}),
					ratelimiter.WithTrace(&ratelimiter.Trace{
						Settled: func(_ context.Context, info ratelimiter.SettledInfo) { settled <- info },
					}))
				lose(t, l.Client(base), url, call.read)
				if n := remaining(t, l, "m", "concurrent"); n != 0 {
					t.Fatalf("%d slots are free while the response is open", n)
				}
				collect(t, left)
				info := <-settled
				switch {
				case call.throttled:
					if info.Final.Requests != 1 {
						t.Errorf("%+v stays", info.Final)
					}
				case info.HasUsage || info.Final != info.Charged && call.read == 0:
					t.Errorf("%+v stays of %+v", info.Final, info.Charged)
				case call.read > 0 && !call.zipped && info.Usage.OutputTokens < 400:
					t.Errorf("it has seen %+v", info.Usage)
				}
				for _, s := range stateOf(t, l).Scopes {
					if s.InFlight != 0 {
						t.Errorf("%d are in flight", s.InFlight)
					}
				}
				acquire(t, l, tokens(1)).Cancel() // its slot is free
			})
		})
	}
}

// lose sends a call and loses the body of its response.
func lose(t *testing.T, c *http.Client, url string, read int) {
	// The context never ends: it must not be what closes the body.
	req := newRequest(t, context.Background(), url+"/v1/chat/completions", strings.NewReader(chatBody("m", 20, true)))
	req.Header.Set("Accept-Encoding", "gzip") // so that it comes as it is
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, int64(read)); err != nil {
		t.Error(err)
	}
}

// collect lets the garbage collector run until something has come of it.
func collect(t *testing.T, come <-chan struct{}) {
	t.Helper()
	for range 2_000 {
		runtime.GC()
		select {
		case <-come:
			return
		case <-time.After(time.Millisecond):
		}
	}
	t.Fatal("the garbage collector finds nothing")
}

// Nothing of the limiter's grows with the bodies that nobody closes, and a hook that panics
// when one is found costs nothing.
func TestLostBodiesLeaveNothing(t *testing.T) {
	closed := make(chan struct{}, 100)
	log, lines := logged()
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(log, 0),
		ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 1 << 30, TPM: 1 << 40}),
		ratelimiter.WithTrace(&ratelimiter.Trace{Settled: func(context.Context, ratelimiter.SettledInfo) { panic("boom") }}))
	transport := l.Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		return response(200, "text/event-stream", signalling{strings.NewReader("data: {}\n\n"), closed}), nil
	}))
	for range cap(closed) {
		if _, err := transport.RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 20, true)))); err != nil {
			t.Fatal(err)
		}
	}
	for range cap(closed) {
		collect(t, closed)
	}
	for _, s := range stateOf(t, l).Scopes {
		if s.InFlight != 0 {
			t.Errorf("%d are in flight", s.InFlight)
		}
	}
	if got := lines.take(); strings.Count(got, "never closed") != 1 || !strings.Contains(got, "model=m") {
		t.Errorf("it warns: %s", got)
	}
}

// A body that its caller has closed, or read to its end or to an error, is not one that is lost. What
// Close says reaches the caller, and where it panics the slot is free all the same.
func TestClosedBodyIsNotLost(t *testing.T) {
	broken := errors.New("broken")
	log, lines := logged()
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(log, 0), ratelimiter.WithMaxWait(0),
		ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 1 << 30, Concurrent: 1}))
	send := func(body io.ReadCloser) io.ReadCloser {
		t.Helper()
		resp, err := l.Transport(answeringWith(body)).RoundTrip(newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 20, true))))
		if err != nil {
			t.Fatal(err)
		}
		return resp.Body
	}
	if err := send(closing{strings.NewReader("data: {}\n\n"), func() error { return broken }}).Close(); err != broken {
		t.Errorf("Close returns %v", err)
	}
	if p := panics(func() { send(closing{strings.NewReader(""), func() error { panic(broken) }}).Close() }); p != broken {
		t.Errorf("Close panics with %v", p)
	}
	if _, err := io.ReadAll(send(io.NopCloser(iotest.ErrReader(broken)))); err != broken {
		t.Errorf("Read returns %v", err)
	}
	acquire(t, l, ratelimiter.Cost{Model: "m"}).Cancel() // its slot is free
	closed := make(chan struct{}, 1)
	runtime.AddCleanup(new([64]byte), func(struct{}) { closed <- struct{}{} }, struct{}{})
	for range 3 {
		collect(t, closed)
		runtime.AddCleanup(new([64]byte), func(struct{}) { closed <- struct{}{} }, struct{}{})
	}
	if got := lines.take(); got != "" {
		t.Errorf("it warns: %s", got)
	}
}

type closing struct {
	io.Reader
	close func() error
}

func (c closing) Close() error { return c.close() }

func answeringWith(body io.ReadCloser) http.RoundTripper {
	return roundTripFunc(func(*http.Request) (*http.Response, error) { return response(200, "text/event-stream", body), nil })
}

// A signalling body tells when it is closed.
type signalling struct {
	io.Reader
	closed chan<- struct{}
}

func (s signalling) Close() error {
	s.closed <- struct{}{}
	return nil
}

// Trailers that no header has announced come with the end, as without the limiter.
func TestTrailersArrive(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Announced")
		if r.URL.Query().Has("unannounced") {
			w.Header().Del("Trailer")
		}
		_, _ = io.WriteString(w, usageBody)
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"X-Unannounced", "1")
		w.Header().Set("X-Announced", "2")
	})
	overBoth(t, handler, func(t *testing.T, url string, base http.RoundTripper) {
		for _, query := range []string{"", "?unannounced"} {
			var got [2]string
			for i, rt := range []http.RoundTripper{base, newLimiter(t).Transport(base)} {
				resp, err := rt.RoundTrip(newRequest(t, t.Context(), url+"/v1/chat/completions"+query, strings.NewReader(chatBody("m", 20, false))))
				if err != nil {
					t.Fatal(err)
				}
				before := fmt.Sprintf("%#v", resp.Trailer)
				if _, err := io.ReadAll(resp.Body); err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				got[i] = before + fmt.Sprintf(", then %#v", resp.Trailer)
			}
			if got[0] != got[1] || !strings.Contains(got[0], "X-Unannounced") {
				t.Errorf("%s; without the limiter %s", got[1], got[0])
			}
		}
	})
}

// A reservation that nobody ends keeps its slot, and nothing else: what it was charged
// refills.
func TestReservationThatNobodyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60, TPM: 6000, Concurrent: 2}))
		warm(t, l, "m")
		acquire(t, l, tokens(3000))
		if n := remaining(t, l, "m", "tpm"); n != 3000 {
			t.Errorf("%d tokens remain", n)
		}
		time.Sleep(time.Minute)
		runtime.GC()
		for name, want := range map[string]int64{"rpm": 60, "tpm": 6000, "concurrent": 1} {
			if n := remaining(t, l, "m", name); n != want {
				t.Errorf("%s: %d remain, want %d", name, n, want)
			}
		}
	})
}

// What Do has charged stays where its function panics, and its slot is free.
func TestDoThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimiter.WithAccount("a"), oneAtATime)
		warm(t, l, "m")
		before := remaining(t, l, "m", "tpm")
		if p := panics(func() {
			_ = l.Do(t.Context(), tokens(3000), func(context.Context) (ratelimiter.Usage, error) { panic("boom") })
		}); p != "boom" {
			t.Errorf("recovered %v", p)
		}
		if n := remaining(t, l, "m", "tpm"); n != before-3000 {
			t.Errorf("%d of %d tokens remain", n, before)
		}
		if n := remaining(t, l, "m", "concurrent"); n != 1 {
			t.Errorf("%d slots are free", n)
		}
	})
}
