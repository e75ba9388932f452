package engine

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// A Config says where budgets live and what was configured of them. Limits on calls in
// flight need a backend that is a [backend.Lessor].
type Config struct {
	Backend backend.Backend
	// Ledger stands before the names of accounts in the backend, so that engines with
	// another one draw from other budgets there.
	Ledger string
	// Fleet, if not nil, is where processes say what they do.
	Fleet backend.Fleet
	Rules Rules
	// MaxPause is the longest that a throttle by the server pauses a scope.
	MaxPause time.Duration
	// MaxWaiting is how many calls of a scope may wait in this process; 0 for any number.
	MaxWaiting int
	// Warn, if not nil, is called without any lock with calls that have waited for LongWait,
	// at most once a minute for each scope, on the goroutine of the call.
	Warn     func(LongWait)
	LongWait time.Duration
}

// Rules are the configured limits. They are not changed once an engine has them.
type Rules struct {
	Models   map[string]quota.Rule // by model
	Families []Family
	Account  *quota.Rule // for all models of an account together; nil for none
	// Classes are those with ceilings, for all models of an account together.
	Classes map[string]quota.Rule
	// ClassNames are those of all classes that are configured, to show them.
	ClassNames []string
}

// Named returns the models that are configured, in any order, some of them twice.
func (r *Rules) Named() (models []string) {
	for model := range r.Models {
		models = append(models, model)
	}
	for i := range r.Families {
		models = append(models, r.Families[i].Models...)
	}
	return models
}

// A Family is several models that share limits.
type Family struct {
	Name   string
	Rule   quota.Rule
	Models []string
}

// An Engine admits calls. Its methods are safe for concurrent use. It runs no goroutine
// while nobody waits and nothing is settled.
type Engine struct {
	config Config
	id     string
	local  bool           // the backend needs no I/O
	keeper backend.Keeper // the backend, if it keeps notes
	rules  atomic.Pointer[Rules]
	lessor backend.Lessor // the backend, if it lends slots

	recent   atomic.Pointer[account] // the last that was looked up: mostly the next is the same
	mu       sync.Mutex
	accounts map[string]*account
	heir     string // the account that has taken over the unnamed one, if any

	tickets atomic.Int64 // given to scopes
	scopes  atomic.Int64 // of all accounts that are not forgotten
	claims  atomic.Int64 // made of slots

	reporters atomic.Int64 // accounts in which this process does something
	closed    atomic.Bool
	done      chan struct{} // closed by Shutdown
	tasks     tasks
}

// New returns an engine.
func New(c Config) *Engine {
	_, local := c.Backend.(backend.Local)
	keeper, _ := c.Backend.(backend.Keeper)
	lessor, _ := c.Backend.(backend.Lessor)
	e := &Engine{
		config:   c,
		id:       rand.Text(),
		local:    local,
		keeper:   keeper,
		lessor:   lessor,
		accounts: map[string]*account{},
		done:     make(chan struct{}),
	}
	e.rules.Store(&c.Rules)
	return e
}

// Clear fills the buckets of the account's model, those it shares included, and lifts
// their pauses; an empty model means every one that is configured, or that the account has
// used in this process.
func (e *Engine) Clear(ctx context.Context, name, model string) error {
	a := e.peek(name)
	owners := a.clear(time.Now(), model)
	err := e.config.Backend.Clear(ctx, e.ledger(name), owners)
	a.cleared(owners)
	if err != nil {
		return &Rejection{Reason: BackendFailed, Cause: err}
	}
	return nil
}

// Shutdown rejects new calls and those that wait, and returns when everything has been
// settled that calls have finished with, or with the context's error. What calls in flight
// settle afterwards is still sent, but not waited for.
func (e *Engine) Shutdown(ctx context.Context) error {
	if e.closed.CompareAndSwap(false, true) {
		close(e.done)
		for _, a := range e.known() {
			a.rejectWaiting()
		}
	}
	e.lastReports()
	return e.tasks.wait(ctx)
}

// take and leave run without the caller's context: a charge whose answer nobody waits for
// would be lost. The backend bounds their time.
func (e *Engine) take(ask *backend.Ask) (backend.Answer, error) {
	return e.config.Backend.Take(context.Background(), *ask)
}

// timedTake is take, and how long that took. It is 0 for a local backend, where two readings of
// the clock would be a noticeable part of a call.
func (e *Engine) timedTake(ask *backend.Ask) (answer backend.Answer, took time.Duration, err error) {
	if e.local {
		answer, err = e.take(ask)
		return answer, 0, err
	}
	begun := time.Now()
	answer, err = e.take(ask)
	return answer, time.Since(begun), err
}

// leave takes a ticket out of the line. If that fails it goes stale.
func (e *Engine) leave(ask *backend.Ask) {
	ask.Costs, ask.Fresh, ask.Leave = nil, false, true
	e.background(func() { _, _ = e.take(ask) })
}

const (
	// firstRetry and lastRetry are the waits between the tries to send a pause. The last
	// is less than a second: a store that was away is probed by calls that often.
	firstRetry, lastRetry = 100 * time.Millisecond, 500 * time.Millisecond
	// mostRetries is how often a pause is sent again: for a minute at least.
	mostRetries = 120
)

// settle sends a settlement. A pause that does not arrive would be lost for the whole
// fleet, and the longest counts, so that it may be sent more than once; nothing else may.
func (e *Engine) settle(s *backend.Settlement) {
	if e.local {
		e.settleNow(s)
		return
	}
	e.tasks.start(func() { e.settleNow(s) })
}

func (e *Engine) settleNow(s *backend.Settlement) {
	var begun time.Time
	if s.PauseOwner != "" {
		begun = time.Now()
	}
	wait := firstRetry
	err := e.config.Backend.Settle(context.Background(), *s)
	for try := 0; err != nil && s.PauseOwner != "" && try < mostRetries; try++ {
		select {
		case <-time.After(wait):
		case <-e.done:
			try = mostRetries // the last one
		}
		pause := s.OnlyPause()
		if pause.Pause -= time.Since(begun); pause.Pause <= 0 {
			return
		}
		err = e.config.Backend.Settle(context.Background(), pause)
		wait = min(2*wait, lastRetry)
	}
}

// Done is closed once the engine has been shut down.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Go runs f on a goroutine that Shutdown waits for.
func (e *Engine) Go(f func()) { e.tasks.start(f) }

// background runs f without blocking the caller; a local backend runs it inline, since
// nothing blocks.
func (e *Engine) background(f func()) {
	if e.local {
		f()
		return
	}
	e.tasks.start(f)
}
