package main

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
)

var background = context.Background()

// A link counts the calls that go over it, and takes its time: a round trip of
// rtt, and one reply in a hundred that takes 200 ms longer.
type link struct {
	redis.Client
	rtt            time.Duration
	takes, settles atomic.Int64
}

// Process implements [redis.Client].
func (l *link) Process(ctx context.Context, cmd goredis.Cmder) error {
	switch args := cmd.Args(); {
	case args[0] != "evalsha" || len(args) == 3+args[2].(int): // notes: their script takes keys only
	case args[2] == 2: // reports
	case args[2] == 5: // only the asks of tickets have the keys of a line
		l.takes.Add(1)
	default:
		l.settles.Add(1)
	}
	if l.rtt == 0 {
		return l.Client.Process(ctx, cmd)
	}
	time.Sleep(l.rtt / 2)
	err := l.Client.Process(ctx, cmd)
	back := l.rtt / 2
	if rand.IntN(100) == 0 {
		back += 200 * time.Millisecond
	}
	time.Sleep(back)
	return err
}

// A recorder keeps the arguments of the last command, to send the same ones to
// other scripts.
type recorder struct {
	redis.Client
	args []any
}

// Process implements [redis.Client].
func (r *recorder) Process(ctx context.Context, cmd goredis.Cmder) error {
	r.args = append(r.args[:0], cmd.Args()...)
	return r.Client.Process(ctx, cmd)
}
