package quota

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

var dimensions = map[wire.Dimension]backend.Dimension{
	wire.Requests: backend.Requests, wire.Tokens: backend.Tokens, wire.Images: backend.Images,
}

// throttleSource is the source of what a 429's message reports.
const throttleSource = "a throttle by the server"

// Pause is for how long the scope, of which so many other calls are in flight, pauses for a
// throttle of the request: as long as the throttle says. Where it says nothing, the pause is a
// second, and up to a minute if it is in vain.
func (s *Set) Pause(now time.Time, r *Request, t *wire.Throttle, inFlight int) time.Duration {
	if t.RetryAfter > 0 {
		return t.RetryAfter
	}
	return s.backoff.throttled(now, r.SentAt, inFlight)
}

// Throttled takes in that the server has throttled a request, and for how long the scope
// will pause for it. It returns what to correct, and whose limit it is about: a family's
// or the account's where the figure says so, else the model's.
func (s *Set) Throttled(now time.Time, r *Request, t *wire.Throttle, pause time.Duration) (corrections []Correction, owner string) {
	s.start.Throttled(now)
	if t.Kind == wire.RateLimit && !names(t) {
		s.throughput.throttled(now, r.SentAt, pause, s.tried())
	}
	if t.Kind == wire.SlowDown {
		s.slowDown(now)
	}
	if pause >= longPause {
		s.restart(now, now.Add(pause))
	}
	c, changed := s.throttled(now, r, t)
	if changed {
		corrections = []Correction{c}
	}
	return corrections, s.throttledOwner(t)
}

// names reports whether a throttle tells a limit of a kind that is followed.
func names(t *wire.Throttle) bool {
	d, ok := dimensions[t.Dimension]
	_, known := kindOf(d, t.Period)
	return ok && t.Limit >= 0 && (known || t.Period == shortSubwindow)
}

// tried is how many calls a second are tried after a throttle that tells no limit: what is known
// to refill of requests, or one.
func (s *Set) tried() float64 {
	most := 1.0
	for _, l := range s.limits {
		if l.Dimension == backend.Requests && l.Period == minute && l.whole == nil {
			most = max(most, l.refill())
		}
	}
	return most
}

// LeastPause is how long the scope must pause at least for a throttle to be of use to the
// others: of a subwindow that is new they must know before they send more than it holds.
func (s *Set) LeastPause(now time.Time) time.Duration {
	const spread = 300 * time.Millisecond
	for _, l := range s.limits {
		if l.whole != nil && l.found.Equal(now) {
			return spread
		}
	}
	return 0
}

// throttledOwner is whose limit of what the throttle is about has its amount: the model's
// where it has one, as in find.
func (s *Set) throttledOwner(t *wire.Throttle) string {
	owner := s.owner
	d, known := dimensions[t.Dimension]
	for _, l := range s.limits {
		switch {
		case l.Amount() != t.Limit, known && l.Dimension != d, t.Period != 0 && l.Period != t.Period:
		case l.Owner == s.owner:
			return s.owner
		case owner == s.owner:
			owner = l.Owner
		}
	}
	return owner
}

// TooLarge takes in that the server has rejected a request that alone exceeds a limit.
func (s *Set) TooLarge(now time.Time, r *Request, t *wire.Throttle) { s.throttled(now, r, t) }

// throttled takes out of a throttle what it says of the limit, and of what was used of it.
func (s *Set) throttled(now time.Time, r *Request, t *wire.Throttle) (c Correction, changed bool) {
	d, ok := dimensions[t.Dimension]
	if ok && t.Limit < 0 && t.Period == 0 {
		return s.unexplained(now, r, d, t)
	}
	if ok && t.Period == shortSubwindow {
		return s.secondThrottled(now, r, d, t)
	}
	kind, known := kindOf(d, t.Period)
	if !ok || !known || t.Limit <= 0 || t.Limit > Largest {
		return c, false
	}
	l := s.findThrottling(d, t.Period, t.Limit)
	if l == nil {
		used := 0.0
		if t.Used >= 0 {
			used = t.Stood(kind.Period)
		}
		l = s.told(now, r, kind, used)
	}
	if !r.SentAt.Before(l.reportSentAt) {
		l.report(t.Limit, throttleSource, now, r.SentAt)
	}
	l.confirmed = l.confirmed || t.Kind == wire.TooLarge && l.Amount() == t.Limit
	s.sampleInput(now, r, l, t)
	if t.Kind == wire.TooLarge || t.Used < 0 || t.Requested < 0 || l.Amount() != t.Limit {
		return c, false
	}
	if reached := t.Used + t.Requested; l.Period == minute && float64(reached) < 0.99*float64(t.Limit) {
		if t.RetryAfter > l.Period {
			return c, false // no subwindow of it lasts so long
		}
		s.dirty = true
		return s.subwindowThrottled(now, r, l, t.RetryAfter, float64(t.Requested))
	}
	level, ok := r.level(l)
	if !ok {
		return c, false
	}
	s.dirty = true
	correction, changed := l.tracker.Throttled(now, level, t.Stood(l.Period), float64(t.Requested), float64(l.Amount()))
	return Correction{l, backend.Correction(correction)}, changed
}

