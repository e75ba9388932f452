package redistest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A Proxy stands between a client and a server, and can lose what it carries.
type Proxy struct {
	Addr string

	target   string
	listener net.Listener
	mu       sync.Mutex
	cut      bool
	hold     bool
	conns    map[net.Conn]bool
	work     sync.WaitGroup
}

// NewProxy starts one for a test.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, listener: l, conns: map[net.Conn]bool{}}
	p.work.Go(p.accept)
	tb.Cleanup(func() {
		_ = l.Close()
		p.Drop()
		p.work.Wait()
	})
	return p
}

// LoseReply lets the next request reach the server, swallows the reply and cuts
// the connection.
func (p *Proxy) LoseReply() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
}

// Hold makes a black hole of the proxy: it swallows everything and says nothing,
// until it is told otherwise. Connections from before are dropped then.
func (p *Proxy) Hold(on bool) {
	p.mu.Lock()
	p.hold = on
	p.mu.Unlock()
	if !on {
		p.Drop()
	}
}

// Drop cuts all connections.
func (p *Proxy) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		end := func() {
			_ = client.Close()
			_ = server.Close()
			p.mu.Lock()
			delete(p.conns, client)
			delete(p.conns, server)
			p.mu.Unlock()
		}
		p.work.Go(func() { defer end(); p.carry(server, client, false) })
		p.work.Go(func() { defer end(); p.carry(client, server, true) })
	}
}

func (p *Proxy) carry(to io.Writer, from io.Reader, reply bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		hold, cut := p.hold, p.cut && reply
		if cut {
			p.cut = false
		}
		p.mu.Unlock()
		switch {
		case cut:
			return
		case hold:
		default:
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
}
