package quota

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
)

func times(n int, amount int64) []int64 { return slices.Repeat([]int64{amount}, n) }

// A report lowers what was configured, and never raises it.
func TestConfiguredLimitIsACeiling(t *testing.T) {
	for _, x := range []struct {
		name       string
		configured int64
		reports    []int64 // one a second
		want       int64
	}{
		{"no report", 1000, nil, 1000},
		{"the same", 1000, times(20, 1000), 1000},
		{"a higher one, for ever", 1000, times(50, 2000), 1000},
		{"one lower report", 1000, times(1, 500), 1000},
		{"a lower one", 1000, times(2, 500), 500},
		{"a lower one, then one that is lower yet", 1000, append(times(8, 500), times(8, 300)...), 300},
		{"a lower one is raised again", 1000, append(times(2, 500), times(60, 700)...), 700},
		{"a lower one is raised past the ceiling", 1000, append(times(2, 500), times(60, 2000)...), 1000},
		{"a higher one is lowered below the ceiling", 1000, append(times(8, 2000), times(40, 600)...), 600},
		{"nothing configured", 0, times(1, 500), 500},
		{"a limit of 1", 1, nil, 1},
		{"a limit of 1, and a higher report", 1, times(50, 20), 1},
		{"nothing configured, lowered", 0, append(times(1, 500), times(8, 300)...), 300},
		{"nothing configured, one lower report", 0, append(times(9, 500), 300), 500},
		{"nothing configured, raised", 0, append(times(1, 500), times(60, 900)...), 900},
		{"nothing configured, one higher report", 0, append(times(9, 500), 900), 500},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, fmt.Sprint("tpm=", x.configured))
			for i, n := range x.reports {
				now := time.Duration(i) * time.Second
				used := 10 + int64(i%7)
				w.respond(now, w.send(now, 1), fmt.Sprintf("limit-tokens=%d remaining-tokens=%d reset-tokens=%v",
					n, n-used, time.Duration(used)*time.Minute/time.Duration(n)))
			}
			if got := w.limit("tpm").Amount(); got != x.want || len(w.limits) != 1 {
				t.Errorf("%s; want %d", w.holds(), x.want)
			}
		})
	}
}

// Whatever responses and notes say of the server's limits, no configured limit is exceeded.
func TestCeilingHoldsWhateverIsReported(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, "rpm=500 rpd=10000 tpm=40000 ipm=50 family:f/tpm=60000 account/tpm=90000")
		w.loose = true
		ceilings := map[*Limit]int64{}
		for _, l := range w.limits {
			ceilings[l] = l.Amount()
		}
		c := newChanges(rt)
		c.unclaimed = true
		for range rapid.IntRange(1, 60).Draw(rt, "changes") {
			c.next()(w)
			for l, n := range ceilings {
				if l.Amount() > n || l.Amount() <= 0 || !slices.Contains(w.limits, l) {
					rt.Fatalf("%s of %s is %d; %d was configured", l.Name, l.Owner, l.Amount(), n)
				}
			}
		}
	})
}

// Where every limit is in doubt a call is charged to none.
func TestDoubtsOfAll(t *testing.T) {
	w := newWorld(t, "")
	w.respond(time.Second, w.send(0, 1), headersOf("tokens", 1000, 10, minute))
	if got := w.Admissible(&backend.Amounts{backend.Tokens: 2000}, at(time.Second)); len(got) != 0 {
		t.Errorf("%d admissible", len(got))
	}
}

// A lower report of 1 counts as any.
func TestLearnedToBeOne(t *testing.T) {
	l := newLimit(owner, Kinds[0])
	l.configured, l.learned.Amount = 5, 1
	if got := l.Amount(); got != 1 {
		t.Error(got)
	}
}

