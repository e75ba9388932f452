package simulate

// Promises are what became of calls with a deadline.
type promises struct {
	calls    int
	refused  int // at once
	wrongly  int // of them: to the same call of the oracle's an answer could begin in time
	accepted int
	missed   int // of those accepted: not started before the deadline
}

// promisesKept compares the calls of a run with the same calls of the oracle's.
func (f *figures) promisesKept(oracle *figures) promises {
	var p promises
	for i, j := range f.jobs {
		if j.submitted < f.from || j.submitted+j.patience > f.until || i >= len(oracle.jobs) {
			continue
		}
		p.calls++
		switch {
		case j.outcome == refused:
			p.refused++
			if o := oracle.jobs[i]; o.sent() && o.head() < o.submitted+o.patience {
				p.wrongly++
			}
			continue
		case !j.sent():
			p.missed++
		}
		p.accepted++
	}
	return p
}

// inTime is the part of the accepted calls that started before their deadline.
func (p *promises) inTime() float64 { return 1 - float64(p.missed)/float64(max(1, p.accepted)) }
