package engine

import (
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// Who stands behind many asks again when three quarters of the time have passed in which the line
// comes to it, as fast as it has moved.
func TestProgress(t *testing.T) {
	begin := time.Unix(1, 0)
	type seen struct {
		virtual float64
		after   time.Duration
	}
	moving := []seen{{1000, 0}, {1100, 200 * time.Millisecond}} // 500 a second
	for _, x := range []struct {
		name    string
		saw     []seen
		tag     float64
		tickets int
		hint    time.Duration
		want    time.Duration
	}{
		{"nothing is known", moving[:1], 1300, 50, 40 * time.Millisecond, 40 * time.Millisecond},
		{"it moves", moving, 1300, 50, 40 * time.Millisecond, 300 * time.Millisecond},
		{"the backend says later", moving, 1300, 50, 400 * time.Millisecond, 400 * time.Millisecond},
		{"few stand before", moving, 1300, 4, 40 * time.Millisecond, 40 * time.Millisecond},
		{"more do", moving, 1300, 5, 40 * time.Millisecond, 100 * time.Millisecond},
		{"and more", moving, 1300, 9, 40 * time.Millisecond, 200 * time.Millisecond},
		{"it is far away", moving, 1e9, 5000, 400 * time.Millisecond, 800 * time.Millisecond},
		{"the backend expects it soon", moving, 1e9, 5000, 40 * time.Millisecond, 640 * time.Millisecond},
		{"it is next", moving, 1100, 50, 40 * time.Millisecond, 40 * time.Millisecond},
		{"it stands still", []seen{{1000, 0}, {1000, time.Second}}, 1300, 50, 40 * time.Millisecond, 40 * time.Millisecond},
		{"it was seen too soon again", []seen{{1000, 0}, {1100, 199 * time.Millisecond}}, 1300, 50, 40 * time.Millisecond, 40 * time.Millisecond},
		{"it is measured from then on", []seen{{1000, 0}, {1090, 100 * time.Millisecond}, {1100, 200 * time.Millisecond}}, 1300, 50, 0, 300 * time.Millisecond},
		{"it is measured anew", append(moving, seen{1300, 400 * time.Millisecond}), 1600, 50, 0, 225 * time.Millisecond},
		{"it has begun anew", append(moving, seen{0, 400 * time.Millisecond}), 300, 50, 40 * time.Millisecond, 40 * time.Millisecond},
		{"few look", []seen{{1000, 0}, {1100, 2 * time.Second}}, 1200, 50, 500 * time.Millisecond, 800 * time.Millisecond},
		{"nobody did", []seen{{1000, 0}, {1100, 2*time.Second + 1}}, 1300, 50, 40 * time.Millisecond, 40 * time.Millisecond},
	} {
		var p progress
		virtual := 0.0
		for _, s := range x.saw {
			virtual = s.virtual
			p.saw(virtual, begin.Add(s.after))
		}
		answer := &backend.Answer{Hint: x.hint, Tickets: x.tickets, Virtual: virtual, Granted: 1, Tags: []float64{virtual, x.tag}}
		if got := p.hint(answer); got != x.want {
			t.Errorf("%s: %v; want %v", x.name, got, x.want)
		}
		answer.Changed = make(chan struct{})
		if got := p.hint(answer); got != x.hint {
			t.Errorf("%s, and the backend tells of changes: %v; want %v", x.name, got, x.hint)
		}
	}
}
