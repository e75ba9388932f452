package invisible

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"
)

const (
	question = `{"model":"gpt-4o","max_tokens":16,"messages":[{"role":"user","content":"Who is Joseph Conrad?"}]}`
	answer   = `{"id":"1","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"An author."},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}`
	failure  = `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"no"}}`
)

// newRequest returns one whose body is nil, a string or a reader.
func newRequest(t *testing.T, ctx context.Context, method, url string, body any) *http.Request {
	t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case string:
		r = strings.NewReader(b)
	case io.Reader:
		r = b
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req
}

// reply answers with a body, once the request's has been read.
func reply(status int, header map[string]string, body string) func(*program) http.HandlerFunc {
	return func(*program) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for name, value := range header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
}

var jsonHead = map[string]string{"Content-Type": "application/json", "X-Request-Id": "req_1"}

// raw answers a request of HTTP/1.1 with bytes, and closes the connection.
func raw(bytes ...string) func(*program) http.HandlerFunc {
	return func(*program) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			for _, b := range bytes {
				_, _ = io.WriteString(conn, b)
			}
		}
	}
}

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	w.Close()
	return b.String()
}

// post asks the question.
func post(p *program) { p.do(p.request("POST", p.url, question)) }

// opaque hides what a reader is.
func opaque(s string) io.Reader { return io.MultiReader(strings.NewReader(s)) }

// A brokenBody fails when it is read or closed, and says whether it was closed.
type brokenBody struct {
	io.Reader
	failure error
	closed  atomic.Bool
}

func (b *brokenBody) Close() error { b.closed.Store(true); return b.failure }

