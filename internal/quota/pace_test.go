package quota

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

const (
	perMinute = "limit-requests=600 remaining-requests=599 reset-requests=100ms limit-tokens=60000 remaining-tokens=59900 reset-tokens=100ms"
	unlimited = ""
)

// How many calls may be in flight while no limit is known, and when none but the one that
// goes first after a pause.
func TestSlots(t *testing.T) {
	const any = -1
	type step = func(w *world)
	begin := func(w *world) { w.Begin(epoch) }
	answers := func(n int, headers string) step {
		return func(w *world) {
			for range n {
				w.respond(100*time.Millisecond, w.send(0, 100), headers)
			}
		}
	}
	const rpmOnly = "limit-requests=600 remaining-requests=599 reset-requests=100ms"
	pause := func(w *world) {
		w.start.Skip() // the slow start is over
		w.PausedByOthers(epoch, 5*time.Second)
	}
	retreat := func(pause time.Duration) step { return func(w *world) { w.backoff.pause = pause } }
	goes := func(after time.Duration) step { return func(w *world) { w.send(after, 1) } }
	for _, x := range []struct {
		name             string
		limits           string
		steps            []step
		after            time.Duration
		inFlight, asking int
		want             int
	}{
		{"not begun", "", nil, 0, 0, 0, 4},
		{"begun", "", []step{begin}, 0, 0, 0, 4},
		{"in flight", "", []step{begin}, 0, 1, 0, 3},
		{"asking", "", []step{begin}, 0, 1, 2, 1},
		{"full", "", []step{begin}, 0, 4, 0, 0},
		{"more than full", "", []step{begin}, 0, 9, 2, 0},
		{"after two seconds", "", []step{begin}, 2 * time.Second, 0, 0, 8},
		{"after six seconds", "", []step{begin}, 6 * time.Second, 0, 0, 128},
		{"after seven seconds all may go", "", []step{begin}, 7 * time.Second, 0, 0, any},
		{"limits per minute of both are configured", "rpm=300 tpm=1", []step{begin}, 0, 9, 0, any},
		{"of the account too", "rpm=300 account/tpm=1", []step{begin}, 0, 9, 0, any},
		{"of a small tier three may go", "rpm=299 tpm=300000", []step{begin}, 0, 0, 0, 3},
		{"beside those in flight", "rpm=299 tpm=300000", []step{begin}, 0, 1, 1, 1},
		{"and twice as many after two seconds", "rpm=299 tpm=300000", []step{begin}, 2 * time.Second, 0, 0, 6},
		{"until a response has come", "rpm=299 tpm=300000", []step{begin, answers(1, perMinute)}, 0, 9, 0, any},
		{"limits per day do not count", "rpd=1 tpd=1", []step{begin}, 0, 0, 0, 4},
		{"only requests", "rpm=1", []step{begin}, 0, 0, 0, 4},
		{"only tokens", "tpm=1", []step{begin}, 0, 0, 0, 4},
		{"a response that reports no limits opens", "", []step{begin, answers(1, unlimited)}, 0, 9, 0, any},
		{"one that reports half of them doubles", "", []step{begin, answers(1, rpmOnly)}, 0, 0, 0, 8},
		{"eight of them open", "", []step{begin, answers(8, rpmOnly)}, 0, 9, 0, any},
		{"one that reports both leaves it to the limits", "", []step{begin, answers(1, perMinute)}, 0, 9, 0, any},
		{"during a pause one may ask", "rpm=1 tpm=1", []step{pause}, 0, 9, 0, 1},
		{"one that asks is the one", "rpm=1 tpm=1", []step{pause}, 0, 0, 1, 0},
		{"after the pause one goes", "rpm=1 tpm=1", []step{pause}, 6 * time.Second, 9, 0, 1},
		{"and others wait for it", "rpm=1 tpm=1", []step{pause, goes(5 * time.Second)}, 5 * time.Second, 0, 0, 0},
		{"for so long", "rpm=1 tpm=1", []step{pause, goes(5 * time.Second)}, 5*time.Second + calibration.ProbeTime - 1, 0, 0, 0},
		{"and then follow", "rpm=300 tpm=1", []step{pause, goes(5 * time.Second)}, 5*time.Second + calibration.ProbeTime, 0, 0, any},
		{"three at a time, of a small tier", "rpm=1 tpm=1", []step{pause, goes(5 * time.Second)}, 5*time.Second + calibration.ProbeTime, 1, 0, 2},
		{"few after pauses in vain", "rpm=300 tpm=1", []step{retreat(2 * time.Second)}, 0, 9, 1, 20},
		{"no more than a slow start lets go", "", []step{begin, retreat(2 * time.Second)}, 0, 0, 0, 4},
		{"no more than after pauses in vain", "", []step{begin, retreat(time.Minute)}, 0, 0, 0, 1},
		{"one sent before its end is not the one", "rpm=1 tpm=1", []step{pause, goes(4 * time.Second)}, 5 * time.Second, 0, 0, 1},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, x.limits)
			for _, step := range x.steps {
				step(w)
			}
			if got := w.Slots(at(x.after), x.inFlight, x.asking); got != x.want {
				t.Errorf("%d; want %d", got, x.want)
			}
		})
	}
}