// told adds a limit that a throttle has told of, and of which so much was used then. What was sent
// since is guessed to be used too.
func (s *Set) told(now time.Time, r *Request, kind Kind, used float64) *Limit {
	l := newLimit(s.owner, kind)
	guess := s.sentAfter(r, kind.Dimension)
	l.tracker.Guess(guess)
	l.begin(now, used+guess)
	s.add(l)
	return l
}

// sampleInput takes in what the server has charged for one request's input: what it says
// was requested, less what is declared of the output.
func (s *Set) sampleInput(now time.Time, r *Request, l *Limit, t *wire.Throttle) {
	const enough = 200 // tokens, below which what is added to each call counts
	if l.Dimension != backend.Tokens || t.Requested <= 0 || r.Input.Counted < enough {
		return
	}
	before := l.tracker.InputRatio()
	output := r.Cost[backend.Tokens] - r.Input.Charged
	l.tracker.InputCharged(now, float64(t.Requested-output)/float64(r.Input.Counted))
	if l.tracker.InputRatio() != before {
		s.dirty, s.urgent = true, true
	}
}

// unexplained takes in a throttle without figures, as Azure's are: if it names no period,
// comes long before the limit is reached, and for no longer than a subwindow lasts, it is
// that of one.
func (s *Set) unexplained(now time.Time, r *Request, d backend.Dimension, t *wire.Throttle) (c Correction, changed bool) {
	for i := range r.Sent {
		sent := &r.Sent[i]
		l := sent.limit
		if l.Dimension == d && l.Period == minute && l.whole == nil && t.RetryAfter <= longSubwindow &&
			sent.Used < 0.9*float64(l.Amount()) && !l.spentAt.Equal(r.SentAt) {
			s.dirty = true
			return s.subwindowThrottled(now, r, l, t.RetryAfter, float64(r.Cost[d]))
		}
	}
	return c, false
}

// secondThrottled takes in a throttle by a limit of a second, which is a subwindow of the limit a
// minute. Where no such limit is known it is sixty times as much.
func (s *Set) secondThrottled(now time.Time, r *Request, d backend.Dimension, t *wire.Throttle) (c Correction, changed bool) {
	const seconds = int64(minute / shortSubwindow)
	l := s.find(d, minute, t.Limit*seconds)
	if l == nil {
		kind, known := kindOf(d, minute)
		if !known || t.Limit <= 0 || t.Limit > Largest/seconds {
			return c, false
		}
		l = s.told(now, r, kind, 0)
		l.report(t.Limit*seconds, throttleSource, now, r.SentAt)
	}
	return s.subwindowThrottled(now, r, l, t.RetryAfter, float64(r.Cost[d]))
}

// What may grow as it likes after slow_down: a part of the limit, and as many tokens a
// minute ("above 1M input TPM": see [calibration.Ramp]).
const (
	slowPart   = 0.1
	slowTokens = 1_000_000
)

// slowDown lets the scope's traffic grow only slowly from now on.
func (s *Set) slowDown(now time.Time) {
	for _, l := range s.limits {
		if l.Period != minute || l.whole != nil || l.Dimension == backend.Images {
			continue
		}
		always := slowPart * float64(l.Amount())
		if l.Dimension == backend.Tokens {
			always = max(always, slowTokens)
		}
		l.ramp.Begin(now, l.tracker.Lately(now), always)
		s.dirty = true
	}
}
