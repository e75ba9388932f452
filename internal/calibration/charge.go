package calibration

import (
	"math"
	"time"
)

// The server admits a request by its own estimate of the input, which need not be our
// count. charge learns how many times our count that is, from how the server's bucket
// drifts away from ours with what anybody charges: a drift that goes with time alone is
// somebody else's use, one that goes with refunds is what the server does not refund, and
// one that goes with charges is the estimate. A throttle that says what was requested is a
// sample of its own. The zero value takes our count for the server's.
type charge struct {
	ratio float64 // of the server's charge of the input to our count; 0 for 1
	at    time.Time

	// Of our own calls, fading: their input and their cost.
	x, c float64
	// What anybody has charged for input, as far as our own calls tell, when so much was
	// charged in all.
	inputs, charged float64

	drift   drift // of reports in the order in which their requests were sent
	all     drift // of late ones too, while something found awaits its confirmation
	since   time.Time
	latest  report // of those in drift
	found   found  // by the drift before
	calm    int    // spans of reports that have shown nothing, since the ratio was adopted
	samples recentRatios
	bounds  int     // how many reports have bounded the ratio since it was adopted
	most    float64 // that it can be, by them
}

// reading is what a drift shows: by what part of our count the server's charge differs, or 0, and
// whether it keeps what we refund, or gives it back: positive, or negative.
type reading struct {
	slope float64
	kept  int
}

// found is what the drift before has shown, and how many before it agree.
type found struct {
	reading
	again int
}

const (
	leastRatio, mostRatio = 0.25, 4
	// driftSpan is how long reports are taken together, fewDrifts too few of them, and fewMoments
	// too few moments, whose errors are not known well.
	driftSpan  = 30 * time.Second
	fewDrifts  = 40
	fewMoments = 20
	// certainRatio is the standard error below which a ratio is adopted, surely how many
	// of them it must differ by, for reports are not independent, and noticeable by how
	// much at least: what is less the margin covers. One that was adopted is refined by less.
	certainRatio, surely, noticeable, refined = 0.06, 4, 0.08, 0.03
	// clearly is how many times more than is left unexplained a drift must explain that late
	// reports are part of. They come in crowds, and what is off in one is off in all of a crowd,
	// so that their number makes nothing surer.
	clearly = 1.4
	// refundsOff is how far refunds may be off in time, which looks like the input's charge
	// where they are much larger than the input.
	refundsOff = 0.04
	// fewBounds is how many reports must bound the ratio from above.
	fewBounds = 4
	// agreement is how far two drifts in a row may differ. After established spans that have
	// shown nothing, a third must agree.
	agreement, established = 0.1, 4
	// drained is how long after a change calls are charged by the old ratio yet, somewhere.
	drained = 7 * time.Second
)

// Ratio is how many times our count of the input the server charges.
func (c *charge) Ratio() float64 {
	if c.ratio == 0 {
		return 1
	}
	return c.ratio
}

// send records a call of ours, of whose cost input is the input as it was charged, and
// after which so much was charged in all. It returns what of that was for input: of others'
// charges, the part is taken to be as large as of ours.
func (c *charge) send(cost, input, charged float64) (inputs float64) {
	const fade = 0.995
	c.x, c.c = fade*c.x+input, fade*c.c+cost
	if c.charged > 0 && c.c > 0 {
		c.inputs += (charged - cost - c.charged) * c.x / c.c
	}
	c.inputs += input
	c.charged = charged
	return c.inputs
}

// report takes in a report, and reports whether another ratio has been adopted, and how often
// it has been seen that the server keeps unused output, which we refund: negative where it
// gives it back, and nothing where u says that this is known. rate is what refills in a second.
func (c *charge) report(now time.Time, r *report, rate float64, u *unused) (changed bool, kept int) {
	if !c.comparable(now, r, rate, u) {
		return false, 0
	}
	c.drift.add(c.regressors(r), r.ahead())
	is := c.drift.read(surely, rate, c.least())
	if confirmed := c.confirm(r, rate); confirmed.slope != 0 {
		is = confirmed
	}
	return c.show(now, is, u)
}

// late is report for one that comes after that of a later request. In a rush most do. It
// confirms what was found, and finds nothing.
func (c *charge) late(now time.Time, r *report, rate float64, u *unused) (changed bool, kept int) {
	if !c.comparable(now, r, rate, u) {
		return false, 0
	}
	return c.show(now, c.confirm(r, rate), u)
}

// comparable reports whether a report can be compared with those before it.
func (c *charge) comparable(now time.Time, r *report, rate float64, u *unused) bool {
	if !c.at.IsZero() && r.At.Sub(c.at) < drained {
		return false
	}
	if now.Sub(c.since) > driftSpan {
		if c.drift.n >= fewDrifts {
			c.calm++
		}
		c.forget()
	}
	switch {
	case c.latest.At.IsZero():
		c.since = now
	case r.At.Before(c.latest.At):
		if r.emptied(&c.latest, rate, u) {
			return false
		}
	case c.latest.emptied(r, rate, u):
		c.drift.split()
		c.all.split()
	}
	if r.At.After(c.latest.At) {
		c.latest = *r
	}
	return true
}

func (c *charge) regressors(r *report) [regressors]float64 {
	return [regressors]float64{r.At.Sub(c.since).Seconds(), r.inputs, r.refunded}
}

// confirm is what the drift with late reports shows, where it awaits confirmation that the server
// charges more than we do: then there is no time to lose. Less it would show too easily, for the
// first reports of a crowd are of requests that have overtaken others.
func (c *charge) confirm(r *report, rate float64) reading {
	if c.found.slope <= 0 {
		return reading{}
	}
	c.all.add(c.regressors(r), r.ahead())
	if is := c.all.read(clearly*math.Sqrt(c.all.n), rate, c.least()); is.slope > 0 {
		return is
	}
	return reading{}
}

