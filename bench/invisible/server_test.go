package invisible

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The protocols that scripts are played over.
const (
	plain = "HTTP/1.1"
	tls1  = "HTTP/1.1 with TLS"
	tls2  = "HTTP/2"
)

var protocols = []string{plain, tls1, tls2}

// A server answers over one protocol with whatever handler it has at the moment, and
// records what it is sent.
type server struct {
	protocol string
	url      string
	roots    *x509.CertPool
	listener net.Listener
	http     *http.Server
	accepted chan net.Conn // for http
	work     sync.WaitGroup
	handler  atomic.Pointer[http.HandlerFunc]
	tape     atomic.Pointer[tape]
}

// newServer returns one that ends with the test.
func newServer(t *testing.T, protocol string) *server {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{protocol: protocol, listener: listener, accepted: make(chan net.Conn)}
	s.http = &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0), Protocols: new(http.Protocols)}
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetUnencryptedHTTP2(true) // once TLS is over
	s.tape.Store(newTape())
	s.url = "http://" + listener.Addr().String()
	var config *tls.Config
	if protocol != plain {
		certificate := newCertificate(t)
		s.roots = x509.NewCertPool()
		s.roots.AddCert(certificate.Leaf)
		config = &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
		if protocol == tls2 {
			config.NextProtos = []string{"h2", "http/1.1"}
		}
		s.url = "https://" + listener.Addr().String()
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.work.Go(func() { s.accept(ctx, config) })
	s.work.Go(func() { _ = s.http.Serve(queue{s}) })
	t.Cleanup(func() {
		listener.Close()
		cancel()
		s.http.Close()
		s.work.Wait()
	})
	return s
}

// newCertificate returns one for this machine, of a kind that is signed with in no time.
func newCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// accept hands on what clients have connected, once TLS is over.
func (s *server) accept(ctx context.Context, config *tls.Config) {
	defer close(s.accepted)
	var shaking sync.WaitGroup
	defer shaking.Wait()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		tape := s.tape.Load()
		conn = tape.arrive(conn)
		shaking.Go(func() {
			if config != nil {
				secured := tls.Server(conn, config)
				if err := secured.HandshakeContext(ctx); err != nil {
					conn.Close()
					return
				}
				conn = secured
			}
			taped := tape.record(conn)
			select {
			case s.accepted <- taped:
			case <-ctx.Done():
				conn.Close()
			}
		})
	}
}

// A queue is the listener of connections that are set up.
type queue struct{ *server }

func (q queue) Accept() (net.Conn, error) {
	conn, ok := <-q.accepted
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (q queue) Close() error   { return nil }
func (q queue) Addr() net.Addr { return q.listener.Addr() }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tape := s.tape.Load()
	tape.count(&tape.busy, 1)
	defer tape.count(&tape.busy, -1)
	w.Header()["Date"] = []string{"Mon, 02 Jan 2006 15:04:05 GMT"}
	(*s.handler.Load())(w, r)
}

// A client is a base transport, and the connections that it has made.
type client struct {
	*http.Transport
	mu    sync.Mutex
	conns []net.Conn
}

// newBase returns what net/http would send through, with connections of its own.
func (s *server) newBase() *client {
	c := new(client)
	dialer := new(net.Dialer)
	c.Transport = &http.Transport{
		ForceAttemptHTTP2: s.protocol == tls2,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err == nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.conns = append(c.conns, conn)
			}
			return conn, err
		},
	}
	if s.roots != nil {
		c.TLSClientConfig = &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12}
	}
	return c
}

// end closes all connections, and returns how many there have been.
func (c *client) end() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	return len(c.conns)
}

// play runs a script against a handler, and returns what the server was sent. It waits for
// handlers, and for the end of connections, so that all has come.
func (s *server) play(t *testing.T, handler http.HandlerFunc, script func(base *client)) *tape {
	t.Helper()
	tape := newTape()
	s.tape.Store(tape)
	s.handler.Store(&handler)
	base := s.newBase()
	script(base)
	timeout := time.After(time.Minute)
	if err := tape.wait(0, false, timeout); err != nil {
		t.Fatal(err)
	}
	base.CloseIdleConnections()
	if err := tape.wait(base.end(), true, timeout); err != nil {
		t.Fatal(err)
	}
	return tape
}

// sent is what is on the tape, in a form that can be compared.
func (s *server) sent(t *testing.T, tape *tape) string {
	t.Helper()
	if s.protocol != tls2 {
		return tape.text()
	}
	frames, err := tape.frames()
	if err != nil {
		t.Fatal(err)
	}
	return frames
}
