package statuspage

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter"
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
