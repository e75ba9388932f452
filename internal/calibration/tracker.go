// Package calibration reasons about where the server's buckets stand, from what its
// responses report. A [Tracker] follows one bucket, a [LimitEstimate] the size of one, and
// [Windows] when it begins afresh. A [SlowStart] paces calls until the first reports, and a
// [Ramp] after the server has asked for slower growth.
//
// Every result depends on the arguments alone: the package reads no clock and does no
// I/O. The same reports in the same order lead to the same corrections.
package calibration

import (
	"math"
	"slices"
	"time"
)

const (
	// Overtaking is how far requests may pass each other on their way.
	Overtaking = 250 * time.Millisecond
	// slow is how long a backend takes to answer when others may have charged much meanwhile.
	slow = 50 * time.Millisecond
	// surelyApplied is the longest that a correction takes to reach the backend.
	surelyApplied = time.Second
	// spreading is how long what was found takes to reach all processes.
	spreading = 5 * time.Second
	// remarkable is the part of the limit above which a deficit is suspect.
	remarkable = 0.05
)

// A Level is where one of our buckets stands, as the backend reports it, in units of its
// dimension: what is used of it, all that was ever charged to it, and the sum of all
// other changes (see backend.Answer). Age is for how long it may have been so already: a
// backend may have been slow to answer.
type Level struct {
	Used, Charged, Corrected float64
	Age                      time.Duration
}

// Sent is where our bucket stood when a request was sent, its own charge included.
type Sent struct {
	At   time.Time
	Cost float64
	Level

	unused   float64 // declared output that our calls had not used by then, in all
	returned float64 // what else our calls had got back, in all
	own      float64 // charged by us, in all
	refunded float64 // by anybody, in all
	lost     float64 // of what would have refilled, in all
	rush     float64 // how many times faster than it refills the bucket was emptied
	passed   float64 // the most that it may have overtaken: charged by anybody in the moment before
	input    Input   // of Cost
	inputs   float64 // charged by anybody for input, in all, as far as our own calls tell
}

// A report is a request with a response, and where the server's bucket stood when it
// admitted the request.
type report struct {
	Sent
	server float64
}

// ahead is how much more is used of the server's bucket than of ours, had nothing been
// corrected.
func (r *report) ahead() float64 { return r.server - r.Used + r.Corrected }

// emptied reports whether the server's bucket may have been empty between this report and
// a later one, so that what would have refilled or been refunded was lost. rate is what
// refills in a second.
func (r *report) emptied(later *report, rate float64, u *unused) bool {
	span := later.At.Sub(r.At) + Overtaking
	return r.server <= rate*span.Seconds()+max(u.after(r, span), later.refunded-r.refunded)
}

// A Correction moves the Corrected of a bucket's [Level] from From to To.
type Correction struct {
	From, To float64
}

// A Tracker compares one of our buckets with the server's. Say our bucket stands at 500
// when a request is sent, and the response reports 530: somebody else has spent 30, or
// the server charges more than we do. By then our bucket stands elsewhere, and other
// responses on their way carry the same 30. The difference is therefore taken relative to
// what was corrected since the request, so that each is corrected once.
//
// The zero value, but for Period, has seen no report. A Tracker is not safe for
// concurrent use.
type Tracker struct {
	// Exact means that our charges are exact: they are the server's, as with requests,
	// or the limit is one that the server does not know. A surplus can then only be
	// what was taken for a deficit before.
	Exact bool
	// Period is how long an empty bucket takes to refill.
	Period time.Duration

	sends     Sends
	flow      flow
	own       float64 // charged by us, in all
	origin    float64 // charged by anybody before
	refunded  float64 // by anybody, in all, as last known
	corrected float64 // of our bucket, as last known
	raised    float64 // by us, and not lowered since
	guess     guess   // part of it
	told      bool    // a report had told where the bucket stands when it began
	lag       float64 // by which the server's bucket is ahead of ours, on average of late

	first     time.Time  // when the first report came
	asked     Correction // for which it asked
	syncedAt  time.Time  // when the first request was sent after that was made
	reports   int
	newest    report // of the request that was sent last
	recent    repeats
	trust     trust
	unused    unused
	charge    charge
	surplus   surplus
	explained time.Time // until when a surplus needs no patience
	suspect   deficit

	shortfall shortfall
	begun     Sent    // whose report was the first
	doubtful  float64 // of what calls have left unused since, that Charges has taken for a correction
}

// A deficit that is suspect is undone, unless the report of a later request confirms it.
type deficit struct {
	amount float64
	sent   time.Time
}

// Input is the part of a request's cost that is its input: as it was charged, and by our
// count, which is 0 where part of the cost is a guess.
type Input struct {
	Charged, Counted float64
}