// A bucket that the backend does not know begins with what was used when that was said, less
// what has refilled; a class's ceiling leaves no margin.
func TestBucketBegins(t *testing.T) {
	for _, x := range []struct {
		used  float64
		after time.Duration
		want  float64
	}{{-5, 0, 0}, {0, 0, 0}, {0.5, 0, 0.5}, {300, 0, 300}, {300, 10 * time.Second, 200}, {300, 30 * time.Second, 0}, {300, time.Hour, 0}} {
		l := configured("tpm=600")[0]
		l.begin(epoch, x.used)
		if got := l.Bucket(at(x.after)); got.Start != x.want || got.Margin != 1 { // of a tenth of a second
			t.Errorf("%v after %v: %v, margin %v; want %v", x.used, x.after, got.Start, got.Margin, x.want)
		}
		l.ramp.Begin(epoch, 60, 60)
		if l.clear(epoch); l.Bucket(epoch).Start != 0 || l.Ramp(epoch) != 0 {
			t.Errorf("%v after it was cleared, a ramp of %v", l.Bucket(epoch).Start, l.Ramp(epoch))
		}
	}
	l := configured("class:c/tpm=600")[0]
	if b := l.Bucket(epoch); !b.Ceiling || b.Margin != 0 {
		t.Errorf("%+v of a ceiling", b)
	}
}

func TestLeast(t *testing.T) {
	for limits, want := range map[string]int64{"": Largest, "rpm=5": Largest, "rpm=5 tpm=700": 700, "tpm=700 tpd=600 account/tpm=900": 600} {
		if got := newWorld(t, limits).Least(backend.Tokens); got != want {
			t.Errorf("%q: %d; want %d", limits, got, want)
		}
	}
}

// A call is rejected for a limit that is certain. One that is not is forgotten, for only
// a call that is sent finds out.
func TestDoubts(t *testing.T) {
	const fits, exceeded, doubtful = "fits", "exceeded", "doubtful"
	for _, x := range []struct {
		name                      string
		configured, learned, cost int64
		confirmed                 bool
		age                       time.Duration // of the latest report
		want                      string
	}{
		{"less", 0, 1000, 999, true, 0, fits},
		{"exactly the limit", 0, 1000, 1000, true, 0, fits},
		{"confirmed", 0, 1000, 1001, true, 0, exceeded},
		{"reported once", 0, 1000, 1001, false, 0, doubtful},
		{"confirmed, almost stale", 0, 1000, 1001, true, belief - 1, exceeded},
		{"confirmed, stale", 0, 1000, 1001, true, belief, doubtful},
		{"configured, exactly", 1000, 0, 1000, false, time.Hour, fits},
		{"configured", 1000, 0, 1001, false, time.Hour, exceeded},
		{"configured to be 1", 1, 0, 2, false, time.Hour, exceeded},
		{"a lower report in doubt, at the ceiling", 1000, 500, 1000, false, 0, doubtful},
		{"configured, and a higher report", 1000, 2000, 1500, false, time.Hour, exceeded},
		{"a lower report, once", 1000, 500, 501, false, 0, doubtful},
		{"a lower report, confirmed", 1000, 500, 501, true, 0, exceeded},
		{"a lower report, stale", 1000, 500, 501, true, belief, doubtful},
		{"a lower report in doubt, above the ceiling", 1000, 500, 1001, false, 0, exceeded},
	} {
		for _, sub := range []bool{false, true} {
			t.Run(fmt.Sprint(x.name, ", subwindow ", sub), func(t *testing.T) {
				now := at(time.Hour)
				w := newWorld(t, fmt.Sprint("rpm=5 tpm=", max(1, x.configured)))
				l := w.limit("tpm")
				l.configured, l.learned.Amount, l.confirmed = x.configured, x.learned, x.confirmed
				l.reportAt = now.Add(-x.age)
				if sub {
					w.subwindow(now, l, time.Second)
				}
				cost := &backend.Amounts{backend.Tokens: x.cost}
				before := w.dump()
				if got := w.Exceeded(cost, now); (got == l) != (x.want == exceeded) || got != nil && got != l {
					t.Errorf("exceeded: %v", got)
				}
				if got := slices.Contains(w.Admissible(cost, now), l); got != (x.want != doubtful) {
					t.Errorf("admissible: %v", got)
				}
				certain := x.want == fits || x.configured > 0 && x.cost > x.configured
				if n := len(w.Admissible(cost, now)); certain && n != len(w.limits) || x.want == doubtful && n != 1 {
					t.Errorf("%d admissible", n)
				}
				if w.dump() != before {
					t.Errorf("a question changes %s to %s", before, w.dump())
				}
				if x.want == exceeded {
					return // its call is rejected
				}
				asks := w.Limits()
				n := len(asks)
				w.DropDoubtful(cost, now)
				if len(asks) != n || asks[0] != w.limits[0] {
					t.Errorf("an ask's limits have changed: %v", asks)
				}
				want := "rpm=5"
				switch {
				case x.want == fits || x.configured > 0:
					want += fmt.Sprint(" tpm=", l.Amount())
					if sub {
						want += fmt.Sprint(" tpm/subwindow=", l.Amount())
					}
				}
				if got := w.holds(); got != want {
					t.Errorf("%s; want %s", got, want)
				}
				if x.want == doubtful && (w.Exceeded(cost, now) != nil || x.configured > 0 && l.Amount() != x.configured) {
					t.Errorf("still %s", w.holds())
				}
			})
		}
	}
}

