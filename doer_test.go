package ratelimiter_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A Doer returns a rejection as it is, with a response that is over; whatever else happens it
// returns as http.Client does.
func TestDoer(t *testing.T) {
	broken := errors.New("broken")
	idle := 0
	base := &idler{roundTripFunc(func(req *http.Request) (*http.Response, error) {
		if strings.Contains(req.URL.Path, "broken") {
			return nil, broken
		}
		return response(200, "application/json", io.NopCloser(strings.NewReader("{}"))), nil
	}), &idle}
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 100}))
	d := l.Doer(base)
	do := func(url string, most int) (*http.Response, error) {
		return d.Do(newRequest(t, t.Context(), url, strings.NewReader(chatBody("m", most, false))))
	}

	resp, err := do(chatURL, 1000)
	if e, ok := err.(*ratelimiter.Error); !ok || e.Reason != ratelimiter.ErrTooLarge {
		t.Fatalf("%T %v; want the rejection itself", err, err)
	}
	if resp == nil || resp.StatusCode != 429 || resp.Header.Get("X-Should-Retry") != "false" || resp.Request == nil || resp.ProtoMajor != 1 || resp.ProtoMinor != 1 {
		t.Errorf("%+v beside it", resp)
	} else if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("its body has %d bytes, %v", n, err)
	}

	resp, err = do(chatURL, 1)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v, %v", resp, err)
	}
	if got, err := io.ReadAll(resp.Body); string(got) != "{}" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	resp.Body.Close()

	resp, err = do("http://x/broken", 1)
	if e, ok := err.(*url.Error); !ok || e.Err != broken || resp != nil {
		t.Errorf("%v, %T %v; want what http.Client returns", resp, err, err)
	}
	if d.CloseIdleConnections(); idle != 1 {
		t.Errorf("idle connections were closed %d times", idle)
	}
	if _, ok := d.WebSocketHTTPClient().Transport.(*ratelimiter.Transport); !ok {
		t.Error("WebSockets go past the limiter")
	}
}

// With WithRejectionResponses a Doer, too, returns a response and no error. One of no limiter
// has nothing to say in a response.
func TestDoerOfOthers(t *testing.T) {
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 100}), ratelimiter.WithRejectionResponses())
	request := newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 1000, false)))
	resp, err := l.Doer(nil).Do(request)
	if err != nil || resp.StatusCode != 429 {
		t.Fatalf("%v, %v", resp, err)
	}
	if got, err := io.ReadAll(resp.Body); !strings.Contains(string(got), `"too_large"`) || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	resp.Body.Close()
	if length := resp.Header.Get("Content-Length"); length != fmt.Sprint(resp.ContentLength) {
		t.Errorf("the header announces %q of %d bytes", length, resp.ContentLength)
	}
	var none ratelimiter.Limiter
	if resp, err := none.Doer(nil).Do(request); resp != nil || !errors.Is(err, ratelimiter.ErrNoLimiter) {
		t.Errorf("%v, %v", resp, err)
	}
}

type idler struct {
	http.RoundTripper
	closed *int
}

func (i *idler) CloseIdleConnections() { *i.closed++ }
