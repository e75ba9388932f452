package ratelimiter

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// A writeWatch is the context of a request that is sent. It tells whether the request has
// been written, and when, by hooks of net/http/httptrace, which are made when the base asks
// for them: one that runs no hooks does not pay for them.
type writeWatch struct {
	context.Context // the caller's

	connected, wrote atomic.Bool
	begun            time.Time
	after            atomic.Int64 // how long after begun all of it was, in nanoseconds; 0 for never

	once  sync.Once
	hooks *httptrace.ClientTrace // ours and the caller's
}

// hooksKey is the key under which a context has the hooks of httptrace.
var hooksKey = func() any {
	var asked keyOf
	httptrace.ContextClientTrace(&asked)
	return asked.key
}()

// A keyOf is a context that remembers what it was asked for.
type keyOf struct {
	context.Context
	key any
}

func (k *keyOf) Value(key any) any {
	k.key = key
	return nil
}

// Value implements context.Context.
func (w *writeWatch) Value(key any) any {
	if key == hooksKey {
		w.once.Do(w.hook)
		return w.hooks
	}
	return w.Context.Value(key)
}

func (w *writeWatch) hook() {
	w.hooks = httptrace.ContextClientTrace(httptrace.WithClientTrace(w.Context, &httptrace.ClientTrace{
		GetConn:      func(string) { w.connected.Store(true) },
		WroteHeaders: func() { w.wrote.Store(true) },
		WroteRequest: func(httptrace.WroteRequestInfo) { w.after.Store(max(1, int64(time.Since(w.begun)))) },
	}))
}

// time is when the request had been written. It is zero for a base that runs no hooks, or
// where the response came first.
func (w *writeWatch) time() time.Time {
	after := w.after.Load()
	if after == 0 {
		return time.Time{}
	}
	return w.begun.Add(time.Duration(after))
}

// never reports whether the request that failed with err was never sent. Of a base that runs no
// hooks that is known only if it failed to dial.
func (w *writeWatch) never(err error) bool {
	if w.connected.Load() {
		return !w.wrote.Load()
	}
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
