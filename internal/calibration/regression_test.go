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
		if one != x.one || h != want {
			t.Errorf("%+v: %v, %+v", x, one, h.solve())
		}
	}
}
