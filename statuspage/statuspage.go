// Package statuspage shows what a limiter does at this moment, as a web page: how each
// model's buckets stand, who waits and for how long, what the server has throttled, and what
// was learned from it.
//
//	page := statuspage.New()
//	limiter, err := ratelimiter.New(page, ratelimiter.WithLimits("gpt-5.4-mini", limits))
//	if err != nil {
//		return err
//	}
//	http.Handle("/debug/ratelimiter", page)
//
// Mount it beside net/http/pprof, and guard it as well as that: it shows names of models,
// accounts, classes and tenants, and the server's words about throttles, to whoever can open
// it. API keys and prompts are never among them; an account that is known by its key is
// named by a digest, as in [ratelimiter.State]. The page loads nothing from elsewhere. It
// changes nothing either, unless [WithClear] lets it.
//
// # JSON
//
// The same path with ?format=json returns what the page shows, at most a second old:
// ratelimiter.State's JSON of each account, and for each model what the limiter's hooks have
// reported. Keys that end in _ns are durations in nanoseconds; ages count back from the response.
//
//	up_ns                            since the page was made
//	clear                            whether WithClear is set
//	backend                          the shared store; absent where the budget is in memory
//	  available, error               whether it answered the last command, or how that failed
//	  age_ns, took_ns                when it answered last, and how fast
//	accounts[]                       the 32 that calls came for last, sorted by name
//	  account, classes, tenants, many_credentials
//	  error                          why the budget is not known now
//	  fleet                          ratelimiter.FleetState's JSON; absent where no other process shows
//	  fleet_error                    why the fleet is not known now
//	  scopes[]                       model, class, waiting, in_flight, oldest_ns, paused_ns, limits[]
//	    waiters[]                    class, tenant, waiting, oldest_ns: the twenty largest
//	    use                          what calls of this process were charged, unused output given back
//	      unit, last_minute          "tokens", "images" or "requests"
//	      step_ns, amounts[]         the last ten minutes in steps, the oldest first
//	    throttles                    count since the page was made, and of the last one
//	      kind, message, age_ns, paused_ns
//	    rejections                   of the limiter's own
//	      count, codes{}, age_ns     by ratelimiter.NotStartedInfo's Code
//	    response                     the last one: status, age_ns, latency_ns, requests, tokens,
//	                                 each with limit, remaining, reset_ns and corrected
//	shadow                           ratelimiter.ShadowReport's JSON; absent where the limiter holds calls back
//	more_accounts                    how many accounts are left out
package statuspage

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A Page is an http.Handler, and an option for [ratelimiter.New]. It shows the limiter that
// was made with it, at any path: its URLs are relative, and differ in their query alone. It
// is safe for concurrent use, and holds no goroutine.
type Page struct {
	ratelimiter.Option
	clear    bool
	limiter  atomic.Pointer[ratelimiter.Limiter]
	made     time.Time
	activity activity
	snapshot cache
}

// An Option changes what a page may do.
type Option interface{ apply(*Page) }

type optionFunc func(*Page)

func (f optionFunc) apply(p *Page) { f(p) }

// WithClear lets the page fill buckets and lift pauses, as [ratelimiter.Limiter.Clear] does,
// for whoever can open it. Requests from other sites' pages are rejected, as
// http.CrossOriginProtection does.
func WithClear() Option { return optionFunc(func(p *Page) { p.clear = true }) }

// New returns a page. It is for one limiter: [ratelimiter.New] fails if it is given a page that
// another limiter has.
func New(options ...Option) *Page {
	p := &Page{made: time.Now(), snapshot: newCache()}
	for _, o := range options {
		if o != nil {
			o.apply(p)
		}
	}
	p.Option = ratelimiter.WithTrace(p.trace())
	return p
}

// trace are the hooks that tell the page what happens.
func (p *Page) trace() *ratelimiter.Trace {
	a := &p.activity
	return &ratelimiter.Trace{
		Made: func(l *ratelimiter.Limiter) error {
			if !p.limiter.CompareAndSwap(nil, l) {
				return errors.New("statuspage: the page shows another limiter already; make a page for each")
			}
			return nil
		},
		Waiting:    func(_ context.Context, i ratelimiter.WaitingInfo) { a.waiting(&i) },
		Started:    func(_ context.Context, i ratelimiter.StartedInfo) { a.started(&i) },
		NotStarted: func(_ context.Context, i ratelimiter.NotStartedInfo) { a.notStarted(&i) },
		Observed:   func(_ context.Context, i ratelimiter.ObservedInfo) { a.observed(&i) },
		Paused:     func(_ context.Context, i ratelimiter.PausedInfo) { a.paused(&i) },
		Settled:    func(_ context.Context, i ratelimiter.SettledInfo) { a.settled(&i) },
		Command:    func(i ratelimiter.CommandInfo) { a.command(&i) },
	}
}
