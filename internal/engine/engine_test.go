package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// However many accounts and models come, a bounded number is kept, and none of those in
// which something happens is forgotten.
func TestEvictions(t *testing.T) {
	const most = manyEntries + 64
	run(t, true, func(b *bench) {
		var waiting, flying []string
		for i := range 10_000 {
			name := fmt.Sprint("a", i)
			a := b.account(name)
			a.mu.Lock()
			s := a.scopeLocked(scopeKey{model: "m"})
			switch {
			case i%1000 == 1:
				s.queue.join(&waiter{signals: make(chan signal, 2)}, backend.Flow{})
				waiting = append(waiting, name)
			case i%1000 == 2:
				s.inFlight++
				flying = append(flying, name)
			}
			a.mu.Unlock()
			if n := len(b.accounts); n > most {
				b.Fatalf("%d accounts are kept", n)
			}
		}
		for _, name := range append(waiting, flying...) {
			if !slices.Contains(b.names(), name) {
				b.Errorf("%s is forgotten", name)
			}
		}
		a := b.account("a")
		a.mu.Lock()
		defer a.mu.Unlock()
		var busy []string
		for i := range 10_000 {
			s := a.scopeLocked(scopeKey{model: fmt.Sprint("m", i)})
			switch i % 1000 {
			case 1:
				s.asking++
			case 2:
				s.driver.running = true
			case 3:
				s.loading = make(chan struct{})
			case 4:
				s.inFlight++
			case 5:
				s.queue.join(&waiter{signals: make(chan signal, 2)}, backend.Flow{})
			default:
				continue
			}
			busy = append(busy, s.model)
			if n := len(a.scopes); n > most {
				b.Fatalf("%d models are kept", n)
			}
		}
		for _, m := range busy {
			if a.scopes[scopeKey{model: m}] == nil {
				b.Errorf("%s is forgotten", m)
			}
		}
	})
}

// An account in which something happens is not forgotten.
func TestForget(t *testing.T) {
	run(t, true, func(b *bench) {
		a := b.account("a")
		a.mu.Lock()
		s := a.scopeLocked(scopeKey{model: "m"})
		s.inFlight++
		a.mu.Unlock()
		if a.forget() || a.forgotten {
			t.Error("a call is in flight")
		}
		s.inFlight--
		if !a.forget() || !a.forgotten {
			t.Error("nothing happens in it")
		}
	})
}

// Questions make no account and no scope, and share no limits.
func TestQuestionsMakeNothing(t *testing.T) {
	run(t, false, func(b *bench) {
		b.rules.Load().Account = &quota.Rule{Amounts: [5]int64{0: 100}}
		if _, err := b.Forecast(b.Context(), call(1)); err != nil {
			b.Error(err)
		}
		if s, err := b.State(b.Context(), "a"); len(s) != 1 || !s[0].Unused || err != nil {
			b.Errorf("%v, %v", s, err)
		}
		if err := b.Engine.Clear(b.Context(), "a", "m"); err != nil {
			b.Error(err)
		}
		if err := b.Engine.Clear(b.Context(), "a", ""); err != nil {
			b.Error(err)
		}
		if names := b.names(); len(names) > 0 || len(b.asked()) > 0 {
			b.Errorf("%v", names)
		}
		if name, ok := b.only(); ok {
			b.Errorf("%s is the only one", name)
		}
		b.admit(call(1))
		if _, err := b.Forecast(b.Context(), &Call{Account: "a", Model: "other", Requests: 1}); err != nil {
			b.Error(err)
		}
		a := b.account("a")
		if len(a.scopes) != 1 || len(a.shared) != 1 {
			b.Errorf("%d scopes, %d shared limits", len(a.scopes), len(a.shared))
		}
		if name, ok := b.only(); !ok || name != "a" {
			b.Errorf("the only one is %s, %v", name, ok)
		}
		b.account("b")
		if _, ok := b.only(); ok || fmt.Sprint(b.names()) != "[a b]" {
			b.Error("there are two")
		}
	})
}

