// Package calibration reasons about where the server's buckets stand, from
// what its answers say. Everything in it is a function of its arguments: it
// reads no clock and sends nothing.
package calibration

import (
	"math"
	"slices"
	"time"
)

const (
	// overtaking is how far requests may pass each other on their way.
	overtaking = 250 * time.Millisecond
	// patience is how long a surplus must last before it is believed, and
	// evidence how many answers must agree.
	patience = 10 * time.Second
	evidence = 3
	// surelyApplied is how long a correction takes at most to reach the backend.
	surelyApplied = time.Second
	// distrust is for how long no surplus is believed after a refusal that the
	// figures had not foretold; it doubles with each one, up to longDistrust.
	distrust     = 10 * time.Second
	longDistrust = 10 * time.Minute
)

// The margin, in parts of the limit: a least one, what has been seen to go wrong
// and a bit, and an allowance that fades with every answer.
const (
	leastMargin   = 0.005
	seenMargin    = 1.25
	openingMargin = 0.05
	mostMargin    = 0.5
	refusedMargin = 0.02 // after a refusal; it doubles with each, up to doubledMargin
	doubledMargin = 0.1
	// openingAnswers is after how many answers the allowance has fallen to a
	// third, learnedFade and learnedAnswers after what time and how many answers
	// everything else: both, for what goes wrong once in a thousand answers should
	// not be forgotten between.
	openingAnswers = 20
	learnedAnswers = 10_000
	learnedFade    = 30 * time.Minute
	// remarkable is the deficit from which on a figure is doubted.
	remarkable = 0.05
)

// A Stand is where one of our buckets is, as the backend tells it: what is used
// of it, all that was ever charged to it, and all else that has changed it (see
// backend.Answer).
type Stand struct {
	Used, Charged, Corrected float64
}

// Sent is where our bucket stood when a request was sent, its own charge
// included.
type Sent struct {
	At   time.Time
	Cost float64
	Stand

	unused float64 // by calls that had ended by then
}

// A Correction is what the server's figures ask for: to move Corrected from
// From to To.
type Correction struct {
	From, To float64
}

// A Gauge compares one bucket of ours with the server's. The zero value has
// seen nothing. A Gauge is not safe for concurrent use.
type Gauge struct {
	// Exact says that what we charge is what the server does, as with requests.
	// A surplus then is only what was taken for a deficit before.
	Exact bool
	// Period is how long an empty bucket takes to refill.
	Period time.Duration

	sends     Sends
	corrected float64 // of our bucket, as far as is known
	raised    float64 // by us, and not lowered since

	first   time.Time  // when the first answer came
	opened  Correction // that it asked for
	known   time.Time  // when the first request was sent after that had been made
	heard   int        // answers since the first
	newest  answered   // sent last
	charged float64    // in all, at our last send
	figures figures    // that the server told last
	trust   trust

	// The smallest surplus of the present window.
	since   time.Time
	surplus float64
	answers int
	base    float64 // what corrected was

	// A tightening that stands alone, until a later answer confirms it.
	doubt     float64
	doubtSent time.Time

	margin      float64 // learned, in parts of the limit
	marginAt    time.Time
	marginHeard int
	refusedAt   time.Time
	wary        time.Time // no surplus is believed before it
	wariness    time.Duration

	unused unused
}

// Send notes a request of this cost that has been charged; s is where the
// bucket stands with it.
func (g *Gauge) Send(at time.Time, cost float64, s Stand) Sent {
	g.sends.Add(at, s.Charged, cost)
	g.charged = max(g.charged, s.Charged)
	g.saw(s.Corrected)
	applied := math.Abs(s.Corrected-g.opened.To) <= math.Abs(s.Corrected-g.opened.From) || at.Sub(g.first) > surelyApplied
	if g.known.IsZero() && !g.first.IsZero() && applied {
		g.known = at
	}
	return Sent{At: at, Cost: cost, Stand: s, unused: g.unused.total}
}

// Unused takes in the end of a call that has not used so much of what it was
// charged for its output, and reports whether the server keeps it.
func (g *Gauge) Unused(now time.Time, amount, limit float64) (kept bool) {
	g.unused.end(now, amount, limit, g.newest)
	return g.unused.kept
}

// saw takes in what the backend has told about the bucket, which others correct
// too.
func (g *Gauge) saw(corrected float64) {
	if corrected != g.corrected {
		g.corrected = corrected
		g.restart(time.Time{})
	}
}

