package quota

import (
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// near reports whether two figures are the same but for rounding.
func near(a, b float64) bool { return a-b < 1e-6 && b-a < 1e-6 }

// A subwindow is as full as its throttle's wait says: after that the call fits. One that is
// new begins there, one that is known is corrected.
func TestLevelOfASubwindow(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	// 6,000 a minute are 100 a second, of which 20 are held back.
	for _, x := range []struct {
		name      string
		known     bool
		figures   bool
		requested int64 // as the server counts, where it does
		cost      int64 // as we do
		wait      time.Duration
		want      float64 // where it begins, or is corrected to
		nothing   bool    // is corrected
	}{
		{"new", false, true, 30, 30, 400 * ms, 90, false},                          // 100 + 40 − 30 − 20
		{"the call fits as we count it", false, true, 30, 50, 400 * ms, 70, false}, // 20 less
		{"without figures", false, false, 0, 50, 400 * ms, 70, false},
		{"of ten seconds", false, true, 30, 30, 4 * s, 1350, false}, // 1000 + 400 − 30 − 20
		{"larger than it", false, true, 300, 300, 400 * ms, 20, false},
		{"for no time", false, true, 30, 30, 0, 0, false},
		{"known", true, true, 30, 30, 400 * ms, 140, false}, // 100 + 40 − 30, and the call as we have charged it
		{"known, without figures", true, false, 0, 50, 400 * ms, 140, false},
		{"known, larger than it", true, true, 300, 90, 400 * ms, 130, false},
		{"known, barely", true, true, 100, 90, 10 * ms, 91, false},
		{"known, for no time", true, true, 30, 30, 0, 0, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, "tpm=6000")
			if x.known {
				w.subwindow(at(-time.Second), w.limit("tpm"), time.Second)
			}
			r := w.send(0, x.cost)
			w.Clean()
			throttle := reached(func(t *wire.Throttle) {
				t.Limit, t.Used, t.Requested, t.RetryAfter = 6000, 10, x.requested, x.wait
				if !x.figures {
					t.Period, t.Limit, t.Used, t.Requested = 0, -1, -1, -1
				}
			})
			corrections, _ := w.Throttled(at(10*ms), r, throttle, 0)
			part := w.limit("tpm/subwindow")
			if w.Urgent() == x.known || !w.Dirty() {
				t.Errorf("urgent is %v, dirty %v", w.Urgent(), w.Dirty())
			}
			if w.Clean(); w.Urgent() || w.Dirty() {
				t.Error("still urgent or dirty")
			}
			if !x.known {
				if got := part.Bucket(at(10 * ms)).Start; len(corrections) > 0 || !near(got, x.want) {
					t.Errorf("it begins at %v, corrected by %v; want %v", got, corrections, x.want)
				}
				return
			}
			used := w.buckets["model:m/tpm/subwindow"].used
			by := w.apply(corrections)
			if (len(by) == 0) != x.nothing || !x.nothing && !near(used+by["tpm/subwindow"], x.want) {
				t.Errorf("corrected by %v from %v; want to %v", by, used, x.want)
			}
		})
	}
	// Its level says nothing of a call that was held back, or was not charged to it.
	for name, change := range map[string]func(r *Request){
		"held back": func(r *Request) { r.SentAt = r.SentAt.Add(time.Second) },
		"before it": func(r *Request) { r.Sent = r.Sent[:1] },
	} {
		w := newWorld(t, "tpm=6000")
		w.subwindow(at(-time.Second), w.limit("tpm"), time.Second)
		r := w.send(0, 30)
		change(r)
		throttle := reached(func(t *wire.Throttle) { t.Limit, t.Used, t.Requested, t.RetryAfter = 6000, 10, 30, 400*ms })
		if corrections, _ := w.Throttled(at(10*ms), r, throttle, 0); len(corrections) > 0 {
			t.Errorf("%s: %v", name, corrections)
		}
	}
}

