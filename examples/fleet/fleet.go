package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"time"
)

// patience is how long a process may take to finish its calls.
const patience = 5 * time.Second

// A fleet is the processes, as their parent sees them.
type fleet []*member

type member struct {
	key   string
	cmd   *exec.Cmd
	stdin io.Closer
	last  atomic.Pointer[report] // never nil
	done  chan struct{}          // closed when it has ended
	err   error                  // why, once it has
}

// start returns those that it has started, also with an error.
func start(redisAddr, baseURL string) (fleet, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var f fleet
	for i := range processes {
		key := fmt.Sprintf("key-%d", i+1)
		m := &member{key: key, cmd: exec.Command(program, key, redisAddr, baseURL), done: make(chan struct{})}
		if err := m.start(); err != nil {
			return f, err
		}
		f = append(f, m)
	}
	return f, nil
}

func (m *member) start() error {
	m.last.Store(new(report))
	m.cmd.Stderr = os.Stderr
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := m.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(m.done)
		for in := json.NewDecoder(stdout); ; {
			var r report
			if in.Decode(&r) != nil {
				break // it has ended, perhaps in mid-line
			}
			m.last.Store(&r)
		}
		m.err = m.cmd.Wait()
	}()
	return nil
}

// finish lets all finish their calls and returns when they have ended.
func (f fleet) finish() {
	for _, m := range f {
		m.stdin.Close()
	}
	late := time.AfterFunc(patience, f.kill)
	defer late.Stop()
	for _, m := range f {
		<-m.done
	}
}

// kill ends those that have not ended.
func (f fleet) kill() {
	for _, m := range f {
		m.kill()
	}
}

// kill ends a process as a crash would, and returns when it is gone.
func (m *member) kill() {
	_ = m.cmd.Process.Kill()
	<-m.done
}
