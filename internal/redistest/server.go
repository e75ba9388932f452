// Package redistest starts Redis servers for tests and benchmarks: always new
// ones, on free ports, that end with the test; on Linux also if it is killed.
package redistest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is a redis-server process.
type Server struct {
	Addr string
	Port int
	Dir  string

	args []string
	cmd  *exec.Cmd
	log  *buffer
	done chan struct{}
}

// confFile is an argument that is followed by the path of a configuration.
const confFile = "conf"

// ErrMissing says what to do where there is no redis-server.
var ErrMissing = errors.New("redis-server is not in PATH: install it, or run make test, which does on Debian")

// Run starts a server for a test. args are given to redis-server, behind those
// that make it a server for tests.
func Run(tb testing.TB, args ...string) *Server {
	tb.Helper()
	s, err := Start(args...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// Start is Run for programs that are no tests; they must call Close.
func Start(args ...string) (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, ErrMissing
	}
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, args: args}
	for range 5 { // somebody else may take the port first
		if s.Port, err = freePort(); err != nil {
			break
		}
		s.Addr = fmt.Sprintf("127.0.0.1:%d", s.Port)
		if err = s.Restart(); err == nil {
			return s, nil
		}
	}
	os.RemoveAll(dir)
	return nil, err
}

// Restart starts the server again after Kill, on the same port and with what
// it has written to its directory.
func (s *Server) Restart() error {
	args := []string{
		"--port", fmt.Sprint(s.Port), "--bind", "127.0.0.1", "--dir", s.Dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no",
	}
	if len(s.args) > 1 && s.args[0] == confFile { // it stands first
		args = append(append([]string{s.args[1]}, args...), s.args[2:]...)
	} else {
		args = append(args, s.args...)
	}
	s.cmd, s.log, s.done = exec.Command("redis-server", args...), &buffer{}, make(chan struct{})
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	dieWithParent(s.cmd)
	started := make(chan error)
	go func(cmd *exec.Cmd, done chan<- struct{}) {
		defer close(done)
		runtime.LockOSThread() // to the kernel, this thread is the parent
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}(s.cmd, s.done)
	if err := <-started; err != nil {
		return err
	}
	if err := s.ready(); err != nil {
		s.Kill()
		return fmt.Errorf("%w\n%s", err, s.log)
	}
	return nil
}

// ready waits until the server answers, even if only with a refusal.
func (s *Server) ready() error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		reply, err := ask(s.Addr, "PING")
		if err == nil && !strings.HasPrefix(reply, "-LOADING") {
			return nil
		}
		select {
		case <-s.done:
			return errors.New("redis-server has ended")
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("redis-server does not answer: %w", err)
		}
	}
}

// Signal sends the server a signal.
func (s *Server) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }

// Kill ends the server as a crash would, and returns when it is gone.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Close ends the server and removes its directory.
func (s *Server) Close() {
	s.Kill()
	os.RemoveAll(s.Dir)
}

// ask sends one inline command and returns the first line of the reply.
func ask(addr, command string) (string, error) {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line), err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// buffer may be read while a process writes to it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
