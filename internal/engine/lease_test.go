package engine

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// leased returns slots of an engine that leases them, whose goroutine does not run.
func leased(limit int64) *slots {
	e := New(Config{Backend: &lender{fake: newFake(), owners: map[string]*ledger.Slots{}}})
	return &slots{account: newAccount(e, "a"), owner: "o", limit: limit, lease: lease{running: true}}
}

// A claim asks for what is needed, and to keep as much to spare as was needed within a second;
// then for half of that.
func TestClaims(t *testing.T) {
	o := leased(100)
	for i, x := range []struct {
		at              time.Duration
		used            int64
		need            int64 // that wait alone
		lends           int64
		held            int64 // is said
		spare           int64
		ends            time.Duration // the lease, 0 for never
		lacking, scarce bool          // of what is needed; and of what is to spare
	}{
		{0, 0, 8, 8, 0, 8, time.Second, false, true},
		{100 * time.Millisecond, 8, 0, 16, 8, 8, time.Second, false, false},
		{200 * time.Millisecond, 2, 0, 10, 10, 8, time.Second, false, false},
		{1099 * time.Millisecond, 2, 0, 10, 10, 8, 0, false, false},
		{1100 * time.Millisecond, 2, 0, 6, 6, 4, 0, false, false},
		{1200 * time.Millisecond, 4, 1, 3, 6, 5, 0, true, true},
		{1300 * time.Millisecond, 5, 0, 5, 5, 5, 1, false, true},
		{2300 * time.Millisecond, 1, 0, 3, 1, 2, 1, false, false}, // the lease has ended
		{3300 * time.Millisecond, 0, 0, 1, 0, 1, 1, false, false},
		{4300 * time.Millisecond, 0, 0, 0, 0, 0, 1, false, false},
	} {
		now := epochAt(x.at)
		o.used, o.alone = x.used, x.need
		c := o.claimLocked(now, 0)
		want := backend.Claim{
			Account: "a", Owner: "o", Holder: o.account.engine.id, Number: uint64(i + 1),
			Limit: 100, Used: x.used, Held: x.held, Need: x.used + x.need, Spare: x.spare,
		}
		if c != want {
			t.Errorf("at %v: %+v; want %+v", x.at, c, want)
		}
		o.lentLocked(&backend.Lease{Slots: x.lends, For: x.ends, Again: time.Second})
		if ends := !o.until.IsZero(); ends != (x.ends > 0) || ends && o.until != now.Add(x.ends) || o.lacking != x.lacking || o.scarce != x.scarce {
			t.Errorf("at %v: until %v, lacking %v, scarce %v", x.at, o.until.Sub(now), o.lacking, o.scarce)
		}
		if o.counted != max(x.held, x.lends) || o.said != x.used || o.ceiling != x.lends {
			t.Errorf("at %v: counted %d, said %d, %d may be used", x.at, o.counted, o.said, o.ceiling)
		}
	}
}

// Where slots are scarce, or the engine has been shut down, none are kept to spare.
func TestNothingToSpare(t *testing.T) {
	o := leased(100)
	o.ceiling, o.used, o.peak = 10, 3, 5
	for _, x := range []struct {
		scarce, closed bool
		extra, want    int64
	}{{false, false, 0, 8}, {false, false, 1, 9}, {true, false, 0, 3}, {true, false, 1, 4}, {false, true, 0, 3}} {
		o.scarce = x.scarce
		o.account.engine.closed.Store(x.closed)
		if got := o.leastLocked(epochAt(0), x.extra); got != x.want {
			t.Errorf("%+v: %d", x, got)
		}
	}
}

// The next claim is due at once where something has changed that others, or calls, wait for.
func TestNextClaimIsDue(t *testing.T) {
	const again, soon = time.Second, giveBackEvery
	plain := func(o *slots) {
		o.sent, o.again, o.limit = epochAt(0), again, 10
		o.claim.Limit = 10
		o.ceiling, o.counted, o.used = 4, 4, 2
	}
	for _, x := range []struct {
		name   string
		change func(o *slots)
		want   time.Duration // since the last claim
	}{
		{"nothing", func(*slots) {}, again},
		{"never claimed", func(o *slots) { o.sent = time.Time{} }, 50 * time.Millisecond},
		{"another limit", func(o *slots) { o.claim.Limit = 9 }, 50 * time.Millisecond},
		{"as much is needed as there is", func(o *slots) { o.alone = 2 }, again},
		{"more is needed", func(o *slots) { o.alone = 3 }, 50 * time.Millisecond},
		{"more is needed, as has been said", func(o *slots) { o.alone, o.lacking = 3, true }, again},
		{"some are not needed", func(o *slots) { o.peak = 0 }, again},
		{"some are not needed where they are scarce", func(o *slots) { o.scarce = true }, soon},
		{"all are needed where they are scarce", func(o *slots) { o.scarce, o.alone = true, 2 }, again},
		{"not needed and scarce, and renewed soon", func(o *slots) { o.scarce, o.again = true, soon/2 }, soon / 2},
		{"in use after a shutdown", func(o *slots) { o.account.engine.closed.Store(true) }, again},
		{"not in use after a shutdown", func(o *slots) { o.account.engine.closed.Store(true); o.used = 0 }, soon},
		{"a failure", func(o *slots) { o.failures = 1 }, 50 * time.Millisecond},
		{"two failures", func(o *slots) { o.failures = 2 }, leaseRetry},
		{"three failures", func(o *slots) { o.failures = 3 }, leaseRetry},
	} {
		o := leased(10)
		plain(o)
		x.change(o)
		if got := o.dueLocked(epochAt(50 * time.Millisecond)).Sub(epochAt(0)); got != x.want {
			t.Errorf("%s: after %v; want %v", x.name, got, x.want)
		}
	}
}

