package ratelimiter

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
)

// warnings are what the limiter logs. All else is for a [Trace].
type warnings struct {
	log   func() *slog.Logger // nil: nothing is logged
	after time.Duration
}

// defaultLongWait is the wait that is worth a warning.
const defaultLongWait = 30 * time.Second

// longWait returns what logs long waits, or nil.
func (w *warnings) longWait() func(engine.LongWait) {
	if w.log == nil {
		return nil
	}
	log := w.log
	return func(i engine.LongWait) {
		limit := "unknown"
		switch {
		case i.Kind.Name != "":
			limit = fmt.Sprintf("%s per %s", amount(i.Amount, i.Kind.Unit), periodName(i.Kind.Period))
		case i.Wait > 0:
			limit = "a pause by the server"
		}
		log().LogAttrs(context.Background(), slog.LevelWarn, "ratelimiter: calls wait long",
			slog.String("model", i.Model), slog.Duration("waited", i.Waited), slog.String("limit", limit),
			slog.Duration("wait_at_least", i.Wait), slog.Int("ahead", i.Ahead), slog.Int("waiting", i.Waiting))
	}
}