// Send records a request of this cost that has been charged, which leaves the bucket at
// this level.
func (t *Tracker) Send(at time.Time, cost float64, input Input, level Level) Sent {
	refunded := t.see(at, cost, level)
	t.flow.send(at, cost)
	inputs := t.charge.send(cost, input.Charged, level.Charged)
	if t.own == 0 {
		t.origin = level.Charged - cost
		if t.origin != 0 {
			t.guess = guess{} // others have charged the bucket before, and it begins with what they knew
		}
	}
	t.own += cost
	t.corrected = level.Corrected // others correct it too
	if t.syncedAt.IsZero() && !t.first.IsZero() {
		made := math.Abs(level.Corrected-t.asked.To) <= math.Abs(level.Corrected-t.asked.From)
		if made || at.Sub(t.first) > surelyApplied {
			t.syncedAt = at
		}
	}
	return Sent{
		At: at, Cost: cost, Level: level, unused: t.unused.total, returned: t.unused.returned, own: t.own,
		refunded: refunded, lost: t.flow.lost, rush: t.rush(at),
		passed: max(0, level.Charged-cost-t.sends.Before(at, Overtaking)), input: input, inputs: inputs,
	}
}

// See records where the bucket stands, as an ask shows that has charged nothing. It shows
// what others charge between our own requests.
func (t *Tracker) See(at time.Time, level Level) { t.see(at, 0, level) }

// see records where the bucket stands after a charge of this cost, and returns what was
// refunded to it in all, up to a constant.
func (t *Tracker) see(at time.Time, cost float64, level Level) (refunded float64) {
	if level.Age != 0 {
		at = at.Add(-level.Age)
	}
	t.sends.Add(at, level.Charged, cost)
	t.refunded = level.Charged - t.flow.see(at, cost, level)
	return t.refunded
}

// InputRatio is how many times our count of a request's input the server charges for it.
func (t *Tracker) InputRatio() float64 {
	if t.Exact {
		return 1
	}
	return t.charge.Ratio()
}

// InputCharged records that the server has shown to charge so many times our count of one
// request's input.
func (t *Tracker) InputCharged(now time.Time, ratio float64) {
	if t.charge.sample(now, ratio) {
		t.unused.doubt()
		t.relearn(now)
	}
}

// Unused records the end of a call, sent at a time, that has not used this amount of its
// declared output, and reports whether the server keeps it.
func (t *Tracker) Unused(now, sent time.Time, amount, limit float64) (kept bool) {
	t.unused.end(now, sent, amount, limit, t.newest)
	return t.unused.kept
}

// Returned records that a call of ours has got back this amount, which is no output that it had
// declared and not used: the server has not charged it, or has not said so.
func (t *Tracker) Returned(amount float64) { t.unused.returned += amount }

// Lately is what anybody has charged in the last minute, as far as our own sends show.
func (t *Tracker) Lately(now time.Time) float64 {
	return t.sends.Lately(now, time.Minute)
}

// ChargedAfter is what anybody has charged after a send, as far as our own sends show.
func (t *Tracker) ChargedAfter(sent Sent) float64 { return max(0, t.sends.latest()-sent.Charged) }

// Reported reports whether any response has shown where the server's bucket stands.
func (t *Tracker) Reported() bool { return t.reports > 0 }

// Ignored is for how long the server's reports are still ignored.
func (t *Tracker) Ignored(now time.Time) time.Duration { return max(0, t.trust.lostUntil.Sub(now)) }

// Forget starts over, as after a change of the server's limit. It keeps what was sent,
// and the margin.
func (t *Tracker) Forget() {
	t.first, t.syncedAt, t.reports = time.Time{}, time.Time{}, 0
	t.surplus = surplus{}
	t.suspect, t.guess, t.told = deficit{}, guess{}, false
	t.trust.last = Sent{}
	t.unused.ended, t.unused.trend, t.unused.known = time.Time{}, trend{}, false
	t.charge.forget()
}

