package quota

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// A report is what a response's headers say of one limit.
type report struct {
	wire.Window
	dimension backend.Dimension
	source    string
	project   bool // a project's limit, beside its organization's
}

// reports names sources as OpenAI does: a source tells reports of one header from those
// of another.
func reports(h *wire.Headers) [6]report {
	return [...]report{
		{h.Requests, backend.Requests, "x-ratelimit-limit-requests", false},
		{h.DailyRequests, backend.Requests, "x-ratelimit-limit-requests-per-day", false},
		{h.Tokens, backend.Tokens, "x-ratelimit-limit-tokens", false},
		{h.DailyTokens, backend.Tokens, "x-ratelimit-limit-tokens-per-day", false},
		{h.ProjectTokens, backend.Tokens, "x-ratelimit-limit-project-tokens", true},
		{h.Images, backend.Images, "x-ratelimit-limit-images", false},
	}
}

// kind returns the kind of limit that the report is about, where its period is known.
func (r *report) kind() (Kind, bool) {
	if r.project {
		return projectTPM, r.Period() == minute
	}
	return kindOf(r.dimension, r.Period())
}

// subwindow returns the length of the subwindow that the report is about, if it is: as Azure's
// figures show, or as the dialect states.
func (r *report) subwindow() (length time.Duration, ok bool) {
	length = r.Period()
	return length, (r.Coarse() || r.Stated > 0) && (length == shortSubwindow || length == longSubwindow)
}

// least is the least limit that may be true: below it is what has just been let through.
// A subwindow lets a call through that is above what it holds.
func (r *report) least(sent *Request) int64 {
	least := sent.least(r.dimension)
	if length, ok := r.subwindow(); ok {
		parts := int64(minute / length)
		least = (least + parts - 1) / parts
	}
	return least
}

// Headers takes in a response's headers as soon as they have come, and returns what to
// correct in our buckets. throttled says that the server has rejected the request, so
// that it has not charged its tokens or images, as we have. failed says that the
// response is an error, whatever it is about.
func (s *Set) Headers(now time.Time, r *Request, h *wire.Headers, throttled, failed bool) []Correction {
	var corrections []Correction
	informed := false
	for _, rep := range reports(h) {
		if rep.Window == (wire.Window{}) {
			continue
		}
		informed = informed || rep.HasLimit && rep.HasRemaining
		s.subwindows = s.subwindows || rep.Coarse()
		if rep.dimension == backend.Requests && rep.Period() == 0 {
			rep.Stated = s.throughput.period(rep.Limit)
		}
		if throttled && rep.HasRemaining && rep.Remaining < r.Cost[rep.dimension] {
			if l := s.match(&rep); l != nil {
				l.spentAt = r.SentAt
			}
		}
		uncharged := 0.0
		if throttled && rep.dimension != backend.Requests {
			uncharged = float64(r.Cost[rep.dimension])
		}
		if c, changed := s.report(now, r, &rep, uncharged, throttled); changed {
			corrections = append(corrections, c)
			if p, changed := s.correctSubwindow(r, &c); changed {
				corrections = append(corrections, p)
			}
		}
	}
	s.dropSubwindows(now)
	if !throttled {
		for _, l := range s.limits {
			if l.whole == nil {
				s.sampleInput(now, r, l, &wire.Throttle{Requested: h.QueryCost}) // as a throttle tells it
			}
		}
		s.start.Succeeded(r.SentAt)
		s.backoff.succeeded(r.SentAt)
		s.throughput.succeeded(r.SentAt)
	}
	if !failed && !informed && s.suspect() { // it may enforce limits in any way
		s.subwindows, informed = true, true
	}
	if !failed || informed {
		s.start.Answered(now, r.SentAt, informed, s.complete(), s.careful())
	}
	return corrections
}

// report takes in one report: the limit, and where the server's bucket would stand with
// what it has not charged of this call.
func (s *Set) report(now time.Time, r *Request, rep *report, uncharged float64, throttled bool) (c Correction, changed bool) {
	if !rep.HasLimit || rep.Limit > Largest || uncharged == 0 && rep.Limit < rep.least(r) {
		return c, false // absurd, or below what has just been let through
	}
	if length, ok := rep.subwindow(); ok {
		if !rep.HasRemaining {
			return c, false
		}
		return s.subwindowReported(now, r, rep, length)
	}
	l := s.match(rep)
	if l == nil {
		kind, ok := rep.kind()
		if !ok {
			return c, false // too little is used to tell a minute from a day
		}
		if !s.nominate(rep, kind) {
			return c, false
		}
		l = newLimit(s.owner, kind)
		s.add(l)
	}
	if rep.Period() != 0 {
		s.contradict(l, rep.source)
	}
	if r.SentAt.Before(l.reportSentAt) { // the response to a later request has come already
		if uncharged == 0 {
			s.late(now, r, rep, l)
		}
		return s.guessed(r, rep, l, throttled)
	}
	was, fresh := l.learned.Amount, l.Amount() == 0
	believed := l.report(rep.Limit, rep.source, now, r.SentAt)
	s.dirty = s.dirty || l.learned.Amount != was
	if !believed || !rep.HasRemaining && !rep.HasReset {
		return c, false
	}
	// What is free counts: where our limit is the lower one, others may use the
	// difference.
	least, used := rep.UsedBetween(l.Period)
	ours := uncharged - float64(rep.Limit-l.Amount())
	least, used = least+ours, used+ours
	if fresh {
		guess := s.sentAfter(r, rep.dimension)
		itself := 0.0
		if rep.dimension == backend.Requests {
			itself = 1 // has been charged, whatever the rounding of remaining hides
		}
		l.begin(now, max(itself, used)+guess)
		l.tracker.Guess(guess)
		if s.alone(l, used) {
			l.tracker.Resolve(s.sends[rep.dimension].Since(r.SentAt), guess, l.used)
		}
		return c, false
	}
	level, ok := r.level(l)
	if !ok {
		return s.guessed(r, rep, l, throttled)
	}
	used = l.tracker.Nearest(level, least, used) // rounded figures contradict ours only beyond their rounding
	// Below a limit that the server does not know, our own charges count.
	l.tracker.Exact = l.Dimension != backend.Tokens || rep.Limit > l.Amount()
	before := l.tracker.Findings()
	correction, changed := l.tracker.Observe(now, level, used, float64(l.Amount()))
	s.found(before, l.tracker.Findings())
	c = Correction{l, backend.Correction(correction)}
	if changed && l.Dimension == backend.Tokens {
		s.refunds.surplus(c.Lowered())
	}
	return c, changed
}

