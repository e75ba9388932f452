package simulate

import (
	"context"
	"net/http"
	"time"

	"github.com/go-redis/redis_rate/v10"
)

// redisRate asks go-redis/redis_rate for the request, then for its tokens, and
// sleeps for as long as it is told whenever it is told to. Its script runs in
// [gcra] instead of in Redis.
var redisRate = policy{
	name:    "redis_rate",
	plays:   notTooMany,
	settled: 2 * time.Minute,
	brief:   3 * time.Minute,
	new:     func(w *world) fleet { return &redisRateFleet{world: w, redis: newGCRA()} },
}

type redisRateFleet struct {
	world *world
	redis *gcra
}

func (f *redisRateFleet) start(process int) http.RoundTripper {
	w, c := f.world, f.world.scenario.limits
	limiter := redis_rate.NewLimiter(f.redis)
	l := newConnection(process, redisTrip(w.scenario))
	return roundTripFunc(func(req *http.Request) (*http.Response, error) {
		cost := w.jobAt(indexOf(req)).cost()
		if err := allow(req.Context(), limiter, l, "requests", c.RPM, cost.Requests); err != nil {
			return nil, err
		}
		if err := allow(req.Context(), limiter, l, "tokens", c.TPM, cost.Tokens); err != nil {
			return nil, err
		}
		return w.base().RoundTrip(req)
	})
}

func (*redisRateFleet) kill(int)  {}
func (f *redisRateFleet) forget() { f.redis.flush() }
func (*redisRateFleet) stop()     {}

// allow waits until redis_rate allows n of so many a minute; 0 does not limit.
func allow(ctx context.Context, limiter *redis_rate.Limiter, l *connection, key string, limit, n int64) error {
	if limit == 0 {
		return nil
	}
	for {
		var r *redis_rate.Result
		var err error
		_ = l.do(func() { r, err = limiter.AllowN(ctx, key, redis_rate.PerMinute(int(limit)), int(n)) }) // nobody kills it
		switch {
		case err != nil:
			return err
		case r.Allowed > 0:
			return nil
		case !sleep(ctx, r.RetryAfter):
			return ctx.Err()
		}
	}
}

// redisTrip is a trip to Redis where the scenario has no slower one.
func redisTrip(s *scenario) time.Duration { return max(s.trip, time.Millisecond) }
