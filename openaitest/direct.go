package openaitest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// Direct returns a transport that calls the server's handler in the process,
// without connections. Responses stream: they are there as soon as the handler
// has sent their head, and their bodies can be read while it runs. The request's
// context and the body's Close reach the handler as a broken connection would.
// It needs no closing.
func (s *Server) Direct() http.RoundTripper { return direct{s} }

type direct struct{ handler http.Handler }

func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	e := &directExchange{
		ctx: ctx, cancel: cancel, header: http.Header{},
		head: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	r := req.WithContext(ctx) // a shallow copy: the caller's request stays as it is
	r.RequestURI = req.URL.RequestURI()
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.RemoteAddr = "direct"
	if r.Host == "" {
		r.Host = req.URL.Host
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	go e.serve(d.handler, r)

	select {
	case <-e.head:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if e.status == 0 {
		cancel()
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{
		Status:     strconv.Itoa(e.status) + " " + http.StatusText(e.status),
		StatusCode: e.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: e.header, ContentLength: e.length, Body: e, Request: req,
	}, nil
}

// A directExchange is the handler's ResponseWriter and the caller's response
// body. What the handler writes waits in pending, as it would in sockets.
type directExchange struct {
	ctx    context.Context
	cancel context.CancelFunc

	header http.Header
	status int // zero if the handler ended without one; written before head is closed
	length int64
	head   chan struct{}

	mu      sync.Mutex
	pending []byte
	end     error // what follows pending: io.EOF, or why there is no more; nil while the handler runs
	wake    chan struct{}
}

func (e *directExchange) serve(h http.Handler, r *http.Request) {
	defer func() {
		_ = r.Body.Close()
		end := io.EOF
		if v := recover(); v != nil {
			if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			end = io.ErrUnexpectedEOF
		} else if e.status == 0 {
			e.WriteHeader(http.StatusOK)
		}
		e.finish(end)
	}()
	h.ServeHTTP(e, r)
}

func (e *directExchange) finish(end error) {
	e.mu.Lock()
	if e.end == nil {
		e.end = end
	}
	e.mu.Unlock()
	e.signal()
	if e.status == 0 {
		close(e.head)
	}
}

func (e *directExchange) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Header, WriteHeader, Write and Flush make it an http.ResponseWriter.
func (e *directExchange) Header() http.Header { return e.header }

func (e *directExchange) WriteHeader(status int) {
	if e.status != 0 {
		return
	}
	e.status, e.length = status, -1
	if n, err := strconv.ParseInt(e.header.Get("Content-Length"), 10, 64); err == nil {
		e.length = n
	}
	close(e.head)
}

func (e *directExchange) Write(b []byte) (int, error) {
	if e.status == 0 {
		e.WriteHeader(http.StatusOK)
	}
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	e.mu.Lock()
	e.pending = append(e.pending, b...)
	e.mu.Unlock()
	e.signal()
	return len(b), nil
}

func (e *directExchange) Flush() {}

// Read and Close make it a response's body.
func (e *directExchange) Read(b []byte) (int, error) {
	for {
		e.mu.Lock()
		if len(e.pending) > 0 {
			n := copy(b, e.pending)
			e.pending = e.pending[n:]
			e.mu.Unlock()
			return n, nil
		}
		end := e.end
		e.mu.Unlock()
		if end != nil {
			e.cancel()
			return 0, end
		}
		select {
		case <-e.wake:
		case <-e.ctx.Done():
			return 0, context.Cause(e.ctx)
		}
	}
}

func (e *directExchange) Close() error {
	e.mu.Lock()
	e.pending, e.end = nil, http.ErrBodyReadAfterClose
	e.mu.Unlock()
	e.cancel()
	return nil
}