// A pause that others caused restarts the slow start where it is long, and only where none
// is under way.
func TestPausedByOthers(t *testing.T) {
	for _, x := range []struct {
		name  string
		begun bool
		tries bool // after pauses in vain
		pause time.Duration
		probe bool
	}{
		{"none", false, false, 0, false},
		{"short", false, false, longPause - 1, false},
		{"long", false, false, longPause, true},
		{"while a slow start is under way", true, false, longPause, false},
		{"while few are tried", false, true, longPause, true},
	} {
		w := newWorld(t, "rpm=600 tpm=60000")
		w.start.Skip() // it is over
		if x.begun {
			w.start = calibration.SlowStart{}
			w.Begin(epoch)
		}
		if x.tries {
			w.backoff.pause = 2 * time.Second
		}
		w.PausedByOthers(epoch, x.pause)
		if got := w.Slots(epoch, 9, 0) == 1; got != x.probe {
			t.Errorf("%s: a probe: %v", x.name, got)
		}
		if got := w.Paced(epoch); got != (x.begun || x.probe) {
			t.Errorf("%s: paced: %v", x.name, got)
		}
	}
}

// What else holds calls back: a pace for each limit per minute, but none for subwindows,
// the one call that goes first after a pause, and the few that do before any response.
func TestBucketsOfASlowStart(t *testing.T) {
	names := func(buckets []backend.Bucket) string { // what they hold, and what refills a minute
		var all []string
		for i := range buckets {
			b := &buckets[i]
			all = append(all, fmt.Sprintf("%s:%s=%g+%g", b.Owner, b.Name, b.Capacity(), float64(b.Limit)/b.Period.Minutes()))
		}
		return strings.Join(all, " ")
	}
	over := func(w *world) { w.start.Skip() }
	begun := func(w *world) { w.Begin(epoch) }
	paused := func(w *world) {
		w.start.Skip()
		w.PausedByOthers(epoch, time.Minute)
	}
	answered := func(w *world) {
		w.Begin(epoch)
		w.start.Answered(epoch, epoch, true, true, true)
	}
	coarse := func(w *world) {
		w.ExpectSubwindows()
		answered(w)
	}
	drawn := func(seconds float64) func(w *world) {
		return func(w *world) {
			answered(w)
			for i, n := range []float64{0, seconds * 10, seconds * 10, seconds * 10} { // of requests
				w.limit("rpm").drawn.See(at(time.Duration(i)*100*time.Millisecond), n, 0)
			}
		}
	}
	for _, x := range []struct {
		name, want string
		begin      func(w *world)
		after      time.Duration
	}{
		{"over", "", over, 0},
		{"begun", " model:m:probe=8+1920 model:m:pace/model:m/rpm=2.5+600 model:m:pace/account/tpm=250+60000", begun, 0},
		{"just begun", " model:m:probe=8+1920 model:m:pace/model:m/rpm=2.5+600 model:m:pace/account/tpm=250+60000", begun, calibration.ProbeTime - 1},
		{"a throttle would have come", " model:m:pace/model:m/rpm=2.5+600 model:m:pace/account/tpm=250+60000", begun, calibration.ProbeTime},
		{"four times as fast", " model:m:pace/model:m/rpm=2.5+2400 model:m:pace/account/tpm=250+240000", begun, 3 * time.Second},
		{"paused", " model:m:probe=1+240 model:m:pace/model:m/rpm=2.5+600 model:m:pace/account/tpm=250+60000", paused, 0},
		{"no longer paused", " model:m:pace/model:m/rpm=2.5+600 model:m:pace/account/tpm=250+60000", paused, time.Minute + calibration.ProbeTime},
		{"answered", " model:m:pace/model:m/rpm=2.5+2400 model:m:pace/account/tpm=250+240000", answered, 0},
		{"a second's refill is drawn", " model:m:pace/model:m/rpm=9.6+9600 model:m:pace/account/tpm=250+240000", drawn(1.2), 0},
		{"ten seconds'", " model:m:pace/account/tpm=250+240000", drawn(11), 0},
		{"where subwindows are expected", " model:m:pace/model:m/rpm=2.5+2400 model:m:pace/account/tpm=250+240000", coarse, 0},
		{"but not for ever", "", answered, 10 * time.Second},
	} {
		w := newWorld(t, "rpm=600 rpd=9000 account/tpm=60000")
		w.subwindow(epoch, w.limit("rpm"), time.Second)
		x.begin(w)
		const plain = "model:m:rpm=600+600 model:m:rpd=9000+6.25 account:tpm=60000+60000 model:m:rpm/subwindow=10+600"
		now := at(x.after)
		if got := names(w.Buckets(nil, now, w.Limits())); got != plain+x.want {
			t.Errorf("%s: %s; want %s", x.name, got, plain+x.want)
		}
		if got := names(Unpaced(now, w.Limits())); got != plain {
			t.Errorf("%s: unpaced: %s", x.name, got)
		}
		for _, l := range w.Limits() { // what is said of the pace is what its bucket holds to
			want := int64(0)
			for _, b := range w.Buckets(nil, now, w.Limits()) {
				if l.whole == nil && b.Name == l.pace { // a subwindow has no pace of its own
					want = b.Limit
				}
			}
			if got := w.Pace(now, l); got != want {
				t.Errorf("%s: the pace of %s is %d a minute; want %d", x.name, l.Name, got, want)
			}
		}
		if got := w.Pacing(now); got != (x.want != "") {
			t.Errorf("%s: pacing: %v", x.name, got)
		}
	}
	w := newWorld(t, "rpm=600")
	w.Begin(epoch)
	if got := w.NextPace(epoch); got != 2*time.Second {
		t.Errorf("the next pace in %v", got)
	}
}

