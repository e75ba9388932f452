package redis

import (
	"fmt"
	"runtime/debug"
)

// A result is that of something that runs on another goroutine than its caller's, or the
// panic that has ended it: a client may have hooks of its user's.
type result struct {
	err    error
	panics string
}

// resultOf runs f.
func resultOf(f func() error) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r.panics = fmt.Sprintf("%v\n\n%s", p, debug.Stack())
		}
	}()
	return result{err: f()}
}

// get returns the error, on the caller's goroutine, or panics there.
func (r result) get() error {
	if r.panics != "" {
		panic(r.panics)
	}
	return r.err
}
