package ledger

import "github.com/openai-ratelimiter/ratelimiter/backend"

// Bounds are what a caller knows of the account's time: it is no earlier than Earliest and
// no later than Latest. The zero value is of a caller that knows nothing of it.
type Bounds struct{ Earliest, Latest int64 }

// A clock is the account's own time, in which its buckets refill. It is what the store's
// clock shows, less the steps that this has taken: no bucket refills for a clock that is
// set, or for a server that takes over and is ahead.
type clock struct {
	running bool
	born    int64 // when it began; what a caller knows from before is of another one
	offset  int64 // by how much the store's is ahead
}

// read returns the account's time and the clock as it is then. The time is not earlier
// than the latest that the ask's owners know.
//
// Where more has passed than can have, the store's clock has taken a step, or the ask
// has lain unanswered for longer than its caller waits. As much counts as must have
// passed; in the latter case the next ask brings the rest, for it knows that more must
// have. Nobody's word takes the account's time beyond what the store's clock shows.
func (c clock) read(shown int64, known Bounds, latest int64) (int64, clock) {
	if !c.running {
		c = clock{running: true, born: shown}
	}
	now := shown - c.offset
	if known.Latest > 0 && known.Earliest >= c.born {
		switch {
		case now > known.Latest:
			now = known.Earliest
		case now < known.Earliest:
			now = max(now, min(known.Earliest, shown))
		}
	}
	now = max(now, latest)
	c.offset = shown - now
	return now, c
}

// read returns the account's time for an ask of the owner and these buckets, and the
// clock as it is then.
func (a *Account) read(shown int64, owner string, buckets []backend.Bucket) (int64, clock) {
	latest := a.latest(never, owner)
	for i := range buckets {
		if name := buckets[i].Owner; name != owner {
			latest, owner = a.latest(latest, name), name
		}
	}
	return a.clock.read(shown, a.Known, latest)
}

// latest is the latest time that the owner knows, if it is later.
func (a *Account) latest(latest int64, name string) int64 {
	if o := a.known(name); o != nil {
		latest = max(latest, o.stamp)
	}
	return latest
}
