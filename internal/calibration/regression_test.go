package calibration

import (
	"math"
	"math/rand/v2"
	"testing"
)

// What is known of a coefficient makes the others certain.
func TestRegression(t *testing.T) {
	var g regression
	for i := range 40 {
		n := float64(i)
		wave := math.Sin(n / 3)
		g.add([regressors]float64{n, 3*n + 20*wave, 2*n + wave*wave}, 100+0.5*n-0.25*(3*n+20*wave)+0.9*(2*n+wave*wave))
	}
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: %v; want %v", name, got, want)
		}
	}
	f := g.solve()
	for k, want := range []float64{0.5, -0.25, 0.9} {
		near("all", f.b[k], want)
	}
	f = g.fixed(0, 0.5).solve()
	near("one is known", f.b[1], -0.25)
	near("one is known", f.b[2], 0.9)
	if g.bounded(0, 0, 1).solve().b != g.solve().b {
		t.Error("a bound that holds changes something")
	}
	for _, x := range []struct{ least, most, want float64 }{{0, 0.4, 0.4}, {0.6, 1, 0.6}} {
		near("the bound counts", g.bounded(0, x.least, x.most).solve().b[2], g.fixed(0, x.want).solve().b[2])
	}
}

func TestEither(t *testing.T) {
	for _, x := range []struct {
		b, noise, other float64
		want            float64
		one             bool
	}{
		{0, 0.01, 1, 0, false}, {1, 0.01, 1, 1, true}, {1.2, 0.01, 1, 1, true}, {-0.2, 0.01, 1, 0, false},
		{0.04, 0, 1, 0, false}, {0.96, 0, 1, 1, true}, {0.5, 0.01, 1, 0.5, false},
		{0.5, 2.5, 1, 0.5, false}, // by three and a half standard errors, and a bit
		// It can't be told, and goes with the other or against it.
		{0.5, 200, 1, 0, false}, {0.5, 200, -1, 1, false},
	} {
		var g regression
		random := rand.New(rand.NewPCG(1, 2))
		for i := range 40 {
			n, wave := float64(i), math.Sin(float64(i))
			other := x.other * (n + 3*math.Cos(n))
			g.add([regressors]float64{0, other, n + wave}, other+x.b*(n+wave)+x.noise*(2*random.Float64()-1))
		}
		h, is, known := g.either(2, 1)
		one := known && is == 1
		want := g
		if x.want == math.Trunc(x.want) {
			want = g.fixed(2, x.want)
		}
		if one != x.one || h != want || x.want != 0.5 && is != x.want || x.want == 0.5 && (is != 0 || known) {
			t.Errorf("%+v: %v, %v, %v, %+v", x, one, is, known, h.solve())
		}
	}
	var g regression
	for i := range 40 {
		g.add([regressors]float64{float64(i), float64(i % 7), 5}, float64(i))
	}
	if h, is, known := g.either(2, 1); h != g || is != 0 || known {
		t.Errorf("of what has not varied: %v, %v", is, known)
	}
}

// Coefficients and their errors are those of least squares with an a for each segment.
func TestRegressionIsLeastSquares(t *testing.T) {
	const segments = 2
	random := rand.New(rand.NewPCG(3, 4))
	type point struct {
		segment int
		x       [regressors]float64
		y       float64
	}
	// squares solves the normal equations of the points, without the left-out regressors.
	squares := func(points []point, used ...int) (b, off [regressors]float64) {
		n := segments + len(used)
		m := make([][]float64, n) // the equations, and the unit matrix beside them
		for i := range m {
			m[i] = make([]float64, 2*n+1)
			m[i][n+1+i] = 1
		}
		row := func(p point) []float64 {
			r := make([]float64, n)
			r[p.segment] = 1
			for i, k := range used {
				r[segments+i] = p.x[k]
			}
			return r
		}
		for _, p := range points {
			for i, v := range row(p) {
				for j, w := range row(p) {
					m[i][j] += v * w
				}
				m[i][n] += v * p.y
			}
		}
		for i := range m {
			for c := range m[i] {
				if c != i {
					m[i][c] /= m[i][i]
				}
			}
			m[i][i] = 1
			for j := range m {
				if j == i {
					continue
				}
				f := m[j][i]
				for c := range m[j] {
					m[j][c] -= f * m[i][c]
				}
			}
		}
		rest := 0.0
		for _, p := range points {
			e := p.y
			for i, v := range row(p) {
				e -= v * m[i][n]
			}
			rest += e * e
		}
		for i, k := range used {
			b[k] = m[segments+i][n]
			off[k] = math.Sqrt(rest / float64(len(points)-n) * m[segments+i][n+1+segments+i])
		}
		return b, off
	}
	for _, noise := range []float64{0.01, 5} {
		var g regression
		var points []point
		for i := range 16 {
			p := point{segment: i / 7 % segments}
			if i >= 14 {
				p.segment = 1
			}
			if i == 7 {
				g.split()
			}
			p.x = [regressors]float64{float64(i), 3*float64(i) + 9*random.Float64(), 5 * random.Float64()}
			p.y = float64(20*p.segment) + 0.5*p.x[0] - 0.25*p.x[1] + 0.9*p.x[2] + noise*random.Float64()
			points = append(points, p)
			g.add(p.x, p.y)
			if f := g.solve(); f.ok[0] != (i+1 >= g.segments()+regressors+2) {
				t.Errorf("after %d points: %+v", i+1, f)
			}
		}
		check := func(name string, f fit, b, off [regressors]float64) {
			t.Helper()
			for k := range regressors {
				if math.Abs(f.b[k]-b[k]) > 1e-6*(1+math.Abs(b[k])) || math.Abs(f.off[k]-off[k]) > 1e-6*(1e-3+off[k]) {
					t.Errorf("%s, noise %v: %v ± %v; want %v ± %v", name, noise, f.b, f.off, b, off)
					return
				}
			}
		}
		b, off := squares(points, 0, 1, 2)
		check("all", g.solve(), b, off)
		for k := range regressors {
			for i := range points {
				points[i].y -= 0.7 * points[i].x[k]
			}
			var used []int
			for other := range regressors {
				if other != k {
					used = append(used, other)
				}
			}
			b, off := squares(points, used...)
			check("one is known", g.fixed(k, 0.7).solve(), b, off)
			for i := range points {
				points[i].y += 0.7 * points[i].x[k]
			}
		}
	}
}

func (g *regression) segments() int { return int(g.of) }