// A server that is known to enforce limits in subwindows is paced more carefully once
// a second's refill has been drawn.
func TestPaceWhereSubwindowsAreExpected(t *testing.T) {
	for expected, want := range map[bool]int64{false: 600 * 16, true: 600 * 5} {
		w := newWorld(t, "rpm=600")
		if expected {
			w.ExpectSubwindows()
		}
		w.Begin(epoch)
		w.start.Answered(epoch, epoch, true, true, true)
		for i, n := range []float64{0, 12, 12, 12, 12} {
			w.limit("rpm").drawn.See(at(time.Duration(i)*100*time.Millisecond), n, 0)
		}
		buckets := w.Buckets(nil, epoch, w.Limits())
		if got := buckets[len(buckets)-1]; len(buckets) != 2 || got.Limit != want {
			t.Errorf("expected: %v: %+v; want a pace of %d", expected, got, want)
		}
	}
}

// A server that reports nothing may enforce the limits of a large tier in subwindows, and those
// of any if its kind does so. Errors say nothing of it.
func TestPaceWhereNothingIsReported(t *testing.T) {
	for _, x := range []struct {
		limits, headers string
		failed          bool
		expected        bool  // subwindows are
		want            int64 // what the pace refills a minute, of requests; 0 for none
	}{
		{"rpm=300 tpm=200000", "", false, false, 300 * 5},
		{"rpm=299 tpm=200000", "", false, false, 0},
		{"rpm=300 tpm=199999", "", false, false, 0},
		{"rpm=300", "", false, false, 0},
		{"rpm=299 tpm=200000", "", false, true, 299 * 5},
		{"rpm=300 tpm=199999", "", false, true, 300 * 5},
		{"rpm=300", "", false, true, 0},
		{"rpm=300 rpd=100 tpm=200000 tpd=100000 ipm=300", "", false, false, 300 * 5},
		{"rpm=300 tpm=200000", "", true, false, 300}, // by time
		{"rpm=300 tpm=200000", headersOf("requests", 300, 1, minute), false, false, 300 * 16},
	} {
		w := newWorld(t, x.limits)
		if x.expected {
			w.ExpectSubwindows()
		}
		w.Begin(epoch)
		w.Headers(epoch, w.send(0, 1), parse(x.headers), false, x.failed)
		for i, n := range []float64{0, 6, 6, 6, 6} {
			w.limit("rpm").drawn.See(at(time.Duration(i)*100*time.Millisecond), n, 0)
		}
		got := int64(0)
		for _, b := range w.Buckets(nil, epoch, w.Limits()) {
			if b.Name == w.limit("rpm").pace {
				got = b.Limit
			}
		}
		if got != x.want {
			t.Errorf("%+v: a pace of %d", x, got)
		}
	}
}

