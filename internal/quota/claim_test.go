package quota

import (
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// Where processes have configured a limit differently, all of them assume the largest, as long as
// somebody says so who has it configured.
func TestClaims(t *testing.T) {
	const m = time.Minute
	for name, x := range map[string]struct {
		mine, theirs string
		claimed      time.Duration // when they last said so
		now          time.Duration
		want         string
		unheard      bool // they should hear of ours
	}{
		"the same":              {"tpm=600", "tpm=600", 0, 0, "tpm=600", false},
		"lower":                 {"tpm=600", "tpm=900", 0, 0, "tpm=900", false},
		"lower, a while ago":    {"tpm=600", "tpm=900", 0, 3*m - 1, "tpm=900", false},
		"lower, but long ago":   {"tpm=600", "tpm=900", 0, 3 * m, "tpm=600", true},
		"the same, long ago":    {"tpm=600", "tpm=600", 0, 3 * m, "tpm=600", true},
		"the same, a while ago": {"tpm=600", "tpm=600", 0, 90*time.Second - 1, "tpm=600", false},
		"to be said again":      {"tpm=600", "tpm=600", 0, 90 * time.Second, "tpm=600", true},
		"higher":                {"tpm=900", "tpm=600", 0, 0, "tpm=900", true},
		"not configured there":  {"tpm=600", "", 0, 0, "tpm=600", false},
		"not configured here":   {"rpm=60", "rpm=60 tpm=900", 0, 0, "rpm=60", false},
		"one of two":            {"rpm=60 tpm=600", "rpm=50 tpm=900", 0, 0, "rpm=60 tpm=900", true},
		"a family's":            {"family:f/tpm=600", "family:f/tpm=900", 0, 0, "family:f/tpm=900", false},
		"another owner's":       {"family:f/tpm=600", "tpm=900", 0, 0, "family:f/tpm=600", false},
		"a limit of 1 is lower": {"tpm=1", "tpm=2", 0, 0, "tpm=2", false},
	} {
		w, other := newWorld(t, x.mine), newWorld(t, x.theirs)
		raised, err := w.TakeNote(at(x.now), other.note(x.claimed), x.now-x.claimed)
		if got := w.holds(); err != nil || got != x.want || w.Dirty() != x.unheard {
			t.Errorf("%s: %s, unheard is %v, %v; want %s, %v", name, got, w.Dirty(), err, x.want, x.unheard)
		}
		if raised != (x.mine != x.want) {
			t.Errorf("%s: raised is %v", name, raised)
		}
	}
}

// Who assumes what others claim passes it on, with the time at which they said so, and keeps what
// the server has said.
func TestClaimsArePassedOn(t *testing.T) {
	take := func(to, from *world, written, read time.Duration) {
		t.Helper()
		if _, err := to.TakeNote(at(read), from.note(written), read-written); err != nil {
			t.Fatal(err)
		}
	}
	claims, follows, passes := newWorld(t, "tpm=900"), newWorld(t, "tpm=600"), newWorld(t, "")
	passes.respond(time.Second, passes.send(0, 100), headersOf("tokens", 800, 700, minute))
	take(follows, claims, 0, 0)
	take(passes, follows, time.Minute, time.Minute)
	last := newWorld(t, "tpm=600")
	take(last, passes, 2*time.Minute, 2*time.Minute)
	l := last.limit("tpm")
	if l.Amount() != 800 || l.assumed() != 900 || !l.fleet.at.Equal(at(0)) {
		t.Errorf("%d of %d, claimed at %v", l.Amount(), l.assumed(), l.fleet.at)
	}
	if source, age := follows.limit("tpm").Source(at(time.Second)); source != Elsewhere || age != time.Second {
		t.Errorf("from %q, %v ago", source, age)
	}
	take(last, passes, 2*time.Minute, 3*time.Minute)
	if l.assumed() != 600 {
		t.Errorf("%d after all who said so are silent", l.assumed())
	}
}

// A process that is told of another limit says so at once, and follows nobody who has not spoken
// since. Once the last has been told of a lower one, that holds.
func TestClaimsBeforeAChange(t *testing.T) {
	first, second := newWorld(t, "tpm=900"), newWorld(t, "tpm=900")
	take := func(to, from *world, now time.Duration) {
		t.Helper()
		if _, err := to.TakeNote(at(now), from.note(now), 0); err != nil {
			t.Fatal(err)
		}
	}
	take(first, second, time.Second)
	before := second.note(time.Minute)
	first.Configure(at(time.Minute), configured("tpm=600"))
	if got := first.holds(); got != "tpm=600" {
		t.Errorf("%s; want what it was told", got)
	}
	if !first.Urgent() {
		t.Error("the change can wait")
	}
	if _, err := first.TakeNote(at(time.Minute+time.Second), before, time.Second); err != nil || first.holds() != "tpm=600" {
		t.Errorf("%s, %v; want what it was told", first.holds(), err)
	}
	take(second, first, 2*time.Minute)
	if second.holds() != "tpm=900" || !second.Dirty() {
		t.Errorf("%s, dirty is %v: the second keeps to its own, and says so", second.holds(), second.Dirty())
	}
	if take(first, second, 2*time.Minute); first.holds() != "tpm=900" {
		t.Errorf("%s while the second has a higher limit", first.holds())
	}
	second.Configure(at(3*time.Minute), configured("tpm=600"))
	if take(second, first, 3*time.Minute); second.holds() != "tpm=600" {
		t.Errorf("%s; want what it was told", second.holds())
	}
	if take(first, second, 3*time.Minute); first.holds() != "tpm=600" {
		t.Errorf("%s after all were told", first.holds())
	}
	// The same limits again are no change.
	first.Clean()
	if first.Configure(at(4*time.Minute), configured("tpm=600")); first.Dirty() {
		t.Error("nothing has changed")
	}
}

// The clocks of processes differ.
func TestClaimsByAnotherClock(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, time.Hour} {
		for age, want := range map[time.Duration]string{claimLife - 1: "tpm=900", claimLife: "tpm=600"} {
			w := newWorld(t, "tpm=600")
			if _, err := w.TakeNote(at(age), newWorld(t, "tpm=900").note(ahead), age); err != nil || w.holds() != want {
				t.Errorf("a clock %v ahead, %v ago: %s, %v; want %s", ahead, age, w.holds(), err, want)
			}
		}
	}
}