func scripts() []script {
	http1 := []string{plain, tls1}
	all := []script{
		{name: "POST", serve: reply(200, jsonHead, answer), run: post},
		{name: "methods", serve: reply(200, jsonHead, answer), run: func(p *program) {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
				p.do(p.request(method, p.url, nil))
				p.do(p.request(method, p.url, http.NoBody))
				if method != "HEAD" {
					p.do(p.request(method, p.url, question))
				}
			}
		}},
		{name: "bodies", serve: echo, run: func(p *program) {
			for _, body := range []any{nil, "", question, bytes.NewReader([]byte(question)), bytes.NewBufferString(question),
				opaque(""), opaque(strings.Repeat(" ", 1<<18) + question),
				struct{ io.Reader }{opaque(strings.Repeat(" ", 1<<18) + question)}, strings.Repeat(" ", 1<<20) + question} {
				p.do(p.request("POST", p.url, body))
			}
		}},
		{name: "body of unknown length", serve: echo, run: func(p *program) { p.do(p.request("POST", p.url, opaque(question))) }},
		{name: "body that comes by the byte, of known length", serve: echo, run: func(p *program) {
			req := p.request("POST", p.url, iotest.OneByteReader(strings.NewReader(question)))
			req.ContentLength = int64(len(question))
			p.do(req)
		}},
		{name: "trailers of a request", serve: echo, run: func(p *program) {
			req := p.request("POST", p.url, nil)
			req.Trailer = http.Header{"X-Sum": nil}
			req.Body = io.NopCloser(io.MultiReader(strings.NewReader(question), atEOF(func() { req.Trailer.Set("X-Sum", "1") })))
			p.do(req)
		}},
		{name: "body shorter than said", only: http1, serve: echo, run: mislength(+1)},
		{name: "body longer than said", only: http1, serve: echo, run: mislength(-1)},
		{name: "body whose Close fails", serve: echo, run: func(p *program) {
			body := &brokenBody{Reader: strings.NewReader(question), failure: errors.New("can't close")}
			p.do(p.request("POST", p.url, body))
			p.say("closed: %t", body.closed.Load())
		}},
		{name: "a request stays as it is", serve: reply(200, jsonHead, answer), run: untouched},

		{name: "HEAD", serve: reply(200, map[string]string{"Content-Length": "1234"}, ""), run: func(p *program) { p.do(p.request("HEAD", p.url, nil)) }},
		{name: "gzip", serve: reply(200, map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}, zipped(answer)), run: post},
		{name: "gzip that was asked for", serve: reply(200, map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}, zipped(answer)),
			run: func(p *program) {
				req := p.request("POST", p.url, question)
				req.Header.Set("Accept-Encoding", "gzip")
				p.do(req)
			}},
		{name: "gzip that is cut", serve: reply(200, map[string]string{"Content-Encoding": "gzip"}, zipped(answer)[:50]), run: post},
		{name: "gzip that is none", serve: reply(200, map[string]string{"Content-Encoding": "gzip"}, answer), run: post},
		{name: "gzip of nothing", serve: reply(200, map[string]string{"Content-Encoding": "gzip"}, ""), run: post},
		{name: "failure in gzip", serve: reply(429, map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}, zipped(failure)), run: post},
		{name: "failure in broken gzip", serve: reply(500, map[string]string{"Content-Encoding": "gzip"}, zipped(failure)[:30]), run: post},
		{name: "without compression", base: func(b *http.Transport, _ string) { b.DisableCompression = true }, serve: reply(200, jsonHead, answer), run: post},
		{name: "without keep-alive", base: func(b *http.Transport, _ string) { b.DisableKeepAlives = true }, serve: reply(200, jsonHead, answer), run: func(p *program) { post(p); post(p) }},
		{name: "trailers of a response", serve: func(*program) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Trailer", "X-Sum")
				_, _ = io.WriteString(w, answer)
				w.Header().Set("X-Sum", "1")
				w.Header().Set(http.TrailerPrefix+"X-More", "2")
			}
		}, run: post},
		{name: "trailers of a failure", serve: func(*program) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Trailer", "X-Sum")
				w.WriteHeader(503)
				_, _ = io.WriteString(w, failure)
				w.Header().Set("X-Sum", "1")
			}
		}, run: post},
		{name: "informational responses", serve: func(*program) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Link", "</style.css>")
				w.WriteHeader(http.StatusProcessing)
				w.WriteHeader(http.StatusEarlyHints)
				_, _ = io.WriteString(w, answer)
			}
		}, run: post},
		{name: "response that is cut off", serve: func(*program) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, answer[:40])
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
		}, run: post},
		{name: "failure that is cut off", serve: func(*program) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(429)
				_, _ = io.WriteString(w, failure[:20])
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
		}, run: post},
		{name: "no response", serve: func(*program) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				panic(http.ErrAbortHandler)
			}
		}, run: post},
		{name: "body that is not read to its end", serve: reply(200, jsonHead, answer), run: halfRead},
		{name: "failure that is not read to its end", serve: reply(429, jsonHead, failure), run: halfRead},

		{name: "continue", serve: echo, base: patient, run: expect},
		{name: "continue is refused", serve: unread(417), base: patient, run: expect},
		{name: "continue is not needed", serve: unread(200), base: patient, run: expect},

		{name: "caller leaves before the response", serve: hang(false), run: leaving(nil)},
		{name: "caller leaves before the response, and says why", serve: hang(false), run: leaving(errors.New("had enough"))},
		{name: "caller leaves within the response", serve: hang(true), run: leavingLate(nil)},
		{name: "caller leaves within the response, and says why", serve: hang(true), run: leavingLate(errors.New("had enough"))},
		{name: "caller has left", serve: reply(200, jsonHead, answer), run: left(nil)},
		{name: "caller has left, and says why", serve: reply(200, jsonHead, answer), run: left(errors.New("had enough"))},
		{name: "deadline before the response", serve: hang(false), run: late},
		{name: "deadline within the response", serve: hang(true), run: endingLate(withDeadline)},
		{name: "timeout of the headers", serve: hang(false), base: func(b *http.Transport, _ string) { b.ResponseHeaderTimeout = 50 * time.Millisecond }, run: post},
		{name: "the old way to leave", serve: hang(false), run: func(p *program) {
			req := p.request("POST", p.url, question)
			cancel := make(chan struct{})
			//lint:ignore SA1019 some programs still do
			req.Cancel = cancel
			go func() {
				<-p.arrived
				close(cancel)
			}()
			p.do(req)
		}},

		{name: "no such protocol", serve: reply(200, jsonHead, answer), run: func(p *program) {
			req := p.request("POST", p.url, question)
			req.URL.Scheme = "gopher"
			p.do(req)
		}},
		{name: "requests that are none", serve: reply(200, jsonHead, answer), run: faulty},
		{name: "nobody listens", serve: reply(200, jsonHead, answer), run: func(p *program) {
			req := p.request("POST", p.url, question)
			req.URL.Host = "127.0.0.1:1"
			p.do(req)
		}},
		{name: "unknown authority", only: []string{tls1, tls2}, base: func(b *http.Transport, _ string) { b.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12} }, serve: reply(200, jsonHead, answer), run: post},
		{name: "host, user and query", serve: echo, run: func(p *program) {
			req := p.request("POST", p.url+"?api-version=1&a=%20b", question)
			req.URL.User = url.UserPassword("me", "secret")
			req.Header.Del("Authorization")
			req.Host = "api.example"
			p.do(req)
		}},
		{name: "header fields as they are", serve: echo, run: func(p *program) {
			req := p.request("POST", p.url, question)
			req.Header["x-LOWER"] = []string{"1", "2"}
			req.Header["User-Agent"] = nil
			req.Header.Add("X-Twice", "1")
			req.Header.Add("X-Twice", "2")
			p.do(req)
		}},
		{name: "proxy", only: []string{plain}, serve: echo,
			base: func(b *http.Transport, at string) {
				b.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(at) }
				b.ProxyConnectHeader = http.Header{"X-Proxy": {"1"}}
			},
			run: func(p *program) {
				req := p.request("POST", p.url, question)
				req.URL.Host = "api.example"
				p.do(req)
			}},
	}
	for _, status := range []int{200, 201, 202, 204, 205, 206, 300, 304, 400, 401, 402, 403, 404, 408, 409, 413, 421, 422, 425, 429, 431, 451, 498, 500, 501, 502, 503, 504, 529, 599} {
		body := failure
		if status == 204 || status == 304 {
			body = ""
		}
		all = append(all, script{name: fmt.Sprint("status ", status), serve: reply(status, jsonHead, body), run: post, status: true},
			script{name: fmt.Sprint("status without a body ", status), serve: reply(status, nil, ""), run: post, status: true})
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, known := range []bool{true, false} {
			all = append(all, script{name: fmt.Sprintf("redirect %d, again %t", status, known), serve: redirect(status), run: func(p *program) {
				if known {
					post(p)
				} else {
					p.do(p.request("POST", p.url, opaque(question)))
				}
			}})
		}
	}
	all = append(all,
		script{name: "redirects for ever", serve: func(*program) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
			}
		}, run: post},
		script{name: "redirect to nowhere", serve: reply(302, nil, ""), run: post},
		script{name: "redirect that is not followed", serve: redirect(307), run: func(p *program) {
			p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			post(p)
		}},
		script{name: "redirect that is forbidden", serve: redirect(307), run: func(p *program) {
			p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return errors.New("no further") }
			post(p)
		}},
	)
	for name, bytes := range map[string][]string{
		"not HTTP":                    {"hello\r\n\r\n"},
		"nothing":                     nil,
		"half a head":                 {"HTTP/1.1 200 OK\r\nContent-Le"},
		"a bad header":                {"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"},
		"two lengths":                 {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"},
		"a short body":                {"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + answer},
		"a short failure":             {"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 500\r\n\r\n" + failure},
		"a body that the end closes":  {"HTTP/1.1 200 OK\r\n\r\n" + answer},
		"HTTP/1.0":                    {"HTTP/1.0 200 OK\r\n\r\n" + answer},
		"a failure of HTTP/1.0":       {"HTTP/1.0 500 Oh\r\n\r\n" + failure},
		"chunks":                      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;ext=1\r\nhello\r\n", "1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n"},
		"bad chunks":                  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"},
		"bad chunks of a failure":     {"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"},
		"a status of its own":         {"HTTP/1.1 299 Well\r\nContent-Length: 0\r\n\r\n"},
		"100 and 200":                 {"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"},
		"too many 1xx":                {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 10) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"},
		"101 that nobody asked for":   {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "frames"},
		"101":                         {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tunnel\r\n\r\n", "frames"},
		"a body of a bodiless status": {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"},
	} {
		all = append(all, script{name: name, only: http1, serve: raw(bytes...), run: post})
	}
	all = append(all,
		script{name: "upgrade", only: http1, serve: tunnel, run: upgrade("POST")},
		script{name: "upgrade of a GET", only: http1, serve: tunnel, run: upgrade("GET")},
		script{name: "connection that was closed meanwhile", only: http1, serve: closing, run: func(p *program) {
			for _, header := range []string{"", "Idempotency-Key"} {
				for _, body := range []any{question, opaque(question)} {
					p.do(p.request("POST", p.url, question))
					req := p.request("POST", p.url, body)
					if header != "" {
						req.Header.Set(header, "1")
					}
					p.do(req)
				}
			}
		}},
	)
	return all
}

// echo answers with what the server has understood of the request.
func echo(*program) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "%s %s %s %d %q %d bytes, %v\n", r.Method, r.RequestURI, r.Host, r.ContentLength, r.TransferEncoding, len(body), err)
		_ = r.Header.Write(w)
		_ = r.Trailer.Write(w)
	}
}

