package ratelimiter

import (
	"context"
	"time"
)

type contextKey int

const (
	reservationKey contextKey = iota
	maxWaitKey
	accountKey
	traceKey
	classKey
	tenantKey
)

// ContextWithReservation returns a context for a request that r was acquired for, so that
// nothing is charged twice. The first request of the context for r's model and account, through
// a Transport of the same limiter, uses r in place of a reservation of its own. From then on
// the response settles r, even if it is a stream that outlives the caller, and the caller's
// Settle and Cancel do nothing.
func ContextWithReservation(ctx context.Context, r *Reservation) context.Context {
	return context.WithValue(ctx, reservationKey, r)
}

// ContextWithMaxWait bounds the wait of calls made with the context. It overrides the bounds
// of their [Class] and of [WithMaxWait]: 0 lets them never wait, and a negative d lets them wait
// without a bound. So interactive and batch calls can share a client.
func ContextWithMaxWait(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, maxWaitKey, d)
}

// ContextWithAccount names the account that pays for calls made with the
// context. It overrides [WithAccount]; an empty name leaves that in force.
func ContextWithAccount(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, accountKey, name)
}

// ContextWithTrace adds hooks for calls made with the context, which run
// before those of [WithTrace].
func ContextWithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey, t)
}

// value looks a setting up in the context; ok is false where it is not set.
func value[T any](ctx context.Context, key contextKey) (v T, ok bool) {
	v, ok = ctx.Value(key).(T)
	return v, ok
}
