package ledger

import (
	"math"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// Slack is how long an owner is kept after the last charge to its buckets, full or
// not: a call that takes no longer can still be settled.
const Slack = 10 * time.Minute

const few = 64 // owners are kept without a look at them

// never is earlier than every charge.
const never = math.MinInt64

// forget looks at the next few owners, in a round that comes to all of them, and drops
// those that nobody would miss. A call looks at two however many there are, and so
// the account holds at most twice what is in use, and a few.
func (a *Account) forget(now int64) {
	if a.round.Len() > a.few {
		a.visit(now)
	}
}

// Forget is for an account that nobody calls: it does what a call would do for one
// with many owners. Enough calls of it leave the account [Account.Empty].
func (a *Account) Forget(now int64) {
	a.visit(now)
	a.forgetReplies(now)
}

// Empty reports whether a new account would do as well.
func (a *Account) Empty() bool {
	return len(a.owners) == 0 && len(a.lines) == 0 && len(a.answered) == 0
}

func (a *Account) visit(now int64) {
	a.round.Visit(func(o *owner) bool {
		if !o.idle(now) {
			return false
		}
		a.drop(o)
		return true
	})
}

// idle reports whether a new owner would do as well: no ticket in line counts on it,
// no pause holds, every bucket is full, and no charge may have to be settled yet. An
// owner that comes back settles nothing from before, and its buckets' Charged and
// Corrected begin anew.
func (o *owner) idle(now int64) bool {
	if o.nodes > 0 || o.paused > now || o.since > now || o.charged >= now-Micros(Slack) {
		return false
	}
	dt := float64(max(0, now-o.stamp))
	for _, b := range o.buckets {
		if b.used > float64(b.rate*dt) {
			return false
		}
	}
	return true
}

// A reply is kept so that an ask that comes twice is granted once.
type reply struct {
	ticket string
	number uint64
	seen   int64
	answer backend.Answer
}

// remember keeps the answer for as long as a ticket would be kept.
func (a *Account) remember(now int64, ask *backend.Ask, answer backend.Answer) {
	if a.Erase == 0 {
		return
	}
	r := &reply{ticket: ask.Ticket, number: ask.Number, seen: now, answer: answer}
	a.answered[ask.Ticket] = r
	a.replies = append(a.replies, r)
}

// forgetReplies drops those that are too old. A ticket that has asked again may have a
// newer one.
func (a *Account) forgetReplies(now int64) {
	for len(a.replies) > 0 && now-a.replies[0].seen > Micros(a.Erase) {
		r := a.replies[0]
		if a.answered[r.ticket] == r {
			delete(a.answered, r.ticket)
		}
		a.replies[0], a.replies = nil, a.replies[1:]
	}
}
