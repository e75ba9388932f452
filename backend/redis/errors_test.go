package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// A reply is an error as a server sends it.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

// The texts of servers that the tests do not run, as their sources and captures have
// them, beside Redis 7.0's.
func TestReasons(t *testing.T) {
	const lua6 = "ERR Error running script (call to f_1b936e3fe509bcbc9cd0664897bbe8fd0cac101b): @user_script:31: @user_script: 31: "
	for _, x := range []struct {
		reply string
		want  error
	}{
		{"NOPERM this user has no permissions to run the 'evalsha' command", ErrDenied},                   // 7.0
		{"NOPERM this user has no permissions to run the 'evalsha' command or its subcommand", ErrDenied}, // 6
		{"NOPERM User limiter has no permissions to run the 'evalsha' command", ErrDenied},                // 7.2, Valkey
		{"NOPERM this user has no permissions to access one of the keys used as arguments", ErrDenied},    // 7.0
		{"NOPERM No permissions to access a key", ErrDenied},                                              // 7.2, Valkey
		{"NOAUTH Authentication required.", ErrDenied},                                                    // all
		{"ERR Protocol error: unauthenticated multibulk length", ErrDenied},
		{"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> ...", ErrDenied},            // all
		{"WRONGPASS invalid username-password pair or user is disabled.", ErrDenied},                                                 // all
		{lua6 + "The user executing the script can't run this command or subcommand", ErrDenied},                                     // 6
		{lua6 + "The user executing the script can't access at least one of the keys mentioned in the command arguments", ErrDenied}, // 6
		{"ERR The user executing the script can't run this command or subcommand script: beef354d, on @user_script:1.", ErrDenied},   // 7.0
		{"ERR ACL failure in script: User limiter has no permissions to run the 'hset' command script: b3f1, on @user_script:9.", ErrDenied},
		{"ERR ACL failure in script: No permissions to access a key script: b3f1, on @user_script:9.", ErrDenied},
		{"NOPERM ACL failure in script: No permissions to access a key", ErrDenied},

		{"ERR unknown command 'evalsha', with args beginning with: '2c1f' '5' 'ratelimiter:{x}' ", ErrUnsupported}, // 7
		{"ERR unknown command `evalsha`, with args beginning with: `2c1f`, `5`, `OOM `, ", ErrUnsupported},         // 5, 6
		{"ERR unknown command 'EVALSHA'", ErrUnsupported},
		{lua6 + "Unknown Redis command called from Lua script", ErrUnsupported},                                               // 6
		{"ERR Unknown Redis command called from script script: f01f0776, on @user_script:1.", ErrUnsupported},                 // 7
		{"ERR unsupported command 'evalsha'", ErrUnsupported},                                                                 // Envoy
		{"ERR Command is not available: 'EVALSHA'. See https://upstash.com/docs/redis/overall/compatibility", ErrUnsupported}, // Upstash
		{"ERR user_script:1: Script attempted to access nonexistent global variable 'struct' script: d203, on @user_script:1.", ErrUnsupported},

		{"ERR Error compiling script (new function): :16: Script attempted to access nonexistent global variable 'struct' stack traceback: ...", ErrUnsupported}, // miniredis

		{"WRONGTYPE Operation against a key holding the wrong kind of value script: 1b93, on @user_script:31.", ErrOccupied},
		{lua6 + "WRONGTYPE Operation against a key holding the wrong kind of value", ErrOccupied},
		{"READONLY You can't write against a read only replica.", ErrReadOnly},
		{lua6 + "-READONLY You can't write against a read only replica.", ErrReadOnly},
		{lua6 + "-OOM command not allowed when used memory > 'maxmemory'.", ErrFull},
		{"OOM command not allowed when used memory > 'maxmemory'. script: 1b93, on @user_script:31.", ErrFull},
		{"RATELIMITVERSION 2", ErrVersion},

		{"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", ErrNotReady},
		{"LOADING Redis is loading the dataset in memory", ErrNotReady},
		{"LOADING Dragonfly is loading the dataset in memory", ErrNotReady},
		{"CLUSTERDOWN The cluster is down", ErrNotReady},
		{"TRYAGAIN Multiple keys request during rehashing of slot", ErrNotReady},
		{"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", ErrNotReady},
		{lua6 + "-NOREPLICAS Not enough good replicas to write.", ErrNotReady},
		{"NOREPLICAS Not enough good replicas to write. script: 1b93, on @user_script:31.", ErrNotReady},
		{"MISCONF Errors writing to the AOF file: No space left on device script: 1b93, on @user_script:31.", ErrNotReady},
		{"ERR max number of clients reached", ErrNotReady},

		{"BUSYKEY Target key name already exists.", nil},
		{"ERR value is not an integer or out of range", nil},
		{"ERR wrong number of arguments for 'get' command: OOM NOPERM READONLY", nil},
		{"ERR user_script:1: attempt to index field 'x' (a nil value) script: d203, on @user_script:1.", nil},
		{"", nil},
	} {
		var e *Error
		if !errors.As(wrap("take", reply(x.reply)), &e) || e.Reason != x.want {
			t.Errorf("%q: %v; want %v", x.reply, e.Reason, x.want)
		}
		passing := x.want == ErrNotReady || x.want == ErrReadOnly || x.want == ErrFull
		if errors.Is(e, backend.ErrUnavailable) != passing {
			t.Errorf("%q: asking again may help: %v", x.reply, !passing)
		}
	}
}

