package ratelimiter_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A planned call comes, holds its reservation and ends.
type planned struct {
	model    string
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
// of the ledger through the whole engine: never over the budget, in order, and
// nothing stuck.
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
				model:  rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "model"),
				at:     time.Duration(rapid.IntRange(0, 30_000).Draw(rt, "at")) * time.Millisecond,
				hold:   time.Duration(rapid.IntRange(0, 20_000).Draw(rt, "hold")) * time.Millisecond,
				tokens: rapid.Int64Range(1, 500).Draw(rt, "tokens"),
			}
			p.usage = rapid.Int64Range(-1, p.tokens).Draw(rt, "usage")
			if rapid.IntRange(0, 4).Draw(rt, "impatient") == 0 {
				p.patience = time.Duration(rapid.IntRange(1, 5000).Draw(rt, "patience")) * time.Millisecond
			}
			return p
		}), 1, 60).Draw(rt, "calls")

		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, ratelimiter.WithAccount("x"),
				ratelimiter.WithLimits("a", ratelimiter.Limits{TPM: tpm["a"], Burst: burst}),
				ratelimiter.WithLimits("b", ratelimiter.Limits{TPM: tpm["b"], Burst: burst}),
				ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: rpm}))
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
					if a.model == b.model && a.planned.at < b.planned.at && a.at > b.at {
						t.Errorf("%s: who came at %v started at %v, after who came at %v and started at %v",
							a.model, a.planned.at, a.at, b.planned.at, b.at)
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