// Limits of a family and of the account are shared, models stand in the line of the widest.
func TestScopesShare(t *testing.T) {
	run(t, true, func(b *bench) {
		b.rules.Load().Families = []Family{{Name: "f", Rule: quota.Rule{Amounts: [5]int64{0: 50, 2: 500}}, Models: []string{"m", "n"}}}
		get := func(account, model string) *scope {
			a := b.account(account)
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.scopeLocked(scopeKey{model: model})
		}
		m, n, alone, other := get("a", "m"), get("a", "n"), get("a", "x"), get("b", "m")
		if m.line != "family:f" || n.line != "family:f" || alone.line != "model:x" {
			b.Errorf("they stand in %s, %s, %s", m.line, n.line, alone.line)
		}
		last := func(s *scope) *quota.Limit { l := s.quota.Limits(); return l[len(l)-1] }
		if len(m.quota.Limits()) != 4 || len(n.quota.Limits()) != 2 || last(m) != last(n) || last(m) == last(other) {
			b.Error("limits are not shared as they should")
		}
		if m.ticket == n.ticket || m.ticket == other.ticket || m.ticket == "" {
			b.Error("tickets are")
		}
		b.rules.Load().Account = &quota.Rule{Amounts: [5]int64{0: 10}}
		if s := get("c", "m"); s.line != "account" || len(s.quota.Limits()) != 5 || last(s).Owner != "account" || last(s) != last(get("c", "x")) {
			b.Errorf("the account's limits: %s, %v", s.line, s.quota.Owners())
		}
	})
}

// A forecast is how long a call would wait behind those in line, here and elsewhere.
func TestForecast(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		forecast := func(tokens int64) time.Duration {
			b.Helper()
			d, err := b.Forecast(b.Context(), call(tokens))
			if err != nil {
				b.Error(err)
			}
			return d
		}
		about := func(got, want time.Duration) {
			b.Helper()
			if got < want || got > want+time.Second {
				b.Errorf("%v; want %v", got, want)
			}
		}
		if d := forecast(100); d != 0 {
			b.Errorf("%v of a full bucket", d)
		}
		b.admit(call(tpm))
		about(forecast(100), time.Second)
		about(forecast(1000), 10*time.Second)
		var all []*admission
		for range 4 { // the first is the ticket's turn, which the backend knows
			all = append(all, b.start(call(500)))
		}
		about(forecast(100), 21*time.Second)
		var rejection *Rejection
		if _, err := b.Forecast(b.Context(), call(tpm+1)); !errors.As(err, &rejection) || rejection.Reason != TooLarge {
			b.Error(err)
		}
		b.looks = errAway
		if _, err := b.Forecast(b.Context(), call(1)); !errors.As(err, &rejection) || rejection.Reason != BackendFailed || rejection.Cost[backend.Tokens] != 1 {
			b.Error(err)
		}
		if _, err := b.State(b.Context(), "a"); !errors.As(err, &rejection) || rejection.Reason != BackendFailed {
			b.Error(err)
		}
		if err := b.Engine.Clear(b.Context(), "a", "m"); !errors.As(err, &rejection) || rejection.Reason != BackendFailed {
			b.Error(err)
		}
		if !strings.Contains(rejection.Error(), "rejected") {
			b.Error(rejection)
		}
		b.looks = nil
		for _, a := range all {
			a.cancel()
		}
	})
}

// When a call must start for its response to come before its deadline.
func TestLatest(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, x := range []struct {
		left, latency, want time.Duration // before the deadline
	}{
		{10 * s, 0, 10 * ms},
		{s / 2, 0, 5 * ms},
		{10 * s, 3 * s, 3 * s},
		{10 * s, 8 * s, 5 * s}, // half of the time may always be used
		{10 * ms, 0, ms / 10},
		{10 * ms, 9 * ms, 5 * ms},
	} {
		now := time.Now()
		sc := &scope{latency: x.latency}
		if got := now.Add(x.left).Sub(sc.latestLocked(now, now.Add(x.left))); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
	}
}

