package quota

import (
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// Some limits are enforced in subwindows of their period: "60,000 requests/minute may be
// enforced as 1,000 requests/second" (OpenAI's help, article 6891753); Azure's evaluation
// periods are of one or ten seconds. No header reports them, only throttles that come long
// before the limit is reached.
const (
	shortSubwindow = time.Second
	longSubwindow  = 10 * time.Second
	// subwindowMargin is how far requests may crowd on their way.
	subwindowMargin = 200 * time.Millisecond
	// subwindowLife is how long a subwindow is kept after its last throttle.
	subwindowLife = time.Hour
)

// subwindow takes in that the server enforces a limit in subwindows, for it has throttled
// a call for so long although the limit was not reached.
func (s *Set) subwindow(now time.Time, l *Limit, throttled time.Duration) (part *Limit, fresh bool) {
	length := shortSubwindow
	if throttled > shortSubwindow {
		length = longSubwindow
	}
	for _, known := range s.limits {
		if known.whole == l {
			known.burst = max(known.burst, length)
			if now.After(known.reportAt) {
				known.reportAt = now
			}
			return known, false
		}
	}
	part = newLimit(l.Owner, l.Kind)
	part.burst, part.whole, part.source, part.reportAt, part.found = length, l, throttleSource, now, now
	part.Name += "/subwindow"
	s.add(part)
	s.dirty, s.urgent = true, true
	return part, true
}

// subwindowThrottled takes in a throttle by a subwindow of a limit, which was as full as the
// wait says: when that is over, the call fits.
func (s *Set) subwindowThrottled(now time.Time, r *Request, l *Limit, wait time.Duration, requested float64) (c Correction, changed bool) {
	part, fresh := s.subwindow(now, l, wait)
	if wait <= 0 {
		return c, false
	}
	rate := float64(part.Amount()) / part.Period.Seconds()
	capacity := rate * part.burst.Seconds()
	requested = min(requested, capacity)
	used := capacity + rate*wait.Seconds() - requested
	if fresh { // the call fits then with the margin, and as we count it
		itself := min(float64(r.Cost[l.Dimension]), capacity)
		after := 0.0
		if sent, ok := r.level(l); ok { // smaller calls have passed since, at most as large together as this one
			after = min(l.tracker.ChargedAfter(sent), requested)
		}
		part.begin(now, used+requested-itself+after-rate*subwindowMargin.Seconds())
		return c, false
	}
	if ends, known := part.windows.Throttled(r.SentAt.Add(wait), part.burst); known { // it fits then with the margin
		used = capacity + rate*(ends.Sub(r.SentAt)-subwindowMargin).Seconds() - requested
	}
	level, ok := r.level(part)
	if !ok {
		return c, false
	}
	correction, changed := part.tracker.Throttled(now, level, used, requested, float64(part.Amount()))
	return Correction{part, backend.Correction(correction)}, changed
}

// subwindowReported takes in a report of a subwindow of this length, as some of Azure's are,
// in place of its limit: the limit, and where the subwindow stands.
func (s *Set) subwindowReported(now time.Time, r *Request, rep *report, length time.Duration) (c Correction, changed bool) {
	kind, ok := kindOf(rep.dimension, minute)
	amount := rep.Limit * int64(minute/length)
	if !ok || amount > Largest {
		return c, false
	}
	l := s.find(rep.dimension, minute, amount)
	if l == nil {
		l = newLimit(s.owner, kind)
		s.add(l)
	}
	if r.SentAt.Before(l.reportSentAt) {
		return c, false
	}
	was := l.learned.Amount
	believed := l.report(amount, rep.source, now, r.SentAt)
	s.dirty = s.dirty || l.learned.Amount != was
	if !believed {
		return c, false
	}
	part, fresh := s.subwindow(now, l, length)
	used := float64(rep.Limit - rep.Remaining)
	if fresh {
		part.begin(now, used)
		return c, false
	}
	level, ok := r.level(part)
	if !ok {
		return c, false
	}
	correction, changed := part.tracker.Observe(now, level, used, float64(part.Amount()))
	return Correction{part, backend.Correction(correction)}, changed
}

// correctSubwindow corrects a limit's subwindow by what the limit was corrected by: what the
// server has charged beyond our charges, or others have used, counts in the subwindow too. Not
// in one that begins afresh: that has forgotten it, and calls would lose its rhythm.
func (s *Set) correctSubwindow(r *Request, c *Correction) (p Correction, changed bool) {
	level, _ := r.level(c.Limit)
	by := c.Limit.tracker.Charges(level, c.To-c.From)
	for _, l := range s.limits {
		if l.whole != c.Limit || !r.SentAt.After(l.found) || l.windows.Known() {
			continue
		}
		most := float64(l.Amount()) * l.burst.Seconds() / l.Period.Seconds()
		correction, changed := l.tracker.Shift(min(max(by, -most), most))
		return Correction{l, backend.Correction(correction)}, changed
	}
	return p, false
}

// dropSubwindows forgets those that have throttled nothing for long.
func (s *Set) dropSubwindows(now time.Time) {
	stale := func(l *Limit) bool { return l.whole != nil && now.Sub(l.reportAt) > subwindowLife }
	if slices.ContainsFunc(s.limits, stale) {
		s.limits = slices.DeleteFunc(slices.Clone(s.limits), stale)
	}
}