// Observe compares where the server's bucket stood when it admitted a request with where
// ours stood when the request was sent, and returns the correction, if any. The first
// report is adopted whole. After it a deficit is corrected at once, and a surplus when it
// has lasted.
func (t *Tracker) Observe(now time.Time, sent Sent, server, limit float64) (c Correction, changed bool) {
	t.flow.rate = limit / t.Period.Seconds()
	r := report{sent, server}
	repeated := t.recent.add(server, t.Exact)
	t.reports++
	if sent.At.After(t.newest.At) {
		t.newest = r
	}
	diff := server - (sent.Used + t.corrected - sent.Corrected)
	if t.first.IsZero() {
		return t.begin(now, sent, diff)
	}
	if repeated || t.trust.lost(now) {
		return Correction{}, false // a bucket that moves seldom stands the same twice
	}
	after := t.overtaken(sent)
	if !t.trust.observe(now, r, after, limit, t.corrected) {
		t.suspect = deficit{}
		return t.correct(t.trust.sane - t.corrected)
	}
	if after+sent.passed <= mostReordered*limit {
		t.lag += (diff - t.lag) / lagOver
	}
	large := t.unused.observe(now, r, t.flow.rate)
	if t.unused.observeAll(now, r, limit, t.flow.rate) || large {
		t.charge.forget()
		t.surplus, t.explained = surplus{}, now.Add(explainedFor)
		if large || t.unused.part >= noticeable { // else it does not explain the margin
			t.relearn(now)
		} else {
			t.spread(now)
		}
	}
	if !t.Exact {
		t.observeCharge(now, &r)
	}
	if diff > 0 {
		diff = max(0, diff-after, min(diff, t.unused.owed(&r, t.corrected)))
	}
	if undo := t.suspect.amount; undo > 0 && sent.At.After(t.suspect.sent) {
		t.suspect = deficit{}
		if diff+sent.passed < -undo/2 {
			return t.correct(-undo)
		}
	}
	if large := max(t.shortfall.part, remarkable) * limit; diff > large && t.suspect.amount == 0 {
		t.suspect = deficit{diff, sent.At}
	} else if t.synced(sent) && t.suspect.amount == 0 {
		t.shortfall.raise(now, (server-sent.Used-after)/limit/max(1, sent.rush))
	}
	if diff <= 0 {
		wait := patience
		if now.Before(t.explained) {
			wait = explained
		}
		amount, lasts := t.surplus.observe(now, diff, t.corrected, wait)
		if !lasts {
			return Correction{}, false
		}
		diff, t.surplus = amount, surplus{} // what contradicted it does not count for ever
	}
	return t.correct(diff)
}

// Late takes in a report that comes after that of a later request: it says nothing of where our
// bucket should stand now, but of what the server charges as much as any.
func (t *Tracker) Late(now time.Time, sent Sent, server float64) {
	if t.Exact || t.first.IsZero() || t.recent.add(server, false) || t.trust.lost(now) {
		return
	}
	r, was := report{sent, server}, t.charge.Ratio()
	changed, kept := t.charge.late(now, &r, t.flow.rate, &t.unused)
	t.chargeFound(now, was, changed, kept)
}

// observeCharge takes in what a report says of how the server charges the input, and reports
// whether something was found.
func (t *Tracker) observeCharge(now time.Time, r *report) bool {
	was, samples := t.charge.Ratio(), t.charge.samples.n
	changed, kept := t.charge.alone(now, r, t.overtaken(r.Sent)), 0
	if !changed && t.charge.samples.n == samples { // a sample is no bound as well
		changed = t.charge.bound(now, r)
	}
	if !changed {
		changed, kept = t.charge.report(now, r, t.flow.rate, &t.unused)
	}
	return t.chargeFound(now, was, changed, kept)
}

// chargeFound takes in whether the ratio has changed, from what it was, and how often it has been
// seen that unused output is kept. If either shows that the server charges in another way, what
// rests on that begins anew.
func (t *Tracker) chargeFound(now time.Time, was float64, changed bool, kept int) bool {
	if changed {
		t.unused.doubt()
	}
	voted := t.voteKept(now, kept)
	if !changed && !voted {
		return false
	}
	t.unused.trend = trend{}
	t.surplus, t.explained = surplus{}, now.Add(explainedFor)
	if !voted && math.Abs(t.charge.Ratio()-was) < noticeable*was {
		t.spread(now) // a finer ratio does not explain the margin
	} else {
		t.relearn(now)
	}
	return true
}

// voteKept counts how often a drift has shown that the server keeps unused output, or gives it
// back where that is negative, and reports whether that is believed from now on.
func (t *Tracker) voteKept(now time.Time, kept int) (changed bool) {
	switch {
	case kept > 0:
		return t.unused.vote(now, 0, kept)
	case kept < 0:
		return t.unused.vote(now, 1, -kept)
	}
	return false
}

// begin adopts the first report. A surplus may be what the request has overtaken and, if
// somebody else has corrected our bucket meanwhile, theirs. A deficit may be what has overtaken
// the request, where the bucket began with an earlier report.
func (t *Tracker) begin(now time.Time, sent Sent, diff float64) (c Correction, changed bool) {
	t.first = now
	if diff < 0 {
		diff = min(0, diff+sent.passed)
		if t.corrected != sent.Corrected {
			diff = 0
		}
	} else if t.told {
		diff = max(0, diff-t.overtaken(sent))
	}
	c, changed = t.correct(diff)
	t.lag = 0
	t.asked = Correction{t.corrected - diff, t.corrected}
	return c, changed
}