func TestRuleLimits(t *testing.T) {
	r := Rule{Amounts: [...]int64{600, 0, 40_000, 90_000, -1}, Burst: 2 * time.Second}
	var got []string
	for _, l := range r.Limits(owner) {
		got = append(got, fmt.Sprintf("%s=%d burst %v", l.Name, l.Amount(), l.Bucket(epoch).Burst))
	}
	if got, want := strings.Join(got, ", "), "rpm=600 burst 2s, tpm=40000 burst 2s, tpd=90000 burst 0s"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if ModelOwner("family:x") == FamilyOwner("x") || FamilyOwner("x") == AccountOwner {
		t.Error("owners are mixed up")
	}
	for owner, want := range map[string]bool{AccountOwner: true, FamilyOwner("x"): true, ModelOwner("x"): false, ModelOwner("account"): false} {
		if IsShared(owner) != want {
			t.Errorf("%s is shared: %v", owner, !want)
		}
	}
}

func TestOwners(t *testing.T) {
	w := newWorld(t, "rpm=1 tpm=2 family:f/rpm=3 account/tpm=4 account/rpm=5")
	if got := fmt.Sprint(w.Owners()); got != "[model:m family:f account]" {
		t.Error(got)
	}
	empty := NewSet(owner, nil)
	if got := fmt.Sprint(empty.Owners()); got != "[model:m]" || empty.Owner() != owner {
		t.Error(got)
	}
}

// Where an amount comes from, and how long ago.
func TestSource(t *testing.T) {
	const header = "x-ratelimit-limit-tokens"
	for _, x := range []struct {
		configured, learned int64
		age                 time.Duration
		source              string
		want                time.Duration
	}{
		{1000, 0, time.Hour, "configured", 0},
		{1000, 2000, time.Hour, "configured", 0},
		{1000, 1000, time.Hour, "configured", 0},
		{1000, 500, time.Hour, header, time.Hour},
		{1, 0, time.Hour, "configured", 0},
		{0, 500, time.Minute, header, time.Minute},
		{0, 500, 0, header, time.Millisecond}, // 0 is for what was configured
	} {
		l := newLimit(owner, Kinds[2])
		l.configured, l.learned.Amount, l.source, l.reportAt = x.configured, x.learned, header, epoch
		if source, age := l.Source(at(x.age)); source != x.source || age != x.want {
			t.Errorf("%+v: %s, %v", x, source, age)
		}
	}
}