// guessed takes in the report of a call that was sent before the limit was known.
func (s *Set) guessed(r *Request, rep *report, l *Limit, throttled bool) (c Correction, changed bool) {
	if throttled || !rep.HasRemaining || rep.Limit != l.Amount() || r.drew(l) {
		return c, false
	}
	used := rep.Used(l.Period)
	if l.Dimension == backend.Requests && used <= float64(rep.Limit-rep.Remaining-1) {
		used++ // as rounding may hide
	}
	if !s.alone(l, used) {
		l.tracker.KeepGuess()
		return c, false
	}
	correction, changed := l.tracker.Guessed(r.SentAt, float64(r.Cost[l.Dimension]), used)
	if changed && l.used > 0 { // the backend does not know the bucket yet
		l.used = max(0, l.used+correction.To-correction.From)
		return c, false
	}
	return Correction{l, backend.Correction(correction)}, changed
}

// alone reports whether no more is used than this process has sent. Else others use the bucket too,
// and what they use between two reports nobody knows: a guess too high is what they may use.
func (s *Set) alone(l *Limit, used float64) bool {
	return used <= s.sent[l.Dimension]
}

// late takes in a report that comes after that of a later request, from which only how the
// server charges is learned.
func (s *Set) late(now time.Time, r *Request, rep *report, l *Limit) {
	level, ok := r.level(l)
	if !ok || !rep.HasRemaining || rep.Limit != l.Amount() {
		return
	}
	before := l.tracker.Findings()
	l.tracker.Late(now, level, rep.Used(l.Period))
	s.found(before, l.tracker.Findings())
}

// found says that the others should know what has been found since before.
func (s *Set) found(before, after calibration.Findings) {
	s.dirty = s.dirty || after.Margin > before.Margin
	if after.Kept != before.Kept || after.Ratio != before.Ratio {
		s.dirty, s.urgent = true, true
	}
}

// match finds the limit that a report is about: of the same period where that can be
// inferred, else of the same amount.
func (s *Set) match(rep *report) *Limit {
	if period := rep.Period(); period != 0 && !rep.project {
		return s.find(rep.dimension, period, rep.Limit)
	}
	for _, l := range s.limits {
		switch {
		case l.Dimension != rep.dimension || l.Project != rep.project || l.whole != nil:
		case l.is(rep.Limit), rep.project && l.Period == rep.Period():
			return l
		}
	}
	return nil
}

// A candidate is a limit that responses report beside one that is known by their header.
type candidate struct {
	Kind
	amount  int64
	source  string
	reports int
}

const (
	// nominations is how many reports, with none of another candidate between, make a
	// candidate a limit.
	nominations = 3
	// contradictions is how many reports of another period under the same header make
	// a learned limit be forgotten. As many it takes to stand beside it, and each of the
	// limit's own counts against two of them: a minority is not believed.
	contradictions = 8
)

// nominate takes in the report of an unknown limit, and reports whether there is one: of
// a dimension of which nothing is known at once, else when responses keep saying so. The
// amount of a known limit with another period is a mistake.
func (s *Set) nominate(rep *report, k Kind) bool {
	known, enough := false, nominations
	for _, l := range s.limits {
		if l.Dimension == rep.dimension && l.Project == rep.project && l.whole == nil {
			if l.is(rep.Limit) {
				return false
			}
			known = known || l.Owner == s.owner
			if l.source == rep.source {
				enough = contradictions
			}
		}
	}
	c := &s.candidates[rep.dimension]
	if c.Kind != k || c.amount != rep.Limit {
		*c = candidate{Kind: k, amount: rep.Limit, source: rep.source}
	}
	c.reports++
	if known && c.reports < enough {
		return false
	}
	*c = candidate{} // it is none any more, and needs as many reports once it is forgotten
	return true
}

// contradict counts a report of one limit against the others that the same header has
// reported before, and forgets those that it has not reported for long.
func (s *Set) contradict(reported *Limit, source string) {
	reported.contradicted = 0
	if c := &s.candidates[reported.Dimension]; c.source == source {
		c.reports = max(0, c.reports-2)
	}
	for _, l := range s.limits {
		if l == reported || l.Dimension != reported.Dimension || l.source != source || l.configured > 0 {
			continue
		}
		if l.contradicted++; l.contradicted >= contradictions {
			s.forget(l)
		}
	}
}
