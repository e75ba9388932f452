package ratelimiter_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
)

// Over real sockets a request that gets no response is refunded if none of it was written,
// and stays charged if it was, for the server may have counted it.
func TestUnansweredRequestIsRefundedUnlessWritten(t *testing.T) {
	type server struct {
		*httptest.Server
		cancel context.CancelFunc // what the request's context ends with
	}
	unreached := func(t *testing.T) http.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) { t.Error("the server got it") }
	}
	for _, x := range []struct {
		name    string
		handler func(t *testing.T, s *server) http.HandlerFunc // nil for one that must get nothing
		base    func(s *server, base *http.Transport)
		scheme  string
		stays   bool
	}{
		{name: "the proxy is unknown", base: func(_ *server, base *http.Transport) {
			base.Proxy = func(*http.Request) (*url.URL, error) { return nil, errors.New("no proxy") }
		}},
		{name: "dial refused", base: func(s *server, _ *http.Transport) { s.Close() }},
		{name: "cancelled while dialling", base: func(s *server, base *http.Transport) {
			dialer := &net.Dialer{ControlContext: func(ctx context.Context, _, _ string, _ syscall.RawConn) error {
				s.cancel()
				<-ctx.Done()
				return ctx.Err()
			}}
			base.DialContext = dialer.DialContext
		}},
		{name: "TLS handshake fails", scheme: "https"}, // the server speaks none
		{name: "closed after it was read", stays: true, handler: func(t *testing.T, _ *server) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				conn, _, hijackErr := http.NewResponseController(w).Hijack()
				if err = errors.Join(err, hijackErr); err != nil {
					t.Error(err)
					return
				}
				conn.Close()
			}
		}},
		{name: "cancelled after it was written", stays: true, handler: func(t *testing.T, s *server) http.HandlerFunc {
			return func(_ http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					t.Error(err)
				}
				s.cancel()
				<-r.Context().Done()
			}
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := &server{cancel: cancel}
			handler := unreached(t)
			if x.handler != nil {
				handler = x.handler(t, s)
			}
			s.Server = httptest.NewServer(handler)
			defer s.Close()
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			if x.base != nil {
				x.base(s, base)
			}
			settled := make(chan ratelimiter.SettledInfo, 2)
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 60_000}),
				ratelimiter.WithTrace(&ratelimiter.Trace{Settled: func(_ context.Context, info ratelimiter.SettledInfo) { settled <- info }}))
			address := s.URL
			if x.scheme != "" {
				address = x.scheme + strings.TrimPrefix(address, "http")
			}
			req := newRequest(t, ctx, address+"/v1/chat/completions", strings.NewReader(chatBody("m", 100, false)))
			if resp, err := l.Client(base).Do(req); err == nil {
				resp.Body.Close()
				t.Fatalf("it is answered: %s", resp.Status)
			}
			if len(settled) != 1 {
				t.Fatalf("%d are settled", len(settled))
			}
			info := <-settled
			want := ratelimiter.Cost{Model: "m"}
			if x.stays {
				want = info.Charged
			}
			if info.Charged.Requests != 1 || info.Charged.Tokens < 100 || info.Final != want {
				t.Errorf("%+v stays of %+v; want %+v", info.Final, info.Charged, want)
			}
		})
	}
}
