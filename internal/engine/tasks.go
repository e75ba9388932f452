package engine

import (
	"context"
	"sync"
)

// tasks owns goroutines. Unlike a sync.WaitGroup, it may be waited for while more are
// started, and with a context. The zero value is ready.
type tasks struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n falls to 0, if somebody waits
}

func (t *tasks) start(f func()) {
	t.begin()
	go func() {
		defer t.end()
		f()
	}()
}

func (t *tasks) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
}

func (t *tasks) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n--; t.n == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

// wait returns when there is a moment in which no task runs.
func (t *tasks) wait(ctx context.Context) error {
	idle := t.whenIdle()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// whenIdle returns what is closed when no task runs any more, or nil where none does.
func (t *tasks) whenIdle() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n > 0 && t.idle == nil {
		t.idle = make(chan struct{})
	}
	return t.idle
}