func TestRefill(t *testing.T) {
	for _, x := range []struct {
		limits string
		cost   backend.Amounts
		want   time.Duration
	}{
		{"", backend.Amounts{1, 1, 1}, 0},
		{"rpm=60", backend.Amounts{1, 1000, 0}, time.Second},
		{"rpm=60 tpm=6000", backend.Amounts{1, 1000, 0}, 10 * time.Second},
		{"tpm=6000 rpm=60", backend.Amounts{1, 1000, 0}, 10 * time.Second},
		{"rpd=86400", backend.Amounts{3, 0, 0}, 3 * time.Second},
		{"account/tpm=600 tpm=6000", backend.Amounts{1, 10, 0}, time.Second},
		{"ipm=60", backend.Amounts{1, 1000, 2}, 2 * time.Second},
	} {
		w := newWorld(t, x.limits)
		if got := w.Refill(&x.cost); got != x.want {
			t.Errorf("%s: %v; want %v", x.limits, got, x.want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, x := range []struct {
		limits                string
		tokens, certain, want int64
	}{
		{"", 5000, 10, 5000},
		{"rpm=1", 5000, 10, 5000},
		{"tpm=1000", 1000, 10, 1000},
		{"tpm=1000", 1001, 10, 1000},
		{"tpm=1000", 5000, 2000, 2000},
		{"tpm=1000", 5000, 5000, 5000},
		{"tpm=1000 account/tpm=600 tpd=800", 5000, 10, 600},
	} {
		w := newWorld(t, x.limits)
		if got := w.Fit(x.tokens, x.certain); got != x.want {
			t.Errorf("%+v: %d", x, got)
		}
	}
}

// What is held back for a request's way is twice what writing one took at most, until
// responses report where the server's bucket stands.
func TestWritten(t *testing.T) {
	const ms = time.Millisecond
	for _, x := range []struct {
		written []time.Duration
		dirty   bool // after the last
		want    time.Duration
	}{
		{nil, false, 100 * ms},
		{[]time.Duration{-ms}, false, 100 * ms},
		{[]time.Duration{0}, false, 100 * ms},
		{[]time.Duration{5 * ms}, true, 110 * ms},
		{[]time.Duration{50 * ms, 5 * ms}, false, 200 * ms},
		{[]time.Duration{5 * ms, 50 * ms}, true, 200 * ms},
		{[]time.Duration{time.Hour}, true, 2100 * ms},
		{[]time.Duration{time.Second, time.Hour}, false, 2100 * ms},
	} {
		w := newWorld(t, "tpm=60000 rpm=600")
		r := w.send(0, 1)
		for _, d := range x.written {
			w.Clean()
			w.Written(r, d)
		}
		if w.Dirty() != x.dirty {
			t.Errorf("%v: dirty is %v", x.written, !x.dirty)
		}
		for _, name := range []string{"tpm", "rpm"} {
			b := w.limit(name).Bucket(epoch)
			if want := float64(b.Limit) * x.want.Minutes(); b.Margin < want-1e-6 || b.Margin > want+1e-6 {
				t.Errorf("%v: a margin of %v of %s; want %v", x.written, b.Margin, name, want)
			}
		}
	}
	w := newWorld(t, "tpm=60000")
	w.respond(time.Second, w.send(0, 100), "limit-tokens=60000 remaining-tokens=59900 reset-tokens=100ms")
	w.Clean()
	if w.Written(w.send(2*time.Second, 1), time.Second); w.Dirty() || w.limit("tpm").transitMargin() != 0 {
		t.Error("held back although the server's bucket is known")
	}
}

// After a clear, nothing that was learned of levels counts.
func TestClear(t *testing.T) {
	w := newWorld(t, "tpm=60000 rpm=600")
	r := w.send(0, 100)
	w.respond(time.Second, r, "limit-tokens=60000 remaining-tokens=50000 reset-tokens=10s")
	w.slowDown(at(time.Second))
	l := w.limit("tpm")
	l.used = 5
	if w.Clear(at(2 * time.Second)); l.tracker.Reported() || l.Ramp(at(2*time.Second)) != 0 || l.Bucket(at(2*time.Second)).Start != 0 {
		t.Error("a level is still known")
	}
	if l.ramp.Adopt(calibration.Ramp{From: 10, Begun: at(time.Second)}); l.Ramp(at(2*time.Second)) != 0 {
		t.Error("a ramp from before the clear is taken in")
	}
}

// A margin eases that is larger than that of calls which come no faster than the limit refills.
func TestMarginsEase(t *testing.T) {
	for _, reported := range []bool{false, true} {
		w := newWorld(t, "tpm=60000")
		if reported {
			w.respond(time.Second, w.send(0, 100), "limit-tokens=60000 remaining-tokens=59900 reset-tokens=100ms")
		}
		l, calm := w.limit("tpm"), 100.0 // of a tenth of a second on the way
		if reported {
			calm = 60_000 * l.CalmMargin(at(time.Second))
		}
		for margin, want := range map[float64]bool{0: false, calm: false, calm + 1: true} {
			if got := l.Eases(at(time.Second), &backend.Bucket{Limit: 60_000, Margin: margin}); got != want {
				t.Errorf("a margin of %v, reported %v: it eases: %v", margin, reported, got)
			}
		}
	}
	w := newWorld(t, "tpm=60000")
	l := w.limit("tpm")
	l.whole = l
	if l.Eases(epoch, &backend.Bucket{Limit: 60_000, Margin: 1000}) {
		t.Error("that of a subwindow eases")
	}
}
