package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
)

// The health check asks where the admin listens, also if that is everywhere, by a name of the loopback's.
func TestHealthcheck(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(local(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/healthz" {
			t.Errorf("it asks %s", req.URL)
		}
		w.WriteHeader(status)
	})))
	defer server.Close()
	address := server.Listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		args         []string
		status, want int
	}{
		{[]string{address}, http.StatusOK, exitOK},
		{[]string{":" + port}, http.StatusOK, exitOK},
		{[]string{"0.0.0.0:" + port}, http.StatusOK, exitOK},
		{[]string{"[::]:" + port}, http.StatusOK, exitOK},
		{[]string{address}, http.StatusServiceUnavailable, exitFailed},
		{[]string{address}, http.StatusNoContent, exitFailed}, // it is another server
		{[]string{address, address}, http.StatusOK, exitUsage},
		{[]string{"localhost"}, http.StatusOK, exitUsage},
	} {
		status = x.status
		var stderr bytes.Buffer
		if got := run(append([]string{"healthcheck"}, x.args...), io.Discard, &stderr); got != x.want || (stderr.Len() == 0) != (got == exitOK) {
			t.Errorf("%v, %d: it exits with %d and says %q", x.args, x.status, got, stderr.String())
		}
	}
}

// An address that is taken is an error that says which setting it is of.
func TestAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for setting, args := range map[string][]string{
		"-listen": {"-listen", l.Addr().String()},
		"-admin":  {"-listen", "127.0.0.1:0", "-admin", l.Addr().String()},
	} {
		var stderr bytes.Buffer
		if got := run(args, io.Discard, &stderr); got != exitFailed || !strings.Contains(stderr.String(), setting+": ") {
			t.Errorf("%s: it exits with %d and says %q", setting, got, stderr.String())
		}
	}
}

// A server that fails ends the process.
func TestServerFails(t *testing.T) {
	c := loaded(t, "-listen", "127.0.0.1:0", "-admin", "127.0.0.1:0")
	p, err := start(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	p.failed <- broken
	if err := p.serve(new(settings), nil, nil); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// Without a file there is nothing to read again.
func TestReloadWithoutFile(t *testing.T) {
	r := launch(t)
	r.signal(syscall.SIGHUP)
	r.logged("there is no file to read again: start with -config")
	r.signal(syscall.SIGTERM)
	r.exit(exitOK)
}
