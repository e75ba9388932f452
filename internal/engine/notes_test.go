package engine

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// learn teaches the scope something that others should have, but not at once.
func (s *scope) learn(now time.Time) {
	limits := s.quota.Limits()
	r := quota.Request{Sent: s.quota.Charged(now, nil, &quota.Grant{
		Limits: limits, Buckets: quota.Unpaced(now, limits),
		Answer: &backend.Answer{Levels: []float64{1, 1}, Charged: []float64{1, 1}, Corrected: []float64{0, 0}},
	})}
	s.quota.Written(&r, time.Second)
}

// writeNote has the others know what the scope does.
func (s *scope) writeNote(b *bench, k backend.Keeper) {
	note, err := s.quota.Note(time.Now())
	if err == nil {
		err = k.Keep(b.Context(), "a", s.quota.Owner(), note, quota.NoteLife)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// What is new too soon after the last time is saved once, a moment later, although no
// response comes; at once where the engine is shut down; not at all where it has been.
func TestSyncLater(t *testing.T) {
	const left = 300 * time.Millisecond
	for _, x := range []struct {
		name    string
		happens func(b *bench, e *Engine, s *scope)
		after   time.Duration // since it was learned
		kept    int
	}{
		{"too soon", nil, left, 0},
		{"a moment later", nil, left + time.Millisecond, 1},
		{"once", nil, 10 * time.Second, 1},
		{"a shutdown", func(b *bench, e *Engine, _ *scope) {
			begun := time.Now()
			if err := e.Shutdown(b.Context()); err != nil || time.Since(begun) > 0 {
				b.Errorf("%v after %v", err, time.Since(begun))
			}
		}, 0, 1},
		{"saved meanwhile", func(_ *bench, _ *Engine, s *scope) {
			s.account.mu.Lock()
			s.quota.Clean()
			s.account.mu.Unlock()
		}, 10 * time.Second, 0},
	} {
		run(t, false, func(b *bench) {
			k, e := newKept(b)
			kept := 0
			k.kept = func() { kept++ }
			a := e.account("a")
			a.mu.Lock()
			s := a.scopeLocked(scopeKey{model: "m"})
			now := time.Now()
			s.sync = syncing{loaded: now, saved: now.Add(left - saveAtMost)}
			s.learn(now)
			for range 3 {
				s.syncLocked(now)
			}
			a.mu.Unlock()
			e.tasks.mu.Lock()
			if e.tasks.n != 1 {
				b.Errorf("%s: %d wait", x.name, e.tasks.n)
			}
			e.tasks.mu.Unlock()
			if x.happens != nil {
				x.happens(b, e, s)
			}
			time.Sleep(x.after)
			if synctest.Wait(); kept != x.kept {
				b.Errorf("%s: kept %d times; want %d", x.name, kept, x.kept)
			}
			a.mu.Lock()
			if s.quota.Dirty() != (x.name == "too soon") || s.sync.due != s.quota.Dirty() {
				b.Errorf("%s: dirty is %v, due %v", x.name, s.quota.Dirty(), s.sync.due)
			}
			// The next thing that is new waits anew.
			if !s.quota.Dirty() && x.name == "once" {
				now = time.Now()
				s.sync.saved, s.sync.loaded = now, now
				s.quota.ExpectSubwindows()
				r := quota.Request{}
				s.quota.Throttled(now, &r, &wire.Throttle{Kind: wire.SlowDown, Limit: -1, Used: -1, Requested: -1}, 0)
				s.syncLocked(now)
			}
			a.mu.Unlock()
			time.Sleep(2 * saveAtMost)
			if synctest.Wait(); x.name == "once" && kept != 2 {
				b.Errorf("what is new later is kept %d times", kept-1)
			}
		})
	}
}

// subwindow is a throttle by a subwindow of the tokens' limit.
func subwindow(wait time.Duration) *wire.Throttle {
	return &wire.Throttle{
		Kind: wire.RateLimit, Dimension: wire.Tokens, Period: time.Minute,
		Limit: tpm, Used: 10, Requested: 1, RetryAfter: wait,
	}
}

// A subwindow that is new is saved at once, and the others pause until they have heard.
func TestNewSubwindow(t *testing.T) {
	const ms = time.Millisecond
	for _, x := range []struct {
		local       bool
		known       bool
		wait, pause time.Duration
		longest     time.Duration
	}{
		{false, false, 50 * ms, 300 * ms, time.Minute},
		{false, false, 299 * ms, 300 * ms, time.Minute},
		{false, false, 400 * ms, 400 * ms, time.Minute},
		{false, false, 50 * ms, 200 * ms, 200 * ms},
		{false, true, 50 * ms, 50 * ms, time.Minute},
		{true, false, 50 * ms, 50 * ms, time.Minute},
	} {
		run(t, x.local, func(b *bench) {
			kept := 0
			e := b.Engine
			if !x.local {
				var k *keeper
				k, e = newKept(b)
				k.kept = func() { kept++ }
			}
			e.config.MaxPause = x.longest
			r := Reservation{Call: *call(1)}
			if err := e.Admit(b.Context(), &r); err != nil {
				b.Fatal(err)
			}
			s := r.scope
			if x.known {
				r.Throttled(subwindow(50 * ms))
				time.Sleep(time.Minute)
			}
			synctest.Wait()
			kept = 0
			s.account.mu.Lock()
			now := time.Now()
			s.sync.saved, s.sync.loaded = now, now
			s.account.mu.Unlock()
			got := r.Throttled(subwindow(x.wait))
			if synctest.Wait(); got != x.pause {
				b.Errorf("%+v: a pause of %v", x, got)
			}
			if !x.local && (kept > 0) == x.known {
				b.Errorf("%+v: kept %d times", x, kept)
			}
			r.Settle(&Outcome{})
		})
	}
}

// After a pause, which somebody caused who knows more, what others know is loaded often
// for a moment. Whoever waits without a response of its own loads it as often as those who have
// some, once it had one.
func TestHurry(t *testing.T) {
	const ms = time.Millisecond
	for _, x := range []struct {
		responded bool
		paused    time.Duration
		want      string
	}{
		{false, 0, "[5.5s]"},
		{false, ms, "[100ms 300ms 499ms 5.5s]"}, // which is the beginning of what is known
		{true, 0, "[5.5s]"},
		{true, ms, "[100ms 300ms 499ms 5.5s]"},
	} {
		run(t, false, func(b *bench) {
			k, e := newKept(b)
			recalls := 0
			a := e.account("a")
			a.mu.Lock()
			s := a.scopeLocked(scopeKey{model: "m"})
			s.writeNote(b, k)
			k.recall = func() { recalls++ }
			begun := time.Now()
			s.sync = syncing{loaded: begun, saved: begun}
			if x.responded {
				s.sync.heard = begun.Add(-earlyFor)
			}
			s.answeredLocked(time.Now(), &ask{}, &backend.Answer{Granted: 1, Paused: x.paused})
			a.mu.Unlock()
			var got []time.Duration
			for _, after := range []time.Duration{0, 99 * ms, 100 * ms, 199 * ms, 300 * ms, 499 * ms, 500 * ms, 700 * ms, 5500 * ms} {
				time.Sleep(after - time.Since(begun))
				a.mu.Lock()
				before := recalls
				s.answeredLocked(time.Now(), &ask{}, &backend.Answer{Granted: 1})
				a.mu.Unlock()
				if synctest.Wait(); recalls > before {
					got = append(got, after)
				}
			}
			if fmt.Sprint(got) != x.want {
				b.Errorf("%+v: loaded after %v", x, got)
			}
		})
	}
}

// What an ask shows that charges nothing counts as spent by others.
func TestAsksThatChargeNothingAreSeen(t *testing.T) {
	for granted, want := range map[int]bool{0: true, 1: false} {
		run(t, false, func(b *bench) {
			s := b.scope()
			s.account.mu.Lock()
			defer s.account.mu.Unlock()
			now := time.Now()
			limits := s.quota.Limits()
			margin := func() int64 { // of tokens
				return int64(quota.Unpaced(now, limits)[1].Margin)
			}
			ask := &ask{limits: limits}
			ask.Buckets = quota.Unpaced(now, limits)
			r := quota.Request{SentAt: now, Sent: s.quota.Charged(now, nil, &quota.Grant{Limits: limits, Buckets: ask.Buckets, Answer: &backend.Answer{
				Levels: []float64{rpm, tpm}, Charged: []float64{0, 0}, Corrected: []float64{0, 0},
			}})}
			s.quota.Headers(now, &r, &head(200, "Limit-Tokens 6000 Remaining-Tokens 5990 Reset-Tokens 100ms").Headers, false, false)
			before := margin()
			now = now.Add(500 * time.Millisecond)
			s.answeredLocked(time.Now(), ask, &backend.Answer{
				Granted: granted, Levels: []float64{rpm, tpm - 3000}, Charged: []float64{0, 3000}, Corrected: []float64{0, 0},
			})
			if after := margin(); (after > before) != want {
				b.Errorf("granted %d: a margin of %d after %d", granted, after, before)
			}
		})
	}
}

// However many models a process has, it asks for what others know once in five seconds,
// for all of them that have responses: twelve times a minute, not twelve times for each.
func TestNotesAreLoadedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const models = 20
		k := &keeper{fake: newFake()}
		e := New(Config{Backend: k, Rules: Rules{Models: map[string]quota.Rule{}}, MaxPause: time.Minute})
		respond := func(i int) {
			t.Helper()
			c := call(1)
			c.Model = fmt.Sprint("model", i)
			r := &Reservation{Call: *c}
			if err := e.Admit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			r.Observe(head(200, ""))
			r.Settle(&Outcome{})
		}
		for i := range models { // they come one by one
			respond(i)
			time.Sleep(300 * time.Millisecond)
		}
		respond(models) // one that has no responses after this
		time.Sleep(time.Minute)
		for range 30 * 5 {
			for i := range models {
				respond(i)
				time.Sleep(10 * time.Millisecond)
			}
		}
		before := len(k.recalls)
		for range 60 * 5 {
			for i := range models {
				respond(i)
				time.Sleep(10 * time.Millisecond)
			}
		}
		if err := e.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		loads := k.recalls[before:]
		notes := 0
		for _, n := range loads {
			if notes += n; n > models {
				t.Errorf("%d notes at a time, of models without responses too", n)
			}
		}
		t.Logf("%d loads of %d notes in a minute", len(loads), notes)
		if notes < 12*models || notes > 15*models {
			t.Errorf("%d notes; want %d", notes, 12*models)
		}
		if len(loads) > 2*models { // each model saves its own once a minute, and loads before
			t.Errorf("%d loads; want few", len(loads))
		}
	})
}

// However many models want notes, a hundred are loaded at a time.
func TestNotesAreLoadedByTheHundred(t *testing.T) {
	a := newAccount(New(Config{}), "a")
	for i := range 250 {
		a.scopeLocked(scopeKey{model: fmt.Sprint(i)}).sync.wants = true
	}
	now := time.Now()
	var loads []int
	for _, s := range a.scopes {
		if s.sync.wants {
			loads = append(loads, len(a.loadLocked(now, s)))
		}
	}
	if want := []int{100, 100, 50}; !slices.Equal(loads, want) {
		t.Errorf("%v at a time; want %v", loads, want)
	}
}
