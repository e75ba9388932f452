package engine

import (
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// A scope is an account's model, for all classes that have no ceilings, or for one that has: what
// it may draw from, and the queue of this process for it. Its account's lock guards all of it but
// for what never changes.
type scope struct {
	account *account
	key     scopeKey
	model   string
	line    string // where its ticket stands in the backend
	ticket  string

	quota    quota.Set
	ceilings []*quota.Limit // of the class
	open     *quota.Limit   // holds nothing back
	inputs   predict.Inputs
	outputs  predict.Outputs
	inFlight int
	slots    []*slots      // that a call takes; replaced when it changes
	holding  int           // calls that hold some
	lacks    int64         // how many more calls the queue would ask for, if there were slots
	latency  time.Duration // the shortest time to a response's headers
	last     snapshot      // of the buckets
	started  tally         // what was charged, as shown counts it

	queue  flows
	driver driver
	asking int   // fast asks under way
	alone  bool  // one of them waits for a slot
	stored bool  // a fast ask has left a ticket in the line
	away   error // why the last ask had no answer
	lookout
	// awaySince is when the asks began to fail, where away is not nil; zero if all who
	// waited have been rejected since.
	awaySince time.Time
	asks      uint64

	loading chan struct{} // closed when what others know has been loaded
	loaded  bool
	looking chan struct{} // closed when the buckets have been looked at; nil if nobody does
	sync    syncing
}

// A snapshot is how the scope's buckets stood at the backend's last answer.
type snapshot struct {
	at       time.Time
	paused   time.Duration
	limits   []*quota.Limit
	buckets  []backend.Bucket // of the limits first
	levels   []float64
	refunded [backend.Dimensions]float64 // the account's, at that time
}

// An ask is what the backend is asked, and the limits whose buckets it begins with.
type ask struct {
	backend.Ask
	limits []*quota.Limit
	slots  []*slots      // of which one is taken for each cost
	took   time.Duration // until the answer
}

// askLocked describes what the scope draws from at present, in buckets if they suffice,
// under the ticket's next number.
func (s *scope) askLocked(now time.Time, buckets []backend.Bucket) ask {
	limits := s.quota.Limits()
	a := s.drawLocked(now, limits, s.quota.Buckets(buckets[:0], now, limits))
	s.asks++
	a.Ticket, a.Number = s.ticket, s.asks
	return a
}

// releaseLocked is releaseTicketLocked, or nil.
func (s *scope) releaseLocked(now time.Time) *backend.Ask {
	a, ok := s.releaseTicketLocked(now)
	if !ok {
		return nil
	}
	leave := a.Ask
	return &leave
}

// unitLocked is in what calls count for their flows' shares: in tokens where those are limited.
func (s *scope) unitLocked() backend.Dimension {
	for _, l := range s.quota.Limits() {
		if l.Dimension == backend.Tokens {
			return backend.Tokens
		}
	}
	return backend.Requests
}

// look describes what a call that is charged to these buckets draws from. It is no
// ticket's.
func (s *scope) look(limits []*quota.Limit, buckets []backend.Bucket) ask {
	return ask{Ask: backend.Ask{
		Account: s.account.ledger(),
		Line:    s.line,
		Scope:   s.owner(),
		Buckets: buckets,
	}, limits: limits}
}

// idleLocked reports whether nothing happens in the scope.
func (s *scope) idleLocked() bool {
	return s.inFlight == 0 && s.holding == 0 && s.asking == 0 && s.queue.len() == 0 && !s.driver.running && s.looking == nil && (s.loaded || s.loading == nil)
}

// slotsLocked is how many more calls may be asked for at present: −1 for any number.
func (s *scope) slotsLocked(now time.Time) int { return s.quota.Slots(now, s.inFlight, s.asking) }

// wakeLocked lets the driver look again.
func (s *scope) wakeLocked() {
	if s.driver.running {
		select {
		case s.driver.kick <- struct{}{}:
		default:
		}
	}
}

// wakeSoonLocked lets the driver look again as soon as it may ask.
func (s *scope) wakeSoonLocked() {
	if s.driver.running {
		select {
		case s.driver.soon <- struct{}{}:
		default:
		}
	}
}

// budgetFreedLocked is called when a response has come or a call has ended. Where asking
// costs something, what was refunded is found at the next look, which is soon enough; but
// a slow start holds calls back in this process.
func (s *scope) budgetFreedLocked(now time.Time) {
	if s.account.engine.local || s.quota.Paced(now) {
		s.wakeLocked()
	}
}

// answeredLocked keeps the levels of an answer.
func (s *scope) answeredLocked(now time.Time, ask *ask, answer *backend.Answer) {
	s.quota.PausedByOthers(now, answer.Paused)
	if answer.Paused > 0 {
		s.sync.hurry = now.Add(hurryFor) // who was throttled knows why
	}
	// Others with a higher limit use more than ours allows.
	s.sync.indebted = ask.indebted(answer)
	// Whoever hears no responses learns too, unless the first of them is about to come.
	if now.Before(s.sync.hurry) || now.Sub(s.sync.loaded) >= earlyEvery {
		s.syncLocked(now)
	}
	if answer.Granted == 0 {
		s.quota.Saw(now, ask.limits, ask.Buckets, answer)
	}
	s.keepLocked(now, ask, answer)
}

// indebted reports whether more is used of a bucket than it holds.
func (a *ask) indebted(answer *backend.Answer) bool {
	for i, level := range answer.Levels[:min(len(answer.Levels), len(a.limits))] {
		if level < 0 && !a.Buckets[i].Ceiling {
			return true
		}
	}
	return false
}

// keepLocked keeps a snapshot.
func (s *scope) keepLocked(now time.Time, ask *ask, answer *backend.Answer) {
	limits := ask.limits
	if len(s.ceilings) > 0 {
		limits = slices.Concat(limits, s.ceilings)
	}
	if s.account.engine.local {
		s.account.scratch.buckets = s.last.buckets // the ask's are kept
	}
	s.last = snapshot{now, answer.Paused, limits, ask.Buckets, answer.Levels, s.account.refunded}
}

// releaseTicketLocked returns how to take a ticket out of the line that a fast ask has
// left and nobody stands for any more. Otherwise those behind would wait for it until it
// is stale. ok is false where there is none.
func (s *scope) releaseTicketLocked(now time.Time) (a ask, ok bool) {
	if !s.stored || s.driver.running || s.asking > 0 || s.queue.len() > 0 {
		return a, false
	}
	s.stored = false
	return s.askLocked(now, nil), true
}
