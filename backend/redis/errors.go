package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// What a caller may branch on; found with errors.Is.
var (
	// ErrVersion: another version of the library, whose format this one does
	// not know, keeps the account's budget. Nothing was changed. The account is
	// free again when the hash of the others has expired.
	ErrVersion = errors.New("another version of the library keeps this budget")
	// ErrOccupied: a key that belongs to the library holds something else.
	// Delete it, or use another prefix.
	ErrOccupied = errors.New("a key with the library's prefix holds something else")
	// ErrReadOnly: the server is a replica. After a failover the client finds
	// the new master by itself.
	ErrReadOnly = errors.New("the server takes no writes")
	// ErrFull: the server is out of memory.
	ErrFull = errors.New("the server is out of memory")
	// ErrDenied: the user may not do this; the package's documentation has the
	// rules that it needs.
	ErrDenied = errors.New("the server's user lacks a permission")
)

// Error says which operation failed and why. It unwraps to the client's error
// and, where one applies, to a sentinel of this package; a timeout matches
// [context.DeadlineExceeded].
type Error struct {
	// Op is "take", "look", "settle", "clear", "lease", "keep" or "recall".
	Op string
	// Reason is one of the sentinels of this package, or nil.
	Reason error
	// Cause is the client's error.
	Cause error
}

func (e *Error) Error() string {
	if e.Reason != nil {
		return fmt.Sprintf("redis: %s: %v (%v)", e.Op, e.Reason, e.Cause)
	}
	return fmt.Sprintf("redis: %s: %v", e.Op, e.Cause)
}

// Unwrap returns the reason and the cause.
func (e *Error) Unwrap() []error {
	if e.Reason == nil {
		return []error{e.Cause}
	}
	return []error{e.Reason, e.Cause}
}

// Is lets the client's own timeouts match [context.DeadlineExceeded].
func (e *Error) Is(target error) bool {
	var timeout net.Error
	return target == context.DeadlineExceeded && errors.As(e.Cause, &timeout) && timeout.Timeout()
}

// isReply reports whether the server answered, so that asking again changes
// nothing.
func isReply(err error) bool {
	var reply goredis.Error
	return errors.As(err, &reply)
}

var reasons = []struct {
	text   string
	reason error
}{
	{"RATELIMITVERSION", ErrVersion},
	{"WRONGTYPE", ErrOccupied},
	{"READONLY", ErrReadOnly},
	{"OOM", ErrFull},
	{"NOPERM", ErrDenied},
	{"NOAUTH", ErrDenied},
	{"WRONGPASS", ErrDenied},
}

func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Cause: err}
	if isReply(err) {
		// Redis 6 puts the reason of a command in a script behind a prefix.
		for _, r := range reasons {
			if strings.Contains(err.Error(), r.text) {
				e.Reason = r.reason
				break
			}
		}
	}
	return e
}
