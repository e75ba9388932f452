package engine

import (
	"cmp"
	"slices"
	"time"
)

// usage is what was charged for the calls that the flows of an account have started in this
// process within the last minute, or a little less: first an estimate, and what the call has
// used once it has ended. Where there are more than many, the others count for their class
// alone: those that have started little.
type usage struct {
	periods [usagePeriods]usagePeriod
	used    bool // some flow is not the plain one, or may be soon
}

type usagePeriod struct {
	begun   time.Time
	charged map[flowKey]int64 // tokens, or requests where those are not known
}

const manyTenants = 1024 // are kept for each period

// expect sees to it that all calls are counted, plain ones too, where classes are configured.
func (u *usage) expect(r *Rules) { u.used = u.used || len(r.ClassNames) > 0 }

// add counts what a call has been charged, and reports whether it has: while all calls are of
// the plain flow, nobody asks.
func (u *usage) add(now time.Time, c *Call, charged int64) bool {
	if u.used = u.used || !plain(c.Flow); !u.used {
		return false
	}
	begun := now.Truncate(usageEach)
	p := &u.periods[periodOf(begun)%usagePeriods]
	if !p.begun.Equal(begun) {
		*p = usagePeriod{begun, map[flowKey]int64{}}
	}
	key := flowKey{c.Flow.Class, c.Flow.Tenant}
	if _, known := p.charged[key]; !known && len(p.charged) >= manyTenants && !p.giveWay(charged) {
		key.tenant = ""
	}
	p.charged[key] += charged
	return true
}

// correct adds to what was counted for a call in a period. One that is counted no more stays as
// it is. A tenant that has given way since may have less than is taken away, or nothing: the
// rest is among what counts for its class.
func (u *usage) correct(period int64, c *Call, by int64) {
	p := &u.periods[period%usagePeriods]
	if periodOf(p.begun) != period {
		return
	}
	key := flowKey{c.Flow.Class, c.Flow.Tenant}
	if has, known := p.charged[key]; known {
		own := max(by, -has)
		p.charged[key] += own
		by -= own
	}
	if by != 0 {
		p.charged[flowKey{class: key.class}] += by
	}
}

// giveWay makes room for one who starts so much, if there is one among a few who has started
// no more: what that had started counts for its class from then on. Who starts much is soon
// more than any few.
func (p *usagePeriod) giveWay(charged int64) bool {
	var least flowKey
	n := 0
	for key, has := range p.charged { // from anywhere on
		if key.tenant != "" && has <= charged {
			least, charged = key, has
		}
		if n++; n == examined {
			break
		}
	}
	if least.tenant == "" {
		return false
	}
	delete(p.charged, least)
	p.charged[flowKey{class: least.class}] += charged
	return true
}

// ShareState is how a class stands, or a tenant of one, in this process.
type ShareState struct {
	Class, Tenant string
	Waiting       int
	Oldest        time.Duration // how long the first of those has waited
	// Charged is what has been charged for the calls that it has started within the last
	// minute, in tokens or, where those are not known, requests. Of calls that have ended it
	// is what they have used.
	Charged int64
	// Share is the part of that in what has been charged for all.
	Share float64
}

// mostShown is how many tenants are shown. Half of them are those with the largest charges. The
// others are those whose calls wait longest: one that gets nothing has no charges.
const mostShown = 10

// Shares describes the classes of an account, sorted by name, and its busiest tenants, sorted by
// what they were charged. It is nil where calls have neither and no class is configured.
func (e *Engine) Shares(name string) (classes, tenants []ShareState) {
	return e.peek(name).shares(time.Now())
}

func (a *account) shares(now time.Time) (classes, tenants []ShareState) {
	parts, configured, used := a.parts(now)
	all := map[flowKey]*ShareState{}
	total := int64(0)
	for i := range parts {
		p := &parts[i]
		s := all[p.key]
		if s == nil {
			s = &ShareState{Class: p.key.class, Tenant: p.key.tenant}
			all[p.key] = s
		}
		s.Waiting, s.Oldest, s.Charged = s.Waiting+p.waiting, max(s.Oldest, p.oldest), s.Charged+p.charged
		total += p.charged
	}
	if !used && (len(all) == 0 || len(all) == 1 && all[flowKey{}] != nil) {
		return nil, nil
	}
	byClass := map[string]*ShareState{}
	for _, name := range configured {
		byClass[name] = &ShareState{Class: name}
	}
	for key, s := range all {
		s.Share = Share(s.Charged, total)
		if key.tenant != "" {
			tenants = append(tenants, *s)
		}
		c := byClass[key.class]
		if c == nil {
			c = &ShareState{Class: key.class}
			byClass[key.class] = c
		}
		c.Waiting, c.Charged, c.Oldest = c.Waiting+s.Waiting, c.Charged+s.Charged, max(c.Oldest, s.Oldest)
	}
	for _, c := range byClass {
		c.Share = Share(c.Charged, total)
		classes = append(classes, *c)
	}
	slices.SortFunc(classes, func(a, b ShareState) int { return cmp.Compare(a.Class, b.Class) })
	return classes, busiest(tenants)
}

// A part is what a flow does in one scope, or has started in one period.
type part struct {
	key     flowKey
	waiting int
	oldest  time.Duration
	charged int64
}

// parts copies what shares adds up and sorts, so that no call waits for that: there may be
// many thousands of tenants. It also returns the classes that are configured.
func (a *account) parts(now time.Time) (parts []part, configured []string, used bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, s := range a.scopes {
		n += len(s.queue.waiting)
	}
	parts = make([]part, 0, n)
	for _, s := range a.scopes {
		for _, f := range s.queue.waiting {
			parts = append(parts, part{key: flowKey{f.Class, f.Tenant}, waiting: f.len(), oldest: now.Sub(f.head().arrived)})
		}
	}
	for i := range a.usage.periods {
		p := &a.usage.periods[i]
		if !lately(periodOf(now) - periodOf(p.begun)) {
			continue
		}
		for key, n := range p.charged {
			parts = append(parts, part{key: key, charged: n})
		}
	}
	return parts, a.engine.rules.Load().ClassNames, a.usage.used
}

// busiest are the tenants that are shown.
func busiest(tenants []ShareState) []ShareState {
	byCharge := func(a, b ShareState) int {
		return cmp.Or(cmp.Compare(b.Charged, a.Charged), cmp.Compare(b.Oldest, a.Oldest),
			cmp.Compare(a.Class, b.Class), cmp.Compare(a.Tenant, b.Tenant))
	}
	slices.SortFunc(tenants, byCharge)
	if len(tenants) <= mostShown {
		return tenants
	}
	slices.SortStableFunc(tenants[mostShown/2:], func(a, b ShareState) int { return cmp.Compare(b.Oldest, a.Oldest) })
	shown := tenants[:mostShown:mostShown]
	slices.SortFunc(shown, byCharge)
	return shown
}

// Share is a part of all, from 0 to 1.
func Share(part, all int64) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}