// Of a subwindow that is new, what was sent after the throttled call has used what that call has
// not: smaller calls fit where it did not.
func TestSubwindowBeginsWithWhatFollowed(t *testing.T) {
	const ms = time.Millisecond
	for followed, want := range map[int64]float64{0: 90, 10: 100, 500: 120} { // at most the 30 that the call asks for
		w := newWorld(t, "tpm=6000")
		w.send(0, 200) // counts in what the server says
		r := w.send(0, 30)
		if followed > 0 {
			w.send(0, followed)
		}
		throttle := reached(func(t *wire.Throttle) { t.Limit, t.Used, t.Requested, t.RetryAfter = 6000, 10, 30, 400*ms })
		w.Throttled(at(60*ms), r, throttle, 0)
		if got := w.limit("tpm/subwindow").Bucket(at(60 * ms)).Start; !near(got, want) {
			t.Errorf("%d tokens follow: it begins at %v; want %v", followed, got, want)
		}
	}
}

// Where windows begin afresh, a call fits when the present one ends, with the margin. What the
// limit is corrected by says nothing of them.
func TestFixedWindows(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, x := range []struct {
		name         string
		waits        []time.Duration
		used, shares float64 // of 10: what is used with the call, and what it is corrected with its limit
	}{
		{"fixed", []time.Duration{300 * ms, 300 * ms, 400 * ms, 300 * ms, 300 * ms, 300 * ms}, 10 + 4 - 2, 0},
		{"not fixed", []time.Duration{300 * ms, 900 * ms, 100 * ms, 700 * ms, 500 * ms, 300 * ms}, 10 + 3, 10},
	} {
		w := newWorld(t, "rpm=600")
		w.subwindow(at(-s), w.limit("rpm"), s)
		used := 0.0
		for i, wait := range x.waits {
			r := w.send(time.Duration(i)*10*s, 0)
			used = w.buckets["model:m/rpm/subwindow"].used
			throttle := reached(func(t *wire.Throttle) {
				t.Dimension, t.Limit, t.Used, t.Requested, t.RetryAfter = wire.Requests, 600, 10, 1, wait
			})
			corrections, _ := w.Throttled(r.SentAt.Add(10*ms), r, throttle, 0)
			used += w.apply(corrections)["rpm/subwindow"]
		}
		if !near(used, x.used) {
			t.Errorf("%s: %v is used; want %v", x.name, used, x.used)
		}
		for i, more := range []float64{0, 50} {
			r := w.send(time.Duration(10+i)*10*s, 0)
			level, _ := r.level(w.limit("rpm"))
			got := w.respond(time.Duration(10+i)*10*s+s/2, r, headersOf("requests", 600, int64(level.Used+more), minute))
			if more > 0 && (!near(got["rpm"], more) || !near(got["rpm/subwindow"], x.shares)) {
				t.Errorf("%s: corrected by %v", x.name, got)
			}
		}
	}
}

// Who says "tokens per minute", or has callers wait for longer than a subwindow lasts, means no
// second of them, and nothing is corrected.
func TestThrottleOfAMinuteIsNoSubwindows(t *testing.T) {
	for _, x := range []struct {
		period, wait time.Duration
		want         bool
	}{{0, 3 * time.Second, true}, {minute, 3 * time.Second, false}, {0, time.Hour, false}} {
		w := newWorld(t, "tpm=6000")
		throttle := reached(func(t *wire.Throttle) {
			t.Period, t.Limit, t.Used, t.Requested, t.RetryAfter = x.period, -1, -1, -1, x.wait
		})
		corrections, _ := w.Throttled(at(10*time.Millisecond), w.send(0, 50), throttle, 0)
		if got := strings.Contains(w.holds(), "subwindow"); got != x.want || !x.want && len(corrections) > 0 {
			t.Errorf("a throttle of %v for %v: %s, corrected %v", x.period, x.wait, w.holds(), corrections)
		}
	}
}

// Of a subwindow that is new the others must hear before they send more than it holds.
func TestLeastPause(t *testing.T) {
	w := newWorld(t, "rpm=600 tpm=6000")
	if got := w.LeastPause(epoch); got != 0 {
		t.Errorf("%v without a subwindow", got)
	}
	w.subwindow(epoch, w.limit("tpm"), time.Second)
	if got := w.LeastPause(epoch); got != 300*time.Millisecond {
		t.Errorf("%v of a new one", got)
	}
	if got := w.LeastPause(at(1)); got != 0 {
		t.Errorf("%v later", got)
	}
	if w.subwindow(at(1), w.limit("tpm"), time.Second); w.LeastPause(at(1)) != 0 {
		t.Error("it is known when it throttles again")
	}
	if w.subwindow(at(1), w.limit("rpm"), time.Second); w.LeastPause(at(1)) == 0 {
		t.Error("another is new")
	}
}