// What others have configured counts like what is configured here.
func TestClaimedIsAsConfigured(t *testing.T) {
	follow := func(limits, theirs string) *world {
		w := newWorld(t, limits)
		w.respond(time.Second, w.send(0, 100), "")
		if _, err := w.TakeNote(at(time.Second), newWorld(t, theirs).note(time.Second), 0); err != nil {
			t.Fatal(err)
		}
		return w
	}
	t.Run("one lower report", func(t *testing.T) {
		w := follow("tpm=600", "tpm=900")
		if w.respond(3*time.Second, w.send(2*time.Second, 10), headersOf("tokens", 700, 650, minute)); w.holds() != "tpm=900" {
			t.Errorf("%s; a minority is not believed", w.holds())
		}
	})
	t.Run("a report of an account's", func(t *testing.T) {
		w := follow("account/tpm=600", "account/tpm=900")
		if w.respond(3*time.Second, w.send(2*time.Second, 10), headersOf("tokens", 900, 850, minute)); w.holds() != "account/tpm=900" {
			t.Errorf("%s; it is the account's", w.holds())
		}
	})
	t.Run("too large for certain", func(t *testing.T) {
		w := follow("tpm=600", "tpm=900")
		w.limit("tpm").learned.Amount = 500
		w.subwindow(at(2*time.Second), w.limit("tpm"), time.Second)
		for tokens, certain := range map[int64]bool{900: false, 901: true} {
			cost := backend.Amounts{backend.Tokens: tokens}
			for _, l := range w.limits {
				if exceeded, doubtful := l.exceeds(&cost, at(time.Hour)); !exceeded || doubtful == certain {
					t.Errorf("%d of %s: exceeded %v, doubtful %v", tokens, l.Name, exceeded, doubtful)
				}
			}
		}
	})
	t.Run("levels of another limit", func(t *testing.T) {
		w := newWorld(t, "tpm=600")
		w.respond(time.Second, w.send(0, 100), headersOf("tokens", 600, 500, minute))
		for _, x := range []struct {
			theirs string
			known  bool
		}{{"tpm=500", true}, {"tpm=900", false}} {
			if _, err := w.TakeNote(at(2*time.Second), newWorld(t, x.theirs).note(time.Second), 0); err != nil || w.limit("tpm").tracker.Reported() != x.known {
				t.Errorf("%s: the level is known: %v, %v", x.theirs, !x.known, err)
			}
		}
	})
}

