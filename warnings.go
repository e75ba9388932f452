package ratelimiter

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// warnings are what the limiter logs. All else is for a [Trace].
type warnings struct {
	log   func() *slog.Logger // nil: nothing is logged
	after time.Duration
}

// defaultLongWait is the wait that is worth a warning.
const defaultLongWait = 30 * time.Second

// longWait returns what logs long waits, or nil.
func (w *warnings) longWait(shadow bool) func(engine.LongWait) {
	if w.log == nil {
		return nil
	}
	log, message := w.log, "ratelimiter: calls wait long"
	if shadow {
		message = "ratelimiter: calls would wait long"
	}
	return func(i engine.LongWait) {
		limit, owner := "unknown", ofOwner(quota.OwnerTitle(i.Owner), i.Model)
		switch {
		case i.Kind.Period == 0 && i.Kind.Name != "":
			limit = amount(i.Amount, i.Kind.Unit) + owner
		case i.Kind.Name != "":
			limit = fmt.Sprintf("%s per %s", amount(i.Amount, i.Kind.Unit), periodName(i.Kind.Period)) + owner
		case i.Paced:
			limit = "the pace of the model's calls"
		case i.Wait > 0:
			limit = "a pause by the server"
		}
		var class slog.Attr
		if i.Class != "" {
			class = slog.String("class", i.Class)
		}
		log().LogAttrs(context.Background(), slog.LevelWarn, message,
			slog.GroupAttrs(logGroup,
				slog.String("model", i.Model), class, slog.Duration("waited", i.Waited), slog.String("limit", limit),
				slog.Duration("wait_at_least", i.Wait), slog.Int("ahead", i.Ahead), slog.Int("waiting", i.Waiting)))
	}
}

const (
	shadowPanicked  = "ratelimiter: panic in shadow"
	hookPanicked    = "ratelimiter: panic of a hook that belongs to no call"
	backendPanicked = "ratelimiter: panic of the backend"
)

// harmless runs f, whose panic has no caller to go to: it is logged.
func (c *config) harmless(ctx context.Context, message string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			c.logPanic(ctx, message, p)
		}
	}()
	f()
}

// logPanic logs a panic that was just recovered.
func (c *config) logPanic(ctx context.Context, message string, p any) {
	if c.warnings.log != nil {
		c.warnings.log().LogAttrs(ctx, slog.LevelError, message,
			slog.GroupAttrs(logGroup, slog.Any("panic", p), slog.String("stack", string(debug.Stack()))))
	}
}

// named are the models for which limits are configured, and those of which it was warned
// that they are none of them.
type named struct {
	models atomic.Pointer[map[string]bool]
	warned once
}

// once is the names of which it was warned.
type once struct {
	mu     sync.Mutex
	warned map[string]bool
}

// mostWarned is how many names are warned of: they may come from anywhere.
const mostWarned = 64

func (n *named) set(models []string) {
	set := map[string]bool{}
	for _, m := range models {
		set[m] = true
	}
	n.models.Store(&set)
}

// missing reports whether the model is none of those that are configured, if any are, and it
// was not warned of that yet.
func (n *named) missing(model string) bool {
	models := *n.models.Load()
	return len(models) > 0 && !models[model] && n.warned.first(model)
}

// first reports whether the name is one to be warned of now.
func (o *once) first(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.warned[name] || len(o.warned) == mostWarned {
		return false
	}
	if o.warned == nil {
		o.warned = map[string]bool{}
	}
	o.warned[name] = true
	return true
}

// warnOfClass warns once of a class that is none of those that are configured.
func (l *Limiter) warnOfClass(ctx context.Context, class string, classes map[string]Class) {
	class = shortened(class)
	if l.config.warnings.log == nil || !l.unknown.first(class) {
		return
	}
	names := slices.Sorted(maps.Keys(classes))
	l.config.warnings.log().LogAttrs(ctx, slog.LevelWarn, "ratelimiter: this class is not configured, so its calls are of the default class",
		slog.GroupAttrs(logGroup, slog.String("class", class), slog.Any("configured", names[:min(len(names), 10)])))
}

// warnIfNotNamed warns once of a model that has no limits of its own or of a family while
// others have: the name of one of them may be misspelt, or be an alias of this one.
func (l *Limiter) warnIfNotNamed(ctx context.Context, model string) {
	if l.config.warnings.log == nil || !l.named.missing(model) {
		return
	}
	l.config.warnings.log().LogAttrs(ctx, slog.LevelWarn, "ratelimiter: no limits are configured for this model, only for others",
		slog.GroupAttrs(logGroup, slog.String("model", model), slog.Any("configured", l.named.sorted())))
}

// sorted are the first few of the models that are configured.
func (n *named) sorted() []string {
	names := slices.Sorted(maps.Keys(*n.models.Load()))
	return names[:min(len(names), 10)]
}

// warnOfLost warns, at most once a minute, of a response's body that its caller has lost
// without closing it.
func (l *Limiter) warnOfLost(model string) {
	if l.config.warnings.log == nil {
		return
	}
	last, now := l.lost.Load(), time.Now()
	if last != nil && now.Sub(*last) < time.Minute || !l.lost.CompareAndSwap(last, &now) {
		return
	}
	l.config.warnings.log().LogAttrs(context.Background(), slog.LevelWarn,
		"ratelimiter: a response's body was never closed: its call was in flight until the garbage collector found it",
		slog.GroupAttrs(logGroup, slog.String("model", model)))
}
