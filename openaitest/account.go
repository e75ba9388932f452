package openaitest

import (
	"math/big"
	"time"
)

// Outcome is how a call ended.
type Outcome int

const (
	Completed Outcome = iota // answered whole
	Failed                   // admitted, then answered with an error
	Aborted                  // admitted, then broken off: the caller left, or the connection was cut
	Throttled                // not admitted: a 429
	Rejected                 // not admitted: malformed
)

// String returns the outcome in lower case.
func (o Outcome) String() string {
	return [...]string{"completed", "failed", "aborted", "throttled", "rejected"}[o]
}

// Calls counts the calls of one model.
type Calls struct {
	// Seen = Admitted + Throttled + Rejected: calls that reached the buckets,
	// those they let in, those answered with a 429 (injected ones too), and
	// those that were malformed.
	Seen, Admitted, Throttled, Rejected int64
	// Completed, Failed and Aborted are how admitted calls ended.
	Completed, Failed, Aborted int64
	// MostInFlight is how many were in flight at most.
	MostInFlight int64
	// FirstAdmission and LastAdmission are zero where nothing was admitted.
	FirstAdmission, LastAdmission time.Time
}

// InFlight returns how many admitted calls have not ended.
func (c Calls) InFlight() int64 { return c.Admitted - c.Completed - c.Failed - c.Aborted }

func (c *Calls) admitted(at time.Time) {
	c.Admitted++
	if c.FirstAdmission.IsZero() {
		c.FirstAdmission = at
	}
	c.LastAdmission = at
	c.MostInFlight = max(c.MostInFlight, c.InFlight())
}

func (c *Calls) ended(o Outcome) {
	switch o {
	case Completed:
		c.Completed++
	case Failed:
		c.Failed++
	case Aborted:
		c.Aborted++
	}
}

// An Account is what the server holds about one model at one moment. It is a
// copy: nothing in it changes later.
type Account struct {
	Calls
	// Buckets are those that limit the model now: its own, then shared ones,
	// then the account's, each in the order of the Limit constants.
	Buckets []Bucket
}

// Bucket returns the model's narrowest bucket of a limit: its own, else a
// shared one, else the account's. It returns the zero Bucket if there is none.
func (a Account) Bucket(limit Limit) Bucket {
	for _, b := range a.Buckets {
		if b.Limit == limit {
			return b
		}
	}
	return Bucket{}
}

// IdealMakespan returns the shortest time in which full buckets of these limits
// could have let through what was charged: the largest of (net − capacity)/rate
// over all buckets, at least zero. Where limits have changed it means nothing.
func (a Account) IdealMakespan() time.Duration {
	var longest time.Duration
	for _, b := range a.Buckets {
		if over := b.Net() - b.Capacity; over > 0 {
			longest = max(longest, b.refill(over))
		}
	}
	return longest
}

// A Bucket is the state of one bucket and everything it was ever charged, in
// whole units of its dimension: requests, tokens or images. Amounts of a shared
// bucket are those of all models that draw from it.
type Bucket struct {
	// Name is the model, the name of shared limits, or "account".
	Name string
	// Limit says what is counted, and over which period.
	Limit Limit
	// Capacity is the limit: what a full bucket holds, and what refills every
	// Limit.Period().
	Capacity int64
	// Used is what is missing to a full bucket at this moment.
	Used float64
	// Charged is what admissions charged, ThrottledCharge what throttled and
	// malformed requests did, Debited what was charged after completion,
	// Refunded what was given back (also where a full bucket could not hold
	// it), Foreign what Spend charged.
	Charged, ThrottledCharge, Debited, Refunded, Foreign int64
	// Throttles is how many 429s named this bucket.
	Throttles int64
}

// Net returns everything charged less everything given back.
func (b Bucket) Net() int64 {
	return b.Charged + b.ThrottledCharge + b.Debited + b.Foreign - b.Refunded
}

// Rate returns how many units refill in a second.
func (b Bucket) Rate() float64 { return float64(b.Capacity) / b.Limit.Period().Seconds() }

// refill returns the time in which n units refill, rounded up.
func (b Bucket) refill(n int64) time.Duration {
	x := new(big.Int).Mul(big.NewInt(n), big.NewInt(int64(b.Limit.Period())))
	x.Add(x, big.NewInt(b.Capacity-1)).Quo(x, big.NewInt(b.Capacity))
	return time.Duration(x.Int64())
}

// Account returns the account of a model, at this moment. That of a model that
// was never called shows its buckets, full as far as others leave them.
func (s *Server) Account(model string) Account {
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	_, now := l.now()
	sc := l.scope(model, now)
	a := Account{Calls: sc.calls}
	sc.each(now, func(p *pool, b *bucket) {
		t := b.totals
		a.Buckets = append(a.Buckets, Bucket{
			Name: p.name, Limit: b.limit, Capacity: b.capacity,
			Used:    float64(b.used) + float64(b.usedFrac)/float64(b.period),
			Charged: t.charged, ThrottledCharge: t.throttledCharge, Debited: t.debited,
			Refunded: t.refunded, Foreign: t.foreign, Throttles: t.throttles,
		})
	})
	return a
}

// A Record is what became of one call.
type Record struct {
	Seq             int64 // order of arrival, from 1
	Endpoint, Model string
	Stream          bool
	// Arrived is when the call had been read, Admitted when the buckets
	// decided, for or against it, Ended when the server was done with it.
	Arrived, Admitted, Ended time.Time
	Outcome                  Outcome
	Status                   int  // of the response; zero where none was begun
	Cost                     Cost // charged at admission; zero where not admitted
	Refunded                 Cost
	Debited                  int64 // tokens
	// PromptTokens and OutputTokens are the usage, whether or not the answer
	// stated it. They are zero for calls that did not complete.
	PromptTokens, OutputTokens int64
	// ThrottledBy and ThrottledLimit name the bucket that a 429 named; ThrottledBy is
	// empty for other outcomes and for injected 429s.
	ThrottledBy    string
	ThrottledLimit Limit
}
