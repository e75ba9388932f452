package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
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
	// ErrNotReady: the server answers that it can't do anything at present. It runs
	// a script that takes long, loads its data, has lost its master, its replicas or
	// its disk, has too many clients, or its Cluster is not complete.
	ErrNotReady = errors.New("the server is not ready")
	// ErrDenied: the user may not do this; the package's documentation has the
	// rules that it needs.
	ErrDenied = errors.New("the server's user lacks a permission")
	// ErrUnsupported: the server, or a proxy before it, lacks something that the
	// library needs: EVALSHA or EVAL, a command that the scripts call, or Lua's
	// struct. Where a command was renamed or disabled, allow it again, under its
	// own name; docs/REDIS.md says which servers and proxies have all.
	ErrUnsupported = errors.New("the server lacks a command or a function that the library needs")
)

// Error says which operation failed and why. It unwraps to the client's error
// and, where one applies, to a sentinel of this package; a timeout matches
// [context.DeadlineExceeded].
type Error struct {
	// Op is "take", "look", "settle", "clear", "lease", "keep", "recall", "report" or
	// "reports".
	Op string
	// Reason is one of the sentinels of this package, or nil.
	Reason error
	// Cause is the client's error.
	Cause error

	passing bool // asking again may help
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

// Is lets the client's own timeouts match [context.DeadlineExceeded], and what may be
// over in a moment [backend.ErrUnavailable].
func (e *Error) Is(target error) bool {
	switch target {
	case context.DeadlineExceeded:
		var timeout net.Error
		return errors.As(e.Cause, &timeout) && timeout.Timeout()
	case backend.ErrUnavailable:
		return e.passing
	}
	return false
}

// A refusal is what the server replies in the place of a result.
type refusal struct {
	text    string // how it begins, whatever its letters' case
	reason  error
	passing bool // nothing was run, and the same may be in a moment
}

// refusals are told by how they begin, without what scripts put before: see refused.
var refusals = []refusal{
	{"RATELIMITVERSION", ErrVersion, false},
	{"WRONGTYPE", ErrOccupied, false},
	{"READONLY ", ErrReadOnly, true},
	{"OOM ", ErrFull, true},
	{"BUSY ", ErrNotReady, true}, // BUSYKEY is another matter
	{"LOADING ", ErrNotReady, true},
	{"CLUSTERDOWN ", ErrNotReady, true},
	{"TRYAGAIN ", ErrNotReady, true}, // its Cluster moves the keys
	{"MASTERDOWN ", ErrNotReady, true},
	{"NOREPLICAS ", ErrNotReady, true},
	{"MISCONF ", ErrNotReady, true}, // it can't write to its disk
	{"max number of clients reached", ErrNotReady, true},
	{"NOPERM", ErrDenied, false},
	{"NOAUTH", ErrDenied, false},
	{"WRONGPASS", ErrDenied, false},
	{"Protocol error: unauthenticated", ErrDenied, false}, // a long command before AUTH
	{"The user executing the script", ErrDenied, false},   // Redis 6 and 7.0
	{"ACL failure in script", ErrDenied, false},           // from 7.2 on, and Valkey
	{"unknown command", ErrUnsupported, false},
	{"unknown redis command", ErrUnsupported, false}, // in a script
	{"unsupported command", ErrUnsupported, false},   // Envoy
	{"Command is not available", ErrUnsupported, false},
	{"Script attempted to access nonexistent global variable 'struct'", ErrUnsupported, false},
}

// raised is what may stand before the text of an error that a script has raised: all of
// it in Redis 6 and miniredis, "ERR" alone in later ones where it is none of Redis's codes.
var raised = regexp.MustCompile(`^(ERR )?(Error \w+ script \([^)]*\): )?((@?user_script)?: ?\d+: )*-?(ERR )?`)

// refused returns what the server has replied in the place of a result, empty where that
// has no name here; ok is false if it has not replied at all. Only how the reply begins
// counts, for what follows may quote the command's arguments.
func refused(err error) (r refusal, ok bool) {
	var reply goredis.Error
	if !errors.As(err, &reply) {
		return r, false
	}
	text := reply.Error()
	text = text[len(raised.FindString(text)):]
	for _, r := range refusals {
		if len(text) >= len(r.text) && strings.EqualFold(text[:len(r.text)], r.text) {
			return r, true
		}
	}
	return r, true
}

// wrap is the error of an operation of which the client says that it failed.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	r, replied := refused(err)
	return &Error{Op: op, Reason: r.reason, Cause: err,
		passing: r.passing || !replied && !errors.Is(err, goredis.ErrClosed)}
}

// wrapAfter is wrap where the server has refused the operation before: that is the reason too
// if it did not reply any more.
func wrapAfter(refusal error, op string, err error) error {
	failed := wrap(op, err)
	if e, ok := failed.(*Error); ok {
		if _, replied := refused(err); !replied {
			e.Reason = refusal
		}
	}
	return failed
}