// Guess notes that so much of what the bucket begins with is a guess at what was
// on its way, and may be taken off again.
func (g *Gauge) Guess(amount float64) { g.raised += amount }

// Lately is what anybody has charged in the last minute, as far as our own sends
// tell.
func (g *Gauge) Lately(now time.Time) float64 {
	return g.sends.Between(now.Add(-time.Minute), time.Minute)
}

// Forget starts over, as after a change of the server's limit. What was sent
// is still known, and so is the margin.
func (g *Gauge) Forget() {
	g.first, g.known, g.heard = time.Time{}, time.Time{}, 0
	g.restart(time.Time{})
	g.doubt = 0
	g.trust.last = Sent{}
	g.unused.ended = time.Time{}
}

// Observe compares where the server stood when it admitted a request with
// where we stood when we sent it, and returns what to correct, if anything.
// Many answers in flight carry the same difference; it is applied once. The
// first answer counts whole; after it a deficit is taken at once, a surplus only
// when it has lasted.
func (g *Gauge) Observe(now time.Time, sent Sent, server, limit float64) (c Correction, changed bool) {
	repeated := g.figures.repeat(server)
	first := g.first.IsZero()
	if first {
		g.first = now
	}
	if g.heard++; sent.At.After(g.newest.At) {
		g.newest = answered{sent, server}
	}
	diff := server - (sent.Used + g.corrected - sent.Corrected)
	if first {
		g.restart(now)
		if diff < 0 && g.corrected != sent.Corrected {
			diff = 0 // somebody else has corrected it meanwhile
		}
		c, changed := g.correct(diff)
		g.opened = Correction{g.corrected - diff, g.corrected}
		return c, changed
	}
	if repeated || g.trust.lost(now) {
		return Correction{}, false // a bucket that moves never stands the same twice
	}
	if !g.trust.hear(now, sent, server, limit, g.corrected) {
		g.restart(now)
		g.doubt = 0
		return g.correct(g.trust.sane - g.corrected)
	}
	if g.unused.hear(now, answered{sent, server}, limit/g.Period.Seconds()) {
		g.setMargin(now, 0) // that was the reason for it
	}
	// The network reorders: neighbours may have been admitted before this one
	// although they were sent after it, or the other way round.
	after := max(0, g.sends.Between(sent.At, overtaking)-sent.Cost)
	before := max(0, g.sends.Between(sent.At.Add(-overtaking), overtaking)-sent.Cost)
	if diff > 0 {
		diff = max(0, diff-after)
	} else {
		diff = min(0, diff+before)
	}
	if g.doubt > 0 && sent.At.After(g.doubtSent) {
		if diff < -g.doubt/2 {
			diff, g.doubt = -g.doubt, 0
			g.restart(now)
			return g.correct(diff)
		}
		g.doubt = 0 // it was true
	}
	if diff > max(g.margin, remarkable)*limit && g.doubt == 0 {
		g.doubt, g.doubtSent = diff, sent.At
	} else if xi := server - sent.Used - after; g.foretold(sent) && g.doubt == 0 {
		g.learnMargin(now, xi/limit)
	}
	if diff > 0 {
		g.restart(now)
		return g.correct(diff)
	}
	return g.loosen(now, diff)
}

// foretold reports whether where the server stood could have been known when a
// request was sent.
func (g *Gauge) foretold(sent Sent) bool {
	return !g.known.IsZero() && !sent.At.Before(g.known)
}

// loosen takes in a surplus, and believes it when it has lasted.
func (g *Gauge) loosen(now time.Time, diff float64) (c Correction, changed bool) {
	if g.answers == 0 || g.base != g.corrected {
		g.restart(now)
		g.surplus = diff
	}
	g.surplus = max(g.surplus, diff)
	if g.answers++; g.answers < evidence || now.Sub(g.since) < patience || now.Before(g.wary) {
		return Correction{}, false
	}
	diff = g.surplus
	g.restart(now)
	return g.correct(diff)
}

func (g *Gauge) correct(diff float64) (c Correction, changed bool) {
	if g.Exact {
		diff = max(diff, -g.raised)
	}
	if diff == 0 {
		return Correction{}, false
	}
	g.raised = max(0, g.raised+diff)
	c = Correction{g.corrected, g.corrected + diff}
	g.corrected, g.base = c.To, c.To
	return c, true
}

func (g *Gauge) restart(now time.Time) {
	g.since, g.answers, g.surplus, g.base = now, 0, 0, g.corrected
}

