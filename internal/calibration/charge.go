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

	// Of our own calls, fading: the input's part in what charges vary by.
	xc, cc float64

	drift   regression
	since   time.Time
	found   float64 // the slope of the drift before, 0 for none
	samples recentRatios
	bounds  int     // how many reports have bounded the ratio since it was adopted
	most    float64 // that it can be, by them
}

const (
	leastRatio, mostRatio = 0.25, 4
	// driftSpan is how long reports are taken together, and fewDrifts too few of them.
	driftSpan = 30 * time.Second
	fewDrifts = 24
	// certainRatio is the standard error below which a ratio is adopted, surely how many
	// of them it must differ by, for reports are not independent, and noticeable by how
	// much at least: what is less the margin covers.
	certainRatio, surely, noticeable = 0.06, 4, 0.08
	// filled is the part of the limit that must be used for no refill to be lost.
	filled = 0.05
	// fewBounds is how many reports must bound the ratio from above.
	fewBounds = 4
	// agreement is how far two drifts in a row may differ.
	agreement = 0.1
	// drained is how long after a change calls are charged by the old ratio yet, somewhere.
	drained = 3 * time.Second
)

// Ratio is how many times our count of the input the server charges.
func (c *charge) Ratio() float64 {
	if c.ratio == 0 {
		return 1
	}
	return c.ratio
}

// send records a call of ours, of whose cost input is the input as it was charged.
func (c *charge) send(cost, input float64) {
	const fade = 0.995
	c.xc = fade*c.xc + input*cost
	c.cc = fade*c.cc + cost*cost
}

// report takes in a report, and reports whether another ratio has been adopted.
func (c *charge) report(now time.Time, r *report, limit float64) (changed bool) {
	if r.server < filled*limit || now.Sub(c.since) > driftSpan {
		c.drift = regression{}
	}
	if r.server < filled*limit {
		return false
	}
	if !c.at.IsZero() && r.At.Sub(c.at) < drained {
		return false
	}
	if c.drift.n == 0 {
		c.since = now
	}
	c.drift.add([regressors]float64{r.At.Sub(c.since).Seconds(), r.Charged, r.refunded}, r.ahead())
	if c.drift.n < fewDrifts || int(c.drift.n)%4 != 0 || c.cc == 0 || c.xc == 0 {
		return false
	}
	part := c.xc / c.cc // of a charge's variation that is the input's
	slope, off, ok := c.drift.solve(1)
	slope, off = slope/part, off/part
	if !ok || off > certainRatio || math.Abs(slope) < max(surely*off, noticeable) {
		return false
	}
	// Others' bursts look like a ratio once in a while, but not twice like the same.
	found := c.found
	c.found, c.drift = slope, regression{}
	if math.Abs(slope-found) > agreement {
		return false
	}
	return c.adopt(now, c.Ratio()*(1+(slope+found)/2))
}

// bound takes in a report of less than the call alone was charged by our count: the server
// has charged it that at most. It reports whether another ratio has been adopted.
func (c *charge) bound(now time.Time, r *report) (changed bool) {
	const enough = 500 // tokens, below which what is added to each call counts
	if r.server >= r.Cost || r.input < enough || r.ratio != c.Ratio() {
		return false
	}
	most := r.ratio * (r.server - (r.Cost - r.input)) / r.input
	if most < leastRatio {
		return false
	}
	if c.bounds++; c.bounds == 1 || most < c.most {
		c.most = most
	}
	return c.bounds >= fewBounds && c.most < c.Ratio()*(1-noticeable) && c.adopt(now, c.most)
}

// sample takes in the ratio that a throttle shows of one call, and reports whether another
// one has been adopted.
func (c *charge) sample(now time.Time, ratio float64) (changed bool) {
	if ratio < leastRatio || ratio > mostRatio {
		return false
	}
	mean, ok := c.samples.add(ratio)
	return ok && math.Abs(mean/c.Ratio()-1) > noticeable && c.adopt(now, mean)
}

