package invisible

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
)

// Two endpoints, one that is limited and one whose requests pass unread.
const (
	limited = "/v1/chat/completions"
	passed  = "/v1/files"
)

// A script is what a server and a program do, over net/http alone.
type script struct {
	name  string
	only  []string                            // protocols; nil for all
	base  func(b *http.Transport, url string) // sets up the base; may be nil
	serve func(*program) http.HandlerFunc     // for each play a new one
	run   func(p *program)
	// status says that the script differs from others in the response's status alone, which
	// matters only where something is limited.
	status bool
}

// A program is one play of a script by a client.
type program struct {
	t       *testing.T
	ctx     context.Context
	rt      http.RoundTripper
	client  *http.Client
	url     string // of the endpoint
	seen    strings.Builder
	arrived chan struct{} // closed when a request has, by handlers that wait
	hooks   hooks
}

// hooks are those of httptrace that have run, but for WroteRequest: nobody waits for that one.
// Their order is the scheduler's.
type hooks struct {
	mu  sync.Mutex
	ran map[string]bool
}

func (h *hooks) trace() *httptrace.ClientTrace {
	h.ran = map[string]bool{}
	note := func(name string, args ...any) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ran[fmt.Sprint(append([]any{name}, args...)...)] = true
	}
	return &httptrace.ClientTrace{
		GetConn:              func(string) { note("GetConn") },
		GotConn:              func(i httptrace.GotConnInfo) { note("GotConn ", i.Reused) },
		GotFirstResponseByte: func() { note("GotFirstResponseByte") },
		Got100Continue:       func() { note("Got100Continue") },
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			note("Got1xxResponse ", code, header)
			return nil
		},
		WroteHeaderField: func(name string, value []string) { note("WroteHeaderField ", name, value) },
		WroteHeaders:     func() { note("WroteHeaders") },
		Wait100Continue:  func() { note("Wait100Continue") },
	}
}

func (h *hooks) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h.ran)) {
		fmt.Fprintf(&b, "hook %s\n", name)
	}
	return normal(b.String())
}

// say notes what the program has got.
func (p *program) say(format string, args ...any) { fmt.Fprintf(&p.seen, format+"\n", args...) }

// request returns one with the context of the play.
func (p *program) request(method, url string, body any) *http.Request {
	p.t.Helper()
	return newRequest(p.t, p.ctx, method, url, body)
}

// do sends a request and notes all that comes of it.
func (p *program) do(req *http.Request) {
	resp, err := p.client.Do(req)
	p.got(resp, err)
}

func (p *program) got(resp *http.Response, err error) {
	p.seen.WriteString(errorText(err))
	if resp != nil {
		p.seen.WriteString(headText(resp))
		p.seen.WriteString(bodyText(resp, 64))
	}
}

// Over plain net/http nothing differs, on a path that is limited and on one that is not.
func TestHTTP(t *testing.T) {
	scripts := scripts()
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			s := newServer(t, protocol)
			for _, path := range []string{limited, passed} {
				for _, script := range scripts {
					if script.status && path == passed || script.only != nil && !slices.Contains(script.only, protocol) {
						continue
					}
					t.Run(script.name+" of "+path, func(t *testing.T) { s.compare(t, &script, path) })
				}
			}
		})
	}
}

// compare plays a script over the base alone and in every other way.
func (s *server) compare(t *testing.T, script *script, path string) {
	play := func(w way[http.RoundTripper]) outcome {
		p := &program{t: t, url: s.url + path, arrived: make(chan struct{})}
		tape := s.play(t, script.serve(p), func(base *client) {
			if script.base != nil {
				script.base(base.Transport, s.url)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p.ctx = httptrace.WithClientTrace(ctx, p.hooks.trace())
			p.rt = w.over(base)
			p.client = &http.Client{Transport: p.rt}
			script.run(p)
		})
		if p.seen.Len() == 0 {
			t.Fatal("the script says nothing")
		}
		return outcome{"the wire": s.sent(t, tape), "the program": p.seen.String(), "the hooks": p.hooks.String(), "the connections": fmt.Sprint(tape.connections())}
	}
	over := func(name string, l *ratelimiter.Limiter) way[http.RoundTripper] {
		return way[http.RoundTripper]{name, func(base http.RoundTripper) http.RoundTripper { return l.Transport(base) }}
	}
	others := []way[http.RoundTripper]{over("without limits", newLimiter(t))}
	if path == limited {
		others = append(others, over("with limits", wideLimiter(t)))
	}
	compare(t, play, way[http.RoundTripper]{"alone", func(base http.RoundTripper) http.RoundTripper { return base }}, others...)
}
