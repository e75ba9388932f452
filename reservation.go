package ratelimiter

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// A Reservation is a cost that has been charged, so that its call may start.
// The first Settle or Cancel ends it; later ones do nothing. If a Transport has used
// it for a request ([ContextWithReservation]), the response ends it, and Settle and
// Cancel do nothing. Its methods are safe for concurrent use. The zero value has ended.
type Reservation struct {
	limiter  *Limiter
	endpoint wire.Endpoint
	engine   engine.Reservation
	counted  string // the model by whose rules tokens are counted
	encoding tokens.Encoding
	taken    atomic.Bool     // by a Transport, or by its end
	ctx      context.Context // of the call, for hooks; never waited on
	shadow   *shadowCall     // nil without WithShadow
}

// claim takes a reservation for a Transport's own, once, if that is for the same account
// and model: budgets of others have not been charged.
func (r *Reservation) claim(own *Reservation) bool {
	if r == nil || r.limiter != own.limiter {
		return false
	}
	is, want := &r.engine.Call, &own.engine.Call
	paid := is.Account == want.Account || is.Account == engine.Unnamed && (r.shadow != nil || r.engine.PaidBy(want.Account))
	if !paid || is.Model != want.Model || !r.taken.CompareAndSwap(false, true) {
		return false
	}
	r.counted, r.encoding = own.counted, own.encoding
	if r.shadow != nil {
		r.shadow.then(func(f fate) {
			if f != never {
				r.engine.Sent(time.Now())
			}
		})
		return true
	}
	r.engine.Sent(time.Now())
	return true
}

// Cost is what the reservation has charged. With [WithShadow] it is zero while the call
// would wait.
func (r *Reservation) Cost() Cost {
	if r == nil || r.limiter == nil || !r.shadow.charged() {
		return Cost{}
	}
	return costOf(r.engine.Call.Model, r.engine.Cost())
}

// Settle ends the reservation of a call that was made. Tokens that the call did not
// use are refunded, and tokens that it used in addition are charged. A zero Usage
// keeps the charge as it is.
func (r *Reservation) Settle(u Usage) {
	r.endByCaller(&engine.Outcome{
		Usage:    wire.Usage{Input: u.InputTokens, Output: u.OutputTokens, Total: u.total()},
		HasUsage: u.total() > 0,
	})
}

// Cancel ends the reservation of a call that was never made, and refunds all of its
// charge. After Settle it does nothing, so that it can be deferred.
func (r *Reservation) Cancel() { r.endByCaller(&engine.Outcome{Cancelled: true}) }

// endByCaller ends the reservation unless a Transport will.
func (r *Reservation) endByCaller(o *engine.Outcome) {
	if r != nil && r.limiter != nil && r.taken.CompareAndSwap(false, true) {
		r.over(o)
	}
}

// over ends the reservation of a call that has no response, or whose response has ended.
func (r *Reservation) over(o *engine.Outcome) {
	defer r.release() // also if a hook panics
	r.end(o)
}

// release gives back the slots of a call that is in flight no more.
func (r *Reservation) release() {
	if r.shadow != nil {
		r.shadow.then(func(f fate) {
			if f != never {
				r.engine.Release()
			}
		})
		return
	}
	r.engine.Release()
}

// end settles the reservation, once, and reports it.
func (r *Reservation) end(o *engine.Outcome) {
	if r.shadow != nil {
		r.shadow.end(*o)
		return
	}
	r.ends(o)
}

// ends is end of a call that has been admitted.
func (r *Reservation) ends(o *engine.Outcome) {
	settled, ok := r.engine.Settle(o)
	if !ok {
		return
	}
	if !r.limiter.traced(r.ctx) {
		return
	}
	c := &r.engine.Call
	model := c.Model
	r.limiter.traceSettled(r.hookContext(), SettledInfo{
		Account: c.Account, Model: model, Class: c.Flow.Class, Tenant: c.Flow.Tenant, Endpoint: r.endpointName(),
		Charged: costOf(model, settled.Charged), Final: costOf(model, settled.Final),
		Estimate: usageOf(r.engine.Estimate()), Usage: usageOf(settled.Usage), HasUsage: settled.HasUsage,
		Duration: settled.Duration, Shadow: r.limiter.config.shadow,
	})
}

// endpointName is the endpoint's for hooks.
func (r *Reservation) endpointName() string {
	if r.endpoint == wire.None {
		return ""
	}
	return r.endpoint.String()
}

// hookContext is the context of the call's hooks, which its end does not end.
func (r *Reservation) hookContext() context.Context {
	if r.ctx == nil {
		return context.Background()
	}
	return context.WithoutCancel(r.ctx)
}

func usageOf(u wire.Usage) Usage {
	return Usage{InputTokens: u.Input, OutputTokens: u.Output, TotalTokens: u.Total}
}
