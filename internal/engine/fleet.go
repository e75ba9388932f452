package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"
)

// ProcessState is what a process does in an account, as it has reported it Age ago.
type ProcessState struct {
	Format int           `json:"v"`
	ID     string        `json:"id"`
	Own    bool          `json:"-"` // it is this process
	Age    time.Duration `json:"-"`
	Models []ModelUse    `json:"models,omitempty"`
	Slots  []SlotsUse    `json:"slots,omitempty"`
}

// ModelUse is a process's part in a model; without a name in all that are not listed.
type ModelUse struct {
	Model    string        `json:"m,omitempty"`
	Waiting  int           `json:"w,omitempty"`
	Oldest   time.Duration `json:"o,omitempty"`
	InFlight int           `json:"f,omitempty"`
	// Charged is what was charged for the calls that were started within the last minute, in
	// tokens or, where those are not known, requests. Of calls that have ended it is what they
	// have used.
	Charged int64 `json:"s,omitempty"`
}

// SlotsUse is a process's part in an owner's limit on calls in flight: Held of the slots, of
// which its calls use some.
type SlotsUse struct {
	Owner string `json:"o"`
	Held  int64  `json:"h"`
	Used  int64  `json:"u"`
}

// Fleet describes the processes that use an account, this one as it is now. Where the backend
// does not show the others, it is the only one. It changes nothing.
func (e *Engine) Fleet(ctx context.Context, name string) ([]ProcessState, error) {
	var all []ProcessState
	if own := e.peek(name).process(time.Now()); !own.idle() {
		own.Own = true
		all = append(all, own)
	}
	if e.config.Fleet == nil {
		return all, nil
	}
	reports, err := e.config.Fleet.Reports(ctx, e.ledger(name))
	if err != nil {
		return nil, &Rejection{Reason: BackendFailed, Cause: err}
	}
	for _, r := range reports {
		var p ProcessState
		if err := json.Unmarshal(r.Data, &p); err != nil || !p.valid() || p.ID == e.id {
			continue // of another version, or ours
		}
		p.Age = r.Age
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b ProcessState) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// reportFormat is that of what a process says of itself.
const reportFormat = 1

// valid reports whether it may have been said by a process of this version.
func (p *ProcessState) valid() bool {
	return p.Format == reportFormat && p.ID != "" &&
		!slices.ContainsFunc(p.Models, func(m ModelUse) bool { return m.Waiting < 0 || m.Oldest < 0 || m.InFlight < 0 || m.Charged < 0 }) &&
		!slices.ContainsFunc(p.Slots, func(s SlotsUse) bool { return s.Used < 0 || s.Held < s.Used })
}

func (p *ProcessState) idle() bool { return len(p.Models) == 0 && len(p.Slots) == 0 }

func (m *ModelUse) add(other *ModelUse) {
	m.Waiting, m.Oldest = m.Waiting+other.Waiting, max(m.Oldest, other.Oldest)
	m.InFlight, m.Charged = m.InFlight+other.InFlight, m.Charged+other.Charged
}

// mostModels is how many models a process lists: those with most calls.
const mostModels = 64

// process describes this process's part in the account.
func (a *account) process(now time.Time) ProcessState {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.processLocked(now)
}

func (a *account) processLocked(now time.Time) ProcessState {
	p := ProcessState{Format: reportFormat, ID: a.engine.id}
	models := map[string]*ModelUse{}
	for _, s := range a.scopes {
		m := ModelUse{
			Model: s.model, Waiting: s.queue.len(), Oldest: now.Sub(s.queue.oldest(now)),
			InFlight: s.inFlight, Charged: s.started.sum(now),
		}
		switch all := models[s.model]; {
		case m.Waiting == 0 && m.InFlight == 0 && m.Charged == 0:
		case all == nil:
			models[s.model] = &m
		default:
			all.add(&m)
		}
	}
	for _, m := range models {
		p.Models = append(p.Models, *m)
	}
	slices.SortFunc(p.Models, func(a, b ModelUse) int {
		return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(b.Charged, a.Charged), cmp.Compare(a.Model, b.Model))
	})
	if len(p.Models) > mostModels {
		var others ModelUse
		for i := range p.Models[mostModels:] {
			others.add(&p.Models[mostModels+i])
		}
		p.Models = append(p.Models[:mostModels], others)
	}
	for _, o := range a.slots {
		if o.ceiling > 0 || o.used > 0 {
			p.Slots = append(p.Slots, SlotsUse{Owner: o.owner, Held: max(o.ceiling, o.used), Used: o.used})
		}
	}
	slices.SortFunc(p.Slots, func(a, b SlotsUse) int {
		return cmp.Or(cmp.Compare(b.Held, a.Held), cmp.Compare(a.Owner, b.Owner))
	})
	p.Slots = p.Slots[:min(len(p.Slots), mostModels)]
	return p
}

// reporting makes this process report what it does in an account. It is a timer that begins with
// the first call, and ends a minute after the last one.
type reporting struct {
	timer *time.Timer // nil if there is nothing to report
	said  bool        // the last report had data
}

const (
	// An account is reported every reportLeast. If that made more than reportsAtMost reports
	// of all accounts in a second, it is reported less often, down to every longestReport.
	reportLeast   = 2 * time.Second
	reportsAtMost = 20
	longestReport = 20 * time.Second
	// reportHolds is for how many intervals a report holds.
	reportHolds = 3
)

// reportEvery is the interval between the reports of an account.
func (e *Engine) reportEvery() time.Duration {
	return min(longestReport, max(reportLeast, time.Duration(e.reporters.Load())*time.Second/reportsAtMost))
}

// reportLocked sees to it that this process is reported.
func (a *account) reportLocked() {
	if e := a.engine; a.reporting.timer == nil && e.config.Fleet != nil {
		e.reporters.Add(1)
		a.reporting.timer = time.AfterFunc(e.reportEvery(), a.report)
	}
}

// dontReportLocked ends that. The last report holds for its time.
func (a *account) dontReportLocked() {
	if r := &a.reporting; r.timer != nil {
		r.timer.Stop()
		r.timer = nil
		a.engine.reporters.Add(-1)
	}
}

// report reports what this process does.
func (a *account) report() {
	e := a.engine
	e.tasks.begin()
	defer e.tasks.end()
	ledger, data, ttl, ok := a.nextReport(time.Now())
	if ok {
		_ = e.config.Fleet.Report(context.Background(), ledger, e.id, data, ttl) // or the next one will
	}
}

// nextReport is the next report; ok is false if none is due. One without data is the last: it
// removes the one before.
func (a *account) nextReport(now time.Time) (ledger string, data []byte, ttl time.Duration, ok bool) {
	e := a.engine
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &a.reporting
	if r.timer == nil {
		return "", nil, 0, false
	}
	p := a.processLocked(now)
	if e.closed.Load() && !slices.ContainsFunc(p.Models, func(m ModelUse) bool { return m.InFlight > 0 }) {
		p = ProcessState{}
	}
	every := e.reportEvery()
	if p.idle() {
		a.dontReportLocked()
		ok, r.said = r.said, false
		return a.ledger(), nil, 0, ok
	}
	r.timer.Reset(every)
	r.said = true
	data, err := json.Marshal(p)
	return a.ledger(), data, reportHolds * every, err == nil
}

// lastReports takes this process out where it does nothing any more.
func (e *Engine) lastReports() {
	if e.config.Fleet == nil {
		return
	}
	for _, a := range e.known() {
		e.tasks.start(a.report)
	}
}
