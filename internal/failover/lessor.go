package failover

import (
	"context"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A lessor lends slots from a primary that does. While that is away, nobody knows what the other
// processes hold. As long as all of them miss it, what it has lent them last is no more than
// there is.
type lessor struct {
	*failover
	primary backend.Lessor

	lending sync.Mutex
	lent    map[slotsKey]int64 // by the primary
}

type slotsKey struct{ account, owner, holder string }

var _ backend.Lessor = (*lessor)(nil)

// A keeperAndLessor is one whose primary is both.
type keeperAndLessor struct {
	*keeper
	slots *lessor
}

var _ backend.Lessor = (*keeperAndLessor)(nil)

// Lease implements backend.Lessor.
func (b *keeperAndLessor) Lease(ctx context.Context, c backend.Claim) (backend.Lease, error) {
	return b.slots.Lease(ctx, c)
}

// leaseFor is how long a lease holds that the primary has not given, and leaseAgain when it
// is renewed.
const leaseFor, leaseAgain = 2 * probing, probing / 4

// Lease implements backend.Lessor.
func (l *lessor) Lease(ctx context.Context, c backend.Claim) (backend.Lease, error) {
	if begun := time.Now(); l.mayAsk(begun) {
		lease, err := l.primary.Lease(ctx, c)
		if gaveUp(ctx, err) {
			return lease, err
		}
		if !l.failed(begun, err) {
			l.remember(&c, lease.Slots)
			return lease, err
		}
	}
	if c.Holder == "" {
		return backend.Lease{Used: -1}, nil
	}
	return backend.Lease{Slots: min(c.Need+c.Spare, l.share(&c)), For: leaseFor, Again: leaseAgain}, nil
}

// share is how many slots a holder may have while the primary does not answer.
func (l *lessor) share(c *backend.Claim) int64 {
	switch n := l.config.Slots; {
	case n < 0:
		return c.Need + c.Spare
	case n > 0:
		return min(n, c.Limit)
	}
	l.lending.Lock()
	defer l.lending.Unlock()
	return max(1, l.lent[slotsKey{c.Account, c.Owner, c.Holder}])
}

// remember notes what the primary has lent: nothing, where the claim was a question.
func (l *lessor) remember(c *backend.Claim, n int64) {
	l.lending.Lock()
	defer l.lending.Unlock()
	key := slotsKey{c.Account, c.Owner, c.Holder}
	if l.lent[key] = n; n == 0 {
		delete(l.lent, key)
	}
}
