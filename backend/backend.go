// Package backend is the contract between the limiter and the place where its
// budget lives. Programs that only use the limiter need nothing from here;
// those that bring their own store implement [Backend] and run the suite in
// backendtest.
//
// A backend keeps, for each account, buckets that refill continuously and
// lines of tickets. It owns time: every duration in an answer is relative to
// the moment the backend gave it, so that the clocks of processes don't
// matter.
package backend

import (
	"context"
	"errors"
	"time"
)

// Dimension is what a limit counts.
type Dimension uint8

// The dimensions of OpenAI's limits.
const (
	Requests Dimension = iota
	Tokens
	Images

	// Dimensions is their number.
	Dimensions = 3
)

// Amounts holds a figure for each dimension, indexed by it.
type Amounts [Dimensions]int64

// MaxCosts is the largest number of costs that one [Ask] may carry.
const MaxCosts = 16

// MaxCompanions is the largest number of other tickets that one [Ask] may speak for.
const MaxCompanions = 255

// Bucket describes one limit and the bucket that enforces it. Owner and Name
// identify it within an account. The rest may differ from ask to ask, and the
// latest description counts. What is used stays used when a limit changes.
type Bucket struct {
	// Owner is what the bucket belongs to: a model, a family of models or the
	// whole account. All buckets of an owner are paused and cleared together.
	Owner string
	// Name tells the buckets of an owner apart.
	Name string
	// Dimension is what the bucket counts.
	Dimension Dimension
	// Limit is what refills in a Period. Both must be positive.
	Limit  int64
	Period time.Duration
	// Burst sets the capacity to what refills in it; 0 means a whole Period.
	Burst time.Duration
	// Margin is held back from every start, but never more than half of what
	// the capacity leaves beside the cost.
	Margin float64
	// Start is what counts as used already when the backend does not know this
	// bucket yet, or has lost it.
	Start float64
	// StartStamp is the Stamp of the Answer that Start goes back to, or 0 if it goes
	// back to none. The backend may have lost the bucket after that answer, and begun it
	// anew for somebody who knew less. Then a larger Start raises what is used to what it
	// would be if the bucket had begun there. A bucket takes that in for its first minute.
	StartStamp int64
	// Ceiling says that a cost starts while anything is left, and that what it takes beyond
	// that is a debt. So no large cost is starved, whichever lines draw from the bucket. A
	// ceiling has no Margin. A cost that waits for a ceiling alone stands in no other's way.
	// All ceilings of an ask have one Owner, which has no other buckets and is no Scope.
	Ceiling bool
}

// Capacity is the most that the bucket can hold, at least 1.
func (b *Bucket) Capacity() float64 {
	burst := b.Burst
	if burst <= 0 {
		burst = b.Period
	}
	return max(1, float64(b.Limit)*float64(burst)/float64(b.Period))
}

// An Ask is one call of a ticket: the costs at the head of a process's queue
// for one scope.
type Ask struct {
	// Account pays. It is a name or a digest, never an API key.
	Account string
	// Line is where the ticket stands. Scopes that share a bucket must stand
	// in the same line.
	Line string
	// Ticket identifies the queue of one process for one scope.
	Ticket string
	// Number grows with each Ask of the ticket. While the ticket is in line, an ask that
	// comes twice, or after a later one, is answered like the last one and changes nothing.
	// If nothing was granted, the buckets' figures may be newer, and an ask that comes twice
	// may be taken for a new one. One that comes after a later one may not: nobody would hear
	// of what it was granted.
	Number uint64
	// Fresh asks for a grant only if the ticket does not stand in line yet:
	// it is set by callers that have not seen the queue behind them.
	Fresh bool
	// Scope is the owner whose pauses hold for the ask even if none of the
	// Buckets is its own.
	Scope string
	// Leave keeps no ticket for what is not granted. With no Costs the ticket
	// just leaves the line.
	Leave bool
	// Buckets are those the scope draws from, owner by owner: first its own, and then those of
	// broader owners. Of two scopes in line that name the same owners in opposite orders, the
	// one that came first decides which is broader. Each cost must fit the Limit of
	// every one of them, else the answer is ErrTooLarge and nothing changes.
	Buckets []Bucket
	// Costs are at most MaxCosts, those of each flow in the order in which they are to start. A
	// ticket keeps its place until all of them are granted. Costs that it brings in addition
	// meanwhile come after all that their flows have asked for elsewhere.
	Costs []Amounts
	// Flows says on whose behalf the Costs ask, one for each of them; nil for all of them on
	// the zero Flow's.
	Flows []Flow
	// Companions are other tickets of the process in the same line. They count as if they
	// had asked too: none of them is silent. Else they stay as they are. Those beyond
	// MaxCompanions count for nothing.
	Companions []string
}