// Where nothing is configured there is nothing to hear.
func TestUnheard(t *testing.T) {
	for limits, want := range map[string]bool{"": false, "tpm=1": true} {
		w := newWorld(t, limits)
		w.respond(time.Second, w.send(0, 100), headersOf("requests", 600, 500, minute))
		w.Clean()
		if w.Unheard(); w.Dirty() != want {
			t.Errorf("%q: dirty is %v", limits, w.Dirty())
		}
		w.Clean()
		if _, err := w.TakeNote(at(time.Hour), w.note(time.Second), time.Hour); err != nil || w.Dirty() != want {
			t.Errorf("%q, an old note: dirty is %v, %v", limits, w.Dirty(), err)
		}
		w.dirty = true
		if w.Unheard(); !w.Dirty() {
			t.Errorf("%q: what else is new is forgotten", limits)
		}
	}
}

// What models share stands in the notes of all of them. One of a model whose callers have heard
// nothing yet takes nothing back, and hears of it; one that is old does not make it older.
func TestClaimsOfASharedLimit(t *testing.T) {
	for name, x := range map[string]struct {
		second  string
		at      time.Duration // when that was written
		now     time.Duration
		want    string
		unheard bool
	}{
		"of those who have not heard":   {"account/tpm=600", time.Minute, time.Minute, "account/tpm=900", true},
		"the same":                      {"account/tpm=900", time.Minute, time.Minute, "account/tpm=900", false},
		"older":                         {"account/tpm=900", 0, 150 * time.Second, "account/tpm=900", false},
		"much older":                    {"account/tpm=900", -31 * time.Second, 150 * time.Second, "account/tpm=900", true},
		"larger":                        {"account/tpm=950", time.Minute, time.Minute, "account/tpm=950", false},
		"after all have fallen silent":  {"account/tpm=600", 4 * time.Minute, 4 * time.Minute, "account/tpm=600", false},
		"of a note that is of nobody's": {"", 4 * time.Minute, 4 * time.Minute, "account/tpm=900", false},
	} {
		w := newWorld(t, "account/tpm=600")
		take := func(limits string, written, now time.Duration) {
			t.Helper()
			if _, err := w.TakeNote(at(now), newWorld(t, limits).note(written), now-written); err != nil {
				t.Fatal(err)
			}
		}
		take("account/tpm=900", time.Minute, time.Minute)
		w.Clean()
		take(x.second, x.at, x.now)
		if got := w.holds(); got != x.want || w.Dirty() != x.unheard {
			t.Errorf("%s: %s, unheard is %v; want %s, %v", name, got, w.Dirty(), x.want, x.unheard)
		}
		if x.want == "account/tpm=900" && !w.limits[0].fleet.at.Equal(at(time.Minute)) {
			t.Errorf("%s: claimed at %v", name, w.limits[0].fleet.at)
		}
	}
}