// Slow starts pace the scopes whose limits may be enforced in subwindows: those of large
// tiers, by requests if that limit is known, and those of servers that do so.
func TestCareful(t *testing.T) {
	for _, x := range []struct {
		limits   string
		expected bool // subwindows are
		want     bool
	}{
		{"", false, true},
		{"", true, true},
		{"rpm=299", false, false},
		{"rpm=300", false, true},
		{"rpm=1", true, true},
		{"tpm=199999", false, false},
		{"tpm=200000", false, true},
		{"tpm=1", true, true},
		{"tpm=1 rpm=300", false, true},
		{"tpm=200000 rpm=299", false, false},
		{"rpm=300 tpm=1", false, true},
		{"rpm=299 tpm=200000", false, false},
		{"rpd=1 tpd=1", false, true},
		{"ipm=299 tpm=200000", false, false},
		{"ipm=300 tpm=1", false, true},
		{"ipm=299 rpm=300", false, false},
	} {
		w := newWorld(t, x.limits)
		if x.expected {
			w.ExpectSubwindows()
		}
		if got := w.careful(); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
		w.Begin(epoch)
		paced := 0
		for _, b := range w.Buckets(nil, epoch, w.Limits()) {
			if strings.HasPrefix(b.Name, "pace/") || b.Name == "probe" {
				paced++
			}
		}
		if x.limits != "" && (paced > 0) != x.want {
			t.Errorf("%+v: %d buckets", x, paced)
		}
		if got := w.Pacing(epoch); x.limits != "" && got != x.want {
			t.Errorf("%+v: pacing: %v", x, got)
		}
	}
	w := newWorld(t, "tpm=1000")
	if w.subwindow(epoch, w.limit("tpm"), time.Second); !w.careful() {
		t.Error("not careful although there is a subwindow")
	}
	// Of a server that is not careful, the first response ends the slow start.
	for limits, paced := range map[string]bool{"rpm=299 tpm=1": false, "rpm=300 tpm=1": true} {
		w := newWorld(t, limits)
		w.Begin(epoch)
		w.respond(time.Second, w.send(0, 1), perMinute)
		if got := w.start.Factor(at(time.Second), 0, false) > 0; got != paced {
			t.Errorf("%s: paced after a response: %v", limits, got)
		}
	}
	// Whole seconds are Azure's.
	w = newWorld(t, "rpm=1 tpm=1")
	if w.respond(time.Second, w.send(0, 1), "reset-tokens=3"); !w.careful() {
		t.Error("not careful although resets are whole seconds")
	}
}