// overtaken is what the server may have admitted before a request although it was sent
// after it: the network reorders. What the request itself has overtaken shows as a surplus:
// of those that last, nearly the smallest counts, and of one that counts at once, only what
// is more than that.
func (t *Tracker) overtaken(sent Sent) float64 {
	return max(0, t.sends.Between(sent.At.Add(-sent.Age), sent.Age+Overtaking)-sent.Cost)
}

// missed is what anybody may have charged between when the bucket stood as the backend said and
// when the request was sent.
func (t *Tracker) missed(sent Sent) float64 {
	if sent.Age <= slow {
		return 0
	}
	return max(0, t.sends.Between(sent.At.Add(-sent.Age), sent.Age)-sent.Cost)
}

// synced reports whether our bucket could have followed the server's when a request was
// sent.
func (t *Tracker) synced(sent Sent) bool {
	return !t.syncedAt.IsZero() && !sent.At.Before(t.syncedAt)
}

// relearn forgets the margin, whose cause is known now.
func (t *Tracker) relearn(now time.Time) {
	t.shortfall.set(now, 0)
	t.spread(now)
}

// spread says that something was found, which others have to learn yet.
func (t *Tracker) spread(now time.Time) { t.Doubt(now.Add(spreading)) }

// Doubt says that until a moment after a time nobody can know where the server's bucket
// stands, as when all have paused for long, or while corrections are on their way. What is
// wrong then is corrected, but does not raise the margin.
func (t *Tracker) Doubt(at time.Time) {
	if !t.first.IsZero() {
		t.first, t.syncedAt, t.asked = at, time.Time{}, Correction{t.corrected, math.Inf(1)}
	}
}

// correct returns the correction by diff.
func (t *Tracker) correct(diff float64) (c Correction, changed bool) {
	if t.Exact {
		diff = max(diff, -t.raised)
	}
	c = Correction{t.corrected, t.corrected + diff}
	t.lag -= diff
	t.raised = max(0, t.raised+diff)
	t.corrected = c.To
	if diff != 0 {
		t.guess = guess{}
	}
	return c, diff != 0
}

// Shift corrects our bucket by what is known of it from elsewhere.
func (t *Tracker) Shift(by float64) (c Correction, changed bool) { return t.correct(by) }

// Charges is what of a correction that a report has led to is about charges: none of the first
// report's, and not what the server may not have given back of what we have refunded.
func (t *Tracker) Charges(sent Sent, by float64) float64 {
	if t.reports <= 1 {
		t.begun, t.doubtful = sent, 0
		return 0
	}
	if t.unused.decided() {
		return by
	}
	unused := sent.unused - t.begun.unused
	if own := sent.own - t.begun.own; own > 0 { // everybody's, as far as our own tell
		unused *= max(1, (sent.Charged-t.begun.Charged)/own)
	}
	doubtful := min(max(0, by), max(0, min(unused, sent.refunded-t.begun.refunded)-t.doubtful))
	t.doubtful += doubtful
	return max(0, by-doubtful)
}

// Throttled records that this limit has rejected the sent request, when the server's
// bucket stood at used and the request asked for requested more.
func (t *Tracker) Throttled(now time.Time, sent Sent, used, requested, limit float64) (c Correction, changed bool) {
	t.flow.rate = limit / t.Period.Seconds()
	missed := t.missed(sent)
	if t.synced(sent) {
		t.shortfall.raise(now, (used+requested-sent.Used-missed)/limit/max(1, sent.rush))
	}
	diff := max(0, used+sent.Cost-(sent.Used+t.corrected-sent.Corrected)-missed)
	if diff > 0 {
		c, changed = t.correct(diff)
	}
	if t.first.IsZero() {
		t.first, t.asked = now, Correction{t.corrected - diff, t.corrected}
	}
	return c, changed
}

// repeats are the figures of the last reports.
type repeats struct {
	last [32]float64
	n    int
}

// add adds a figure, and reports whether it is one that a server repeats, whatever happens. Where
// another one is repeated as often, calls come in a cycle; or charges are exact, and the same
// figures come again in any case.
func (r *repeats) add(x float64, exact bool) (repeated bool) {
	last := r.last[:min(r.n, len(r.last))]
	often := count(last, x)
	cycle := func(y float64) bool { return y != x && count(last, y) >= max(2, often) }
	repeated = often > 0 && (exact || !slices.ContainsFunc(last, cycle))
	r.last[r.n%len(r.last)] = x
	r.n++
	return repeated
}

func count(all []float64, x float64) (n int) {
	for _, y := range all {
		if y == x {
			n++
		}
	}
	return n
}

// Nearest returns where the server's bucket stood when it admitted the sent request, if a report
// says only that this lies between least and most. It is what is closest to our own figure, so
// that a rounded report corrects nothing that it does not contradict.
func (t *Tracker) Nearest(sent Sent, least, most float64) float64 {
	ours := sent.Used - sent.Corrected + t.corrected
	return min(max(ours, least), most)
}
