package calibration

import (
	"testing"
	"time"
)

// Of calls that start together the network makes any the first: the first report shows what
// it has overtaken as a surplus that there is not.
func TestFirstReportMayHaveOvertaken(t *testing.T) {
	const s = time.Second
	t.Run("what was sent together", func(t *testing.T) {
		b := newBench(t)
		first, second, third := b.send(0, 100), b.send(0, 100), b.send(10*time.Millisecond, 100)
		b.report(s, third, 100, 0)
		b.report(s, first, 200, 0)
		b.report(s, second, 300, 0)
	})
	t.Run("and more than that", func(t *testing.T) {
		b := newBench(t)
		b.send(0, 1000)
		b.send(s, 100)
		b.report(2*s, b.send(s+100*time.Millisecond, 100), 300, -800)
	})
	t.Run("what others have sent, of whom nothing is known", func(t *testing.T) {
		b := newBench(t)
		b.used, b.charged = 300, 300
		b.report(s, b.send(0, 100), 100, 0)
	})
	t.Run("nothing, though the backend's answers overtake each other", func(t *testing.T) {
		b := newBench(t)
		b.send(0, 100)
		b.send(s, 1000)
		b.charged -= 500
		b.report(3*s, b.send(s+300*time.Millisecond, 100), 1100, -100)
	})
}

// A suspect deficit is not undone by a request that has overtaken others.
func TestSuspectDeficitSurvivesWhatIsOvertaken(t *testing.T) {
	const s = time.Second
	for _, x := range []struct{ overtaken, by float64 }{{2000, 0}, {1900, -4000}} {
		b := begun(t)
		b.report(4*s, b.send(3*s, 100), 4200, 4000)
		b.send(5*s, x.overtaken)
		// Half of the deficit would undo it.
		r := b.send(5*s+100*time.Millisecond, 100)
		b.report(6*s, r, r.Used-3950, x.by)
	}
}