// A single request of the probe's bucket takes ProbeTime to refill, and no pace has a limit
// that a cost could exceed.
func TestPaceRejectsNothing(t *testing.T) {
	w := newWorld(t, fmt.Sprint("tpm=", int64(Largest)))
	if b := w.probe(1); b.Period/time.Duration(b.Limit) != calibration.ProbeTime || b.Capacity() != 1 {
		t.Errorf("%+v", b)
	}
	if b := w.pace(w.limit("tpm"), 32); b.Limit != Largest {
		t.Errorf("%+v", b)
	}
	if b := w.probe(blindCalls); b.Capacity() != blindCalls {
		t.Errorf("%+v", b)
	}
	// Of a pace a moment's worth may be used at once: less of a faster one, but not less
	// than refills between two asks.
	for factor, burst := range map[float64]time.Duration{
		1: calibration.PaceBurst, 4: calibration.PaceBurst / 4, 5: paceLeast, 32: paceLeast,
	} {
		b := w.pace(newWorld(t, "tpm=100").limit("tpm"), factor)
		if b.Limit != int64(100*factor) || b.Period != time.Minute || b.Burst != burst {
			t.Errorf("%+v; want %v", b, burst)
		}
	}
}

// After slow_down traffic grows from what it was before, or from the part of a limit that
// always may. A limit that is raised meanwhile is no reason to hold back more.
func TestSlowDown(t *testing.T) {
	for _, x := range []struct {
		name   string
		limits string
		sent   int64 // tokens in a hundred calls of the last minute
		after  time.Duration
		raised int64
		want   string
	}{
		{"idle", "rpm=6000 tpm=30000000", 0, 0, 0, "rpm=600 tpm=3000000"},
		{"what was sent, by 1.5", "rpm=6000 tpm=30000000", 9_000_000, 0, 0, "rpm=600 tpm=6000000"},
		{"half as much again in a quarter of an hour", "rpm=6000 tpm=30000000", 9_000_000, 15 * time.Minute, 0, "rpm=900 tpm=9000000"},
		{"until the limit is reached", "rpm=6000 tpm=30000000", 9_000_000, 3 * time.Hour, 0, "rpm=0 tpm=0"},
		{"a million tokens may always grow", "rpm=6000 tpm=2000000", 0, 0, 0, "rpm=600 tpm=1000000"},
		{"below a million nothing is held back", "rpm=6000 tpm=900000", 0, 0, 0, "rpm=600 tpm=0"},
		{"a limit raised since", "rpm=6000 tpm=2000000", 0, 0, 1 << 40, "rpm=109951162778 tpm=109951162778"},
		{"days and images", "rpd=6000 tpd=30000000 ipm=50", 0, 0, 0, "rpd=0 tpd=0 ipm=0"},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, x.limits)
			for range 100 {
				w.send(0, x.sent/100)
			}
			w.Clean()
			w.slowDown(at(time.Second))
			now := at(time.Second + x.after)
			var got []string
			for _, l := range w.limits {
				if x.raised > 0 {
					l.configured = x.raised
				}
				rate := l.Ramp(now)
				got = append(got, fmt.Sprintf("%s=%.0f", l.Name, rate))
				slopes := w.Buckets(nil, now, []*Limit{l})[1:]
				if rate == 0 {
					if len(slopes) > 0 && strings.HasPrefix(slopes[len(slopes)-1].Name, "ramp") {
						t.Errorf("%+v", slopes)
					}
					continue
				}
				b := slopes[len(slopes)-1]
				each := b.Period.Minutes() / float64(b.Limit) * rate
				if b.Name != "ramp/"+l.Name || b.Owner != l.Owner || b.Limit != l.Amount() || each < 1-1e-6 || each > 1+1e-6 || b.Burst != time.Second || b.Dimension != l.Dimension {
					t.Errorf("%+v", b)
				}
			}
			if got := strings.Join(got, " "); got != x.want {
				t.Errorf("%s; want %s", got, x.want)
			}
			if ramped := !strings.HasPrefix(x.limits, "rpd"); w.Dirty() != ramped {
				t.Errorf("dirty is %v", !ramped)
			}
		})
	}
	w := newWorld(t, "tpm=60000")
	w.subwindow(epoch, w.limit("tpm"), time.Second)
	if w.slowDown(epoch); w.limit("tpm/subwindow").ramp.From != 0 {
		t.Error("a subwindow has a ramp of its own")
	}
}

