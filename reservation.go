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
// It ends in exactly one of Settle and Cancel; what comes later does nothing.
// Its methods are safe for concurrent use. The zero value has ended.
type Reservation struct {
	limiter  *Limiter
	engine   engine.Reservation
	counted  string // the model by whose rules tokens are counted
	encoding tokens.Encoding
	claimed  atomic.Bool     // by a Transport
	ctx      context.Context // for hooks; never waited on
}

// claim takes a reservation for a Transport of the limiter, once.
func (r *Reservation) claim(l *Limiter) bool {
	if r == nil || r.limiter != l || r.engine.Ended() || !r.claimed.CompareAndSwap(false, true) {
		return false
	}
	r.engine.Sent(time.Now())
	return true
}

// Cost is what the reservation has charged.
func (r *Reservation) Cost() Cost {
	if r == nil || r.limiter == nil {
		return Cost{}
	}
	return costOf(r.engine.Call.Model, r.engine.Cost())
}

// Settle ends the reservation of a call that was made: the tokens that it did
// not use go back, those it used in addition are charged. A zero Usage keeps
// the charge as it is.
func (r *Reservation) Settle(u Usage) {
	r.end(&engine.Outcome{
		Usage:    wire.Usage{Input: u.InputTokens, Output: u.OutputTokens, Total: u.total()},
		HasUsage: u.total() > 0,
	})
}

// Cancel ends the reservation of a call that was never made: all of its charge
// goes back. After Settle it does nothing, so that it can be deferred.
func (r *Reservation) Cancel() { r.end(&engine.Outcome{Cancelled: true}) }

// end settles the reservation, once, and reports it.
func (r *Reservation) end(o *engine.Outcome) {
	if r == nil || r.limiter == nil {
		return
	}
	settled, ok := r.engine.Settle(o)
	if !ok {
		return
	}
	model := r.engine.Call.Model
	r.limiter.traceSettled(r.hookContext(), SettledInfo{
		Account: r.engine.Call.Account, Model: model,
		Charged: costOf(model, settled.Charged), Final: costOf(model, settled.Final),
		Estimate: usageOf(r.engine.Estimate()), Usage: usageOf(settled.Usage), HasUsage: settled.HasUsage,
		Duration: settled.Duration,
	})
}

// hookContext is the context of the call's hooks.
func (r *Reservation) hookContext() context.Context {
	if r.ctx == nil {
		return context.Background()
	}
	return r.ctx
}

func usageOf(u wire.Usage) Usage {
	return Usage{InputTokens: u.Input, OutputTokens: u.Output, TotalTokens: u.Total}
}
