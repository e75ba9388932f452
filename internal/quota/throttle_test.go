package quota

import (
	"fmt"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// reached is a throttle of tokens per minute, but for what change says.
func reached(change func(t *wire.Throttle)) *wire.Throttle {
	t := &wire.Throttle{
		Kind: wire.RateLimit, Dimension: wire.Tokens, Period: minute,
		Limit: 1000, Used: 950, Requested: 100, RetryAfter: 3 * time.Second,
	}
	if change != nil {
		change(t)
	}
	return t
}

// What a throttle teaches of limits, and how it moves the bucket of one.
func TestThrottled(t *testing.T) {
	for _, x := range []struct {
		name, limits string
		change       func(t *wire.Throttle)
		holds        string // if not limits
		corrected    map[string]float64
		silent       bool // nothing that others must know
	}{
		{"the limit is reached", "tpm=1000", nil, "", map[string]float64{"tpm": 950}, false},
		{"the exact level is in the wait", "tpm=1000", func(t *wire.Throttle) { t.Used, t.RetryAfter = 950, 3024*time.Millisecond },
			"", map[string]float64{"tpm": 950.4}, false},
		{"less used than by us", "tpm=1000", func(t *wire.Throttle) { t.Used, t.Requested = 0, 1000 }, "", nil, false},
		{"of no dimension", "tpm=1000", func(t *wire.Throttle) { t.Dimension = wire.Unknown }, "", nil, true},
		{"of no period", "tpm=1000", func(t *wire.Throttle) { t.Period = 0 }, "", nil, true},
		{"of a kind that is none", "tpm=1000", func(t *wire.Throttle) { t.Dimension, t.Period = wire.Images, day }, "", nil, true},
		{"a limit of 0", "tpm=1000", func(t *wire.Throttle) { t.Limit = 0 }, "", nil, true},
		{"a limit of 0, of no period", "tpm=1000", func(t *wire.Throttle) { t.Limit, t.Period, t.Used = 0, 0, 10 }, "", nil, true},
		{"the largest limit", "rpm=5", func(t *wire.Throttle) { t.Limit, t.Used = Largest, Largest }, fmt.Sprint("rpm=5 tpm=", Largest), nil, true},
		{"that nothing was requested of", "tpm=1000", func(t *wire.Throttle) { t.Used, t.Requested = 1000, 0 }, "", map[string]float64{"tpm": 1000}, false},
		{"an unknown limit of another's amount", "rpm=1000", nil, "rpm=1000 tpm=1000", nil, true},
		{"a huge limit", "tpm=1000", func(t *wire.Throttle) { t.Limit = Largest + 1 }, "", nil, true},
		{"without what was used", "tpm=1000", func(t *wire.Throttle) { t.Used = -1 }, "", nil, true},
		{"without what was requested", "tpm=1000", func(t *wire.Throttle) { t.Requested = -1 }, "", nil, true},
		{"another limit than is believed", "tpm=1000", func(t *wire.Throttle) { t.Limit = 900 }, "", nil, true},
		{"an unknown limit", "rpm=5", nil, "rpm=5 tpm=1000", nil, true},
		{"an unknown limit of 1", "tpm=1000", func(t *wire.Throttle) {
			t.Dimension, t.Limit, t.Used, t.Requested, t.RetryAfter = wire.Requests, 1, 1, 1, time.Minute
		}, "tpm=1000 rpm=1", nil, true},
		{"of requests", "rpm=10 tpm=1000", func(t *wire.Throttle) {
			t.Dimension, t.Limit, t.Used, t.Requested, t.RetryAfter = wire.Requests, 10, 10, 1, 6*time.Second
		}, "", map[string]float64{"rpm": 10}, false},
		{"of requests a day", "rpd=10", func(t *wire.Throttle) {
			t.Dimension, t.Period, t.Limit, t.Used, t.Requested = wire.Requests, day, 10, 5, 1
		}, "", map[string]float64{"rpd": 5}, false},
		{"99 % of the limit", "tpm=1000", func(t *wire.Throttle) { t.Used, t.Requested, t.RetryAfter = 890, 100, 0 }, "", map[string]float64{"tpm": 890}, false},
		{"less", "tpm=1000", func(t *wire.Throttle) { t.Used, t.Requested, t.RetryAfter = 889, 100, 0 }, "tpm=1000 tpm/subwindow=1000", nil, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, x.limits)
			r := w.send(0, 100)
			w.Clean()
			corrections, owner := w.Throttled(at(10*time.Millisecond), r, reached(x.change), 0)
			got := w.apply(corrections)
			if len(got) != len(x.corrected) {
				t.Errorf("corrected by %v; want %v", got, x.corrected)
			}
			for name, want := range x.corrected {
				if d := got[name] - want; d < -1e-6 || d > 1e-6 {
					t.Errorf("corrected by %v; want %v", got, x.corrected)
				}
			}
			if x.holds == "" {
				x.holds = x.limits
			}
			if got := w.holds(); got != x.holds {
				t.Errorf("%s; want %s", got, x.holds)
			}
			if w.Dirty() == x.silent && x.holds == x.limits {
				t.Errorf("dirty is %v", w.Dirty())
			}
			if owner != w.Owner() {
				t.Errorf("it is about %s", owner)
			}
		})
	}
}

