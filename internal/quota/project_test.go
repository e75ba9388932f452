package quota

import (
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// A project's limit is one of its own, beside its organization's.
func TestProjectLimits(t *testing.T) {
	organization := headersOf("tokens", 2_000_000, 100, minute)
	project := headersOf("project-tokens", 60_000, 100, minute)
	for _, x := range []struct{ name, limits, headers, want string }{
		{"both", "", organization + project, "tpm=2000000 tpm/project=60000"},
		{"the project's alone", "", project, "tpm/project=60000"},
		{"beside a configured one", "tpm=50000", project, "tpm=50000 tpm/project=60000"},
		{"beside a configured one of the same amount", "tpm=60000", project, "tpm=60000 tpm/project=60000"},
		{"beside the account's", "account/tpm=60000", project, "account/tpm=60000 tpm/project=60000"},
		{"of the organization's amount", "", headersOf("tokens", 60_000, 100, minute) + project, "tpm=60000 tpm/project=60000"},
		{"a day's, which there is not", "", headersOf("project-tokens", 60_000, 100, day), ""},
		{"absurd", "", " limit-project-tokens=-1 remaining-project-tokens=-1 reset-project-tokens=0s", ""},
	} {
		w := newWorld(t, x.limits)
		for i := range 3 {
			w.respond(time.Duration(i)*time.Second+time.Millisecond, w.send(time.Duration(i)*time.Second, 100), x.headers)
		}
		if got := w.holds(); got != x.want {
			t.Errorf("%s: %s; want %s", x.name, got, x.want)
		}
	}
}

// Each is corrected by its own headers, and lowered by its own.
func TestProjectLevels(t *testing.T) {
	w := newWorld(t, "tpm=2000000")
	both := func(organization, project int64) string {
		return headersOf("tokens", 2_000_000, organization, minute) + headersOf("project-tokens", 60_000, project, minute)
	}
	w.start.Skip()
	w.respond(10*time.Millisecond, w.send(0, 100), both(100, 100))
	r := w.send(time.Second, 100)
	if c := w.respond(1100*time.Millisecond, r, both(100, 20_100)); c["tpm"] != 0 || c["tpm/project"] < 19_000 {
		t.Errorf("corrected by %v; want 20,000 of the project's", c)
	}
	for i := range 8 {
		at := time.Duration(2+i) * time.Second
		w.respond(at+100*time.Millisecond, w.send(at, 100), headersOf("tokens", 2_000_000, 100, minute)+headersOf("project-tokens", 30_000, 100, minute))
	}
	if got := w.holds(); got != "tpm=2000000 tpm/project=30000" {
		t.Errorf("the project's limit has fallen, and %s", got)
	}
}

// A throttle's text names a project's limit by its amount alone.
func TestProjectThrottles(t *testing.T) {
	for _, x := range []struct {
		limit int64
		want  string
	}{{60_000, "tpm/project"}, {2_000_000, "tpm"}, {1_000_000, "tpm"}, {500, "tpm"}} {
		w := newWorld(t, "")
		w.respond(10*time.Millisecond, w.send(0, 100), headersOf("tokens", 2_000_000, 100, minute)+headersOf("project-tokens", 60_000, 100, minute))
		if got := w.findThrottling(1, minute, x.limit); got == nil || got.Name != x.want {
			t.Errorf("%d is %+v; want %s", x.limit, got, x.want)
		}
		for range 12 {
			w.Throttled(at(2*time.Second), w.send(time.Second, 100), &wire.Throttle{
				Kind: wire.RateLimit, Dimension: wire.Tokens, Period: minute, Limit: 60_000, Used: 59_950, Requested: 100, RetryAfter: time.Second,
			}, time.Second)
		}
		if got := w.holds(); got != "tpm=2000000 tpm/project=60000" {
			t.Errorf("after throttles by the project's limit: %s", got)
		}
	}
}

// What a project's limit is, other processes hear.
func TestProjectNote(t *testing.T) {
	w := newWorld(t, "")
	w.respond(10*time.Millisecond, w.send(0, 100), headersOf("tokens", 2_000_000, 100, minute)+headersOf("project-tokens", 60_000, 100, minute))
	note, err := w.Note(at(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	other := newWorld(t, "")
	if _, err := other.TakeNote(at(2*time.Second), note, time.Second); err != nil || other.holds() != w.holds() {
		t.Errorf("%s, %v; want %s", other.holds(), err, w.holds())
	}
	if l := other.limit("tpm/project"); !l.Project || l.Period != minute {
		t.Errorf("%+v", l.Kind)
	}
}

// respondAs is respond for headers of any name.
func (w *world) respondAs(after time.Duration, r *Request, h wire.Headers) map[string]float64 {
	return w.apply(w.Headers(at(after), r, &h, false, false))
}

func reported(period time.Duration, limit, remaining, step int64) wire.Window {
	return wire.Window{Limit: limit, Remaining: remaining, Stated: period, Step: step, HasLimit: true, HasRemaining: true}
}

// A period that is stated needs no figures to be told by.
func TestStatedPeriods(t *testing.T) {
	for _, x := range []struct {
		name    string
		headers wire.Headers
		want    string
	}{
		{"a day, nothing used", wire.Headers{Requests: reported(day, 14_400, 14_400, 0)}, "rpd=14400"},
		{"a minute, nothing used", wire.Headers{Requests: reported(minute, 60, 60, 0)}, "rpm=60"},
		{"a minute and a day", wire.Headers{Tokens: reported(minute, 1000, 900, 0), DailyTokens: reported(day, 50_000, 49_900, 0)}, "tpm=1000 tpd=50000"},
		{"requests of a minute and a day", wire.Headers{Requests: reported(minute, 5, 4, 0), DailyRequests: reported(day, 2400, 2399, 0)}, "rpm=5 rpd=2400"},
		{"a second", wire.Headers{Requests: reported(time.Second, 10, 9, 0), Tokens: reported(time.Second, 1000, 900, 0)},
			"rpm=600 rpm/subwindow=600 tpm=60000 tpm/subwindow=60000"},
		{"a second that holds less than the call", wire.Headers{Tokens: reported(time.Second, 50, 0, 0)}, "tpm=3000 tpm/subwindow=3000"},
		{"ten seconds that hold all of it but the rest", wire.Headers{Tokens: reported(10*time.Second, 17, 0, 0)}, "tpm=102 tpm/subwindow=102"},
		{"ten seconds that can't have let it through", wire.Headers{Tokens: reported(10*time.Second, 16, 0, 0)}, ""},
		{"a second that can't have let it through", wire.Headers{Tokens: reported(time.Second, 1, 0, 0)}, ""},
		{"a second, and no level", wire.Headers{Tokens: wire.Window{Limit: 1000, HasLimit: true, Stated: time.Second}}, ""},
	} {
		w := newWorld(t, "")
		for i := range 3 {
			w.respondAs(time.Duration(i)*time.Second+time.Millisecond, w.send(time.Duration(i)*time.Second, 100), x.headers)
		}
		if got := w.holds(); got != x.want {
			t.Errorf("%s: %s; want %s", x.name, got, x.want)
		}
	}
}

// Figures that are rounded correct only what they contradict.
func TestRoundedFiguresCorrect(t *testing.T) {
	for _, x := range []struct {
		remaining int64
		want      float64
	}{
		{9_500, 0}, {9_000, 0}, // 550 of 10,000 are within the rounding
		{7_000, 1950}, // 2500 at least, of which we know 550
	} {
		w := newWorld(t, "tpm=10000")
		w.start.Skip()
		w.respondAs(time.Millisecond, w.send(0, 600), wire.Headers{Tokens: reported(minute, 10_000, 9_400, 0)})
		r := w.send(300*time.Millisecond, 0)
		got := w.respondAs(310*time.Millisecond, r, wire.Headers{Tokens: reported(minute, 10_000, x.remaining, 1000)})["tpm"]
		if got < x.want-2 || got > x.want+2 {
			t.Errorf("%d left: corrected by %v; want %v", x.remaining, got, x.want)
		}
	}
}

// What the server says it has charged for a call shows what it charges for the input.
func TestQueryCost(t *testing.T) {
	for _, x := range []struct {
		cost, want int64 // of 1000 tokens of input and 100 declared; and of as many again
	}{{1600, 1500}, {1100, 1000}, {850, 750}, {52, 1000}, {1 << 30, 1000}} {
		w := newWorld(t, "tpm=1000000")
		for i := range 3 {
			r := w.send(time.Duration(i)*time.Second, 1100)
			r.Input = Input{1000, 1000}
			w.respondAs(time.Duration(i)*time.Second+time.Millisecond, r, wire.Headers{QueryCost: x.cost})
		}
		if got := w.ChargedInput(1000); got != x.want {
			t.Errorf("%d is charged: an input of 1000 is taken to cost %d; want %d", x.cost, got, x.want)
		}
	}
}

// Of a project's limit that tells no period only the amount shows which it is.
func TestProjectWithoutAPeriod(t *testing.T) {
	w := newWorld(t, "")
	w.respond(time.Millisecond, w.send(0, 100), headersOf("project-tokens", 60_000, 100, minute))
	for i := range time.Duration(40) {
		w.respond((i+1)*time.Second, w.send((i+1)*time.Second, 1), "limit-project-tokens=30000")
	}
	if got := w.holds(); got != "tpm/project=60000" {
		t.Error(got)
	}
}

// Where a throttle's amount is a project's and the model's, the model's own is meant.
func TestThrottleOfBoth(t *testing.T) {
	w := newWorld(t, "")
	w.respond(time.Millisecond, w.send(0, 100), headersOf("project-tokens", 60_000, 100, minute)+headersOf("tokens", 60_000, 100, minute))
	if got := w.findThrottling(backend.Tokens, minute, 60_000); got == nil || got.Name != "tpm" {
		t.Errorf("%+v", got)
	}
}

// What is certain of a call is rounded up to a subwindow's part of it.
func TestLeastOfASubwindow(t *testing.T) {
	for certain, want := range map[int64]int64{0: 0, 1: 1, 96: 16, 97: 17, 102: 17} {
		rep := report{Window: reported(10*time.Second, 1, 0, 0), dimension: backend.Tokens}
		if got := rep.least(&Request{Certain: certain}); got != want {
			t.Errorf("%d: %d; want %d", certain, got, want)
		}
	}
}
