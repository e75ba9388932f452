package backend

import (
	"context"
	"time"
)

// Lessor is implemented by a backend that shares limits on calls in flight between
// processes. Each process holds slots, of which a call takes one from its start to the
// end of its response, and renews its lease on them with claims. The slots of a process
// that claims no more go to the others when its lease has run out.
type Lessor interface {
	Backend
	// Lease renews the lease of a holder. All holders of an owner together hold no
	// more than the limit, but for what one says that it uses already: that is
	// never taken from it, nor counted twice.
	Lease(ctx context.Context, claim Claim) (Lease, error)
}

// A Claim is what a process says of an owner's slots. It says all, so that a claim that is
// lost, or comes twice, does no harm.
type Claim struct {
	// Account and Owner have the limit: a model, a family or the account as a whole.
	Account, Owner string
	// Holder is the process. Without one the claim is a question: it changes nothing.
	Holder string
	// Number grows with each claim of the holder. One that comes twice, or after a later
	// one, changes nothing.
	Number uint64
	// Limit is how many calls may be in flight at a time. It must be positive.
	Limit int64
	// Used is how many slots the holder's calls take, and Held how many they will at
	// most until the holder has an answer: at least Used, and no more than it was lent.
	// It gives up the rest.
	Used, Held int64
	// Need is how many it has a use for now: those used, and those its callers wait for.
	Need int64
	// Spare is how many it would like to have beside them, for calls to come, while
	// nobody else needs them.
	Spare int64
}

// A Lease is the answer to a [Claim].
type Lease struct {
	// Slots is how many the holder may use. Where it uses more, it keeps those, and
	// starts no call before enough of them have ended.
	Slots int64
	// For is how long it may, from when it sent the claim; 0 for as long as it makes no
	// other claim.
	For time.Duration
	// Again is when to claim again at the latest, and as soon as Need has changed.
	Again time.Duration
	// Changed, if not nil, is closed when claiming before Again may be worth it.
	Changed <-chan struct{}
	// Used answers a question: how many slots all holders' calls take, as they have last
	// said; negative where nobody knows, as while something else stands in for the backend.
	Used int64
}