// The least that a call must wait, by what the backend said last.
func TestEarliest(t *testing.T) {
	for _, x := range []struct {
		name                    string
		local, settled          bool // calls were refunded nothing
		used, waiting, reserved int64
		since, paused           time.Duration
		tokens                  int64
		want                    time.Duration // but for margins
		limit                   string
	}{
		{"a full bucket", false, true, 0, 0, 0, 0, 0, 100, 0, ""},
		{"an empty one", false, true, tpm, 0, 0, 0, 0, 100, time.Second, "tpm"},
		{"behind others", false, true, tpm, 200, 0, 0, 0, 100, 3 * time.Second, "tpm"},
		{"some time later", false, true, tpm, 0, 0, 400 * time.Millisecond, 0, 100, 600 * time.Millisecond, "tpm"},
		{"refunds may come, from anywhere", false, false, tpm, 0, 0, 0, 0, 100, 0, ""},
		{"refunds may come, but no more than is reserved", true, false, tpm, 0, 50, 0, 0, 100, 500 * time.Millisecond, "tpm"},
		{"all may be refunded", true, false, tpm, 0, tpm, 0, 0, 100, 0, ""},
		{"without tokens", false, true, tpm, 200, 0, 0, 0, 0, 0, ""},
		{"paused", false, true, 0, 0, 0, 0, 5 * time.Second, 100, 5 * time.Second, ""},
		{"paused, some time later", false, true, 0, 0, 0, 2 * time.Second, 5 * time.Second, 100, 3 * time.Second, ""},
		{"the pause is the longer", false, true, tpm, 0, 0, 0, 5 * time.Second, 100, 5 * time.Second, ""},
		{"the bucket is the longer", false, true, tpm, 0, 0, 0, 500 * time.Millisecond, 100, time.Second, "tpm"},
		{"more than the bucket holds", false, true, 0, 0, 0, 0, 0, 2 * tpm, 0, ""},
	} {
		run(t, x.local, func(b *bench) {
			s := b.scope()
			if x.settled {
				for range 16 {
					s.quota.Settled(100, 0)
				}
			}
			now := time.Now()
			limits := s.quota.Limits()
			buckets := quota.Unpaced(now, limits)
			s.last = snapshot{at: now, paused: x.paused, limits: limits, buckets: buckets, levels: []float64{rpm, float64(tpm - x.used)}}
			s.account.reserved = x.reserved
			if x.waiting > 0 {
				s.queue.join(&waiter{signals: make(chan signal, 2), charge: charge{cost: backend.Amounts{1, x.waiting, 0}}}, backend.Flow{})
			}
			got := s.earliestLocked(&Reservation{charge: charge{cost: backend.Amounts{1, x.tokens, 0}}}, now.Add(x.since))
			if margin := got.wait - x.want; margin < 0 || margin > 150*time.Millisecond || x.want == 0 && x.tokens <= tpm && got.wait > 0 {
				b.Errorf("%s: %v; want %v", x.name, got.wait, x.want)
			}
			if name := ""; got.limit != nil {
				if name = got.limit.Name; name != x.limit && x.tokens <= tpm {
					b.Errorf("%s: for %s", x.name, name)
				}
			} else if x.limit != "" {
				b.Errorf("%s: for no limit", x.name)
			}
		})
	}
}

// State describes what this process sees.
func TestState(t *testing.T) {
	run(t, false, func(b *bench) {
		b.rules.Load().Account = &quota.Rule{Amounts: [5]int64{2: 9000}}
		b.open()
		b.admit(call(tpm))
		a := b.start(call(500))
		time.Sleep(time.Second)
		scopes, err := b.State(b.Context(), "a")
		if err != nil || len(scopes) != 1 {
			b.Fatalf("%+v, %v", scopes, err)
		}
		s := scopes[0]
		if s.Model != "m" || s.Waiting != 1 || s.InFlight != 1 || s.Oldest != time.Second || s.Paused != 0 || len(s.Limits) != 3 {
			b.Errorf("%+v", s)
		}
		l := s.Limits[1]
		if l.Name != "tpm" || l.Owner != "" || l.Limit != tpm || l.Remaining != 100 || l.Reset != 59*time.Second || l.Margin != 10 || l.Source != "configured" || l.Age != 0 || l.Ramp != 0 {
			b.Errorf("%+v", l)
		}
		if l := s.Limits[2]; l.Owner != "account" || l.Limit != 9000 {
			b.Errorf("%+v", l)
		}
		a.cancel()
	})
}

