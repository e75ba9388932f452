package ratelimiter_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A planned call comes, holds its reservation and ends.
type planned struct {
	model    string
	flow     [2]string // its class and tenant
	at, hold time.Duration
	tokens   int64
	usage    int64         // −1: cancelled
	patience time.Duration // 0: any
}

// A start is when a planned call started.
type start struct {
	planned
	at time.Duration
}

// An entry is what a bucket was charged less what it was given back at a time,
// in whatever order, and the largest charge.
type entry struct {
	at           time.Time
	amount, most float64
}

// A book has an entry for each time at which something was charged or given back.
type book []entry

func (b *book) add(amount float64) {
	now := time.Now()
	if n := len(*b); n == 0 || !(*b)[n-1].at.Equal(now) {
		*b = append(*b, entry{at: now})
	}
	e := &(*b)[len(*b)-1]
	e.amount += amount
	e.most = max(e.most, amount)
}

// Random mixes of calls of two models that share an account keep the promises
// of the ledger through the whole engine: never over the budget, each flow in order,
// and nothing stuck.
func TestPromises(t *testing.T) {
	property(t, func(rt *rapid.T) {
		rpm := rapid.Int64Range(30, 600).Draw(rt, "account rpm")
		tpm := map[string]int64{
			"a": rapid.Int64Range(500, 20_000).Draw(rt, "tpm of a"),
			"b": rapid.Int64Range(500, 20_000).Draw(rt, "tpm of b"),
		}
		burst := time.Duration(rapid.IntRange(0, 60).Draw(rt, "burst")) * time.Second
		calls := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) planned {
			p := planned{
				model: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "model"),
				flow: [2]string{
					rapid.SampledFrom([]string{"", "", "chat"}).Draw(rt, "class"), rapid.SampledFrom([]string{"", "", "x", "y"}).Draw(rt, "tenant"),
				},
				at:     time.Duration(rapid.IntRange(0, 30_000).Draw(rt, "at")) * time.Millisecond,
				hold:   time.Duration(rapid.IntRange(0, 20_000).Draw(rt, "hold")) * time.Millisecond,
				tokens: rapid.Int64Range(1, 500).Draw(rt, "tokens"),
			}
			p.usage = rapid.Int64Range(-1, p.tokens).Draw(rt, "usage")
			if rapid.IntRange(0, 4).Draw(rt, "impatient") == 0 {
				p.patience = time.Duration(rapid.IntRange(1, 5000).Draw(rt, "patience")) * time.Millisecond
			}
			return p
		}), 10, 60).Draw(rt, "calls")

		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, ratelimiter.WithAccount("x"),
				ratelimiter.WithLimits("a", ratelimiter.Limits{TPM: tpm["a"], Burst: burst}),
				ratelimiter.WithLimits("b", ratelimiter.Limits{TPM: tpm["b"], Burst: burst}),
				ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: rpm}),
				ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {Weight: 10}}))
			warm(t, l, "a")
			warm(t, l, "b")

			var mu sync.Mutex
			books := map[string]*book{"account": {}, "a": {}, "b": {}}
			var starts []start
			enter := func(model string, requests, tokens int64) {
				mu.Lock()
				defer mu.Unlock()
				books["account"].add(float64(requests))
				books[model].add(float64(tokens))
			}
			begin := time.Now()
			var wg sync.WaitGroup
			for _, p := range calls {
				wg.Go(func() {
					time.Sleep(p.at)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if p.patience > 0 {
						ctx, cancel = context.WithTimeout(ctx, p.patience)
						defer cancel()
					}
					ctx = ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, p.flow[0]), p.flow[1])
					r, err := l.Acquire(ctx, ratelimiter.Cost{Model: p.model, Tokens: p.tokens})
					if err != nil {
						if p.patience == 0 {
							t.Error(err)
						}
						return
					}
					enter(p.model, 1, p.tokens)
					mu.Lock()
					starts = append(starts, start{p, time.Since(begin)})
					mu.Unlock()
					time.Sleep(p.hold)
					if p.usage < 0 {
						enter(p.model, -1, -p.tokens)
						r.Cancel()
						return
					}
					if p.usage > 0 {
						enter(p.model, 0, p.usage-p.tokens)
					}
					r.Settle(ratelimiter.Usage{TotalTokens: p.usage})
				})
			}
			wg.Wait() // never stuck: a bubble in which all wait for ever fails
			synctest.Wait()

			check := func(bucket string, limit int64, capacity float64) {
				entries := *books[bucket]
				for i := range entries {
					sum, most := 0.0, 0.0
					for j := i; j < len(entries); j++ {
						sum += entries[j].amount
						most = max(most, entries[j].most)
						refilled := float64(limit) * entries[j].at.Sub(entries[i].at).Minutes()
						// A start on a full bucket may leave a debt.
						if allowed := capacity + max(0, most-capacity) + refilled + 1e-3; sum > allowed {
							t.Fatalf("%s: %v started within %v; %v are allowed", bucket, sum, entries[j].at.Sub(entries[i].at), allowed)
						}
					}
				}
			}
			for model, n := range tpm {
				capacity := float64(n)
				if burst > 0 {
					capacity = max(1, float64(n)*burst.Minutes())
				}
				check(model, n, capacity)
			}
			check("account", rpm, float64(rpm))

			for _, a := range starts {
				for _, b := range starts {
					if a.model == b.model && a.flow == b.flow && a.planned.at < b.planned.at && a.at > b.at {
						t.Errorf("%s, %q: who came at %v started at %v, after who came at %v and started at %v",
							a.model, a.flow, a.planned.at, a.at, b.planned.at, b.at)
					}
				}
			}

			state, err := l.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range state.Scopes {
				if s.Waiting+s.InFlight > 0 {
					t.Errorf("%s: %d wait and %d are in flight at the end", s.Model, s.Waiting, s.InFlight)
				}
			}
		})
	})
}

