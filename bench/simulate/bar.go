package simulate

import (
	"fmt"
	"time"
)

// missed says what of its bar a run of ours does not reach.
func (s *scenario) missed(x *played) []string {
	var out []string
	miss := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if x.share < s.bar.share {
		miss("%.2f %% of the oracle's use; the bar is %.1f %%", 100*x.share, 100*s.bar.share)
	}
	if float64(x.refused-s.bar.excused) > s.bar.refused/1000*float64(x.attempts) {
		miss("%.2f 429s per 1,000; the bar is %g", x.refusedPerThousand(), s.bar.refused)
	}
	if most := s.bar.early; most > 0 && x.early > most {
		miss("%d 429s in the warm-up; the bar is %d", x.early, most)
	}
	if most := s.mayLose(&x.figures); most > 0 && x.lost > most {
		miss("%.1f s of budget lost; the bar is %.1f s", x.lost.Seconds(), most.Seconds())
	}
	if most := s.bar.waits; most > 0 && x.small.p99.Seconds() > most*x.bound.p99.Seconds() {
		miss("a p99 wait of %v beside the oracle's %v; the bar is %g times that", x.small.p99, x.bound.p99, most)
	}
	p := x.promises
	if p.wrongly > 0 {
		miss("%d of %d rejections at once were wrong", p.wrongly, p.refused)
	}
	if s.bar.inTime > 0 && p.inTime() < s.bar.inTime {
		miss("%.2f %% of the accepted calls started in time; the bar is %.1f %%", 100*p.inTime(), 100*s.bar.inTime)
	}
	return out
}

// mayLose is what a cold start may lose: where nothing is configured, the time to
// the first answer more. It is 0 where that is not asked.
func (s *scenario) mayLose(f *figures) time.Duration {
	if s.bar.lost > 0 && s.learns {
		return s.bar.lost + f.first
	}
	return s.bar.lost
}

// String says what the bar asks of use and 429s.
func (b bar) String() string {
	s := fmt.Sprintf("%.1f %% · %g", 100*b.share, b.refused)
	if b.excused > 0 {
		s += fmt.Sprintf(" + %d", b.excused)
	}
	if b.aim != "" {
		s += " (aim " + b.aim + ")"
	}
	return s
}