// A limit that a throttle is the first to report begins with what was used of it, and
// what was sent meanwhile.
func TestThrottleReportsALimit(t *testing.T) {
	for _, x := range []struct {
		used, requested int64
		wait            time.Duration
		want            float64
	}{{950, 100, 3 * time.Second, 980}, {0, 1000, 24 * time.Millisecond, 30.4}, {-1, 100, 3 * time.Second, 30}} {
		w := newWorld(t, "")
		r := w.send(0, 100)
		w.send(500*time.Millisecond, 30)
		w.Throttled(at(time.Second), r, reached(func(t *wire.Throttle) {
			t.Used, t.Requested, t.RetryAfter = x.used, x.requested, x.wait
		}), 0)
		l := w.limit("tpm")
		if got := l.Bucket(at(time.Second)).Start; got < x.want-1e-6 || got > x.want+1e-6 {
			t.Errorf("used %d: it begins at %v; want %v", x.used, got, x.want)
		}
		if source, _ := l.Source(at(time.Second)); source != throttleSource || l.confirmed {
			t.Errorf("from %q, confirmed: %v", source, l.confirmed)
		}
	}
}

// A throttle of a request that was sent before the last that was heard of does not tell
// what the limit is.
func TestLateThrottle(t *testing.T) {
	for _, x := range []struct {
		sent time.Duration
		want int64
	}{{999 * time.Millisecond, 1000}, {time.Second, 700}} {
		w := newWorld(t, "tpm=1000")
		w.respond(2*time.Second, w.send(time.Second, 1), headersOf("tokens", 1000, 10, minute))
		r := &Request{SentAt: at(x.sent), Cost: backend.Amounts{1, 1, 0}}
		for range 8 {
			w.Throttled(at(3*time.Second), r, reached(func(t *wire.Throttle) { t.Limit, t.Used, t.Requested = 700, 700, 1 }), 0)
		}
		if got := w.limit("tpm").Amount(); got != x.want {
			t.Errorf("sent at %v: %d; want %d", x.sent, got, x.want)
		}
	}
}

