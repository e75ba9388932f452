package statuspage

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// What follows is the page's JSON; the package's comment describes it.
type snapshot struct {
	Up           time.Duration   `json:"up_ns"`
	Clear        bool            `json:"clear"`
	Backend      *backendStatus  `json:"backend,omitempty"`
	Accounts     []accountStatus `json:"accounts"`
	MoreAccounts int             `json:"more_accounts,omitempty"`
	// Of a limiter that only watches.
	Shadow *ratelimiter.ShadowReport `json:"shadow,omitempty"`
}

type backendStatus struct {
	Available bool          `json:"available"`
	Error     string        `json:"error,omitempty"`
	Age       time.Duration `json:"age_ns,omitempty"` // absent where it has never answered
	Took      time.Duration `json:"took_ns,omitempty"`
}

type accountStatus struct {
	Account         string                   `json:"account"`
	Error           string                   `json:"error,omitempty"`
	Classes         []ratelimiter.ShareState `json:"classes,omitempty"`
	Tenants         []ratelimiter.ShareState `json:"tenants,omitempty"`
	ManyCredentials []string                 `json:"many_credentials,omitempty"`
	Fleet           *ratelimiter.FleetState  `json:"fleet,omitempty"`
	FleetError      string                   `json:"fleet_error,omitempty"`
	Scopes          []scopeStatus            `json:"scopes"`
}

type scopeStatus struct {
	ratelimiter.ScopeState
	Waiters    []waiters        `json:"waiters,omitempty"`
	Use        *useStatus       `json:"use,omitempty"`
	Throttles  *throttleStatus  `json:"throttles,omitempty"`
	Rejections *rejectionStatus `json:"rejections,omitempty"`
	Response   *responseStatus  `json:"response,omitempty"`
}

type waiters struct {
	Class   string        `json:"class"`
	Tenant  string        `json:"tenant,omitempty"`
	Waiting int           `json:"waiting"`
	Oldest  time.Duration `json:"oldest_ns"`
}

type useStatus struct {
	Unit       string        `json:"unit"`
	LastMinute int64         `json:"last_minute"`
	Step       time.Duration `json:"step_ns"`
	Amounts    []int64       `json:"amounts"`
}

type throttleStatus struct {
	Count   int           `json:"count"`
	Kind    string        `json:"kind"`
	Message string        `json:"message"`
	Age     time.Duration `json:"age_ns"`
	Paused  time.Duration `json:"paused_ns"`
}

type rejectionStatus struct {
	Count int            `json:"count"`
	Codes map[string]int `json:"codes"`
	Age   time.Duration  `json:"age_ns"`
}

type responseStatus struct {
	Status   int                `json:"status"`
	Age      time.Duration      `json:"age_ns"`
	Latency  time.Duration      `json:"latency_ns"`
	Requests *observationStatus `json:"requests,omitempty"`
	Tokens   *observationStatus `json:"tokens,omitempty"`
}

type observationStatus struct {
	Limit     int64         `json:"limit"`
	Remaining int64         `json:"remaining"`
	Reset     time.Duration `json:"reset_ns"`
	Corrected int64         `json:"corrected"`
}

const (
	mostAccounts = 32
	mostWaiters  = 20
)

// cache keeps the last snapshot for a moment, so that the store is asked no more often the more
// there are who look.
type cache struct {
	turn  chan struct{} // whose turn it is to read and to write the rest
	taken time.Time
	json  []byte
}

const (
	fresh    = 900 * time.Millisecond // a little less than what the page waits between two polls
	patience = 5 * time.Second        // with the backend
)

func newCache() cache { return cache{turn: make(chan struct{}, 1)} }

// current returns a snapshot's JSON.
func (p *Page) current(ctx context.Context, l *ratelimiter.Limiter) ([]byte, error) {
	c := &p.snapshot
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.json != nil && time.Since(c.taken) < fresh {
		return c.json, nil
	}
	data, err := json.Marshal(p.take(ctx, l))
	if err != nil || ctx.Err() != nil { // what it shows is that somebody has gone away
		return nil, errors.Join(err, ctx.Err())
	}
	c.json, c.taken = data, time.Now()
	return data, nil
}

// forget lets the next snapshot be a new one.
func (c *cache) forget() {
	c.turn <- struct{}{}
	c.json = nil
	<-c.turn
}

// take asks the limiter how its accounts stand.
func (p *Page) take(ctx context.Context, l *ratelimiter.Limiter) *snapshot {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s := &snapshot{Up: time.Since(p.made), Clear: p.clear, Accounts: []accountStatus{}}
	names, more := p.activity.latest(accounts(l))
	s.MoreAccounts = more
	var gone error
	for _, name := range names {
		a := accountStatus{Account: name, Scopes: []scopeStatus{}}
		if gone == nil {
			var shadow bool
			shadow, gone = a.ask(ratelimiter.ContextWithAccount(ctx, name), l)
			if shadow && s.Shadow == nil {
				report := l.ShadowReport()
				s.Shadow = &report
			}
		}
		if gone != nil {
			a.Error = gone.Error()
		}
		p.activity.describe(&a)
		s.Accounts = append(s.Accounts, a)
	}
	if len(s.Accounts) == 1 && s.Accounts[0].Account == unnamed && len(s.Accounts[0].Scopes) == 0 && gone == nil {
		s.Accounts = []accountStatus{}
	}
	s.Backend = p.activity.backend()
	return s
}

