package statuspage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A line keeps the order in which calls came, whichever of them leaves.
func TestLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l line
		var want []time.Time
		now := time.Unix(0, 0)
		for range rapid.IntRange(0, 50).Draw(t, "steps") {
			if len(want) == 0 || rapid.Bool().Draw(t, "join") {
				now = now.Add(time.Duration(rapid.IntRange(1, 1000).Draw(t, "later")))
				l.join(now)
				want = append(want, now)
				continue
			}
			i := rapid.IntRange(0, len(want)-1).Draw(t, "who")
			l.leave(want[i])
			want = slices.Delete(want, i, i+1)
		}
		if !slices.Equal(l, want) {
			t.Fatalf("%v, want %v", l, want)
		}
	})
}

// A call that says it came a little before or after it joined is still the one that leaves,
// and a time after all of them takes the last.
func TestLineOfInexactTimes(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	l := line{at(1), at(2), at(3)}
	l.leave(at(2).Add(-time.Millisecond))
	l.leave(at(9))
	if !slices.Equal(l, line{at(1)}) {
		t.Errorf("%v", l)
	}
}

func TestUse(t *testing.T) {
	start := time.Unix(1_000_000_000, 0)
	tokens := func(n int64) amount { return amount{n, 0, 1} }
	for _, c := range []struct {
		name    string
		add     func(u *use)
		limited [3]bool
		now     time.Duration
		unit    string
		want    map[int]int64
	}{
		{"nothing", func(*use) {}, [3]bool{}, 0, "", nil},
		{"the last step", func(u *use) { u.add(start, start, tokens(5)) }, [3]bool{}, 0, "tokens", map[int]int64{59: 5}},
		{"nine minutes later", func(u *use) { u.add(start, start, tokens(5)) }, [3]bool{}, 9 * time.Minute, "tokens", map[int]int64{5: 5}},
		{"ten minutes later", func(u *use) { u.add(start, start, tokens(5)) }, [3]bool{}, 10 * time.Minute, "", nil},
		{"hours later", func(u *use) { u.add(start, start, tokens(5)) }, [3]bool{}, 50 * time.Hour, "", nil},
		{"given back to its step", func(u *use) {
			u.add(start, start, tokens(5))
			u.add(start.Add(time.Minute), start, amount{-3, 0, 0})
		}, [3]bool{}, time.Minute, "tokens", map[int]int64{53: 2}},
		{"given back too late", func(u *use) {
			u.add(start.Add(time.Hour), start, amount{-3, 0, 0})
			u.add(start.Add(time.Hour), start.Add(time.Hour), tokens(4))
		}, [3]bool{}, time.Hour, "tokens", map[int]int64{59: 4}},
		{"requests alone", func(u *use) { u.add(start, start, amount{0, 0, 2}) }, [3]bool{true}, 0, "requests", map[int]int64{59: 2}},
		{"images are limited", func(u *use) { u.add(start, start, amount{100, 2, 1}) }, [3]bool{false, true, true}, 0, "images", map[int]int64{59: 2}},
		{"tokens and images are limited", func(u *use) { u.add(start, start, amount{100, 2, 1}) }, [3]bool{true, true, true}, 0, "tokens", map[int]int64{59: 100}},
		{"what is limited was not used", func(u *use) { u.add(start, start, amount{100, 0, 1}) }, [3]bool{false, true, false}, 0, "tokens", map[int]int64{59: 100}},
		{"more given back than was counted", func(u *use) { u.add(start, start, tokens(-5)) }, [3]bool{}, 0, "requests", map[int]int64{59: 1}},
		{"a clock set back", func(u *use) {
			u.add(start, start, tokens(5))
			u.add(start.Add(-time.Minute), start.Add(-time.Minute), tokens(7))
		}, [3]bool{}, 0, "tokens", map[int]int64{59: 5, 53: 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var u use
			c.add(&u)
			unit, amounts := u.series(start.Add(c.now), c.limited)
			got := map[int]int64{}
			for i, n := range amounts {
				if n != 0 {
					got[i] = n
				}
			}
			if unit != c.unit || fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%s %v, want %s %v", unit, got, c.unit, c.want)
			}
		})
	}
}