// A request that alone exceeds a limit confirms the limit, and says nothing of its level.
func TestTooLargeConfirms(t *testing.T) {
	for _, x := range []struct {
		name      string
		limit     int64
		kind      wire.Kind
		confirmed bool
	}{
		{"too large", 1000, wire.TooLarge, true},
		{"for another limit", 900, wire.TooLarge, false},
		{"not too large", 1000, wire.RateLimit, false},
	} {
		w := newWorld(t, "")
		w.send(0, 100)
		r := w.send(0, 2000)
		w.refuse(time.Second, r, headersOf("tokens", 1000, 10, minute))
		l := w.limit("tpm")
		w.Clean()
		w.TooLarge(at(2*time.Second), r, reached(func(t *wire.Throttle) {
			t.Kind, t.Limit, t.Used, t.Requested = x.kind, x.limit, -1, 2000
		}))
		if x.kind == wire.RateLimit { // the second report in a row
			x.confirmed = true
		}
		if l.confirmed != x.confirmed || l.Amount() != 1000 || len(w.limits) != 1 {
			t.Errorf("%s: confirmed is %v of %s", x.name, l.confirmed, w.holds())
		}
	}
	w := newWorld(t, "")
	if w.TooLarge(epoch, w.send(0, 2000), reached(func(t *wire.Throttle) { t.Kind, t.Requested = wire.TooLarge, 2000 })); !w.limit("tpm").confirmed {
		t.Error("a limit that is reported so is not confirmed")
	}
	w = newWorld(t, "tpm=1000")
	r := w.send(0, 1)
	w.Clean()
	w.TooLarge(epoch, r, reached(func(t *wire.Throttle) { t.Kind, t.Used, t.Requested = wire.TooLarge, 900, 2000 }))
	if got := w.respond(time.Second, r, headersOf("tokens", 1000, 901, minute)); w.Dirty() || got["tpm"] != 900 {
		t.Errorf("a level is taken from it, %v is left to correct", got)
	}
	w = newWorld(t, "")
	w.TooLarge(epoch, w.send(0, 2000), reached(func(t *wire.Throttle) { t.Kind, t.Requested = wire.TooLarge, 2000 }))
	if got := w.Exceeded(&backend.Amounts{1, 2000, 0}, epoch); got == nil {
		t.Error("and the next such call is not rejected")
	}
}

// A throttle is about a shared limit where its figure is that limit's, of what it counts.
func TestThrottledOwner(t *testing.T) {
	for _, x := range []struct {
		name, limits string
		change       func(t *wire.Throttle)
		want         string
	}{
		{"nothing known", "", nil, owner},
		{"the model's", "tpm=1000", nil, owner},
		{"the family's", "family:f/tpm=1000", nil, "family:f"},
		{"the account's", "account/tpm=1000", nil, "account"},
		{"the first that fits", "family:f/tpm=1000 account/tpm=1000", nil, "family:f"},
		{"the other one", "family:f/tpm=900 account/tpm=1000", nil, "account"},
		{"another figure", "account/tpm=900", nil, owner},
		{"no figure", "account/tpm=1000", func(t *wire.Throttle) { t.Limit = -1 }, owner},
		{"of something else", "account/rpm=1000", nil, owner},
		{"of another period", "account/tpd=1000", nil, owner},
		{"of a period that is not known", "account/tpm=1000", func(t *wire.Throttle) { t.Period = 0 }, "account"},
		{"of what is not known", "account/tpm=1000", func(t *wire.Throttle) { t.Dimension, t.Period = wire.Unknown, 0 }, "account"},
		{"the model has such a limit", "tpm=1000 account/tpm=1000", nil, owner},
	} {
		w := newWorld(t, x.limits)
		if _, got := w.Throttled(epoch, w.send(0, 1), reached(x.change), 0); got != x.want {
			t.Errorf("%s: %s; want %s", x.name, got, x.want)
		}
	}
}