// show takes in what a drift shows.
func (c *charge) show(now time.Time, is reading, u *unused) (changed bool, kept int) {
	if is.slope == 0 {
		if u.decided() || is.kept == 0 {
			return false, 0
		}
		c.forget()
		return false, is.kept
	}
	// Others' bursts look like a ratio once in a while, but hardly again like the same.
	was := c.found
	c.found = found{reading: is}
	c.forget()
	if was.slope == 0 || math.Abs(is.slope-was.slope) > min(agreement, math.Abs(is.slope)) {
		return false, 0
	}
	if c.found.again = was.again + 1; c.found.again < 2 && c.calm >= established {
		return false, 0
	}
	changed = c.adopt(now, c.Ratio()*(1+(is.slope+was.slope)/2))
	if changed && is.kept > 0 && was.kept > 0 {
		return true, verdicts
	}
	return changed, 0
}

// least is by how much the ratio must be off. One that was adopted may have been found in a hurry.
func (c *charge) least() float64 {
	if c.ratio != 0 {
		return refined
	}
	return noticeable
}

// read says what a drift shows, if it is long enough. Its slope must be at least so many standard
// errors, and at least that.
func (d *drift) read(errors, rate, least float64) (is reading) {
	if d.n < fewDrifts || int(d.n)%4 != 0 {
		return is
	}
	// What others use is no less than nothing, and for long no more than the limit.
	h, part, sure := d.bounded(0, 0, rate).either(2, 1)
	f := h.solve()
	slope, off := f.b[1], f.off[1]
	if sure { // in step, our refunds come between requests that the server's do not
		_, p, s := d.moments.bounded(0, 0, rate).either(2, 1)
		sure = s && p == part && d.moments.n-d.moments.of >= fewMoments
	}
	if sure {
		is.kept = int(2*part) - 1
	} else if slope > 0 && d.bounded(0, 0, rate).fixed(2, 1-part).solve().b[1] < least {
		return is // refunds that are kept may be all that there is
	}
	refunds := math.Sqrt(d.dev[2][2] / d.dev[1][1]) // beside the input
	if f.ok[1] && off <= certainRatio && math.Abs(slope) >= max(errors*off, least, refundsOff*refunds) {
		is.slope = slope
	}
	return is
}

// forget begins the regressions anew.
func (c *charge) forget() { c.drift, c.all, c.latest = drift{}, drift{}, report{} }

// fewTokens is the input below which what the server adds to each call counts.
const fewTokens = 500

// alone takes in a report of a request beside which hardly anything was used of the bucket, nor
// charged in the moment before: its own charge. A bucket that refills as fast as calls come looks
// full to us while the server's holds those that have just arrived. others is what the server may
// have charged before it. It reports whether another ratio has been adopted.
func (c *charge) alone(now time.Time, r *report, others float64) (changed bool) {
	const hardly = 0.02
	if r.input.Counted < fewTokens || r.Used-r.Cost+r.passed+others > hardly*r.Cost {
		return false
	}
	return c.sample(now, (r.server-(r.Cost-r.input.Charged))/r.input.Counted)
}

// bound takes in a report of less than the call alone was charged by our count: the server
// has charged it that at most. It reports whether another ratio has been adopted. Where there
// are samples, a bound that is near them is one, and others say nothing: calls differ, and the
// least of many bounds is far from what most are charged.
func (c *charge) bound(now time.Time, r *report) (changed bool) {
	if r.server >= r.Cost || r.input.Counted < fewTokens {
		return false
	}
	most := (r.server - (r.Cost - r.input.Charged)) / r.input.Counted
	if most < leastRatio {
		return false
	}
	if c.samples.n > 0 {
		mean, _ := c.samples.mean()
		return math.Abs(most-mean) <= noticeable && c.sample(now, most)
	}
	if c.bounds++; c.bounds == 1 || most < c.most {
		c.most = most
	}
	return c.bounds >= fewBounds && c.most < c.Ratio()*(1-noticeable) && c.adopt(now, c.most)
}

// sample takes in the ratio of one call, which differs from that of others. It reports whether
// another one has been adopted.
func (c *charge) sample(now time.Time, ratio float64) (changed bool) {
	if ratio < leastRatio || ratio > mostRatio {
		return false
	}
	c.samples.add(ratio)
	mean, off := c.samples.mean()
	return c.samples.n > 1 && math.Abs(mean-c.Ratio()) > noticeable*c.Ratio()+2*off && c.adopt(now, mean)
}

// adopt takes a ratio over.
func (c *charge) adopt(now time.Time, ratio float64) bool {
	if ratio < leastRatio || ratio > mostRatio {
		return false
	}
	c.ratio, c.at = ratio, now
	c.forget()
	c.found, c.bounds, c.calm = found{}, 0, 0
	return true
}

// recentRatios are the last samples.
type recentRatios struct {
	last [16]float64
	n    int
}

func (r *recentRatios) add(x float64) {
	r.last[r.n%len(r.last)] = x
	r.n++
}

// mean returns the mean of the last samples and its standard error. Few may agree by chance:
// usual is how far estimates are off in one call.
func (r *recentRatios) mean() (mean, off float64) {
	const usual = 0.1
	last := r.last[:min(r.n, len(r.last))]
	n := float64(len(last))
	for _, y := range last {
		mean += y / n
	}
	squares := usual * usual
	for _, y := range last {
		squares += (y - mean) * (y - mean)
	}
	return mean, math.Sqrt(squares) / n
}
