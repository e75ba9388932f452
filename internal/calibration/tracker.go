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
	// surelyApplied is how long a correction takes at most to reach the backend.
	surelyApplied = time.Second
	// remarkable is the part of the limit from which on a difference is doubted.
	remarkable = 0.05
)

// A Level is where one of our buckets is, as the backend tells it, in units of its
// dimension: what is used of it, all that was ever charged to it, and all else that
// has changed it (see backend.Answer).
type Level struct {
	Used, Charged, Corrected float64
}

// Sent is where our bucket stood when a request was sent, its own charge
// included.
type Sent struct {
	At   time.Time
	Cost float64
	Level

	unused   float64 // by calls that had ended by then
	own      float64 // charged by us in all
	refunded float64 // by anybody in all
}

// answered is a request that was answered, and where the server stood then.
type answered struct {
	Sent
	server float64
}

// ahead is how much more is used of the server's bucket than of ours, if nothing
// had been corrected.
func (a *answered) ahead() float64 { return a.server - a.Used + a.Corrected }

// A Correction is what the server's figures ask for: to move Corrected from
// From to To.
type Correction struct {
	From, To float64
}

// A Tracker compares one bucket of ours with the server's. Say we have used 500 when
// a request is sent, and its answer says that the server had used 530: somebody else
// has spent 30, or it charges more than we do. By then our bucket stands elsewhere,
// and other answers that were on their way tell of the same 30; so the difference is
// taken to what was corrected since, and each is corrected once. The zero value has
// seen nothing. A Tracker is not safe for concurrent use.
type Tracker struct {
	// Exact says that our charges hold: they are the server's, as with requests, or
	// the limit is one that it does not know.
	// A surplus then is only what was taken for a deficit before.
	Exact bool
	// Period is how long an empty bucket takes to refill.
	Period time.Duration

	sends     Sends
	flow      flow
	own       float64 // charged by us in all
	corrected float64 // of our bucket, as far as is known
	raised    float64 // by us, and not lowered since

	first   time.Time  // when the first answer came
	asked   Correction // that it asked for
	known   time.Time  // when the first request was sent after that had been made
	heard   int        // answers
	newest  answered   // sent last
	told    repeats
	trust   trust
	unused  unused
	surplus surplus
	alone   deficit

	shortfall seen
}

// A deficit that stands alone is undone unless a request that was sent later
// confirms it.
type deficit struct {
	amount float64
	sent   time.Time
}

// Send notes a request of this cost that has been charged; s is where the
// bucket stands with it.
func (g *Tracker) Send(at time.Time, cost float64, s Level) Sent {
	refunded := g.see(at, cost, s)
	g.flow.send(at, cost)
	g.corrected = s.Corrected // others correct it too
	if g.known.IsZero() && !g.first.IsZero() {
		made := math.Abs(s.Corrected-g.asked.To) <= math.Abs(s.Corrected-g.asked.From)
		if made || at.Sub(g.first) > surelyApplied {
			g.known = at
		}
	}
	g.own += cost
	return Sent{At: at, Cost: cost, Level: s, unused: g.unused.total, own: g.own, refunded: refunded}
}

// See notes where the bucket stands, as the answer to an ask tells that charged nothing.
// What others charge between our own requests is known from it.
func (g *Tracker) See(at time.Time, s Level) { g.see(at, 0, s) }

// see notes where the bucket stands with a charge of this cost, and returns what anybody
// was ever refunded.
func (g *Tracker) see(at time.Time, cost float64, s Level) (refunded float64) {
	g.sends.Add(at, s.Charged, cost)
	return s.Charged - g.flow.see(at, cost, s)
}

// Unused takes in the end of a call that has not used so much of what it was
// charged for its output, and reports whether the server keeps it.
func (g *Tracker) Unused(now time.Time, amount, limit float64) (kept bool) {
	g.unused.end(now, amount, limit, g.newest)
	return g.unused.kept
}

// Guess notes that so much of what the bucket begins with is a guess at what was
// on its way, and may be taken off again.
func (g *Tracker) Guess(amount float64) { g.raised += amount }

// Lately is what anybody has charged in the last minute, as far as our own sends
// tell.
func (g *Tracker) Lately(now time.Time) float64 {
	return g.sends.Between(now.Add(-time.Minute), time.Minute)
}

// Reported reports whether an answer has told where the server's bucket stands.
func (g *Tracker) Reported() bool { return g.heard > 0 }

// Ignored is for how long the server's figures are still ignored.
func (g *Tracker) Ignored(now time.Time) time.Duration { return max(0, g.trust.until.Sub(now)) }

// Forget starts over, as after a change of the server's limit. What was sent
// is still known, and so is the margin.
func (g *Tracker) Forget() {
	g.first, g.known, g.heard = time.Time{}, time.Time{}, 0
	g.surplus = surplus{}
	g.alone = deficit{}
	g.trust.last = Sent{}
	g.unused.ended, g.unused.trend = time.Time{}, trend{}
}