// What others have found is not new, and needs not be told.
func TestSubwindowsOfANoteAreKnown(t *testing.T) {
	one := newWorld(t, "tpm=6000")
	one.subwindow(epoch, one.limit("tpm"), time.Second)
	data, err := one.Note(epoch)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "tpm=6000")
	if _, err := w.TakeNote(at(time.Second), data, time.Second); err != nil || w.limit("tpm/subwindow").burst != time.Second {
		t.Fatalf("%v, %s", err, w.holds())
	}
	if w.Urgent() || w.Dirty() || w.LeastPause(at(time.Second)) != 0 {
		t.Errorf("urgent %v, dirty %v, a pause of %v", w.Urgent(), w.Dirty(), w.LeastPause(at(time.Second)))
	}
	w.subwindow(epoch, w.limit("tpm"), time.Second)
	w.urgent = true // of something else
	if _, err := w.TakeNote(at(time.Second), data, time.Second); err != nil || !w.Urgent() {
		t.Error("what is urgent is forgotten")
	}
}

// Some of Azure's headers report a subwindow in place of its limit.
func TestReportsOfSubwindows(t *testing.T) {
	const (
		tenSeconds = "limit-tokens=1000 remaining-tokens=400 reset-tokens=6" // of 6,000 a minute
		oneSecond  = "limit-tokens=1000 remaining-tokens=400 reset-tokens=0" // of 60,000
	)
	for _, x := range []struct {
		name, limits, headers string
		holds                 string
		burst                 time.Duration
		begins                float64
	}{
		{"ten seconds", "", tenSeconds, "tpm=6000 tpm/subwindow=6000", 10 * time.Second, 600},
		{"one second", "", oneSecond, "tpm=60000 tpm/subwindow=60000", time.Second, 600},
		{"of a known limit", "tpm=6000", tenSeconds, "tpm=6000 tpm/subwindow=6000", 10 * time.Second, 600},
		{"of the family's", "family:f/tpm=6000", tenSeconds, "family:f/tpm=6000 family:f/tpm/subwindow=6000", 10 * time.Second, 600},
		{"of another than is configured", "tpm=5000", tenSeconds, "tpm=5000 tpm/subwindow=5000", 10 * time.Second, 600},
		{"of a minute, then", "", "limit-tokens=6000 remaining-tokens=3000 reset-tokens=30", "tpm=6000", 0, 0},
		{"of what is nothing", "", strings.ReplaceAll(tenSeconds, "1000", "0"), "", 0, 0},
		{"of images", "", strings.ReplaceAll(tenSeconds, "tokens", "images"), "ipm=6000 ipm/subwindow=6000", 10 * time.Second, 600},
		{"huge", "", "limit-tokens=1000000000000 remaining-tokens=400000000000 reset-tokens=0", "", 0, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, x.limits)
			r := w.send(0, 100)
			w.Clean()
			if got := w.respond(time.Second, r, x.headers); len(got) > 0 || w.holds() != x.holds {
				t.Errorf("%s, corrected by %v; want %s", w.holds(), got, x.holds)
			}
			if w.Urgent() != (x.burst > 0) {
				t.Errorf("urgent is %v", w.Urgent())
			}
			for _, l := range w.limits {
				if l.whole != nil && (l.burst != x.burst || l.Bucket(at(time.Second)).Start != x.begins) {
					t.Errorf("of %v, begins at %v; want %v, %v", l.burst, l.Bucket(at(time.Second)).Start, x.burst, x.begins)
				}
			}
		})
	}
	// The next report corrects where it stands.
	w := newWorld(t, "")
	w.respond(time.Second, w.send(0, 100), tenSeconds)
	w.Clean()
	r := w.send(1500*time.Millisecond, 100)
	before := w.buckets["model:m/tpm/subwindow"].used // 600 − 50 + 100
	if got := w.respond(2*time.Second, r, "limit-tokens=1000 remaining-tokens=200 reset-tokens=8"); !near(before, 650) || !near(got["tpm/subwindow"], 150) {
		t.Errorf("corrected by %v from %v", got, before)
	}
	if w.Urgent() || w.Dirty() {
		t.Error("a subwindow that is known is news")
	}
	// Another limit is, once it is believed.
	for i := range time.Duration(20) {
		sent := (3 + 3*i) * time.Second
		w.respond(sent+time.Second, w.send(sent, 1), "limit-tokens=1200 remaining-tokens=720 reset-tokens=4")
		if raised := w.limit("tpm").Amount() == 7200; raised != w.Dirty() || i == 0 && raised || i == 19 && !raised {
			t.Errorf("after %d reports: %s, dirty is %v", i+1, w.holds(), w.Dirty())
		}
	}
	w = newWorld(t, "")
	w.respond(time.Second, w.send(0, 100), tenSeconds)
	r = w.send(1500*time.Millisecond, 100)
	w.respond(2*time.Second, r, tenSeconds)
	r.SentAt = r.SentAt.Add(time.Second)
	if got := w.respond(3*time.Second, r, "limit-tokens=1000 remaining-tokens=0 reset-tokens=10"); len(got) > 0 {
		t.Errorf("a report of a request long after its charge corrects by %v", got)
	}
	late := &Request{SentAt: at(time.Second), Cost: backend.Amounts{1, 1, 0}, Sent: r.Sent}
	if got := w.respond(3*time.Second, late, "limit-tokens=1000 remaining-tokens=0 reset-tokens=10"); len(got) > 0 {
		t.Errorf("a late report corrects by %v", got)
	}
	// One that is not believed yet teaches nothing of a subwindow.
	w = newWorld(t, "")
	for i := range 4 {
		w.respond(time.Duration(i)*time.Second, w.send(time.Duration(i)*time.Second, 1), headersOf("tokens", 1000, int64(10+i), minute))
	}
	if w.respond(4*time.Second, w.send(4*time.Second, 1), tenSeconds); w.holds() != "tpm=1000" {
		t.Errorf("%s", w.holds())
	}
}

