package invisible

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// Of a body that fails nothing is sent, where net/http sends its beginning; the error is the
// same.
func TestBodyThatFails(t *testing.T) {
	failure := errors.New("the disk is gone")
	for _, protocol := range protocols {
		s := newServer(t, protocol)
		l := newLimiter(t)
		ask := func(over func(base http.RoundTripper) http.RoundTripper) (said string, sent int) {
			tape := s.play(t, echo(nil), func(base *client) {
				body := io.MultiReader(strings.NewReader(question), iotest.ErrReader(failure))
				_, err := (&http.Client{Transport: over(base)}).Do(newRequest(t, t.Context(), "POST", s.url+limited, body))
				if !errors.Is(err, failure) {
					t.Errorf("%s: %v", protocol, err)
				}
				said = errorText(err)
			})
			return said, tape.connections()
		}
		want, _ := ask(func(base http.RoundTripper) http.RoundTripper { return base })
		got, sent := ask(func(base http.RoundTripper) http.RoundTripper { return l.Transport(base) })
		same(t, protocol, got, want)
		if sent != 0 {
			t.Errorf("%s: something was sent", protocol)
		}
	}
}

// A client's own Timeout ends a call as a timeout, whatever its text is.
func TestClientTimeout(t *testing.T) {
	s := newServer(t, plain)
	l := newLimiter(t)
	for _, begun := range []bool{false, true} {
		p := &program{arrived: make(chan struct{})}
		s.play(t, hang(begun)(p), func(base *client) {
			c := l.Client(base)
			c.Timeout = 20 * time.Millisecond
			resp, err := c.Do(newRequest(t, t.Context(), "POST", s.url+limited, question))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			var timeout net.Error
			if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("%v", err)
			}
		})
	}
}