// mislength sends a body whose length is not what the request says.
func mislength(by int64) func(p *program) {
	return func(p *program) {
		req := p.request("POST", p.url, opaque(question))
		req.ContentLength = int64(len(question)) + by
		p.do(req)
	}
}

type atEOF func()

func (f atEOF) Read([]byte) (int, error) { f(); return 0, io.EOF }

// untouched looks at the request after it was sent, and at the response's.
func untouched(p *program) {
	req := p.request("POST", p.url, question)
	before, header, body, at := *req, req.Header.Clone(), req.Body, *req.URL
	resp, err := p.rt.RoundTrip(req)
	if err != nil {
		p.say("%v", err)
		return
	}
	p.say("%s", bodyText(resp, 10))
	p.say("same request %t, body %t, header %t, URL %t, length %t, context %t", resp.Request == req, req.Body == body,
		reflect.DeepEqual(header, req.Header), at == *req.URL, req.ContentLength == before.ContentLength, req.Context() == before.Context())
}

// halfRead closes a body before its end, and reads on.
func halfRead(p *program) {
	resp, err := p.client.Do(p.request("POST", p.url, question))
	if err != nil {
		p.say("%v", err)
		return
	}
	b := make([]byte, 10)
	_, err = io.ReadFull(resp.Body, b)
	p.say("%q %v", b, err)
	p.say("%s", errorText(resp.Body.Close()))
	n, err := resp.Body.Read(b)
	p.say("%d %s", n, errorText(err))
}

