package ratelimiter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// trackedBody counts how often it is closed.
type trackedBody struct {
	io.Reader
	closed atomic.Int32
}

func (b *trackedBody) Close() error { b.closed.Add(1); return nil }

func newRequest(t testing.TB, ctx context.Context, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return req
}

// response is what a test's upstream answers.
func response(status int, typ string, body io.ReadCloser) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {typ}}, Body: body, ContentLength: -1,
	}
}

const usageBody = `{"id":"x","usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`

// overBoth runs a test over HTTP/1.1 and HTTP/2, on sockets.
func overBoth(t *testing.T, h http.Handler, test func(t *testing.T, url string, base http.RoundTripper)) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", version), func(t *testing.T) {
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor != version {
					t.Errorf("spoke %s", r.Proto)
				}
				h.ServeHTTP(w, r)
			}))
			srv.EnableHTTP2 = version == 2
			srv.StartTLS()
			defer srv.Close()
			test(t, srv.URL, srv.Client().Transport)
		})
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

const chatURL = "http://api.openai.test/v1/chat/completions"

func chatBody(model string, maxTokens int, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"Who is Joseph Conrad?"}],"max_tokens":%d,"stream":%t}`, model, maxTokens, stream)
}

// post sends a JSON body and reads the answer to its end.
func post(t testing.TB, c *http.Client, url, body string) (status int, answer string) {
	t.Helper()
	resp, err := c.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(b)
}

// busy makes calls with workers callers until the time is over, and returns how many
// were answered.
func busy(t *testing.T, c *http.Client, workers int, d time.Duration, body string) (answered int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if status := postWithin(ctx, c, body); status == http.StatusOK {
					mu.Lock()
					answered++
					mu.Unlock()
				} else {
					time.Sleep(time.Second)
				}
			}
		})
	}
	wg.Wait()
	return answered
}

func postWithin(ctx context.Context, c *http.Client, body string) (status int) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, chatURL, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}

const responsesURL = "http://api.openai.test/v1/responses"

// answering is an upstream that answers each request with the next body.
func answering(bodies ...string) roundTripFunc {
	var mu sync.Mutex
	return func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		body, typ := bodies[0], "application/json"
		bodies = bodies[1:]
		if strings.HasPrefix(body, "event:") {
			typ = "text/event-stream"
		}
		return response(200, typ, io.NopCloser(strings.NewReader(body))), nil
	}
}

// answer is a response of the Responses API.
func answer(id string, input, output int64) string {
	return fmt.Sprintf(`{"id":%q,"object":"response","usage":{"input_tokens":%d,"output_tokens":%d,"total_tokens":%d}}`,
		id, input, output, input+output)
}

func streamed(body string) string {
	return "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_x\",\"usage\":null}}\n\n" +
		"event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":" + body + "}\n\n"
}