// A clear fills the buckets, and lets those who wait go at once.
func TestClear(t *testing.T) {
	for _, model := range []string{"m", ""} {
		run(t, false, func(b *bench) {
			b.open()
			b.admit(call(tpm))
			a := b.start(call(500))
			if err := b.Engine.Clear(b.Context(), "a", model); err != nil {
				b.Error(err)
			}
			if synctest.Wait(); a.waits() || b.free() != tpm-500 {
				b.Errorf("%d are free, it waits: %v", b.free(), a.waits())
			}
			if at := b.scope().last.at; at.IsZero() {
				b.Error("no level is known of what was granted since")
			}
		})
	}
}

func newKept(b *bench) (*keeper, *Engine) {
	k := &keeper{fake: b.fake}
	c := b.config
	c.Backend = k
	e := New(c)
	b.Cleanup(func() { // what is new may wait to be saved
		if err := e.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return k, e
}

// What a process learns it shares, and a scope that it loads begins with what others know.
// Those who come meanwhile wait for that.
func TestNotes(t *testing.T) {
	run(t, false, func(b *bench) {
		k, one := newKept(b)
		c := &Call{Account: "a", Model: "learned", Requests: 1, MaxWait: -1, Body: predict.Body{Tokens: 100, Input: 100}}
		r := Reservation{Call: *c}
		if err := one.Admit(b.Context(), &r); err != nil {
			b.Fatal(err)
		}
		r.Observe(head(200, "Limit-Tokens 4000 Remaining-Tokens 3900 Reset-Tokens 1.5s"))
		r.Settle(&Outcome{})
		if synctest.Wait(); len(k.notes) != 1 {
			b.Fatalf("%d notes", len(k.notes))
		}
		_, two := newKept(b)
		gate := make(chan struct{})
		other := two.config.Backend.(*keeper)
		other.recall = func() { <-gate }
		results := make(chan error, 3)
		ctx, cancel := context.WithCancel(b.Context())
		for i := range 3 {
			go func() {
				if i < 2 {
					results <- two.Admit(b.Context(), &Reservation{Call: *c})
					return
				}
				results <- two.Admit(ctx, &Reservation{Call: *c})
			}()
			synctest.Wait()
		}
		if len(results) > 0 {
			b.Error("one has not waited")
		}
		cancel()
		if err := <-results; err != context.Canceled {
			b.Error(err)
		}
		close(gate)
		for range 2 {
			if err := <-results; err != nil {
				b.Error(err)
			}
		}
		if s, err := two.State(b.Context(), "a"); err != nil || len(s[0].Limits) != 1 || s[0].Limits[0].Limit != 4000 {
			b.Errorf("%+v, %v", s, err)
		}
		if err := errors.Join(one.Shutdown(b.Context()), two.Shutdown(b.Context())); err != nil {
			b.Error(err)
		}
	})
}

// Something new is shared at once, other things now and then, and what others know is
// loaded while there are responses.
func TestSyncTimes(t *testing.T) {
	for _, x := range []struct {
		name                  string
		dirty, busy, keeps    bool
		saved, loaded         time.Duration // ago
		begun                 time.Duration // ago
		recalled, kept, clean bool
	}{
		{"nothing to do", false, false, true, saveEvery, loadEvery - 1, earlyFor, false, false, true},
		{"something new", true, false, true, saveAtMost + 1, 0, earlyFor, true, true, true},
		{"something new, too soon", true, false, true, saveAtMost, 0, earlyFor, false, false, false},
		{"a minute has passed", false, false, true, saveEvery + 1, 0, earlyFor, true, true, true},
		{"to be loaded", false, false, true, 0, loadEvery, earlyFor, true, false, true},
		{"to be loaded, in the beginning", false, false, true, 0, earlyEvery, earlyFor - 1, true, false, true},
		{"nothing to do, in the beginning", false, false, true, 0, earlyEvery - 1, 0, false, false, true},
		{"one is under way", true, true, true, time.Hour, time.Hour, time.Hour, false, false, false},
		{"nobody keeps notes", true, false, false, time.Hour, time.Hour, time.Hour, false, false, false},
	} {
		run(t, false, func(b *bench) {
			k, e := newKept(b)
			a := e.account("a")
			a.mu.Lock()
			s := a.scopeLocked(scopeKey{model: "m"})
			now := time.Now()
			s.writeNote(b, k)
			recalls, kept := 0, 0
			k.recall = func() { recalls++ }
			k.kept = func() { kept++ }
			if x.dirty {
				s.learn(now)
			}
			s.sync = syncing{loaded: now.Add(-x.loaded), saved: now.Add(-x.saved), heard: now.Add(-x.begun), busy: x.busy}
			if !x.keeps {
				e.keeper = nil
			}
			s.syncLocked(now)
			a.mu.Unlock()
			synctest.Wait()
			if got := recalls > 0; got != x.recalled {
				b.Errorf("%s: recalled: %v", x.name, got)
			}
			if got := kept > 0; got != x.kept {
				b.Errorf("%s: kept: %v", x.name, got)
			}
			if s.quota.Dirty() == x.clean || s.sync.busy != x.busy {
				b.Errorf("%s: dirty is %v, %+v", x.name, s.quota.Dirty(), s.sync)
			}
			// Others may have loaded before that, and save after it.
			if s.sync.unsure != (x.dirty && x.kept) {
				b.Errorf("%s: unsure is %v", x.name, s.sync.unsure)
			}
			a.mu.Lock()
			before := recalls
			s.sync.loaded = now.Add(-earlyEvery)
			s.syncLocked(now)
			again := s.sync.unsure
			a.mu.Unlock()
			if synctest.Wait(); x.dirty && x.kept && (recalls == before || again) {
				b.Errorf("%s: a second later it is loaded %d times, unsure is %v", x.name, recalls-before, again)
			}
		})
	}
}

// A local backend is asked on the goroutine that finishes a call.
func TestBackground(t *testing.T) {
	for _, local := range []bool{false, true} {
		run(t, local, func(b *bench) {
			if b.local != local {
				b.Errorf("local is %v", b.local)
			}
			ran := false
			var mu sync.Mutex
			mu.Lock() // of a goroutine that would run it
			b.background(func() {
				if !local {
					mu.Lock()
					defer mu.Unlock()
				}
				ran = true
			})
			inline := ran
			mu.Unlock()
			if inline != local {
				b.Errorf("local %v: inline is %v", local, ran)
			}
		})
	}
}

// What has begun may be waited for, with a context, while more begins.
func TestTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all tasks
		if err := all.wait(t.Context()); err != nil {
			t.Error(err)
		}
		for i := range 3 {
			all.start(func() { time.Sleep(time.Duration(i) * time.Second) })
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := all.wait(ctx); err != context.DeadlineExceeded {
			t.Error(err)
		}
		begun := time.Now()
		go func() { _ = all.wait(t.Context()) }()
		if err := all.wait(t.Context()); err != nil || time.Since(begun) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		synctest.Wait()
		if err := all.wait(t.Context()); err != nil || all.n != 0 || all.idle != nil {
			t.Errorf("%v, %+v", err, &all)
		}
	})
}

// only is the name of the one account that calls have come for.
func (b *bench) only() (name string, ok bool) {
	names := b.Accounts()
	if len(names) != 1 {
		return "", false
	}
	return names[0], true
}