// Names of models may come from anywhere: what is kept of them is bounded, and a model in
// whose line calls stand stays.
func TestScopesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a activity
		a.waiting(&ratelimiter.WaitingInfo{Account: "a", Model: "waits"})
		for i := range 3 * mostScopes {
			time.Sleep(time.Second)
			a.started(&ratelimiter.StartedInfo{Account: "a", Model: fmt.Sprint(i), Cost: ratelimiter.Cost{Requests: 1}})
		}
		if n := len(a.scopes); n > mostScopes {
			t.Errorf("%d scopes", n)
		}
		if a.scopes[scopeKey{"a", "waits", ""}] == nil || a.scopes[scopeKey{"a", fmt.Sprint(3*mostScopes - 1), ""}] == nil {
			t.Error("one that waits, or the last, is gone")
		}
	})
}

// The accounts that calls came for last are shown.
func TestLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a activity
		var names []string
		for i := range mostAccounts + 8 {
			name := fmt.Sprintf("%02d", i)
			names = append(names, name)
			time.Sleep(time.Second)
			a.started(&ratelimiter.StartedInfo{Account: name, Model: "m"})
		}
		a.started(&ratelimiter.StartedInfo{Account: "03", Model: "n"})
		latest, more := a.latest(slices.Clone(names))
		if want := append([]string{"03"}, names[9:]...); more != 8 || !slices.Equal(latest, want) {
			t.Errorf("%v and %d more", latest, more)
		}
		if latest, more = a.latest(names[:mostAccounts]); more != 0 || len(latest) != mostAccounts {
			t.Errorf("%v and %d more", latest, more)
		}
	})
}

// described is what the page says of model "m" of account "a", whose limits have these names.
func described(a *activity, limits ...string) scopeStatus {
	status := accountStatus{Account: "a", Scopes: []scopeStatus{{ScopeState: ratelimiter.ScopeState{Model: "m"}}}}
	for _, name := range limits {
		status.Scopes[0].Limits = append(status.Scopes[0].Limits, ratelimiter.LimitState{Name: name})
	}
	a.describe(&status)
	return status.Scopes[0]
}

// The flows with the most calls in line come first, and no more than twenty of them. A call
// that has not waited takes nobody out of the line.
func TestWaiters(t *testing.T) {
	var a activity
	for i := range mostWaiters + 5 {
		for range i + 1 {
			a.waiting(&ratelimiter.WaitingInfo{Account: "a", Model: "m", Class: fmt.Sprint(i % 2), Tenant: fmt.Sprintf("%02d", i)})
		}
	}
	last := ratelimiter.StartedInfo{Account: "a", Model: "m", Class: "0", Tenant: "24"}
	a.started(&last)
	w := described(&a).Waiters
	if len(w) != mostWaiters || w[0].Tenant != "24" || w[0].Waiting != 25 || w[19].Tenant != "05" || w[19].Waiting != 6 {
		t.Errorf("%+v", w)
	}
	last.Queued = true
	a.started(&last)
	a.notStarted(&ratelimiter.NotStartedInfo{Account: "a", Model: "m", Class: "1", Tenant: "23", Queued: true})
	if w = described(&a).Waiters; w[0].Waiting != 24 || w[1].Waiting != 23 {
		t.Errorf("%+v", w)
	}
}

// What a call gives back comes off the step in which it started, and what is shown is of the
// unit that is limited.
func TestSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a activity
		cost := func(tokens int64) ratelimiter.Cost { return ratelimiter.Cost{Requests: 1, Tokens: tokens, Images: 2} }
		a.started(&ratelimiter.StartedInfo{Account: "a", Model: "m", Class: "chat", Cost: cost(100)})
		time.Sleep(time.Minute)
		a.started(&ratelimiter.StartedInfo{Account: "a", Model: "m", Cost: cost(7)})
		a.settled(&ratelimiter.SettledInfo{Account: "a", Model: "m", Class: "chat", Charged: cost(100), Final: cost(40), Duration: time.Minute})
		for _, c := range []struct {
			limits       []string
			unit         string
			before, last int64
		}{
			{nil, "tokens", 40, 7},
			{[]string{"tpm/project"}, "tokens", 40, 7},
			{[]string{"rpm", "ipm"}, "images", 2, 2},
			{[]string{"rpd", "concurrent"}, "requests", 1, 1},
			{[]string{"concurrent"}, "tokens", 40, 7},
		} {
			u := described(&a, c.limits...).Use
			if u.Unit != c.unit || u.Amounts[useSteps-1-useMinute] != c.before || u.Amounts[useSteps-1] != c.last || u.LastMinute != c.last {
				t.Errorf("%v: %+v", c.limits, u)
			}
		}
	})
}

