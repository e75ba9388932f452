package ratelimiterotel

import (
	"context"
	"errors"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"

	"github.com/openai-ratelimiter/ratelimiter"
)

// gauges are what is read of a limiter at each collection.
type gauges struct {
	config      *config
	limiter     *ratelimiter.Limiter
	instruments *instruments
	up          *atomic.Int32 // 1: the backend answers; -1: it does not; 0: nobody has asked
}

const unnamed = "unnamed" // see ratelimiter.Limiter.Accounts

func (g *gauges) observe(ctx context.Context, o metric.Observer) error {
	if up := g.up.Load(); up != 0 {
		o.ObserveInt64(g.instruments.available, int64(max(0, up)))
	}
	accounts := g.limiter.Accounts()
	known := len(accounts) > 0
	if !known {
		accounts = []string{unnamed} // limits may be configured all the same
	}
	var errs []error
	for _, account := range accounts {
		state, err := g.limiter.State(ratelimiter.ContextWithAccount(ctx, account))
		switch {
		case err == nil:
			if !known {
				state.Account = ""
			}
			g.observeAccount(o, &state)
		case !errors.Is(err, ratelimiter.ErrBackend): // which another gauge tells
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// observeAccount observes each limit once, also those that several models draw from. Buckets belong
// to an account, so without one there are none.
func (g *gauges) observeAccount(o metric.Observer, s *ratelimiter.State) {
	type limit struct{ owner, name string }
	seen := map[limit]bool{}
	for i := range s.Scopes {
		for j := range s.Scopes[i].Limits {
			l := &s.Scopes[i].Limits[j]
			if seen[limit{l.Owner, l.Name}] {
				continue
			}
			seen[limit{l.Owner, l.Name}] = true
			w := who{account: s.Account, shadow: s.Shadow}
			if l.Owner == s.Scopes[i].Model {
				w.model = l.Owner
			}
			set := metric.WithAttributeSet(g.config.attributes(w, limitKey.String(l.Name), ownerKey.String(l.Owner)))
			o.ObserveInt64(g.instruments.limit, l.Limit, set)
			if s.Account == "" {
				continue
			}
			o.ObserveInt64(g.instruments.margin, l.Margin, set)
			if !l.Unknown {
				o.ObserveInt64(g.instruments.remaining, l.Remaining, set)
			}
		}
	}
}