// Others' pause lifts this process's where it ends more than a second earlier, unless that was
// begun within a second: the others may not have heard of it.
func TestPauseLiftedByOthers(t *testing.T) {
	const lag = time.Second
	for _, x := range []struct {
		after, left, theirs time.Duration // since this process was paused; of that pause; and of the others'
		lifted              bool
	}{
		{lag + 1, lag + 1, 0, true},
		{lag, lag + 1, 0, false},
		{lag + 1, lag, 0, false},
		{lag + 1, lag + 10, 10, false},
		{lag + 1, lag + 11, 10, true},
		{lag / 2, time.Minute, 0, false},
		{time.Hour, time.Minute, 0, true},
	} {
		w := newWorld(t, "rpm=600 tpm=60000")
		end := at(x.after + x.left)
		w.Throttled(at(0), w.send(0, 1), &wire.Throttle{Kind: wire.RateLimit, RetryAfter: end.Sub(at(0))}, end.Sub(at(0)))
		if !w.start.PausedTo().Equal(end) {
			t.Fatalf("paused to %v; want %v", w.start.PausedTo(), end)
		}
		w.PausedByOthers(at(x.after), x.theirs)
		want := end
		if x.lifted {
			want = at(x.after + x.theirs)
		}
		if got := w.start.PausedTo(); !got.Equal(want) {
			t.Errorf("%+v: paused for %v more", x, got.Sub(at(x.after)))
		}
	}
}

// What fills the buckets ends a pause: one call goes first, as after any. Without a pause nothing
// begins anew.
func TestClearEndsAPause(t *testing.T) {
	for _, paused := range []bool{true, false} {
		w := newWorld(t, "rpm=600 tpm=60000")
		w.start.Skip()
		if paused {
			w.PausedByOthers(at(0), time.Minute)
		}
		w.Clear(at(2 * time.Second))
		if w.start.PausedTo().After(at(2*time.Second)) || w.Paced(at(2*time.Second)) != paused {
			t.Errorf("%v: paused to %v, paced: %v", paused, w.start.PausedTo(), w.Paced(at(2*time.Second)))
		}
	}
}

// A ramp of less than one a minute is one.
func TestSlowRamp(t *testing.T) {
	w := newWorld(t, "rpm=5")
	w.start.Skip()
	w.slowDown(epoch)
	if got := w.Buckets(nil, epoch, w.Limits()); len(got) != 2 || got[1].Name != "ramp/rpm" || got[1].Period != 10*time.Minute {
		t.Errorf("%+v", got)
	}
}

// A pace of one a minute is one.
func TestSlowPace(t *testing.T) {
	w := newWorld(t, "rpm=1 tpm=1")
	w.ExpectSubwindows()
	w.Begin(epoch)
	now := at(calibration.ProbeTime)
	if w.Pace(now, w.limit("rpm")) != 1 || w.start.Blind(now) || !w.Pacing(now) {
		t.Errorf("a pace of %d, blind: %v, pacing: %v", w.Pace(now, w.limit("rpm")), w.start.Blind(now), w.Pacing(now))
	}
}
