package engine

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A progress is how fast a line moves: by how far it has come, as one scope's answers say. Where
// there are several flows, calls of others come to stand before those that wait: of flows that
// were idle or have had less. The backend can't know, so its hints are too short, and a ticket
// that believed them would ask again and again while it comes near. The zero value knows nothing.
type progress struct {
	virtual float64
	at      time.Time
	speed   float64 // in a nanosecond
}

// measured is over how long a speed is measured at least.
const measured = 2 * turnTime

// saw takes in how far the line has come.
func (p *progress) saw(virtual float64, now time.Time) {
	switch passed := now.Sub(p.at); {
	case virtual < p.virtual || passed > time.Minute: // it has begun anew, or nothing is known
		*p = progress{virtual: virtual, at: now}
	case passed >= measured:
		*p = progress{virtual, now, (virtual - p.virtual) / float64(passed)}
	}
}

const (
	// crowded is how many tickets stand before one that need not ask as often as the backend
	// hints; each of them is worth a part of a turn's time.
	crowded = 5
	// longest is how long a ticket leaves the backend alone at most, which lets it wait for a
	// second.
	longest = 800 * time.Millisecond
)

// hint is when to ask again: once the line has mostly come to the first that waits, if that is
// later than the backend hints.
func (p *progress) hint(answer *backend.Answer) time.Duration {
	if p.speed <= 0 || answer.Tickets < crowded {
		return answer.Hint
	}
	comes := time.Duration(min((answer.Tags[answer.Granted]-answer.Virtual)/p.speed, float64(time.Minute))) * 3 / 4
	return max(answer.Hint, min(comes, time.Duration(answer.Tickets-1)*turnTime/(crowded-1), longest))
}