func patient(b *http.Transport, _ string) { b.ExpectContinueTimeout = time.Minute }

func expect(p *program) {
	for _, body := range []any{question, opaque(question)} {
		req := p.request("POST", p.url, body)
		req.Header.Set("Expect", "100-continue")
		p.do(req)
	}
}

// unread answers before the body has come.
func unread(status int) func(*program) http.HandlerFunc {
	return func(*program) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, failure)
		}
	}
}

// hang answers nothing, or only a beginning, until the caller leaves.
func hang(begun bool) func(*program) http.HandlerFunc {
	return func(p *program) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if begun {
				_, _ = io.WriteString(w, answer[:40])
				_ = http.NewResponseController(w).Flush()
			}
			close(p.arrived)
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // a response that ended now might still arrive
		}
	}
}

// leaving cancels a request that has arrived.
func leaving(cause error) func(p *program) {
	return func(p *program) {
		ctx, cancel := context.WithCancelCause(p.ctx)
		go func() {
			<-p.arrived
			cancel(cause)
		}()
		p.do(newRequest(p.t, ctx, "POST", p.url, question))
	}
}

func leavingLate(cause error) func(p *program) {
	return endingLate(func(ctx context.Context) (context.Context, func()) {
		ctx, cancel := context.WithCancelCause(ctx)
		return ctx, func() { cancel(cause) }
	})
}