// Each command that a user must not run, and whatever else a server denies, is told from
// other errors, in every operation that needs it.
func TestDenied(t *testing.T) {
	s := redistest.Run(t)
	c := admin(t, s)
	do := func(args ...string) {
		t.Helper()
		all := make([]any, len(args))
		for i, a := range args {
			all[i] = a
		}
		if err := c.Do(t.Context(), all...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	user := func(more string) {
		t.Helper()
		do(append([]string{"acl", "setuser", "limiter", "reset", "on", ">secret"}, strings.Fields(rules+" "+more)...)...)
	}
	number := uint64(0)
	buckets := perDay(1000)
	op := map[string]func(b *Backend) error{
		"take": func(b *Backend) error { // which stays in line
			number++
			a := ask(number, buckets, 1, 1000)
			a.Ticket = fmt.Sprint(number)
			_, err := b.Take(t.Context(), a)
			return err
		},
		"settle": func(b *Backend) error {
			return b.Settle(t.Context(), backend.Settlement{Account: "account", Buckets: buckets, Refund: backend.Amounts{1}})
		},
		"keep":   func(b *Backend) error { return b.Keep(t.Context(), "account", "m", []byte("{}"), time.Minute) },
		"recall": func(b *Backend) error { _, err := b.Recall(t.Context(), "account", []string{"m"}); return err },
	}
	for _, x := range []struct {
		what, rule, op, prefix string
	}{
		{"EVALSHA", "-evalsha", "take", ""},
		{"EVAL, of a script that is not known", "-eval", "settle", ""},
		{"a command of a script that reads", "-hmget", "take", ""},
		{"a command of a script that writes", "-hset", "settle", ""},
		{"a command of the line", "-zadd", "take", ""},
		{"the clock", "-time", "take", ""},
		{"a command of notes", "-set", "keep", ""},
		{"a command of notes in a script", "-pttl", "recall", ""},
		{"all keys", "resetkeys", "take", ""},
		{"keys with another prefix", "", "take", "elsewhere:"},
		{"a note with another prefix", "", "keep", "elsewhere:"},
		{"keys that may only be read", "resetkeys %R~*", "settle", ""},
	} {
		t.Run(x.what, func(t *testing.T) {
			c := goredis.NewClient(&goredis.Options{Addr: s.Addr, Username: "limiter", Password: "secret"})
			defer c.Close()
			user("")
			b := New(c, prefix(), WithTimeout(10*time.Second))
			if x.prefix != "" {
				b = New(c, WithPrefix(x.prefix), WithTimeout(10*time.Second))
			} else if err := op[x.op](b); err != nil {
				t.Fatal(err)
			}
			do("script", "flush") // "EVAL" is needed again
			user(x.rule)
			if err := op[x.op](b); !errors.Is(err, ErrDenied) {
				t.Errorf("%v; want ErrDenied", err)
			}
		})
	}
	for name, o := range map[string]goredis.Options{
		"a wrong password":  {Username: "limiter", Password: "wrong"},
		"an unknown user":   {Username: "nobody", Password: "secret"},
		"no authentication": {},
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Run(t, "--requirepass", "secret", "--user", "limiter", "on", ">secret", "~*", "+@all")
			o.Addr = s.Addr
			c := goredis.NewClient(&o)
			defer c.Close()
			for kind, err := range map[string]error{
				"take": op["take"](New(c, WithTimeout(10*time.Second))),
				"keep": op["keep"](New(c, WithTimeout(10*time.Second))),
			} {
				if !errors.Is(err, ErrDenied) {
					t.Errorf("%s: %v; want ErrDenied", kind, err)
				}
			}
		})
	}
}