// Observe compares where the server stood when it admitted a request with
// where we stood when we sent it, and returns what to correct, if anything.
// The first answer counts whole; after it a deficit is taken at once, a surplus only
// when it has lasted.
func (g *Tracker) Observe(now time.Time, sent Sent, server, limit float64) (c Correction, changed bool) {
	g.flow.rate = limit / g.Period.Seconds()
	a := answered{sent, server}
	repeated := g.told.before(server)
	g.heard++
	if sent.At.After(g.newest.At) {
		g.newest = a
	}
	diff := server - (sent.Used + g.corrected - sent.Corrected)
	if g.first.IsZero() {
		return g.begin(now, sent, diff)
	}
	if repeated || g.trust.lost(now) {
		return Correction{}, false // a bucket that moves seldom stands the same twice
	}
	if !g.trust.hear(now, a, limit, g.corrected) {
		g.alone = deficit{}
		return g.correct(now, g.trust.sane-g.corrected)
	}
	found := g.unused.hear(now, a, g.flow.rate)
	if g.unused.observe(now, a, limit) || found {
		g.relearn(now)
	}
	after := g.overtaken(sent)
	if diff > 0 {
		diff = max(0, diff-after)
	}
	if undo := g.alone.amount; undo > 0 && sent.At.After(g.alone.sent) {
		g.alone = deficit{}
		if diff < -undo/2 {
			return g.correct(now, -undo)
		}
	}
	if large := max(g.shortfall.part, remarkable) * limit; diff > large && g.alone.amount == 0 {
		g.alone = deficit{diff, sent.At}
	} else if g.synced(sent) && g.alone.amount == 0 {
		g.shortBy(now, sent, (server-sent.Used-after)/limit)
	}
	if diff <= 0 {
		amount, lasts := g.surplus.report(now, diff, g.corrected)
		if !lasts {
			return Correction{}, false
		}
		diff = amount
	}
	return g.correct(now, diff)
}

// begin takes in the first answer, unless somebody else has corrected our bucket
// meanwhile.
func (g *Tracker) begin(now time.Time, sent Sent, diff float64) (c Correction, changed bool) {
	g.first = now
	if diff < 0 && g.corrected != sent.Corrected {
		diff = 0
	}
	c, changed = g.correct(now, diff)
	g.asked = Correction{g.corrected - diff, g.corrected}
	return c, changed
}

// overtaken is what may have been admitted before a request although it was sent after it:
// the network reorders. What the request itself has overtaken makes a surplus, of which
// the smallest counts.
func (g *Tracker) overtaken(sent Sent) float64 {
	return max(0, g.sends.Between(sent.At, overtaking)-sent.Cost)
}

// synced reports whether where the server stood could have been known when a
// request was sent.
func (g *Tracker) synced(sent Sent) bool {
	return !g.known.IsZero() && !sent.At.Before(g.known)
}

// shortBy takes in by what part of the limit we were wrong about where the server stood
// for a request: as much less as more was spent then than refills.
func (g *Tracker) shortBy(now time.Time, sent Sent, part float64) {
	part /= g.rush(sent.At)
	if part > g.shortfall.left(now) {
		g.shortfall.set(now, part)
	}
}

// relearn forgets the margin, for its reason is known now.
func (g *Tracker) relearn(now time.Time) {
	g.shortfall.set(now, 0)
	g.Doubt(now)
}

// Doubt says that until a moment after a time nobody can know where the server stands, as
// when all have paused for long, or when what is still to be corrected is on its way. What
// is wrong then is corrected, but says nothing about the margin.
func (g *Tracker) Doubt(at time.Time) {
	if !g.first.IsZero() {
		g.first, g.known, g.asked = at, time.Time{}, Correction{g.corrected, math.Inf(1)}
	}
}

// correct asks for a correction.
func (g *Tracker) correct(now time.Time, diff float64) (c Correction, changed bool) {
	if g.Exact {
		diff = max(diff, -g.raised)
	}
	c = Correction{g.corrected, g.corrected + diff}
	g.raised = max(0, g.raised+diff)
	g.corrected = c.To
	return c, diff != 0
}

// Throttled takes in a refusal of the sent request by this limit, which had used
// and wanted requested.
func (g *Tracker) Throttled(now time.Time, sent Sent, used, requested, limit float64) (c Correction, changed bool) {
	g.flow.rate = limit / g.Period.Seconds()
	if g.synced(sent) {
		g.shortBy(now, sent, (used+requested-sent.Used)/limit)
	}
	diff := max(0, used+sent.Cost-(sent.Used+g.corrected-sent.Corrected))
	if diff > 0 {
		c, changed = g.correct(now, diff)
	}
	if g.first.IsZero() {
		g.first, g.asked = now, Correction{g.corrected - diff, g.corrected}
	}
	return c, changed
}

// repeats are the figures that a server told last.
type repeats struct {
	last [32]float64
	n    int
}

// before reports whether the figure is among them, and adds it.
func (r *repeats) before(x float64) bool {
	known := slices.Contains(r.last[:min(r.n, len(r.last))], x)
	r.last[r.n%len(r.last)] = x
	r.n++
	return known
}