// A model's classes are shown together: what they throttled and rejected is added up, and the
// last counts.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a activity
		for i, class := range []string{"x", "y", ""} {
			time.Sleep(time.Second)
			a.paused(&ratelimiter.PausedInfo{Account: "a", Model: "m", Class: class, Message: class + "!"})
			a.notStarted(&ratelimiter.NotStartedInfo{Account: "a", Model: "m", Class: class, Err: context.Canceled})
			a.observed(&ratelimiter.ObservedInfo{Account: "a", Model: "m", Status: 200 + i})
		}
		time.Sleep(time.Second)
		a.paused(&ratelimiter.PausedInfo{Account: "a", Model: "m", Class: "x", Message: "last"})
		a.notStarted(&ratelimiter.NotStartedInfo{Account: "a", Model: "m", Class: "y"})
		a.notStarted(&ratelimiter.NotStartedInfo{Account: "a", Model: "m", Err: errors.New("of another kind")})
		time.Sleep(time.Second)
		s := described(&a)
		if s.Throttles.Count != 4 || s.Throttles.Message != "last" || s.Throttles.Age != time.Second {
			t.Errorf("%+v", s.Throttles)
		}
		if r := s.Rejections; r.Count != 5 || r.Codes["cancelled"] != 3 || r.Codes["panic"] != 1 || r.Codes["error"] != 1 || r.Age != time.Second {
			t.Errorf("%+v", r)
		}
		if s.Response.Status != 202 || s.Response.Age != 2*time.Second {
			t.Errorf("%+v", s.Response)
		}
	})
}

// A scope without an account is handed over, not copied.
func TestUnnamedIsHandedOver(t *testing.T) {
	var a activity
	for _, account := range []string{unnamed, "a", "b", unnamed} {
		a.started(&ratelimiter.StartedInfo{Account: account, Model: "m"})
	}
	if len(a.scopes) != 2 || a.scopes[scopeKey{"a", "m", ""}] == nil {
		t.Errorf("%d scopes of a and b", len(a.scopes))
	}
}

// A response shows only the limits that it has reported.
func TestNothingReported(t *testing.T) {
	s := scope{responded: time.Now(), response: ratelimiter.ObservedInfo{Status: 200, Tokens: ratelimiter.Observation{Limit: 5}}}
	if r := s.lastResponse(time.Now()); r.Requests != nil || r.Tokens == nil || r.Tokens.Limit != 5 {
		t.Errorf("%+v", r)
	}
}

// Requests that are not limited are of no model.
func TestNotLimited(t *testing.T) {
	var a activity
	a.observed(&ratelimiter.ObservedInfo{Account: "a", Status: 200})
	if len(a.scopes) != 0 {
		t.Errorf("%v", a.scopes)
	}
}

// Whether the store answers is what its last command says, unless nobody has waited for it.
func TestBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a activity
		if b := a.backend(); b != nil {
			t.Errorf("memory is shown: %+v", b)
		}
		away := errors.New("away")
		for _, c := range []struct {
			name    string
			command ratelimiter.CommandInfo
			want    backendStatus
		}{
			{"never yet", ratelimiter.CommandInfo{Err: away}, backendStatus{Error: "away"}},
			{"an answer", ratelimiter.CommandInfo{Duration: 3}, backendStatus{Available: true, Took: 3, Age: time.Second}},
			{"nobody waited", ratelimiter.CommandInfo{Err: context.Canceled, GaveUp: true}, backendStatus{Available: true, Took: 3, Age: 2 * time.Second}},
			{"away", ratelimiter.CommandInfo{Err: away, Duration: 9}, backendStatus{Error: "away", Took: 3, Age: 3 * time.Second}},
			{"too large is an answer", ratelimiter.CommandInfo{Err: backend.ErrTooLarge, Duration: 5}, backendStatus{Available: true, Took: 5, Age: time.Second}},
		} {
			a.command(&c.command)
			time.Sleep(time.Second)
			if got := a.backend(); *got != c.want {
				t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
			}
		}
	})
}