// A command that was renamed, or that a server does not know, has a reason of its own.
func TestRenamedCommands(t *testing.T) {
	for _, name := range []string{"EVALSHA", "EVAL", "TIME", "HMGET"} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Run(t, "--rename-command", name, "renamed")
			b := New(admin(t, s), WithTimeout(10*time.Second))
			_, err := b.Take(t.Context(), ask(1, perDay(10), 1))
			if !errors.Is(err, ErrUnsupported) {
				t.Errorf("%v; want ErrUnsupported", err)
			}
		})
	}
}

// What a server says at once, and what is over in a moment, is waited out.
func TestRefusalsAreWaitedOut(t *testing.T) {
	s := redistest.Run(t)
	c := admin(t, s)
	do := func(args ...any) {
		t.Helper()
		if err := c.Do(context.Background(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	calls := map[string]func(b *Backend) error{
		"take": func(b *Backend) error { _, err := b.Take(t.Context(), ask(1, perDay(100), 1)); return err },
		"fresh": func(b *Backend) error {
			a := ask(2, perDay(100), 1)
			a.Fresh = true
			_, err := b.Take(t.Context(), a)
			return err
		},
		"settle": func(b *Backend) error {
			return b.Settle(t.Context(), backend.Settlement{Account: "account", Stamp: 1 << 60, Buckets: perDay(100), Refund: backend.Amounts{-1}})
		},
		"keep": func(b *Backend) error { return b.Keep(t.Context(), "account", "m", []byte("{}"), time.Minute) },
	}
	for _, x := range []struct {
		name        string
		want        error
		begin, over []any
	}{
		{"OOM", ErrFull, []any{"config", "set", "maxmemory", "1"}, []any{"config", "set", "maxmemory", "0"}},
		{"READONLY", ErrReadOnly, []any{"replicaof", "127.0.0.1", "1"}, []any{"replicaof", "no", "one"}},
		{"NOREPLICAS", ErrNotReady, []any{"config", "set", "min-replicas-to-write", "1"}, []any{"config", "set", "min-replicas-to-write", "0"}},
	} {
		for name, call := range calls {
			t.Run(x.name+", "+name, func(t *testing.T) {
				client := &refusing{Client: c}
				b := New(client, prefix(), WithTimeout(10*time.Second))
				client.when = func(n int) { // it is over after some refusals
					if n == 4 {
						do(x.over...)
					}
				}
				do(x.begin...)
				if err := call(b); err != nil {
					t.Errorf("%v after %d refusals", err, client.seen)
				}
				if client.seen != 4 {
					t.Errorf("it was over after %d refusals; want 4", client.seen)
				}
				if name != "keep" {
					if n := used(t, b, perDay(100)); n != 1 {
						t.Errorf("%d used; want 1", n)
					}
				}
			})
		}
	}
}

// What a server goes on to say fails the call in time, with the server's reason: also if it
// says nothing more at the end.
func TestRefusalsThatLast(t *testing.T) {
	for name, silent := range map[string]time.Duration{"refused": time.Hour, "then silent": 200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				var seen atomic.Int64
				client := answering(func(ctx context.Context) error {
					if seen.Add(1); time.Since(begun) < silent {
						return reply("READONLY You can't write against a read only replica.")
					}
					<-ctx.Done()
					return ctx.Err()
				})
				b := New(client, prefix(), WithTimeout(400*time.Millisecond))
				err := b.Settle(t.Context(), backend.Settlement{Account: "account", Buckets: perDay(100), Refund: backend.Amounts{1}})
				var e *Error
				if !errors.Is(err, ErrReadOnly) || !errors.As(err, &e) || !errors.Is(err, backend.ErrUnavailable) {
					t.Errorf("%v; want %v", err, ErrReadOnly)
				}
				// After 0, 5, 15, 35, 75, 155 and 255 ms.
				if took := time.Since(begun); seen.Load() != 7 || took < 250*time.Millisecond || took > 400*time.Millisecond {
					t.Errorf("it was sent %d times in %v", seen.Load(), took)
				}
			})
		})
	}
}

// An answering client is its answers.
type answering func(context.Context) error

func (f answering) Process(ctx context.Context, _ goredis.Cmder) error { return f(ctx) }

// A refusing client counts what the server refuses.
type refusing struct {
	Client
	seen int
	when func(n int)
}

func (r *refusing) Process(ctx context.Context, cmd goredis.Cmder) error {
	err := r.Client.Process(ctx, cmd)
	if _, replied := refused(err); replied && !strings.HasPrefix(err.Error(), "NOSCRIPT") {
		if r.seen++; r.when != nil {
			r.when(r.seen)
		}
	}
	return err
}