// A sharer is a flow of which calls wait all the time, in one or several processes.
type sharer struct {
	class, tenant string
	weight        float64 // of its class, by its tenants
	most          int64   // tokens of a call
	callers       []int   // how many of them wait, by process

	started int64 // tokens
}

// Flows that wait all the time get what their weights say through the whole engine, in however
// many processes their calls are: what two of them got, each divided by its weight, differs in
// any interval by no more than two of the largest calls of each, and half of that. What the
// buckets hold at first comes before that.
func TestPromisedShares(t *testing.T) {
	for name, polled := range map[string]bool{"memory": false, "store": true} {
		t.Run(name, func(t *testing.T) {
			property(t, func(rt *rapid.T) { testPromisedShares(t, rt, polled) })
		})
	}
}

func testPromisedShares(t *testing.T, rt *rapid.T, polled bool) {
	processes := rapid.IntRange(1, 3).Draw(rt, "processes")
	classes := map[string]ratelimiter.Class{}
	var flows []*sharer
	for _, class := range []string{"", "a", "b"}[:rapid.IntRange(1, 3).Draw(rt, "classes")] {
		weight := rapid.SampledFrom([]float64{1, 2, 3, 5, 100, 1000}).Draw(rt, "weight")
		classes[class] = ratelimiter.Class{Weight: weight}
		tenants := []string{"", "x", "y"}[:rapid.IntRange(1, 3).Draw(rt, "tenants")]
		for _, tenant := range tenants {
			f := &sharer{class: class, tenant: tenant, weight: weight / float64(len(tenants)), most: rapid.Int64Range(500, 1500).Draw(rt, "most")}
			f.callers = make([]int, processes)
			for i := range f.callers {
				f.callers[i] = rapid.SampledFrom([]int{0, 20, 40}).Draw(rt, "callers")
			}
			f.callers[rapid.IntRange(0, processes-1).Draw(rt, "process")] = 40
			flows = append(flows, f)
		}
	}
	seed := rapid.Uint64().Draw(rt, "seed")
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.mute = polled
		var shared backend.Backend = s
		late := 200.0 // tokens that refill until a process asks again, and its new calls are in line
		if !polled {
			shared, late = s.Backend, 0
		}
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var wait sync.WaitGroup
		random := rand.New(rand.NewPCG(seed, 0))
		size := func(f *sharer) int64 {
			mu.Lock()
			defer mu.Unlock()
			return f.most/8 + random.Int64N(f.most*7/8)
		}
		type bounds struct{ low, high float64 }
		seen := map[[2]*sharer]*bounds{}
		judged := false
		started := func(f *sharer, n int64) {
			mu.Lock()
			defer mu.Unlock()
			if !judged {
				return
			}
			f.started += n
			for _, g := range flows {
				if g == f {
					continue
				}
				b := seen[[2]*sharer{f, g}]
				if b == nil {
					b = &bounds{}
					seen[[2]*sharer{f, g}] = b
				}
				d := float64(f.started)/f.weight - float64(g.started)/g.weight
				b.low, b.high = min(b.low, d), max(b.high, d)
				bound := 2*float64(f.most)/f.weight + 2*float64(g.most)/g.weight
				bound += bound/2 + late/f.weight + late/g.weight // half, for the line has run for a while
				if b.high-b.low > bound {
					t.Errorf("%q of %q, and %q of %q: %.0f apart, of %.0f", f.tenant, f.class, g.tenant, g.class, b.high-b.low, bound)
					judged = false
				}
			}
		}
		var limiters []*ratelimiter.Limiter
		for i := range processes {
			l := newLimiter(t, ratelimiter.WithBackend(shared), ratelimiter.WithAccount("x"), ratelimiter.WithClasses(classes), ratelimiter.WithWarnings(nil, 0),
				ratelimiter.WithLimits("m", ratelimiter.Limits{TPM: 60_000, Burst: 2 * time.Second}))
			warm(t, l, "m")
			limiters = append(limiters, l)
			for _, f := range flows {
				for range f.callers[i] {
					wait.Go(func() {
						of := ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ctx, f.class), f.tenant)
						for {
							n := size(f)
							r, err := l.Acquire(of, tokens(n))
							if err != nil {
								return
							}
							started(f, n)
							r.Settle(ratelimiter.Usage{TotalTokens: n})
						}
					})
				}
			}
		}
		time.Sleep(10 * time.Second)
		mu.Lock()
		judged = true
		mu.Unlock()
		time.Sleep(40 * time.Second)
		cancel()
		wait.Wait()
		for _, l := range limiters {
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