// FlowOf is on whose behalf the i-th cost asks.
func (a *Ask) FlowOf(i int) Flow {
	if i < len(a.Flows) {
		return a.Flows[i]
	}
	return Flow{}
}

// A Flow is a tenant of a class. Flows share a line. While they wait, classes get shares of
// what the line's buckets let through, by their weights, and the tenants of a class get equal
// parts of its share. A share that nobody uses goes to the others. Shares are measured in
// charged tokens, or in requests where none of the buckets counts tokens.
type Flow struct {
	// Class and Tenant are names or digests. The empty ones are flows like others.
	Class, Tenant string
	// Weight is the class's, from 0.001 to 1,000,000; 0 means 1.
	Weight float64
	// Credit is how much less the cost counts, because earlier costs of the flow have used
	// less than they were charged. It is negative where they have used more.
	Credit int64
}

// An Answer says what an [Ask] got.
type Answer struct {
	// Granted is how many of the costs have been charged: the first in their Order.
	Granted int
	// Order is in which order the costs are to start, by their indices in the ask: that of
	// their Tags, of which equal ones keep the ask's order. nil is the ask's own order.
	Order []int
	// Stamp is the backend's time of the charge in microseconds; a settlement
	// returns it.
	Stamp int64
	// Wait is how long it takes until the first cost that was not granted fits, if
	// nothing is given back and those ahead start as soon as they can. 0 if all
	// were granted.
	Wait time.Duration
	// Paused is the part of Wait that no refund can shorten: the longest pause
	// of the owners.
	Paused time.Duration
	// Hint is when to ask again. If Changed reports everything that is given back, it is at
	// most Wait. Otherwise it is soon enough to notice a refund; but if all the costs fit
	// soon, it is not before that.
	Hint time.Duration
	// Changed, if not nil, is closed when asking before Hint may be worth it.
	Changed <-chan struct{}
	// Levels says how much is free in each of the ask's buckets after the
	// grant; negative while a debt is refilled. It is nil where nobody knows, as
	// while something else stands in for the backend.
	Levels []float64
	// Charged is all that was ever charged to each of them, with this grant and without
	// deducting refunds. Corrected is the sum of all else that has changed what is used,
	// apart from refill: corrections, and what a full bucket could not take. So used =
	// Charged − refunds − refill + Corrected. Charged begins at 0 and Corrected at Start,
	// and both begin anew if the backend has lost or forgotten the bucket.
	Charged, Corrected []float64
	// Tickets is how many stand ahead in line.
	Tickets int
	// Virtual is how far the line has come. Tags say where in the line each of the ask's
	// costs stands, or stood if it is granted; lower tags come first. Those of one flow never
	// fall. Both are for asks with Flows. The zero values say nothing.
	Virtual float64
	Tags    []float64
}

// InOrder returns what stands for each of an ask's costs in the order in which they start.
func InOrder[T any](a *Answer, costs []T) []T {
	if a.Order == nil || len(a.Order) != len(costs) {
		return costs
	}
	ordered := make([]T, len(a.Order))
	for to, from := range a.Order {
		ordered[to] = costs[from]
	}
	return ordered
}