// ask fills in what the limiter says of the account, and reports whether it only watches.
func (a *accountStatus) ask(ctx context.Context, l *ratelimiter.Limiter) (shadow bool, err error) {
	state, err := l.State(ctx)
	if err != nil {
		return false, err
	}
	a.Classes, a.Tenants, a.ManyCredentials = state.Classes, state.Tenants, state.ManyCredentials
	for i := range state.Scopes {
		a.Scopes = append(a.Scopes, scopeStatus{ScopeState: state.Scopes[i]})
	}
	fleet, err := l.Fleet(ctx)
	if err != nil {
		a.FleetError = err.Error()
		return state.Shadow, nil
	}
	if slices.ContainsFunc(fleet.Processes, func(p ratelimiter.ProcessState) bool { return !p.Own }) {
		a.Fleet = &fleet
	}
	return state.Shadow, nil
}

// accounts are those of the limiter. Before any is known, limits may be configured all the
// same.
func accounts(l *ratelimiter.Limiter) []string {
	if names := l.Accounts(); len(names) > 0 {
		return names
	}
	return []string{unnamed}
}

// latest returns the accounts that something has happened in last, sorted by name, and how many
// it has left out.
func (a *activity) latest(names []string) (latest []string, more int) {
	if len(names) <= mostAccounts {
		return names, 0
	}
	seen := map[string]time.Time{}
	a.mu.Lock()
	for key, s := range a.scopes {
		if s.seen.After(seen[key.account]) {
			seen[key.account] = s.seen
		}
	}
	a.mu.Unlock()
	slices.SortStableFunc(names, func(x, y string) int { return seen[y].Compare(seen[x]) })
	latest = names[:mostAccounts]
	slices.Sort(latest)
	return latest, len(names) - mostAccounts
}

// backend describes the shared store, which memory is not.
func (a *activity) backend() *backendStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.store.asked.IsZero() {
		return nil
	}
	b := &backendStatus{Available: a.store.err == nil, Took: a.store.took}
	if !b.Available {
		b.Error = a.store.err.Error()
	}
	if !a.store.answered.IsZero() {
		b.Age = time.Since(a.store.answered)
	}
	return b
}

// describe adds to an account what its hooks have told. Where its state is not known, that is
// all there is.
func (a *activity) describe(status *accountStatus) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	models := map[string]map[string]*scope{} // by class
	for key, s := range a.scopes {
		if key.account != status.Account {
			continue
		}
		if models[key.model] == nil {
			models[key.model] = map[string]*scope{}
		}
		models[key.model][key.class] = s
	}
	if status.Error != "" {
		for _, model := range slices.Sorted(maps.Keys(models)) {
			status.Scopes = append(status.Scopes, scopeStatus{ScopeState: ratelimiter.ScopeState{Model: model, Limits: []ratelimiter.LimitState{}}})
		}
	}
	// Classes with limits of their own have scopes of their own. They come after the model's.
	for i := len(status.Scopes) - 1; i >= 0; i-- {
		of := &status.Scopes[i]
		classes := models[of.Model]
		of.Response = classes[""].lastResponse(now)
		var scopes []*scope
		if of.Class != "" {
			scopes = append(scopes, classes[of.Class])
			delete(classes, of.Class)
		} else {
			scopes = slices.Collect(maps.Values(classes))
		}
		if scopes = slices.DeleteFunc(scopes, func(s *scope) bool { return s == nil }); len(scopes) == 0 {
			continue
		}
		s := together(scopes, now)
		s.describe(of, now)
		if status.Error != "" {
			for _, w := range s.waiters(now) {
				of.Waiting, of.Oldest = of.Waiting+w.Waiting, max(of.Oldest, w.Oldest)
			}
		}
	}
}

// lastResponse describes a model's, if there was one. s may be nil.
func (s *scope) lastResponse(now time.Time) *responseStatus {
	if s == nil || s.responded.IsZero() {
		return nil
	}
	r := &s.response
	return &responseStatus{
		Status: r.Status, Age: now.Sub(s.responded), Latency: r.Latency,
		Requests: observation(r.Requests), Tokens: observation(r.Tokens),
	}
}

func (s *scope) describe(status *scopeStatus, now time.Time) {
	status.Waiters = s.waiters(now)
	status.Waiters = status.Waiters[:min(len(status.Waiters), mostWaiters)]
	var limited [len(units)]bool
	for i := range status.Limits {
		for d, unit := range units {
			limited[d] = limited[d] || status.Limits[i].Name[:1] == unit[:1]
		}
	}
	if unit, amounts := s.use.series(now, limited); unit != "" {
		status.Use = &useStatus{Unit: unit, Step: useStep, Amounts: amounts}
		for _, n := range amounts[useSteps-useMinute:] {
			status.Use.LastMinute += n
		}
	}
	if t := &s.throttle; s.throttles > 0 {
		status.Throttles = &throttleStatus{Count: s.throttles, Kind: t.Kind, Message: t.Message, Age: now.Sub(s.throttled), Paused: t.For}
	}
	if len(s.rejections) > 0 {
		r := &rejectionStatus{Codes: map[string]int{}, Age: now.Sub(s.rejected)}
		for code, n := range s.rejections {
			r.Codes[code] = n
			r.Count += n
		}
		status.Rejections = r
	}
}

func observation(o ratelimiter.Observation) *observationStatus {
	if o == (ratelimiter.Observation{}) {
		return nil
	}
	return &observationStatus{o.Limit, o.Remaining, o.Reset, o.Corrected}
}

// waiters are those in line, those with the most calls first.
func (s *scope) waiters(now time.Time) []waiters {
	var all []waiters
	for key, l := range s.lines {
		all = append(all, waiters{key.class, key.tenant, len(*l), now.Sub((*l)[0])})
	}
	slices.SortFunc(all, func(x, y waiters) int {
		return cmp.Or(cmp.Compare(y.Waiting, x.Waiting), cmp.Compare(x.Class, y.Class), cmp.Compare(x.Tenant, y.Tenant))
	})
	return all
}
