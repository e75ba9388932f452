package redis

import (
	"fmt"
	"strings"
	"time"
)

// An Option changes how a [Backend] works.
type Option interface{ apply(*Backend) }

type option func(*Backend)

func (o option) apply(b *Backend) { o(b) }

// DefaultPrefix begins all keys where [WithPrefix] sets no other.
const DefaultPrefix = "ratelimiter:"

// DefaultTimeout bounds a call where [WithTimeout] sets no other.
const DefaultTimeout = time.Second

// WithPrefix sets what all keys begin with. Backends with different prefixes
// share nothing. A prefix must not contain braces: in place of the hash tag they
// would decide where a Cluster keeps the keys, so every call fails then.
func WithPrefix(prefix string) Option {
	return option(func(b *Backend) {
		b.prefix, b.fault = prefix, nil
		if strings.ContainsAny(prefix, "{}") {
			b.fault = fmt.Errorf("WithPrefix: %q contains a brace", prefix)
		}
	})
}

// WithTimeout bounds what an operation takes in all, its second attempt included. A settlement
// that has to wait for another one may take twice that. The client's own timeouts may be longer
// or shorter; the first to pass ends the operation. Values that are not positive are ignored.
func WithTimeout(d time.Duration) Option {
	return option(func(b *Backend) {
		if d > 0 {
			b.timeout = d
		}
	})
}

// withClock replaces Redis's clock and the process's: microseconds, never 0.
func withClock(now func() int64) Option {
	return option(func(b *Backend) { b.now, b.virtual = now, now })
}