// A throttle long before the limit is reached is that of a subwindow, of one second or of
// ten.
func TestSubwindows(t *testing.T) {
	part := func(figures bool, wait time.Duration) *wire.Throttle {
		return reached(func(t *wire.Throttle) {
			t.Used, t.RetryAfter = 10, wait
			if !figures {
				t.Period, t.Limit, t.Used, t.Requested = 0, -1, -1, -1
			}
		})
	}
	for _, x := range []struct {
		name      string
		throttles []*wire.Throttle // half an hour apart
		sent      int64
		then      time.Duration // until the next response
		want      time.Duration // the subwindow, 0 for none
	}{
		{"with figures", []*wire.Throttle{part(true, time.Second)}, 100, 0, time.Second},
		{"for longer than a second", []*wire.Throttle{part(true, time.Second+1)}, 100, 0, 10 * time.Second},
		{"for the limit's period", []*wire.Throttle{part(true, minute)}, 100, 0, 10 * time.Second},
		{"for longer than the limit's period", []*wire.Throttle{part(true, minute+1)}, 100, 0, 0},
		{"without figures", []*wire.Throttle{part(false, time.Second)}, 100, 0, time.Second},
		{"without figures, of ten seconds", []*wire.Throttle{part(false, 10*time.Second)}, 100, 0, 10 * time.Second},
		{"without figures, for longer", []*wire.Throttle{part(false, 10*time.Second+1)}, 100, 0, 0},
		{"without figures, almost reached", []*wire.Throttle{part(false, time.Second)}, 899, 0, time.Second},
		{"without figures, reached", []*wire.Throttle{part(false, time.Second)}, 900, 0, 0},
		{"the longest counts", []*wire.Throttle{part(true, time.Second), part(true, 2*time.Second)}, 100, 0, 10 * time.Second},
		{"whichever comes first", []*wire.Throttle{part(true, 2*time.Second), part(true, time.Second)}, 100, 0, 10 * time.Second},
		{"believed for an hour", []*wire.Throttle{part(true, time.Second)}, 100, subwindowLife, time.Second},
		{"and no longer", []*wire.Throttle{part(true, time.Second)}, 100, subwindowLife + 1, 0},
		{"from the last throttle on", []*wire.Throttle{part(true, time.Second), part(true, time.Second)}, 100, subwindowLife, time.Second},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, "rpm=500 tpm=1000 tpd=9000 account/tpm=5000")
			last := time.Duration(0)
			for i, throttle := range x.throttles {
				last = time.Duration(i) * 30 * time.Minute
				w.Clean()
				corrections, _ := w.Throttled(at(last), w.send(last, x.sent), throttle, 0)
				w.apply(corrections)
				if x.want > 0 && !w.Dirty() {
					t.Error("others are not told")
				}
			}
			w.respond(last+x.then, w.send(last+x.then, 1), "")
			var got time.Duration
			for _, l := range w.limits {
				if l.whole == nil {
					continue
				}
				if l.whole == w.limit("tpm") && l.Name == "tpm/subwindow" {
					got = l.burst
				} else if throttleIsOfTheModel := x.throttles[0].Limit > 0; throttleIsOfTheModel {
					t.Errorf("%s of %s", l.Name, l.whole.Owner)
				}
			}
			if got != x.want {
				t.Errorf("%v; want %v; %s", got, x.want, w.holds())
			}
			if got == 0 {
				return
			}
			b := w.limit("tpm/subwindow").Bucket(at(last))
			if b.Limit != 1000 || b.Period != minute || b.Burst != got || b.Margin < 1000*0.2/60-1e-6 || b.Margin > 1000*0.2/60+1e-6 {
				t.Errorf("%+v", b)
			}
		})
	}
}

// A subwindow goes with its limit.
func TestSubwindowFollowsItsLimit(t *testing.T) {
	w := newWorld(t, "")
	w.respond(0, w.send(0, 1), headersOf("tokens", 1000, 10, minute))
	w.subwindow(epoch, w.limit("tpm"), time.Second)
	if got := w.holds(); got != "tpm=1000 tpm/subwindow=1000" {
		t.Fatal(got)
	}
	w.limit("tpm").learned.Amount = 700
	if got := w.holds(); got != "tpm=700 tpm/subwindow=700" {
		t.Error(got)
	}
	if w.DropDoubtful(&backend.Amounts{1, 800, 0}, epoch); w.holds() != "" {
		t.Errorf("%s is left", w.holds())
	}
}

