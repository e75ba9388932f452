package calibration

import (
	"math"
	"testing"
	"time"
)

// What is taken off a guess is no lag of ours behind the server, whether reports had shown that we
// were ahead or not.
func TestResolvedGuessIsNoLag(t *testing.T) {
	for _, x := range []struct{ lag, want float64 }{{0, 0}, {-3, 0}, {-5, -2}, {2, 2}} {
		b := newBench(t)
		b.used, b.corrected = 7, 7
		b.g.Guess(3)
		b.g.Resolve(epoch, 3, 7)
		b.send(time.Second, 1)
		b.g.lag = x.lag
		for i, by := range []float64{-1, -1, -1} {
			b.apply(2*time.Second, by, func() (Correction, bool) { return b.g.Guessed(epoch, 1, float64(i+1)) })
		}
		if math.Abs(b.g.lag-x.want) > 1e-9 {
			t.Errorf("a lag of %v; want %v", b.g.lag, x.want)
		}
	}
}

// After a change of the limit a guess is left as it is.
func TestForgottenGuess(t *testing.T) {
	b := newBench(t)
	b.g.Guess(3)
	b.g.Resolve(epoch, 3, 7)
	b.g.Forget()
	b.apply(time.Second, 0, func() (Correction, bool) { return b.g.Guessed(epoch, 3, 1) })
}

// A correction is worth a hundredth of a call.
func TestGuessIsResolvedByCalls(t *testing.T) {
	for by, want := range map[float64]float64{0.9: 0, 1.1: -1.1} {
		g := guess{pending: 100, begun: 100, ahead: -100 - by}
		if got := g.answered(0, 0); got != 0 {
			t.Errorf("a call of nothing: %v", got)
		}
		g = guess{pending: 200, begun: 200, ahead: -100 - by}
		if got := g.answered(100, 0); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v too many of 100: %v", by, got)
		}
	}
}