// After two failures without a lease those who wait are rejected. What a claim that has failed may
// have got counts as held.
func TestFailedClaims(t *testing.T) {
	hard := errors.New("hard")
	for _, x := range []struct {
		name            string
		failures, until int // before; and when the lease ends, in seconds
		err             error
		waits           bool
		counted         int64
	}{
		{"the first", 0, -1, hard, true, 7},
		{"the second", 1, -1, hard, false, 7},
		{"the second, with a lease", 1, 1, hard, true, 7},
		{"the second, with hope", 1, -1, backend.ErrUnavailable, true, 7},
		{"an answer", 1, -1, nil, true, 1},
	} {
		o := leased(10)
		s := o.account.scopeLocked(scopeKey{model: "m"})
		w := &waiter{arrived: epochAt(0), reservation: &Reservation{scope: s}, signals: make(chan signal, 2)}
		s.queue.join(w, call(1).Flow)
		s.lacks, o.short = 1, []*scope{s}
		o.claim = backend.Claim{Need: 5, Spare: 2}
		o.counted, o.failures, o.since, o.until = 3, x.failures, epochAt(0), epochAt(time.Duration(x.until)*time.Second)
		o.answered(epochAt(0), &backend.Lease{Slots: 1, Again: time.Second}, x.err)
		if !w.ended != x.waits || o.counted != x.counted || o.cause != x.err {
			t.Errorf("%s: it waits: %v, %d counted, cause %v", x.name, !w.ended, o.counted, o.cause)
		}
	}
	o := leased(10)
	o.counted = 3
	o.answered(epochAt(0), &backend.Lease{}, hard)
	if o.counted != 0 {
		t.Errorf("%d counted where none is needed", o.counted)
	}
}

// The limits on calls in flight are those of the class, the model, its families and the account.
func TestOwnersOfSlots(t *testing.T) {
	limited := func(n int64) quota.Rule { return quota.Rule{Concurrent: n} }
	account := limited(9)
	e := New(Config{Backend: memory.New(), Rules: Rules{
		Models:   map[string]quota.Rule{"m": limited(1), "free": {}},
		Families: []Family{{Name: "f", Models: []string{"m", "n"}, Rule: limited(2)}, {Name: "g", Models: []string{"other"}, Rule: limited(3)}},
		Classes:  map[string]quota.Rule{"batch": limited(4), "": limited(5)},
		Account:  &account,
	}})
	a := newAccount(e, "a")
	for key, want := range map[scopeKey]string{
		{model: "m"}: "model:m=1 family:f=2 account=9", {"m", "batch"}: "class:batch=4 model:m=1 family:f=2 account=9",
		{"n", "chat"}: "family:f=2 account=9", {model: "free"}: "account=9", {model: "other"}: "family:g=3 account=9",
	} {
		for _, keep := range []bool{false, true} {
			clear(a.slots)
			got := ""
			all := a.slotsLocked(key, keep)
			for i, o := range all {
				if got += fmt.Sprintf("%s=%d", o.owner, o.limit); i < len(all)-1 {
					got += " "
				}
				if kept := a.slots[o.owner]; (kept == o) != keep {
					t.Errorf("%v: kept: %v", key, kept == o)
				}
			}
			if got != want {
				t.Errorf("%v: %s; want %s", key, got, want)
			}
		}
	}
}

// A call that must not wait is told that it is slots that it lacks.
func TestRejectionNamesTheSlots(t *testing.T) {
	lendBoth(t, 1, func(t *testing.T, b *bench, local bool) {
		one := b.admit(call(1))
		for _, queued := range []bool{false, true} {
			var waiting *admission
			if queued {
				waiting = b.start(call(1))
			}
			c := call(1)
			c.MaxWait = 0
			var r *Rejection
			err := b.Admit(b.Context(), &Reservation{Call: *c})
			if !errors.As(err, &r) || r.Reason != MaxWait || r.Kind != quota.Concurrent || r.Owner != "model:m" || r.Amount != 1 ||
				r.Source != quota.Configured || r.Wait != 0 || r.Allowed != 0 {
				t.Errorf("local %v, with others in the queue %v: %v, %+v", local, queued, err, r)
			}
			if queued {
				waiting.cancel()
				<-waiting.err
			}
		}
		one.end()
		synctest.Wait()
		b.admit(call(1)).end()
	})
}

// A reservation that nobody has been given leaves its slot to others.
func TestDiscardedGivesBackItsSlot(t *testing.T) {
	lendBoth(t, 1, func(t *testing.T, b *bench, _ bool) {
		b.admit(call(1)).discard()
		synctest.Wait()
		if s := b.scope(); s.slots[0].used != 0 {
			t.Errorf("%d are used", s.slots[0].used)
		}
	})
}

func epochAt(d time.Duration) time.Time { return time.Unix(1_000_000_000, 0).Add(d) }