// What a throttle changes of the slow start.
func TestThrottlesPause(t *testing.T) {
	for _, x := range []struct {
		pause  time.Duration
		probes bool
	}{{0, false}, {longPause - 1, false}, {longPause, true}, {time.Minute, true}} {
		w := newWorld(t, "rpm=500 tpm=1000")
		w.start.Skip()
		w.Throttled(epoch, w.send(0, 1), reached(nil), x.pause)
		if got := w.Slots(at(x.pause), 9, 0); (got == 1) != x.probes {
			t.Errorf("after %v there are %d slots", x.pause, got)
		}
		if got := w.Paced(at(x.pause)); got != x.probes {
			t.Errorf("after %v paced is %v", x.pause, got)
		}
		r := w.send(x.pause, 1) // it goes first
		if w.respond(x.pause+time.Millisecond, r, ""); w.Slots(at(x.pause+2*time.Millisecond), 9, 0) != -1 {
			t.Errorf("its response opens nothing")
		}
	}
	// A throttle stops a slow start from growing, for five seconds.
	w := newWorld(t, "rpm=500 tpm=1000")
	w.Begin(epoch)
	before := w.start.Factor(at(3*time.Second), 0, false)
	w.Throttled(at(3*time.Second), w.send(0, 1), reached(nil), 0)
	if after := w.start.Factor(at(7*time.Second), 0, false); before != 4 || after != 2 {
		t.Errorf("a pace of %v falls to %v", before, after)
	}
}

// The one that goes first after a pause and is throttled again does not open anything.
func TestThrottledProbe(t *testing.T) {
	w := newWorld(t, "rpm=500 tpm=1000")
	w.start.Skip()
	w.PausedByOthers(epoch, time.Second)
	r := w.send(time.Second, 1)
	w.refuse(1100*time.Millisecond, r, "")
	if got := w.Slots(at(1100*time.Millisecond), 0, 0); got != 0 {
		t.Errorf("%d may follow it", got)
	}
}

// slow_down lets traffic grow only slowly; other throttles do not.
func TestSlowDownIsOfItsKind(t *testing.T) {
	for kind, want := range map[wire.Kind]bool{wire.SlowDown: true, wire.RateLimit: false, wire.Other: false} {
		w := newWorld(t, "rpm=500")
		w.Throttled(epoch, w.send(0, 1), &wire.Throttle{Kind: kind, Limit: -1, Used: -1, Requested: -1}, 0)
		if got := w.limit("rpm").Ramp(epoch) > 0; got != want {
			t.Errorf("of kind %d: %v", kind, got)
		}
	}
}

// An error that is about nothing says nothing of how full the server's buckets are, but
// with headers it does.
func TestAnswersThatOpen(t *testing.T) {
	for _, x := range []struct {
		headers string
		failed  bool
		want    bool // no slow start any more
	}{
		{"", false, true},
		{"", true, false},
		{"limit-requests=500", false, true},
		{headersOf("requests", 500, 1, minute), true, false}, // one call more at a time
	} {
		w := newWorld(t, "")
		w.Begin(epoch)
		before := w.Slots(epoch, 0, 0)
		w.Headers(at(time.Millisecond), w.send(0, 1), parse(x.headers), false, x.failed)
		after := w.Slots(at(time.Millisecond), 0, 0)
		if (after == -1) != x.want {
			t.Errorf("%q, failed %v: %d slots", x.headers, x.failed, after)
		}
		if grown := after > before; x.headers != "" && x.failed && !grown {
			t.Errorf("%q: %d slots after %d", x.headers, after, before)
		}
	}
}

