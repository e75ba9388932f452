package calibration

import "math"

// regressors are what a drift may go with: time, charges and refunds.
const regressors = 3

// A regression fits y = a + Σ bᵢ·xᵢ by least squares. The zero value has no points.
type regression struct {
	n    float64
	in   float64 // points of the last segment, of
	of   float64 // so many
	mean [regressors + 1]float64
	dev  [regressors + 1][regressors + 1]float64 // sums of products of deviations; y is the last
}

func (g *regression) add(x [regressors]float64, y float64) {
	if g.in == 0 {
		g.of++
	}
	g.n, g.in = g.n+1, g.in+1
	var before, after [regressors + 1]float64
	for i := range before {
		v := y
		if i < regressors {
			v = x[i]
		}
		before[i] = v - g.mean[i]
		g.mean[i] += before[i] / g.in
		after[i] = v - g.mean[i]
	}
	for i := range before {
		for j := range after {
			g.dev[i][j] += before[i] * after[j]
		}
	}
}

// split begins a segment with an a of its own.
func (g *regression) split() { g.in, g.mean = 0, [regressors + 1]float64{} }

// A drift is a regression of reports, and one of the moments in which they come: what is off in
// one of a crowd is off in all of it, as where calls go in step.
type drift struct {
	regression
	moments regression
	moment  moment
}

// A moment is the sum of the reports of requests that may have passed each other.
type moment struct {
	n, y float64
	x    [regressors]float64
	from float64 // the first regressor, which is time
}

func (d *drift) add(x [regressors]float64, y float64) {
	d.regression.add(x, y)
	if math.Abs(x[0]-d.moment.from) > Overtaking.Seconds() {
		d.end()
	}
	m := &d.moment
	if m.n == 0 {
		m.from = x[0]
	}
	m.n, m.y = m.n+1, m.y+y
	for i := range x {
		m.x[i] += x[i]
	}
}

// end ends the moment.
func (d *drift) end() {
	m := &d.moment
	if m.n == 0 {
		return
	}
	for i := range m.x {
		m.x[i] /= m.n
	}
	d.moments.add(m.x, m.y/m.n)
	*m = moment{}
}

func (d *drift) split() {
	d.end()
	d.regression.split()
	d.moments.split()
}

// A fit is what solves a regression: each coefficient, its standard error, and whether the
// points determine it. What has not varied is left out.
type fit struct {
	b, off [regressors]float64
	ok     [regressors]bool
}

func (g regression) solve() (f fit) {
	var used []int
	for k := range regressors {
		if g.dev[k][k] > 1e-9*math.Abs(g.mean[k]*g.mean[k]) && g.dev[k][k] > 0 {
			used = append(used, k)
		}
	}
	inverse, ok := g.invert(used)
	if !ok || g.n < g.of+float64(len(used)+2) {
		return f
	}
	rest := g.dev[regressors][regressors]
	for a, k := range used {
		for b, l := range used {
			f.b[k] += inverse[a][b] * g.dev[l][regressors]
		}
		rest -= f.b[k] * g.dev[k][regressors]
	}
	variance := max(0, rest) / (g.n - g.of - float64(len(used)))
	for a, k := range used {
		f.off[k], f.ok[k] = math.Sqrt(variance*max(0, inverse[a][a])), true
	}
	return f
}

// fixed is the regression with the k-th coefficient known.
func (g regression) fixed(k int, b float64) regression {
	y := regressors
	g.dev[y][y] += b*b*g.dev[k][k] - 2*b*g.dev[k][y]
	for i := range regressors {
		g.dev[i][y] -= b * g.dev[i][k]
	}
	for i := range regressors + 1 {
		g.dev[i][k], g.dev[k][i] = 0, 0
	}
	return g
}

// bounded is the regression with the k-th coefficient in a range: where the best one lies
// outside, it is the nearest.
func (g regression) bounded(k int, least, most float64) regression {
	f := g.solve()
	if b := min(max(f.b[k], least), most); f.ok[k] && b != f.b[k] {
		return g.fixed(k, b)
	}
	return g
}

// either is the regression with the k-th coefficient 0 or 1, where it is one of them. known
// says whether the data show which. If they don't, it is the one that makes the i-th larger.
func (g regression) either(k, i int) (h regression, is float64, known bool) {
	const apart, about = 3, 0.05 // standard errors, and beside them
	f := g.solve()
	if !f.ok[k] {
		return g, 0, false
	}
	off := apart*f.off[k] + about
	zero, one := g.fixed(k, 0), g.fixed(k, 1)
	switch low, high := f.b[k] <= off, f.b[k] >= 1-off; {
	case low && high && one.solve().b[i] > zero.solve().b[i]:
		return one, 1, false
	case low:
		return zero, 0, !high
	case high:
		return one, 1, true
	}
	return g, 0, false
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
