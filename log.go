package ratelimiter

import (
	"context"
	"log/slog"
	"sync"

	"github.com/openai-ratelimiter/ratelimiter/internal/digest"
)

// logGroup holds the attributes of all that is logged.
const logGroup = "ratelimiter"

// LogOptions are those of [LogTrace].
type LogOptions struct {
	// Accounts writes accounts' names in the clear, in place of digests of them.
	Accounts bool
}

// LogTrace returns hooks that write to the logger, or to slog.Default() if it is nil:
//   - at Debug, calls that wait, start, don't start and are settled
//   - at Info, each limit that the server reports for the first time or changes, and a backend
//     that is back
//   - at Warn, what the server throttles, a backend that is gone, and a host with many
//     credentials
//
// Warnings of long waits need no trace: see [WithWarnings].
//
// Messages are constant, and all attributes are in the group "ratelimiter". No prompt and no
// API key is ever among them; names of tenants are. Nil options mean the zero value.
func LogTrace(logger *slog.Logger, options *LogOptions) *Trace {
	l := &logTrace{logger: logger}
	if options != nil {
		l.options = *options
	}
	return &Trace{
		Waiting: func(ctx context.Context, i WaitingInfo) {
			l.call(ctx, slog.LevelDebug, "ratelimiter: call waits", &who{i.Account, i.Model, i.Class, i.Tenant, i.Shadow},
				append([]slog.Attr{costAttr("cost", i.Cost), slog.Int("ahead", i.Ahead), slog.Duration("wait_at_least", i.Wait)}, i.slot()...)...)
		},
		Started: func(ctx context.Context, i StartedInfo) {
			l.call(ctx, slog.LevelDebug, "ratelimiter: call started", &who{i.Account, i.Model, i.Class, i.Tenant, i.Shadow}, costAttr("cost", i.Cost),
				slog.Duration("waited", i.Waited))
		},
		NotStarted: func(ctx context.Context, i NotStartedInfo) {
			l.call(ctx, slog.LevelDebug, "ratelimiter: call not started", &who{i.Account, i.Model, i.Class, i.Tenant, i.Shadow},
				slog.Duration("waited", i.Waited), errorAttr(i.Err))
		},
		Settled: func(ctx context.Context, i SettledInfo) {
			l.call(ctx, slog.LevelDebug, "ratelimiter: call settled", &who{i.Account, i.Model, i.Class, i.Tenant, i.Shadow},
				costAttr("charged", i.Charged), costAttr("final", i.Final), slog.Duration("took", i.Duration))
		},
		Observed: l.observed,
		Paused: func(ctx context.Context, i PausedInfo) {
			l.call(ctx, slog.LevelWarn, "ratelimiter: throttled by the server", &who{i.Account, i.Model, i.Class, i.Tenant, i.Shadow},
				append(i.avoided(), slog.String("kind", i.Kind), slog.Duration("pause", i.For), slog.String("message", i.Message))...)
		},
		Credentials: func(ctx context.Context, i CredentialsInfo) {
			if i.Nameless {
				l.log(ctx, slog.LevelWarn, "ratelimiter: a token that names nobody, whose bearers are one account", slog.String("host", i.Host))
				return
			}
			l.log(ctx, slog.LevelWarn, "ratelimiter: many credentials, each with a budget of its own",
				slog.String("host", i.Host), slog.Int("credentials", i.Credentials))
		},
		Backend: func(err error) {
			if err != nil {
				l.log(context.Background(), slog.LevelWarn, "ratelimiter: backend does not answer", errorAttr(err))
				return
			}
			l.log(context.Background(), slog.LevelInfo, "ratelimiter: backend answers again")
		},
	}
}

// slot says that it is a slot that the call waits for.
func (i *WaitingInfo) slot() []slog.Attr {
	if !i.Slot {
		return nil
	}
	return []slog.Attr{slog.Bool("slot", true)}
}

// avoided says, in shadow, whether the limiter would have prevented it.
func (i *PausedInfo) avoided() []slog.Attr {
	if !i.Shadow {
		return nil
	}
	return []slog.Attr{slog.Bool("avoided", i.Avoided)}
}

// logTrace is what the hooks of LogTrace share.
type logTrace struct {
	logger  *slog.Logger
	options LogOptions

	mu     sync.Mutex
	limits map[reportedLimit]int64
}

// who is whom a line is about.
type who struct {
	account, model, class, tenant string
	shadow                        bool // what is said of it would have been
}

// enabled returns the logger, or nil if it takes nothing of the level.
func (l *logTrace) enabled(ctx context.Context, level slog.Level) *slog.Logger {
	logger := l.logger
	if logger == nil {
		logger = slog.Default()
	}
	if !logger.Enabled(ctx, level) {
		return nil
	}
	return logger
}

func (l *logTrace) log(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	if logger := l.enabled(ctx, level); logger != nil {
		logger.LogAttrs(ctx, level, message, slog.GroupAttrs(logGroup, attrs...))
	}
}

func (l *logTrace) call(ctx context.Context, level slog.Level, message string, w *who, attrs ...slog.Attr) {
	if l.enabled(ctx, level) != nil { // else nothing is digested
		l.log(ctx, level, message, append(w.attrs(l.options.Accounts), attrs...)...)
	}
}

// attrs names who it is, in as far as that is known.
func (w *who) attrs(clear bool) []slog.Attr {
	account := w.account
	if account != "" && !clear {
		account = digest.Of(account)
	}
	var attrs []slog.Attr
	for _, a := range [...]slog.Attr{
		slog.String("account", account), slog.String("model", w.model), slog.String("class", w.class), slog.String("tenant", w.tenant),
	} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	if w.shadow {
		attrs = append(attrs, slog.Bool("shadow", true))
	}
	return attrs
}

// observed logs limits that have changed.
func (l *logTrace) observed(ctx context.Context, i ObservedInfo) {
	if i.Model == "" {
		return
	}
	for _, o := range [...]struct {
		unit string
		Observation
	}{{"requests", i.Requests}, {"tokens", i.Tokens}} {
		if was, changed := l.changed(reportedLimit{i.Account, i.Model, o.unit}, o.Limit); changed {
			l.call(ctx, slog.LevelInfo, "ratelimiter: server reports a limit", &who{account: i.Account, model: i.Model, shadow: i.Shadow},
				slog.String("unit", o.unit), slog.Int64("limit", o.Limit), slog.Int64("was", was))
		}
	}
}

// A reportedLimit is what a header is about.
type reportedLimit struct{ account, model, unit string }

// mostReported is how many limits are remembered: names of models may come from anywhere.
const mostReported = 1024

// changed reports whether the server's limit is not what it was, and what that is.
func (l *logTrace) changed(of reportedLimit, limit int64) (was int64, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was, known := l.limits[of]
	if limit <= 0 || was == limit || !known && len(l.limits) == mostReported {
		return was, false
	}
	if l.limits == nil {
		l.limits = map[reportedLimit]int64{}
	}
	l.limits[of] = limit
	return was, true
}