// What a throttle says was requested teaches how the server charges an input, if that is
// large enough and comparable.
func TestThrottlesShowTheChargeOfAnInput(t *testing.T) {
	for _, x := range []struct {
		name      string
		counted   int64
		requested int64 // of 100 tokens of output
		change    func(*wire.Throttle)
		want      float64
	}{
		{"less than we count", 200, 200, nil, 0.5},
		{"as we count", 500, 600, nil, 1},
		{"a small input", 199, 199, nil, 1},
		{"an input that can't be compared", 0, 350, nil, 1},
		{"nothing that was requested", 500, -1, nil, 1},
		{"of requests", 500, 1, func(t *wire.Throttle) { t.Dimension, t.Limit = wire.Requests, 500 }, 1},
	} {
		w := newWorld(t, "rpm=500 tpm=6000")
		for i := range 6 {
			d := time.Duration(i) * time.Minute
			r := w.send(d, x.counted+100)
			r.Input = Input{Charged: x.counted, Counted: x.counted}
			w.Clean()
			throttle := reached(func(t *wire.Throttle) {
				t.Limit, t.Used, t.Requested = 6000, 6000-max(0, x.requested), x.requested
				if x.change != nil {
					x.change(t)
				}
			})
			before := w.limit("tpm").tracker.InputRatio()
			w.Throttled(at(d+time.Second), r, throttle, 0)
			changed := w.limit("tpm").tracker.InputRatio() != before
			if changed != w.Urgent() || changed && (i == 0 || !w.Dirty()) {
				t.Errorf("%s: after %d throttles the ratio has changed: %v; urgent is %v", x.name, i+1, changed, w.Urgent())
			}
		}
		if got := w.limit("tpm").tracker.InputRatio(); !near(got, x.want) {
			t.Errorf("%s: a ratio of %v; want %v", x.name, got, x.want)
		}
	}
}

// A limit of a second is a subwindow of the one of a minute, which is sixty times as much where
// nothing else is known of it.
func TestThrottleOfASecond(t *testing.T) {
	for _, x := range []struct {
		configured string
		dimension  wire.Dimension
		limit      int64
		want       string
	}{
		{"", wire.Requests, 2, "rpm=120 rpm/subwindow=120"},
		{"rpm=600", wire.Requests, 2, "rpm=600 rpm/subwindow=600"},
		{"rpm=600", wire.Requests, -1, "rpm=600 rpm/subwindow=600"},
		{"rpd=600", wire.Requests, 2, "rpd=600 rpm=120 rpm/subwindow=120"},
		{"", wire.Tokens, 100, "tpm=6000 tpm/subwindow=6000"},
		{"", wire.Requests, 0, ""},
		{"", wire.Requests, -1, ""},
		{"", wire.Requests, Largest / 60, "rpm=1099511627760 rpm/subwindow=1099511627760"},
		{"", wire.Requests, Largest/60 + 1, ""},
	} {
		w := newWorld(t, x.configured)
		r := w.send(0, 1)
		corrections, _ := w.Throttled(at(10*time.Millisecond), r, &wire.Throttle{
			Kind: wire.RateLimit, Dimension: x.dimension, Period: time.Second, Limit: x.limit, Used: -1, Requested: -1, RetryAfter: 0,
		}, 0)
		if got := w.holds(); got != x.want || len(corrections) > 0 {
			t.Errorf("%+v: %s, corrected %v", x, got, corrections)
		}
	}
}

// What was sent since the throttled request is guessed to be used.
func TestThrottleOfASecondBeginsWithWhatIsInFlight(t *testing.T) {
	w := newWorld(t, "")
	r := w.send(0, 1)
	w.send(time.Millisecond, 1)
	w.send(2*time.Millisecond, 1)
	w.Throttled(at(10*time.Millisecond), r, &wire.Throttle{
		Kind: wire.RateLimit, Dimension: wire.Requests, Period: time.Second, Limit: 2, Used: -1, Requested: -1,
	}, 0)
	if got := w.limit("rpm").Bucket(at(10 * time.Millisecond)).Start; got != 2 {
		t.Errorf("%v is used; want 2", got)
	}
}

