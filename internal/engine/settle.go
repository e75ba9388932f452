package engine

import (
	"net/http"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// An Outcome is how a call has ended. The zero value leaves the charge as it is, or makes it
// what the response says that the server has charged.
type Outcome struct {
	// Cancelled says that the call was never made: all of its charge comes back.
	Cancelled bool
	// Failed is the status of a response that is none to the call: an error or a redirect;
	// or 0.
	Failed int

	// Usage is what the response reported, or the caller of the limiter. ID is the
	// response's.
	Usage    wire.Usage
	HasUsage bool
	ID       string
	// Metered says that the response's body was read, so that its headers may have
	// reported what the server charges.
	Metered bool
	// Text is the tokens of the text that a response without usage has shown, and Whole
	// whether that came to its end. Reasons says that it may hide more.
	Text           int64
	Whole, Reasons bool
}

// Settled is what became of a charge.
type Settled struct {
	Charged, Final backend.Amounts
	Usage          wire.Usage
	HasUsage       bool
	Duration       time.Duration // from the start
}

// Settle ends the reservation. ok is false where it had ended before.
func (r *Reservation) Settle(o *Outcome) (settled Settled, ok bool) {
	if r.scope == nil || !r.ended.CompareAndSwap(false, true) {
		return settled, false
	}
	settled, settlement := r.settle(time.Now(), o)
	if settlement != nil {
		r.scope.account.engine.settle(settlement)
	}
	return settled, true
}

// discard cancels a reservation that nobody has been given.
func (r *Reservation) discard() {
	r.discarded = true
	r.Settle(&Outcome{Cancelled: true})
	r.Release()
}

func (r *Reservation) settle(now time.Time, o *Outcome) (Settled, *backend.Settlement) {
	a := r.scope.account
	a.mu.Lock()
	defer a.mu.Unlock()
	settled := r.endLocked(now, o)
	refund, due := r.refundLocked(now, &settled)
	r.overLocked()
	if !due {
		return settled, nil
	}
	if a.engine.local {
		a.engine.settleNow(&refund)
		return settled, nil
	}
	later := refund
	return settled, &later
}

// endLocked takes in how the call has ended.
func (r *Reservation) endLocked(now time.Time, o *Outcome) Settled {
	s := r.scope
	a := s.account
	final, unused := r.finalLocked(now, o)
	settled := Settled{
		Charged: r.charge.cost, Final: final, Usage: o.Usage, HasUsage: o.HasUsage, Duration: now.Sub(r.started),
	}
	if !o.HasUsage {
		settled.Usage.Output = o.Text
	}
	if by := shown(&final) - shown(&r.charge.cost); by != 0 {
		s.started.correct(int64(r.period), by)
		if r.ofFlow {
			a.usage.correct(int64(r.period), &r.Call, by)
		}
	}
	s.inFlight--
	a.reserved -= settled.Charged[backend.Tokens]
	if o.HasUsage {
		predict.Responded(&r.Call.Body, &a.contexts, o.ID, o.Usage.Total)
	}
	if b := &r.Call.Body; o.HasUsage && b.Functions && b.Exact() {
		s.inputs.Add(b.Input, o.Usage.Input)
	}
	if r.Call.Body.Undeclared && (o.HasUsage || o.shown()) {
		output := settled.Usage.Output
		if u := &settled.Usage; u.Input == 0 && output == 0 { // not told apart
			output = u.Total - r.charge.counted
		}
		s.outputs.Add(output / max(1, r.Call.Body.Choices))
	}
	if returned := settled.Charged[backend.Tokens] - final[backend.Tokens] - unused; returned > 0 {
		req := r.requestLocked()
		req.Returned(returned)
	}
	return settled
}

// refundLocked returns how to give back what the call was charged and did not use. due is false
// where nothing is.
func (r *Reservation) refundLocked(now time.Time, settled *Settled) (settlement backend.Settlement, due bool) {
	s := r.scope
	a := s.account
	var refund backend.Amounts
	for d := range refund {
		refund[d] = settled.Charged[d] - settled.Final[d]
		a.refunded[d] += float64(max(0, refund[d]))
	}
	if r.flow != nil {
		s.queue.end(r.flow, &refund)
	}
	if !r.discarded {
		s.quota.Settled(settled.Charged[backend.Tokens], refund[backend.Tokens])
	}
	s.budgetFreedLocked(now)
	if refund == (backend.Amounts{}) {
		return settlement, false
	}
	var buckets []backend.Bucket
	if a.engine.local {
		buckets = a.scratch.buckets[:0]
	}
	buckets = s.quota.Described(buckets, now, quota.Refundable(r.sent, settled.Final[backend.Tokens] == 0))
	for _, l := range s.ceilings {
		buckets = append(buckets, l.Bucket(now))
	}
	if a.engine.local {
		a.scratch.buckets = buckets
	}
	counts := slices.ContainsFunc(buckets, func(b backend.Bucket) bool { return refund[b.Dimension] != 0 })
	return backend.Settlement{
		Account: a.ledger(), Line: s.line, Stamp: r.stampLocked(), Refund: refund, Buckets: buckets,
	}, counts || r.elsewhere() // else nobody counts it
}

// shown reports whether the text that was seen is all of the output.
func (o *Outcome) shown() bool {
	return !o.HasUsage && o.Metered && o.Whole && o.Text > 0 && !o.Reasons
}

// finalLocked is what stays charged of the reservation, and how much of what comes back is
// output that it has declared and not used.
func (r *Reservation) finalLocked(now time.Time, o *Outcome) (final backend.Amounts, unused int64) {
	final = r.charge.cost
	switch {
	case o.Cancelled:
		return backend.Amounts{}, 0
	case o.Failed != 0:
		if !chargesTokens(o.Failed, r.informed) {
			final[backend.Tokens], final[backend.Images] = 0, 0
			return final, 0
		}
		final[backend.Tokens] = r.held()
		return final, 0
	case !o.Metered:
		final[backend.Tokens] = r.held()
		if o.HasUsage {
			final[backend.Tokens] = bounded(o.Usage.Total)
		}
		return final, 0
	}
	req := r.requestLocked()
	tokens := final[backend.Tokens]
	is := bounded(r.usedTokens(&req, o))
	if left := tokens - is; left > 0 && !r.Call.Body.Undeclared && !r.Call.Body.Whole {
		if r.Call.Body.Continues() || !o.HasUsage && !o.shown() {
			left = 0 // which part is not sure: what stands on the server was a guess too
		}
		if unused = left; req.Unused(now, left) {
			is, unused = r.held(), 0
		}
	}
	final[backend.Tokens] = is
	return final, unused
}

// held is what the server has charged for the call, as far as anything but its usage shows.
// Where headers report the level of its bucket, that has corrected ours by the difference
// between its charge and ours already.
func (r *Reservation) held() int64 {
	if r.stated > 0 && !r.informed {
		return bounded(r.stated)
	}
	return r.charge.cost[backend.Tokens]
}

// usedTokens is what a response's body says that the call has used.
func (r *Reservation) usedTokens(req *quota.Request, o *Outcome) int64 {
	input, tokens := r.charge.input, r.held()
	u := o.Usage
	switch {
	case o.HasUsage && r.informed && r.Call.Body.Exact():
		// The server has charged its own estimate of the input, for good. Of input that
		// only it could see or weigh, the usage is the best there is.
		output := u.Output
		if output == 0 {
			output = u.Total - u.Input // some servers report the total alone
		}
		if u.Input == 0 && u.Output == 0 {
			output = max(0, u.Total-r.charge.counted)
		}
		return input + output
	case o.HasUsage:
		return u.Total
	case o.Text == 0:
		return tokens
	case r.Call.Body.Whole:
		return max(tokens, o.Text)
	case o.shown(), o.Whole && r.informed && req.IsLittle(tokens-input-o.Text):
		return input + o.Text
	}
	return max(tokens, input+o.Text)
}

// chargesTokens reports whether the server charges the tokens of a request that it has
// answered with this error. informed says that the headers tell what it keeps.
func chargesTokens(status int, informed bool) bool {
	switch status {
	case http.StatusTooManyRequests:
		return false
	case 498: // Groq's: its flex tier has no capacity
		return informed
	}
	switch {
	case 300 <= status && status < 400: // it is sent again, elsewhere
		return false
	case 400 <= status && status <= http.StatusUnavailableForLegalReasons && status != 444:
		return informed // nothing was generated
	}
	return true
}

func bounded(tokens int64) int64 { return min(max(0, tokens), quota.Largest) }