// adopt takes a ratio over.
func (c *charge) adopt(now time.Time, ratio float64) bool {
	if ratio < leastRatio || ratio > mostRatio {
		return false
	}
	c.ratio, c.at = ratio, now
	c.drift, c.found, c.bounds = regression{}, 0, 0
	return true
}

// recentRatios are the last samples.
type recentRatios struct {
	last [8]float64
	n    int
}

// add takes in a sample, and returns the mean of the last if they agree.
func (r *recentRatios) add(x float64) (mean float64, agree bool) {
	r.last[r.n%len(r.last)] = x
	r.n++
	n := min(r.n, len(r.last))
	least, most := x, x
	for _, y := range r.last[:n] {
		mean += y / float64(n)
		least, most = min(least, y), max(most, y)
	}
	return mean, n > 1 && most-least < 0.1*mean
}

// regressors are what a drift may go with: time, charges and refunds.
const regressors = 3

// A regression fits y = a + Σ bᵢ·xᵢ by least squares. The zero value has no points.
type regression struct {
	n    float64
	mean [regressors + 1]float64
	dev  [regressors + 1][regressors + 1]float64 // sums of products of deviations; y is the last
}

func (g *regression) add(x [regressors]float64, y float64) {
	g.n++
	var before, after [regressors + 1]float64
	for i := range before {
		v := y
		if i < regressors {
			v = x[i]
		}
		before[i] = v - g.mean[i]
		g.mean[i] += before[i] / g.n
		after[i] = v - g.mean[i]
	}
	for i := range before {
		for j := range after {
			g.dev[i][j] += before[i] * after[j]
		}
	}
}

// solve returns the i-th coefficient and its standard error. What has not varied is left
// out; ok is false where the i-th is that, or the points are too few.
func (g *regression) solve(i int) (b, off float64, ok bool) {
	var used []int
	for k := range regressors {
		if g.dev[k][k] > 1e-9*math.Abs(g.mean[k]*g.mean[k]) && g.dev[k][k] > 0 {
			used = append(used, k)
		}
	}
	inverse, ok := g.invert(used)
	if !ok || g.n < float64(len(used)+3) {
		return 0, 0, false
	}
	var at = -1
	var coefficients [regressors]float64
	rest := g.dev[regressors][regressors]
	for a, k := range used {
		if k == i {
			at = a
		}
		for b, l := range used {
			coefficients[a] += inverse[a][b] * g.dev[l][regressors]
		}
		rest -= coefficients[a] * g.dev[k][regressors]
	}
	if at < 0 {
		return 0, 0, false
	}
	variance := max(0, rest) / (g.n - float64(len(used)) - 1)
	return coefficients[at], math.Sqrt(variance * max(0, inverse[at][at])), true
}

// invert inverts the products of the regressors that are used. ok is false where they
// all but depend on each other.
func (g *regression) invert(used []int) (inverse [regressors][regressors]float64, ok bool) {
	var m [regressors][2 * regressors]float64
	n := len(used)
	for a, k := range used {
		for b, l := range used {
			m[a][b] = g.dev[k][l] / math.Sqrt(g.dev[k][k]*g.dev[l][l]) // correlations
		}
		m[a][n+a] = 1
	}
	for a := range n {
		pivot := m[a][a]
		if pivot < 1e-6 {
			return inverse, false
		}
		for c := range 2 * n {
			m[a][c] /= pivot
		}
		for b := range n {
			if f := m[b][a]; b != a && f != 0 {
				for c := range 2 * n {
					m[b][c] -= f * m[a][c]
				}
			}
		}
	}
	for a, k := range used {
		for b, l := range used {
			inverse[a][b] = m[a][n+b] / math.Sqrt(g.dev[k][k]*g.dev[l][l])
		}
	}
	return inverse, true
}
