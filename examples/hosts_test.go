package examples

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Hosts are the APIs that examples with a key call, by the names that those have: a server on
// this machine has a certificate for all of them, and a proxy leads there.
type hosts struct {
	apis           map[string]http.Handler
	key            string
	calls, keyless atomic.Int64
}

// environment starts the server and the proxy, and returns what leads a program there.
func (h *hosts) environment(t *testing.T) []string {
	t.Helper()
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		t.Skip("programs here trust the system's roots alone, whatever SSL_CERT_FILE says")
	}
	server := httptest.NewUnstartedServer(h)
	certificate, roots := newCertificate(t, slices.Collect(maps.Keys(h.apis)))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := httptest.NewServer(tunnel{h.apis, server.Listener.Addr().String()})
	t.Cleanup(proxy.Close)
	return []string{"SSL_CERT_FILE=" + roots, "SSL_CERT_DIR=" + filepath.Dir(roots), "HTTPS_PROXY=" + proxy.URL, "NO_PROXY="}
}

func (h *hosts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.calls.Add(1)
	if r.Header.Get("Authorization") != "Bearer "+h.key && r.Header.Get("Api-Key") != h.key {
		h.keyless.Add(1)
	}
	h.apis[r.Host].ServeHTTP(w, r)
}

// A tunnel is a proxy that connects those who ask for one of the hosts to an address.
type tunnel struct {
	apis    map[string]http.Handler
	address string
}

func (t tunnel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.Host)
	if r.Method != http.MethodConnect || t.apis[host] == nil {
		http.Error(w, "no such host here: "+r.Host, http.StatusBadGateway)
		return
	}
	server, err := net.Dial("tcp", t.address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var one sync.WaitGroup
	one.Go(func() {
		_, _ = io.Copy(server, client)
		server.Close()
	})
	_, _ = io.Copy(client, server)
	client.Close()
	one.Wait()
}

// newCertificate returns one for the names, and the file in which it is a root.
func newCertificate(t *testing.T, names []string) (certificate tls.Certificate, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