// A refund goes to all that a call was charged to, but for subwindows that it has passed.
func TestRefundable(t *testing.T) {
	w := newWorld(t, "rpm=600 tpm=6000")
	w.subwindow(epoch, w.limit("tpm"), time.Second)
	r := w.send(0, 10)
	w.add(newLimit(owner, Kinds[1])) // learned since
	for cancelled, want := range map[bool]string{true: "rpm tpm tpm/subwindow", false: "rpm tpm"} {
		var names []string
		for _, l := range Refundable(r.Sent, cancelled) {
			names = append(names, l.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("cancelled: %v: %s; want %s", cancelled, got, want)
		}
	}
}

// What others charge and draw shows in the answers to asks that charge nothing.
func TestSaw(t *testing.T) {
	w := newWorld(t, "rpm=600 tpm=6000")
	limits := w.Limits()
	saw := func(after time.Duration, levels, charged float64) {
		w.Saw(at(after), limits, Unpaced(at(after), limits), &backend.Answer{
			Levels: []float64{600, levels}, Charged: []float64{0, charged}, Corrected: []float64{0, 0},
		})
	}
	w.respond(10*time.Millisecond, w.send(0, 100), headersOf("tokens", 6000, 100, minute))
	margin := w.limit("tpm").tracker.Margin(at(500 * time.Millisecond))
	for i := range 11 {
		d := time.Duration(i) * 100 * time.Millisecond
		saw(d, 5900-float64(i)*100, 100+float64(i)*110)
	}
	l := w.limit("tpm")
	if got := l.drawn.Seconds(l.refill()); got < 8 || got > 11 {
		t.Errorf("%v seconds' refill are drawn", got)
	}
	if got := l.tracker.Margin(at(time.Second)); got < 5*margin {
		t.Errorf("a margin of %v, before %v", got, margin)
	}
	if got := l.tracker.Lately(at(time.Second)); got < 1000 {
		t.Errorf("%v are spent", got)
	}
	if rpm := w.limit("rpm"); rpm.drawn.Seconds(rpm.refill()) != 0 {
		t.Error("requests are drawn")
	}
	// A backend that says nothing of levels teaches none.
	before := w.dump()
	if w.Saw(at(time.Minute), limits, Unpaced(epoch, limits), &backend.Answer{}); w.dump() != before {
		t.Error("something was seen in nothing")
	}
}

// What is drawn shows in grants too, each with what it leaves.
func TestGrantsAreDrawn(t *testing.T) {
	w := newWorld(t, "rpm=600 tpm=6000")
	w.send(0, 0)
	w.send(0, 250)
	w.send(throttleTrip, 0)
	w.send(2*throttleTrip, 100)
	if l := w.limit("tpm"); l.drawn.Seconds(l.refill()) != 2.5 {
		t.Errorf("%v seconds' refill are drawn", l.drawn.Seconds(l.refill()))
	}
	w = newWorld(t, "tpm=6000")
	l, limits := w.limit("tpm"), w.Limits()
	for i, later := range []int64{0, 400, 400, 400} { // of 250 each, and what was granted after
		now := at(time.Duration(i/2+i/3) * throttleTrip)
		w.Charged(now, nil, &Grant{
			Limits: limits, Buckets: Unpaced(now, limits), Later: backend.Amounts{backend.Tokens: later},
			Answer: &backend.Answer{Levels: []float64{6000}, Charged: []float64{float64(min(i, 1) * 650)}, Corrected: []float64{0}},
		})
	}
	if l.drawn.Seconds(l.refill()) != 2.5 {
		t.Errorf("%v seconds' refill are drawn of a grant of several", l.drawn.Seconds(l.refill()))
	}
}

const throttleTrip = 100 * time.Millisecond // until what was drawn has passed

// After a long pause, whoever caused it, nobody can know where the server's buckets stand:
// what is wrong then raises no margin.
func TestPausesAreDoubtful(t *testing.T) {
	for _, byOthers := range []bool{true, false} {
		for pause, margin := range map[time.Duration]float64{0: 0.03, longPause: 0} {
			w := newWorld(t, "rpm=600 tpm=6000")
			w.respond(10*time.Millisecond, w.send(0, 100), headersOf("tokens", 6000, 100, minute))
			w.respond(1600*time.Millisecond, w.send(1500*time.Millisecond, 60), headersOf("tokens", 6000, 60, minute))
			w.start = (&Set{}).start
			w.start.Skip() // the slow start is over
			if byOthers {
				w.PausedByOthers(at(5*time.Second), pause)
			} else {
				w.Throttled(at(5*time.Second), &Request{SentAt: at(5 * time.Second)}, &wire.Throttle{Kind: wire.RateLimit, Limit: -1}, pause)
			}
			r := w.send(5*time.Second+pause, 60)
			got := w.respond(5100*time.Millisecond+pause, r, headersOf("tokens", 6000, 60+180, minute))
			if !near(got["tpm"], 180) {
				t.Errorf("after %v: corrected by %v", pause, got)
			}
			if f := w.limit("tpm").tracker.Findings(); f.Margin < margin-1e-3 || f.Margin > margin+1e-3 {
				t.Errorf("after %v: a margin of %v; want %v", pause, f.Margin, margin)
			}
		}
	}
}

// What the server has charged otherwise, it has charged to a subwindow too, up to what that
// holds. The first report of a limit speaks of long ago.
func TestSubwindowIsCorrectedWithItsLimit(t *testing.T) {
	const s = time.Second
	w := newWorld(t, "tpm=60000") // 1000 a second
	w.subwindow(at(-s), w.limit("tpm"), s)
	report := func(used float64) string { return headersOf("tokens", 60_000, int64(used), minute) }
	by := func(when time.Duration, more, want, part float64) {
		t.Helper()
		r := w.send(when, 100)
		level, _ := r.level(w.limit("tpm"))
		got := w.respond(when+s/2, r, report(level.Used+more))
		if !near(got["tpm"], want) || !near(got["tpm/subwindow"], part) {
			t.Errorf("at %v: %v; want %v and %v", when, got, want, part)
		}
	}
	by(0, 20_000, 20_000, 0)
	by(2*s, 300, 300, 300)
	by(4*s, 2500, 2500, 1000)
	w.limit("tpm/subwindow").found = at(20 * s) // by a throttle of a later call
	by(10*s, 400, 400, 0)
	w.limit("tpm/subwindow").found, w.limit("tpm/subwindow").burst = at(-s), 10*s
	by(21*s, 12_500, 12_500, 10_000)
}
