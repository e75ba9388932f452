package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// An upstream responds at once. It reads the request, as any transport does, charges
// it to its own buckets, and says in each response's headers where they stand.
type upstream struct {
	contentType, body string
	cost              int64 // tokens of a call

	mu               sync.Mutex
	requests, tokens bucket
}

// output is how many tokens each call declares and each response has, so that no
// refund blurs what is measured.
const output = 100

// newUpstream returns an upstream with these limits for calls with this body.
func newUpstream(limits ratelimiter.Limits, request string) *upstream {
	e := costing.JSON(wire.Chat, "", []byte(request), tokens.Exact{})
	u := &upstream{
		cost:     e.Input + output,
		requests: bucket{limit: limits.RPM},
		tokens:   bucket{limit: limits.TPM},
	}
	usage := fmt.Sprintf(`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}`, e.Input, output, u.cost)
	if e.Stream {
		const chunk = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"` + model + `","choices":[`
		u.contentType = "text/event-stream"
		words := strings.Fields(sentence)
		var events strings.Builder
		for i := range output {
			fmt.Fprintf(&events, chunk+`{"index":0,"delta":{"content":" %s"},"finish_reason":null}]}`+"\n\n", words[i%len(words)])
		}
		u.body = events.String() + chunk + "]," + usage + "\n\ndata: [DONE]\n\n"
	} else {
		u.contentType = "application/json"
		u.body = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"` + model + `","choices":[` +
			`{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("and so on ", output/3) + `"},"finish_reason":"stop"}],` + usage
	}
	return u
}

func (u *upstream) RoundTrip(req *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, req.Body)
	req.Body.Close()
	if err != nil {
		return nil, err
	}
	h := http.Header{"Content-Type": {u.contentType}}
	now := time.Now()
	u.mu.Lock()
	u.requests.charge(now, 1, h, "Requests")
	u.tokens.charge(now, u.cost, h, "Tokens")
	u.mu.Unlock()
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(strings.NewReader(u.body)), ContentLength: int64(len(u.body)),
		Request: req,
	}, nil
}

// A bucket refills its limit in a minute, as OpenAI's do.
type bucket struct {
	limit int64
	used  float64
	at    time.Time
}

// charge takes n units and writes where the bucket stands, as OpenAI does.
func (b *bucket) charge(now time.Time, n int64, h http.Header, kind string) {
	refilled := now.Sub(b.at).Minutes() * float64(b.limit)
	b.used, b.at = max(0, b.used-refilled)+float64(n), now
	reset := time.Duration(b.used / float64(b.limit) * float64(time.Minute)).Truncate(time.Millisecond)
	h["X-Ratelimit-Limit-"+kind] = []string{strconv.FormatInt(b.limit, 10)}
	h["X-Ratelimit-Remaining-"+kind] = []string{strconv.FormatInt(max(0, int64(float64(b.limit)-b.used)), 10)}
	h["X-Ratelimit-Reset-"+kind] = []string{reset.String()}
}

// post returns what makes a request and reads the whole response.
func post(t http.RoundTripper, path, text string) func() error {
	body := []byte(text) // SDKs send bytes
	return func() error {
		req, err := http.NewRequest(http.MethodPost, "https://api.openai.com/v1/"+path, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := t.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if err == nil && n != resp.ContentLength {
			err = fmt.Errorf("%d bytes of %d", n, resp.ContentLength)
		}
		return err
	}
}