// Refused takes in a refusal of the sent request by this limit, which had used
// and wanted requested.
func (g *Gauge) Refused(now time.Time, sent Sent, used, requested, limit float64) (c Correction, changed bool) {
	if g.first.IsZero() {
		g.first = now
	}
	if g.foretold(sent) && now.Sub(g.refusedAt) > time.Second {
		g.refusedAt = now
		over := (used + requested - sent.Used) / limit
		g.setMargin(now, max(min(2*g.fadedMargin(now), doubledMargin), over, refusedMargin))
		if over > remarkable {
			g.wariness = min(max(distrust, 2*g.wariness), longDistrust)
			g.wary = now.Add(g.wariness)
		}
	}
	diff := used + sent.Cost - (sent.Used + g.corrected - sent.Corrected)
	if diff <= 0 {
		return Correction{}, false
	}
	g.restart(now)
	return g.correct(diff)
}

func (g *Gauge) learnMargin(now time.Time, part float64) {
	if part > g.fadedMargin(now) {
		g.setMargin(now, part)
	}
}

func (g *Gauge) setMargin(now time.Time, part float64) {
	g.margin, g.marginAt, g.marginHeard = min(part, mostMargin), now, g.heard
}

func (g *Gauge) fadedMargin(now time.Time) float64 {
	return g.margin * faded(now.Sub(g.marginAt), g.heard-g.marginHeard)
}

// faded is what is left of a margin so long and so many answers later.
func faded(age time.Duration, answers int) float64 {
	return math.Exp(-min(age.Seconds()/learnedFade.Seconds(), float64(max(0, answers))/learnedAnswers))
}

// Margin is how much of the limit to leave unused, in parts of it, so that what
// is not known of the server's bucket refuses nothing; 0 before the first
// answer. What does not depend on anything seen is what refills in some seconds,
// however long the period.
func (g *Gauge) Margin(now time.Time, limit float64) float64 {
	if g.first.IsZero() {
		return g.fadedMargin(now)
	}
	open := max(0, g.charged-g.newest.Charged) / limit
	given := leastMargin + min(openingMargin, open)*math.Exp(-float64(g.heard)/openingAnswers)
	return min(mostMargin, seenMargin*g.fadedMargin(now)+given*min(1, time.Minute.Seconds()/g.Period.Seconds()))
}

// Findings are what a gauge has learned and others may know too.
type Findings struct {
	Margin float64   `json:"margin"` // in parts of the limit
	At     time.Time `json:"at"`     // when it was
	Since  int       `json:"since"`  // answers since then
	Heard  int       `json:"heard"`  // answers in all

	Kept  bool      `json:"kept,omitempty"` // unused output is
	Found time.Time `json:"found,omitzero"` // when that changed
}

// Findings returns what was learned.
func (g *Gauge) Findings() Findings {
	return Findings{g.margin, g.marginAt, g.heard - g.marginHeard, g.heard, g.unused.kept, g.unused.since}
}

// Adopt takes in what another gauge of the same bucket has learned. Where that is
// fresh, the bucket has been compared with the server's already.
func (g *Gauge) Adopt(now time.Time, f Findings, fresh bool) {
	if f.At.After(now) {
		f.At = now // another machine's clock
	}
	if f.Found.After(g.unused.since) && !f.Found.After(now) {
		if g.unused.kept != f.Kept {
			g.setMargin(now, 0)
		}
		g.unused.adopt(f.Kept, f.Found)
	}
	larger := !f.At.Before(g.unused.since) && f.Margin >= 0 && f.Margin*faded(now.Sub(f.At), f.Since) > g.fadedMargin(now)
	if fresh && f.Heard > 0 {
		since := g.heard - g.marginHeard
		g.heard = max(g.heard, f.Heard)
		g.marginHeard = g.heard - since
		if g.first.IsZero() {
			g.first, g.known = now, now
		}
	}
	if larger {
		g.margin, g.marginAt, g.marginHeard = min(f.Margin, mostMargin), f.At, g.heard-f.Since
	}
}

// figures are the last that a server told.
type figures struct {
	last [32]float64
	n    int
}

// repeat reports whether the figure is among them, and adds it.
func (f *figures) repeat(x float64) bool {
	known := slices.Contains(f.last[:min(f.n, len(f.last))], x)
	f.last[f.n%len(f.last)] = x
	f.n++
	return known
}