// endingLate ends a request's context once the program has read the beginning of the response.
func endingLate(ends func(context.Context) (context.Context, func())) func(p *program) {
	return func(p *program) {
		ctx, end := ends(p.ctx)
		defer end()
		resp, err := p.client.Do(newRequest(p.t, ctx, "POST", p.url, question))
		if err != nil {
			p.say("%v", err)
			return
		}
		b := make([]byte, 40)
		_, err = io.ReadFull(resp.Body, b)
		p.say("%q %v", b, err)
		end()
		p.got(resp, nil)
	}
}

// late sends a request whose deadline is over once it has arrived.
func late(p *program) {
	ctx, over := withDeadline(p.ctx)
	go func() {
		<-p.arrived
		over()
	}()
	p.do(newRequest(p.t, ctx, "POST", p.url, question))
}

func left(cause error) func(p *program) {
	return func(p *program) {
		ctx, cancel := context.WithCancelCause(p.ctx)
		cancel(cause)
		body := &brokenBody{Reader: strings.NewReader(question)}
		p.do(newRequest(p.t, ctx, "POST", p.url, body))
		p.say("closed: %t", body.closed.Load())
	}
}

// faulty sends requests that net/http rejects.
func faulty(p *program) {
	for _, spoil := range []func(r *http.Request){
		func(r *http.Request) { r.URL = nil },
		func(r *http.Request) { r.Header = nil },
		func(r *http.Request) { r.Header["bad name"] = []string{"1"} },
		func(r *http.Request) { r.Header.Set("X-Bad", "a\nb") },
		func(r *http.Request) { r.Method = "BAD METHOD" },
		func(r *http.Request) { r.URL.Host = "" },
		func(r *http.Request) { r.Host = "bad host\n" },
		func(r *http.Request) { r.Trailer = http.Header{"bad name": {"1"}} },
	} {
		body := &brokenBody{Reader: strings.NewReader(question)}
		req := p.request("POST", p.url, body)
		spoil(req)
		resp, err := p.rt.RoundTrip(req)
		p.got(resp, err)
		p.say("closed: %t", body.closed.Load())
	}
}

// redirect sends a caller on, with a body, and answers where it arrives.
func redirect(status int) func(*program) http.HandlerFunc {
	return func(*program) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "" {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Location", r.URL.Path+"?again")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, strings.Repeat("elsewhere ", 10))
				return
			}
			echo(nil)(w, r)
		}
	}
}

// tunnel switches protocols and sends back what it gets.
func tunnel(*program) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tunnel\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, strings.ToUpper(line))
	}
}

func upgrade(method string) func(p *program) {
	return func(p *program) {
		req := p.request(method, p.url, nil)
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "tunnel")
		resp, err := p.client.Do(req)
		if err != nil {
			p.say("%v", err)
			return
		}
		p.say("%s", headText(resp))
		conn, ok := resp.Body.(io.ReadWriteCloser)
		if !ok {
			p.say("nobody can write to %T", resp.Body)
			return
		}
		_, err = io.WriteString(conn, "hello\n")
		p.say("%v", err)
		p.say("%s", bodyText(resp, 100))
	}
}

// closing closes each connection when the second request has come over it, without an
// answer, as a server does whose idle connections end at that moment.
func closing(*program) http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if n.Add(1)%3 == 2 {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, answer)
	}
}