// A Settlement corrects what an earlier grant has charged.
type Settlement struct {
	Account, Line string
	// Stamp is that of the grant. A charge older than the last Clear of an
	// owner, or than the owner's data, is not corrected there.
	Stamp int64
	// Buckets are those that were charged. Their Margins say nothing.
	Buckets []Bucket
	// Refund is given back (or, where negative, charged in addition) in every
	// bucket. A bucket never rises above its capacity, and further charges
	// stop at a level of −Limit.
	Refund Amounts
	// Corrections, if not nil, are one for each of the Buckets. Stamp holds for them too: it
	// is that of the grant whose response reported the difference.
	Corrections []Correction
	// PauseOwner, if not empty, starts nothing for Pause; a longer pause that
	// already holds stays.
	PauseOwner string
	Pause      time.Duration
}

// OnlyPause is what the settlement pauses, and nothing else.
func (s *Settlement) OnlyPause() Settlement {
	return Settlement{Account: s.Account, Line: s.Line, PauseOwner: s.PauseOwner, Pause: s.Pause}
}

// A Correction moves a bucket's Corrected, and with it what is used, from From to To. If many
// processes have seen the same difference, it is applied once: Corrected rises only as far as
// it lies below To, and falls only if it still is From. A bucket never rises above its
// capacity, nor falls below a level of −Limit. The zero value changes nothing.
type Correction struct {
	From, To float64
}

// Backend keeps the budgets. Its methods are safe for concurrent use and return no later than
// the context or the backend's own timeout allows. A bucket that a backend has lost begins with
// Bucket.Start used. No step of the backend's clock refills a bucket, as far as it can tell. It
// may forget an owner that nobody would miss: one that is not paused, whose buckets are full, on
// which no ticket in line counts, and which has charged nothing for ten minutes, since a younger
// charge may still have to be settled.
type Backend interface {
	// Take charges as many of the ask's costs, in their order, as fit in every
	// bucket, after what the tickets ahead could use is set aside.
	Take(ctx context.Context, ask Ask) (Answer, error)
	// Settle applies a settlement once.
	Settle(ctx context.Context, settlement Settlement) error
	// Look answers like Take would a new ticket at the end of the line, and
	// changes nothing.
	Look(ctx context.Context, ask Ask) (Answer, error)
	// Clear fills the buckets of the owners and lifts their pauses. The lines
	// stay as they are.
	Clear(ctx context.Context, account string, owners []string) error
}

// Local is implemented by a backend whose methods return at once, without I/O: the
// limiter calls Take and Settle under a lock of its own, on the goroutine that makes
// or finishes the call. They must not call the limiter, nor keep the slices of an Ask
// or a Settlement. Nothing recovers from their panics.
type Local interface {
	Backend
	Local()
}

// Keeper is implemented by a backend that outlives the process. What a process
// has learned about the server's limits is kept there for those that come after
// it. A note means nothing to the backend; the latest counts.
type Keeper interface {
	Backend
	// Keep stores a note about a scope of an account for that long.
	Keep(ctx context.Context, account, scope string, note []byte, ttl time.Duration) error
	// Recall returns the notes of some scopes of an account, in their order.
	Recall(ctx context.Context, account string, scopes []string) ([]Note, error)
}

// A Note is one that Keep has stored. The zero value stands for none.
type Note struct {
	Data []byte
	// Left is how long it will still be kept, which tells its age by the backend's clock.
	Left time.Duration
}

// ErrUnavailable is matched by the error of a backend that can't be reached, or can't
// answer at present. The same call may succeed in a moment, so callers go on waiting for
// some seconds. Any other error is taken for one that lasts.
var ErrUnavailable = errors.New("backend: it can't be asked at present")

// ErrTooLarge is returned by Take and Look for a cost above the Limit of a
// bucket, which could never start.
var ErrTooLarge = errors.New("backend: a cost is above the limit of its bucket and can never start")
