package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	goredis "github.com/redis/go-redis/v9"
)

// newLogger returns the log, which takes in that of go-redis too.
func newLogger(c *config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.logLevel}
	var h slog.Handler = slog.NewTextHandler(w, options)
	if c.logJSON {
		h = slog.NewJSONHandler(w, options)
	}
	log := slog.New(h)
	goredis.SetLogger(redisLog{log})
	return log
}

// redisLog hears of connections that fail. What becomes of calls the limiter says.
type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, "redis client", "message", fmt.Sprintf(format, args...))
	}
}
