package redis

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A hook counts commands, and panics if it is to, once what it waits for has come.
type hook struct {
	commands atomic.Int64
	panics   atomic.Bool
	until    chan struct{}
}

func (*hook) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (*hook) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

func (h *hook) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		h.commands.Add(1)
		if h.panics.Load() {
			<-h.until
			panic("boom")
		}
		return next(ctx, cmd)
	}
}

// hooked returns a client of that kind with a hook.
func hooked(t *testing.T, kind func(*goredis.Options) Client) (Client, *hook) {
	h := &hook{until: make(chan struct{})}
	c := kind(&goredis.Options{Addr: shared.Addr, Username: "limiter", Password: "secret"})
	t.Cleanup(func() { closeClient(c) })
	switch c := c.(type) {
	case *goredis.Client:
		c.AddHook(h)
	case struct{ Client }:
		c.Client.(*goredis.Client).AddHook(h)
	}
	return c, h
}

// The hooks of the client, such as those that trace commands, see each command.
func TestHooksOfTheClient(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			c, h := hooked(t, kind)
			b := New(c, prefix(), WithTimeout(10*time.Second))
			mustTake(t, b, ask(1, perDay(100), 1))
			before := h.commands.Load()
			mustTake(t, b, ask(2, perDay(100), 1))
			if err := b.Settle(t.Context(), refund(perDay(100), 1)); err != nil {
				t.Fatal(err)
			}
			if n := h.commands.Load() - before; n < 2 {
				t.Errorf("%d commands were seen; want 2", n)
			}
		})
	}
}

// A panic of the client reaches each caller whose command it ends, and nobody else: no
// goroutine ends the process, and no settlement waits for one that has panicked.
func TestClientThatPanics(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			c, h := hooked(t, kind)
			b := New(c, prefix(), WithTimeout(10*time.Second))
			buckets := perDay(100)
			mustTake(t, b, ask(1, buckets, 50))
			h.panics.Store(true)
			var work sync.WaitGroup
			caught := func(f func() error) {
				work.Go(func() {
					defer func() {
						if said := fmt.Sprint(recover()); !strings.Contains(said, "boom") {
							t.Errorf("its caller gets %s", said)
						}
					}()
					t.Error(f())
				})
			}
			one := refund(buckets, 10)
			g := b.settlings.get(b, &one)
			for n := range 3 { // one is under way, and the others wait for it
				caught(func() error { return b.Settle(t.Context(), one) })
				for come := -1; come < n; runtime.Gosched() {
					g.mu.Lock()
					if g.sending {
						come = len(g.waiting)
					}
					g.mu.Unlock()
				}
			}
			caught(func() error { _, err := b.Take(t.Context(), ask(2, buckets, 1)); return err })
			caught(func() error { _, err := b.Look(t.Context(), ask(0, buckets)); return err })
			close(h.until)
			work.Wait()
			h.panics.Store(false)
			if err := b.Settle(t.Context(), one); err != nil {
				t.Error(err)
			}
			if got := used(t, b, buckets); got != 40 {
				t.Errorf("%d are used; want 40", got)
			}
		})
	}
}
