package openaitest

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// A pipe is a net/http server on in-memory connections.
type pipe struct {
	listener   *pipeListener
	server     *http.Server
	done       chan struct{} // closed when Serve has returned
	transports []*http.Transport
}

// Transport returns a new HTTP/1.1 transport whose connections reach the server
// over net.Pipe, whatever host is asked for; use http URLs. Real net/http code
// runs on both ends. Call it inside the synctest bubble that uses it, and
// [Server.Close] before the bubble, or the test, ends. The caller may set the
// transport's fields before its first use.
func (s *Server) Transport() *http.Transport {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pipe == nil {
		p := &pipe{
			listener: &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})},
			server:   &http.Server{Handler: s},
			done:     make(chan struct{}),
		}
		go func() {
			defer close(p.done)
			_ = p.server.Serve(p.listener) // always ErrServerClosed
		}()
		s.pipe = p
	}
	t := &http.Transport{
		DialContext:         s.pipe.listener.dial,
		MaxIdleConnsPerHost: 1 << 16, // keep what a burst has opened
	}
	s.pipe.transports = append(s.pipe.transports, t)
	return t
}

// Client returns a client with a Transport of its own.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s.Transport()} }

// Close breaks the connections of all Transports and waits until the server
// behind them has stopped accepting. It is not needed where Transport and
// Client were never called. The server stays usable: its accounts remain, and
// the next Transport starts afresh.
func (s *Server) Close() {
	s.mu.Lock()
	p := s.pipe
	s.pipe = nil
	s.mu.Unlock()
	if p == nil {
		return
	}
	_ = p.server.Close() // a pipeListener closes without error
	<-p.done
	for _, t := range p.transports {
		t.CloseIdleConnections()
	}
}

// A pipeListener accepts the server's ends of the pipes that dial makes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "openaitest" }
