package simulate

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
)

// oursOnRedis is the limiter with its Redis backend and a Redis that lives in the
// same virtual time: miniredis, reached over net.Pipe.
var oursOnRedis = policy{
	name:  "ours on Redis",
	plays: func(s *scenario) bool { return s.redis },
	brief: 5 * time.Minute,
	new: func(w *world) fleet {
		server := miniredis.NewMiniRedis()
		server.ClockTTL(true)
		client := dial(server)
		scripts := &scripts{known: map[string]string{}}
		return &limiters{
			world: w,
			backend: func(l *connection) backend.Backend {
				l.trip = redisTrip(w.scenario)
				return redis.New(&redisClient{client, l, scripts})
			},
			forgetAll: server.FlushAll,
			close: func() {
				_ = client.Close() // its server is closed next
				server.Close()
			},
		}
	},
}

// dial is a client whose connections stay in the bubble.
func dial(server *miniredis.Miniredis) *goredis.Client {
	return goredis.NewClient(&goredis.Options{
		Addr:            "127.0.0.1:0", // nobody looks it up, nor dials it
		Protocol:        2,
		DisableIdentity: true,
		PoolSize:        64,
		Dialer:          func(context.Context, string, string) (net.Conn, error) { return server.Dial() },
	})
}

// A redisClient is one process's client.
type redisClient struct {
	client     *goredis.Client
	connection *connection
	scripts    *scripts
}

// Process implements [redis.Client].
func (c *redisClient) Process(ctx context.Context, cmd goredis.Cmder) (err error) {
	dead := c.connection.do(func() {
		if err = c.scripts.translate(ctx, c.client, cmd.Args()); err == nil {
			err = c.client.Process(ctx, cmd)
		}
	})
	if dead != nil {
		return dead
	}
	return err
}

//go:embed struct.lua
var structLibrary string

// scripts puts the library that miniredis lacks before each script that is sent,
// and remembers under which digest it is then known.
type scripts struct {
	mu    sync.Mutex
	known map[string]string // by the digest of the script as it was
}

func (s *scripts) translate(ctx context.Context, client *goredis.Client, args []any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch args[0] {
	case "eval":
		source := args[1].(string)
		now, err := client.ScriptLoad(ctx, structLibrary+source).Result()
		if err != nil {
			return err
		}
		sum := sha1.Sum([]byte(source)) // names a script in Redis's cache
		s.known[hex.EncodeToString(sum[:])] = now
		args[0], args[1] = "evalsha", now
	case "evalsha":
		if now, ok := s.known[args[1].(string)]; ok {
			args[1] = now
		}
	}
	return nil
}
