package engine

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A progress is how fast a line moves: by how far it has come, as one scope's answers say. Where
// there are several flows, calls of others come to stand before those that wait: of flows that
// were idle or have had less. The backend can't know, so its hints are too short, and a ticket
// would ask again and again while it comes near. The zero value knows nothing.
type progress struct {
	virtual float64
	at      time.Time
	speed   float64 // in a nanosecond
}

// A speed is measured over so long at least, and not over a time in which nobody looked.
const (
	measured = 2 * turnTime
	unseen   = 2 * time.Second
)

// saw takes in how far the line has come.
func (p *progress) saw(virtual float64, now time.Time) {
	switch passed := now.Sub(p.at); {
	case virtual < p.virtual || passed > unseen: // it has begun anew, or may have stood still
		*p = progress{virtual: virtual, at: now}
	case passed >= measured:
		*p = progress{virtual, now, (virtual - p.virtual) / float64(passed)}
	}
}

const (
	// crowded is how many tickets stand before one that need not ask as often as the backend
	// hints; each of them is worth a part of a turn's time.
	crowded = 5
	// A ticket leaves the backend alone for no longer than longest, and for no more than beyond
	// longer than it hinted: it lets a ticket wait for a second, and may not have noted the last
	// asks, as it expected the next one sooner.
	longest = 800 * time.Millisecond
	beyond  = 600 * time.Millisecond
)

// hint is when to ask again: once the line has mostly come to the first that waits, if that is
// later than the backend hints, which tells nobody when to ask sooner.
func (p *progress) hint(answer *backend.Answer) time.Duration {
	if p.speed <= 0 || answer.Tickets < crowded || answer.Changed != nil {
		return answer.Hint
	}
	comes := time.Duration(min((answer.Tags[answer.Granted]-answer.Virtual)/p.speed, float64(time.Minute))) * 3 / 4
	return max(answer.Hint, min(comes, time.Duration(answer.Tickets-1)*turnTime/(crowded-1), longest, answer.Hint+beyond))
}
