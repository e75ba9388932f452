package goopenai_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/goopenai"
	"github.com/openai-ratelimiter/ratelimiter/internal/sdktest"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// The client that the config had is used whole: its Timeout begins after the
// wait, its cookies and its errors are as before.
func TestTheClientStaysAsItWas(t *testing.T) {
	for _, how := range how {
		t.Run("timeout/"+how.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLatency(time.Second, 2*time.Second))
				defer srv.Close()
				b := &sdktest.Book{}
				limiter := sdktest.NewLimiter(t, b, ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{RPM: 1}))
				client := newClient(limiter, &http.Client{Transport: srv.Transport(), Timeout: 5 * time.Second}, sdktest.PipeURL)
				start := time.Now()
				for range 2 {
					if err := how.call(t.Context(), client, chat(1)); err != nil {
						t.Fatal(err)
					}
				}
				if took := time.Since(start); took < 50*time.Second {
					t.Errorf("the second call has waited for %v", took)
				}
				srv.Inject(1, openaitest.Answer{Stall: time.Hour})
				err := how.call(t.Context(), client, chat(1))
				var timeout interface{ Timeout() bool }
				if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Errorf("error %v", err)
				}
				if n := strings.Count(err.Error(), "Post "); n != 1 {
					t.Errorf("message: %v", err)
				}
				b.Last(t, 3)
			})
		})
	}
	t.Run("cookies", func(t *testing.T) {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		jar.SetCookies(&url.URL{Scheme: "http", Host: "api.test"}, []*http.Cookie{{Name: "session", Value: "1"}})
		var sent []*http.Cookie
		srv := openaitest.New(openaitest.WithHeader(func(c *openaitest.Call, _ int, _ http.Header) { sent = c.Request.Cookies() }))
		client := newClient(sdktest.NewLimiter(t, &sdktest.Book{}), &http.Client{Transport: srv.Direct(), Jar: jar}, sdktest.PipeURL)
		if _, err := client.CreateChatCompletion(t.Context(), chat(1)); err != nil {
			t.Fatal(err)
		}
		if len(sent) != 1 {
			t.Errorf("cookies %v", sent)
		}
		config := openai.DefaultConfig("key")
		config.HTTPClient = &http.Client{Transport: srv.Direct(), Jar: jar}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, sdktest.PipeURL+"/v1/models", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := goopenai.WithLimiter(config, sdktest.NewLimiter(t, &sdktest.Book{})).HTTPClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); len(req.Cookies()) != 0 {
			t.Errorf("the caller's request has cookies %v", req.Cookies())
		}
	})
	t.Run("own HTTPDoer", func(t *testing.T) {
		broken := errors.New("broken")
		client := newClient(sdktest.NewLimiter(t, &sdktest.Book{}), doFunc(func(*http.Request) (*http.Response, error) { return nil, broken }), sdktest.PipeURL)
		if _, err := client.CreateChatCompletion(t.Context(), chat(1)); !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("idle connections", func(t *testing.T) {
		closed := 0
		config := openai.DefaultConfig("key")
		config.HTTPClient = idleCloser{func() { closed++ }}
		goopenai.WithLimiter(config, sdktest.NewLimiter(t, &sdktest.Book{})).HTTPClient.(*http.Client).CloseIdleConnections()
		if closed != 1 {
			t.Error("not passed on")
		}
	})
}

type doFunc func(*http.Request) (*http.Response, error)

func (f doFunc) Do(req *http.Request) (*http.Response, error) { return f(req) }

type idleCloser struct{ close func() }

func (idleCloser) Do(*http.Request) (*http.Response, error) { return nil, errors.New("unused") }
func (c idleCloser) CloseIdleConnections()                  { c.close() }

// Requests that can't be marshaled fail as early as in the SDK.
func TestRequestsThatCannotBeMarshaled(t *testing.T) {
	request := chat(1)
	request.Messages[0].MultiContent = []openai.ChatMessagePart{{Type: openai.ChatMessagePartTypeText, Text: "x"}}
	r, err := sdktest.NewLimiter(t, &sdktest.Book{}).Acquire(t.Context(), goopenai.Chat(request))
	if err == nil {
		r.Cancel()
		t.Fatal("no error")
	}
	if !strings.Contains(err.Error(), openai.ErrContentFieldsMisused.Error()) {
		t.Errorf("error %v", err)
	}
}