// A throttle without figures whose headers say that less is left than it asks for is the limit's
// own, however little of it we know to be used: the server's windows may begin otherwise.
func TestThrottleOfASpentLimitIsNoSubwindows(t *testing.T) {
	for _, x := range []struct {
		name, headers string
		dimension     wire.Dimension
		later         bool // it is another request that is throttled
		want          string
	}{
		{"nothing is left", "limit-requests=60 remaining-requests=0", wire.Requests, false, "rpm=60 tpm=6000"},
		{"something is", "limit-requests=60 remaining-requests=1", wire.Requests, false, "rpm=60 tpm=6000 rpm/subwindow=60"},
		{"nothing is told", "", wire.Requests, false, "rpm=60 tpm=6000 rpm/subwindow=60"},
		{"only a limit is", "limit-requests=60", wire.Requests, false, "rpm=60 tpm=6000 rpm/subwindow=60"},
		{"of another dimension nothing is left", "limit-requests=60 remaining-requests=0", wire.Tokens, false, "rpm=60 tpm=6000 tpm/subwindow=6000"},
		{"for another request nothing was left", "limit-requests=60 remaining-requests=0", wire.Requests, true, "rpm=60 tpm=6000 rpm/subwindow=60"},
		{"less is left than it asks for", "limit-tokens=6000 remaining-tokens=49", wire.Tokens, false, "rpm=60 tpm=6000"},
		{"as much as it asks for", "limit-tokens=6000 remaining-tokens=50", wire.Tokens, false, "rpm=60 tpm=6000 tpm/subwindow=6000"},
	} {
		w := newWorld(t, "rpm=60 tpm=6000")
		w.loose = true
		r := w.send(0, 50)
		w.refuse(10*time.Millisecond, r, x.headers)
		if x.later {
			w.buckets["model:m/rpm"].used = 0 // it has refilled
			r = w.send(20*time.Millisecond, 50)
			w.refuse(30*time.Millisecond, r, "")
		}
		w.Throttled(at(40*time.Millisecond), r, &wire.Throttle{Kind: wire.RateLimit, Dimension: x.dimension, Limit: -1, Used: -1, Requested: -1}, 0)
		if got := w.holds(); got != x.want {
			t.Errorf("%s: %s; want %s", x.name, got, x.want)
		}
	}
	w := newWorld(t, "rpm=60")
	r := w.send(0, 50)
	w.respond(10*time.Millisecond, r, "limit-requests=60 remaining-requests=0") // no throttle's
	w.Throttled(at(40*time.Millisecond), r, &wire.Throttle{Kind: wire.RateLimit, Dimension: wire.Requests, Limit: -1, Used: -1, Requested: -1}, 0)
	if got := w.holds(); got != "rpm=60 rpm/subwindow=60" {
		t.Error(got)
	}
}

// What a limit that a throttle reports begins with may be taken off again, even of requests, as
// far as it was a guess at what is on its way.
func TestThrottlesGuessIsUndone(t *testing.T) {
	w := newWorld(t, "")
	r := w.send(0, 1)
	w.send(200*time.Millisecond, 1)
	w.send(400*time.Millisecond, 1)
	w.Throttled(at(time.Second), r, reached(func(t *wire.Throttle) {
		t.Dimension, t.Limit, t.Used, t.Requested, t.RetryAfter = wire.Requests, 6000, 6000, 1, 10*time.Millisecond
	}), 0)
	r = w.send(time.Second, 1)
	if got := w.respond(1100*time.Millisecond, r, headersOf("requests", 6000, 5000, minute)); got["rpm"] != -2 {
		t.Errorf("corrected by %v; the guess was 2", got)
	}
}

// A throttle's figure is not only said, it has happened: it counts for several reports.
func TestThrottlesAreBelievedSooner(t *testing.T) {
	lower := func(throttled bool) (n int) {
		w := newWorld(t, "")
		for i := range time.Duration(20) {
			w.respond(i*time.Second, w.send(i*time.Second, 1), headersOf("tokens", 1000, int64(10+i), minute))
		}
		for w.limit("tpm").Amount() == 1000 {
			n++
			now := time.Duration(20+n) * time.Second
			if r := w.send(now, 1); throttled {
				w.Throttled(at(now), r, reached(func(t *wire.Throttle) { t.Limit, t.Used = 700, 700 }), 0)
			} else {
				w.respond(now, r, headersOf("tokens", 700, int64(10+n), minute))
			}
		}
		return n
	}
	if said, happened := lower(false), lower(true); said < 3*happened {
		t.Errorf("believed after %d reports, or %d throttles", said, happened)
	}
}
