package quota

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// headersOf are those of a server whose bucket of so much a period has used so much.
func headersOf(d string, limit, used int64, period time.Duration) string {
	reset := time.Duration(float64(period) * float64(used) / float64(limit)).Round(time.Millisecond)
	return fmt.Sprintf(" limit-%s=%d remaining-%s=%d reset-%s=%v", d, limit, d, limit-used, d, reset)
}

// What the first response's headers teach where nothing is known.
func TestLearnedLimits(t *testing.T) {
	for _, x := range []struct{ name, headers, want string }{
		{"absent", "", ""},
		{"-1", "limit-requests=-1 remaining-requests=-1 reset-requests=-1", ""},
		{"0", "limit-requests=0 remaining-requests=0 reset-requests=0s", ""},
		{"0 left of a limit, for no time", "limit-requests=500 remaining-requests=0 reset-requests=0s", ""},
		{"no number", "limit-tokens=many remaining-tokens=some reset-tokens=later", ""},
		{"the largest", headersOf("tokens", Largest, 1<<30, minute), "tpm=1099511627776"},
		{"huge", headersOf("tokens", Largest+1, 1<<30, minute), ""},
		{"more left than the limit", "limit-requests=500 remaining-requests=600 reset-requests=120ms", ""},
		{"no limit", "remaining-requests=499 reset-requests=120ms", ""},
		{"no reset", "limit-requests=500 remaining-requests=499", ""},
		{"no remaining", "limit-requests=500 reset-requests=120ms", ""},
		{"nothing used", "limit-requests=500 remaining-requests=500 reset-requests=0s", ""},
		{"a reset that fits no period", "limit-requests=500 remaining-requests=499 reset-requests=3h", ""},
		{"a minute", headersOf("requests", 500, 1, minute), "rpm=500"},
		{"a day", headersOf("requests", 10_000, 1, day), "rpd=10000"},
		{"tokens a minute", headersOf("tokens", 40_000, 100, minute), "tpm=40000"},
		{"tokens a day", headersOf("tokens", 40_000, 100, day), "tpd=40000"},
		{"images", headersOf("images", 50, 2, minute), "ipm=50"},
		{"images a day, which are no limit of OpenAI's", headersOf("images", 50, 2, day), ""},
		{"Azure's whole seconds, of a minute", "limit-requests=500 remaining-requests=400 reset-requests=12 renewalperiod-requests=60", "rpm=500"},
		{"of ten seconds", "limit-requests=20 remaining-requests=10 reset-requests=5 renewalperiod-requests=60", "rpm=120 rpm/subwindow=120"},
		{"of one second", "limit-tokens=1000 remaining-tokens=400 reset-tokens=0", "tpm=60000 tpm/subwindow=60000"},
		{"of a minute or of ten seconds", "limit-requests=500 remaining-requests=490 reset-requests=0", ""},
		{"of no period that fits", "limit-requests=500 remaining-requests=499 reset-requests=1 renewalperiod-requests=60", ""},
		{"a renewal period alone", "limit-requests=500 remaining-requests=400 renewalperiod-requests=60", "rpm=500"},
		{"all three", headersOf("requests", 500, 1, minute) + headersOf("tokens", 40_000, 100, minute) + headersOf("images", 50, 2, minute), "rpm=500 tpm=40000 ipm=50"},
		{"one good, one absurd", headersOf("requests", 500, 1, minute) + " limit-tokens=-1 remaining-tokens=0", "rpm=500"},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, "")
			r := w.sendCost(0, backend.Amounts{1, 1, 1})
			w.Clean()
			before := w.dump()
			corrections := w.respond(time.Second, r, x.headers)
			if got := w.holds(); got != x.want || len(corrections) > 0 {
				t.Errorf("%s, corrected by %v; want %s", got, corrections, x.want)
			}
			if w.Dirty() != (x.want != "") {
				t.Errorf("dirty is %v", w.Dirty())
			}
			w.start, w.candidates, w.subwindows = (&Set{}).start, (&Set{}).candidates, false
			if x.want == "" && w.dump() != before {
				t.Errorf("it changes %s to %s", before, w.dump())
			}
		})
	}
}

// What absurd headers change of a limit that is known: nothing.
func TestAbsurdReportsOfAKnownLimit(t *testing.T) {
	for _, headers := range []string{
		"",
		"limit-tokens=-1 remaining-tokens=-1 reset-tokens=-1",
		"limit-tokens=0 remaining-tokens=0 reset-tokens=0s",
		"remaining-tokens=0 reset-tokens=1m0s",
		headersOf("tokens", Largest+1, Largest, minute),
		headersOf("tokens", 99, 50, minute), // less than what it let through
	} {
		for _, limits := range []string{"tpm=1000", "account/tpm=1000"} {
			w := newWorld(t, limits)
			w.start.Skip()
			r := w.send(0, 100)
			w.respond(time.Second, r, headersOf("tokens", 1000, 100, minute))
			r = w.send(2*time.Second, 100)
			before := w.dump()
			for range 20 {
				if c := w.respond(3*time.Second, r, headers); len(c) > 0 {
					t.Errorf("%s: corrected by %v", headers, c)
				}
			}
			if w.dump() != before {
				t.Errorf("%s changes\n%s to\n%s", headers, before, w.dump())
			}
		}
	}
}

// Which limit a report is about, and how far it moves its bucket.
func TestReportsCorrect(t *testing.T) {
	for _, x := range []struct {
		name, limits, headers string
		want                  map[string]float64 // corrections
		holds                 string
	}{
		{"nothing is missing", "tpm=1000", headersOf("tokens", 1000, 100, minute), nil, ""},
		{"others have used something", "tpm=1000", headersOf("tokens", 1000, 300, minute), map[string]float64{"tpm": 200}, ""},
		{"the server has used less", "tpm=1000", headersOf("tokens", 1000, 40, minute), map[string]float64{"tpm": -60}, ""},
		{"what is free counts below the server's limit", "tpm=1000", headersOf("tokens", 4000, 3200, minute), map[string]float64{"tpm": 100}, ""},
		{"and more is free than ours", "tpm=1000", headersOf("tokens", 4000, 100, minute), nil, ""},
		{"requests are counted by us", "rpm=1000", headersOf("requests", 1000, 5, minute), map[string]float64{"rpm": 4}, ""},
		{"and never fewer", "rpm=1000", "limit-requests=1000 remaining-requests=1000 reset-requests=0s", nil, ""},
		{"without a period by the amount", "tpm=1000", "limit-tokens=1000 remaining-tokens=500", map[string]float64{"tpm": 399}, ""},
		{"another amount without a period", "tpm=1000", "limit-tokens=900 remaining-tokens=500", nil, ""},
		{"a level alone", "tpm=1000", "remaining-tokens=500 reset-tokens=30s", nil, ""},
		{"a limit alone", "tpm=1000", "limit-tokens=1000", nil, ""},
		{"a reset alone", "tpm=1000", "limit-tokens=1000 reset-tokens=30s", map[string]float64{"tpm": 400}, ""},
		{"a limit of the day", "tpm=1000 tpd=5000", headersOf("tokens", 5000, 200, day), map[string]float64{"tpd": 100}, ""},
		{"the model's own before the family's", "tpm=1000 family:f/tpm=2000", headersOf("tokens", 2000, 300, minute), nil, ""},
		{"the family's", "family:f/tpm=1000", headersOf("tokens", 1000, 300, minute), map[string]float64{"tpm": 200}, ""},
		{"the account's, of the same amount", "account/tpm=1000", headersOf("tokens", 1000, 300, minute), map[string]float64{"tpm": 200}, ""},
		{"not the account's", "account/tpm=1000", headersOf("tokens", 900, 300, minute), nil, "account/tpm=1000 tpm=900"},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, x.limits)
			got := w.respond(10*time.Millisecond, w.send(0, 100), x.headers)
			if fmt.Sprint(got) != fmt.Sprint(x.want) && len(got)+len(x.want) > 0 {
				t.Errorf("corrected by %v; want %v", got, x.want)
			}
			if x.holds == "" {
				x.holds = x.limits
			}
			if got := w.holds(); got != x.holds {
				t.Errorf("%s; want %s", got, x.holds)
			}
		})
	}
}

// A difference that several responses report is corrected once, and a surplus of tokens
// counts as refunded.
func TestDifferencesAreCorrectedOnce(t *testing.T) {
	w := newWorld(t, "tpm=1000")
	first, second := w.send(0, 100), w.send(time.Millisecond, 100)
	if got := w.respond(time.Second, first, headersOf("tokens", 1000, 300, minute)); got["tpm"] != 200 {
		t.Errorf("corrected by %v", got)
	}
	if got := w.respond(time.Second, second, headersOf("tokens", 1000, 400, minute)); len(got) > 0 {
		t.Errorf("corrected again by %v", got)
	}
	if w.refunds.back != 0 {
		t.Errorf("%v refunded by a deficit", w.refunds.back)
	}
	w = newWorld(t, "tpm=1000")
	w.respond(time.Second, w.send(0, 100), headersOf("tokens", 1000, 40, minute))
	if w.refunds.back != 60 {
		t.Errorf("%v refunded by a surplus of 60", w.refunds.back)
	}
	if c := (Correction{Correction: backend.Correction{From: 5, To: 9}}); c.Lowered() != 0 {
		t.Errorf("a deficit lowers by %v", c.Lowered())
	}
}

// Requests that are charged long before they are sent stood elsewhere by then.
func TestLevelsOfRequestsThatWereHeldBack(t *testing.T) {
	for _, x := range []struct {
		held time.Duration
		want float64
	}{{0, 200}, {time.Second - 1, 200}, {time.Second, 0}, {time.Hour, 0}} {
		w := newWorld(t, "tpm=1000")
		r := w.send(0, 100)
		r.SentAt = at(x.held)
		if got := w.respond(x.held+time.Millisecond, r, headersOf("tokens", 1000, 300, minute)); got["tpm"] != x.want {
			t.Errorf("held for %v: corrected by %v; want %v", x.held, got, x.want)
		}
	}
}

// The server has not charged the tokens of a request that it throttled; we have. It has
// charged the request.
func TestThrottledHeadersLackTheCallsTokens(t *testing.T) {
	w := newWorld(t, "rpm=500 tpm=1000 ipm=50")
	r := w.sendCost(0, backend.Amounts{1, 100, 2})
	headers := headersOf("requests", 500, 1, minute) + headersOf("tokens", 1000, 950, minute) + headersOf("images", 50, 50, minute)
	got := w.refuse(10*time.Millisecond, r, headers)
	if got["tpm"] != 950 || got["ipm"] != 50 || got["rpm"] != 0 {
		t.Errorf("corrected by %v", got)
	}
}

// A few reports in a second period of the same header do not make a limit, nor does a
// minority. Eight do, of which each of the known limit counts against two, and eight reports
// end what the header has not reported meanwhile.
func TestCandidates(t *testing.T) {
	const (
		none = "rpm=500"
		both = "rpm=500 rpd=10000"
		day_ = "rpd=10000"
	)
	d := func(n int) string { return strings.Repeat("d", n) }
	m := func(n int) string { return strings.Repeat("m", n) }
	for _, x := range []struct{ reports, want string }{
		{"m", none},
		{"md", none},
		{"m" + d(7), none},
		{"m" + d(8), both},
		{"m" + d(14), both},
		{"m" + d(15), day_},
		{"m" + d(14) + "m" + d(7), both},
		{"m" + d(14) + "m" + d(8), day_},
		{"m" + d(15) + "m", day_}, // it needs eight again
		{"m" + d(15) + m(7), day_},
		{"m" + d(15) + m(8), "rpd=10000 rpm=500"},
		{strings.Repeat("mmd", 100), none}, // a minority
		{strings.Repeat("md", 100), none},
		{"m" + d(7) + "m" + d(2), none},
		{"m" + d(7) + "m" + d(3), both},
		{"m" + strings.Repeat("dddm", 3) + d(5), both}, // a majority
		{"m" + d(7) + "e" + d(7), none},                // another candidate between
		{"m" + d(7) + "e" + d(8), both},                // and eight in a row
		{"m" + d(8) + m(7) + "d", both},
		{"m" + d(8) + strings.Repeat("u", 8), both}, // which tells no period
		{"mdm" + d(7), none},
		{"m" + d(8) + m(8), none},
		{"m" + d(8) + m(8) + d(7), none}, // it needs eight again
		{"m" + d(8) + m(8) + d(8), both},
		{"d" + m(8), "rpd=10000 rpm=500"},
		{"dx", day_},        // the day's amount within a minute: a mistake
		{"dxxxxxxxx", day_}, // however often
		{"", ""},
	} {
		t.Run(x.reports, func(t *testing.T) {
			w := newWorld(t, "")
			for i, c := range x.reports {
				now := time.Duration(i) * time.Second
				r := w.send(now, 1)
				used := int64(10 + i)
				w.respond(now+time.Millisecond, r, map[rune]string{
					'm': headersOf("requests", 500, used, minute),
					'd': headersOf("requests", 10_000, used, day),
					'e': headersOf("requests", 9000, used, day),
					'x': headersOf("requests", 10_000, used, minute),
					'u': "limit-requests=500",
				}[c])
			}
			if got := w.holds(); got != x.want {
				t.Errorf("%s; want %s", got, x.want)
			}
		})
	}
}

// A limit that a call has shown to be none needs as many reports again.
func TestCandidateThatWasForgotten(t *testing.T) {
	const alone, both = "tpm=10000", "tpm=10000 tpd=5000"
	w := newWorld(t, "")
	w.respond(0, w.send(0, 1), headersOf("tokens", 10_000, 10, minute))
	for time := range 2 {
		for i := range contradictions {
			if got := w.holds(); got != alone {
				t.Errorf("time %d, after %d reports: %s", time, i, got)
			}
			w.respond(0, w.send(0, 1), headersOf("tokens", 5000, int64(10+i), day))
		}
		if got := w.holds(); got != both {
			t.Errorf("time %d: %s; want %s", time, got, both)
		}
		w.DropDoubtful(&backend.Amounts{backend.Tokens: 6000}, at(0))
	}
}

// What was configured is contradicted by nothing, and nor is what another header reported.
func TestWhatIsNotContradicted(t *testing.T) {
	play := func(w *world, header, limit string, n int) {
		for i := range n {
			w.respond(0, w.send(0, 1), strings.ReplaceAll(headersOf(header, 10_000, int64(10+i), day), "10000", limit))
		}
	}
	w := newWorld(t, "rpm=500")
	if play(w, "requests", "10000", 30); w.holds() != "rpm=500 rpd=10000" {
		t.Errorf("%s of what was configured", w.holds())
	}
	w = newWorld(t, "rpm=500")
	for range 2 {
		w.respond(0, w.send(0, 1), headersOf("requests", 400, 1, minute))
	}
	if play(w, "requests", "10000", 30); w.holds() != "rpm=400 rpd=10000" {
		t.Errorf("%s of what the same header reported below what was configured", w.holds())
	}
	w = newWorld(t, "")
	w.respond(0, w.send(0, 1), headersOf("requests", 500, 1, minute))
	w.limit("rpm").source = throttleSource
	if play(w, "requests", "10000", 30); w.holds() != "rpm=500 rpd=10000" {
		t.Errorf("%s of what a throttle reported", w.holds())
	}
	w = newWorld(t, "")
	w.respond(0, w.send(0, 1), headersOf("tokens", 500, 1, minute))
	if play(w, "requests", "10000", 30); w.holds() != "tpm=500 rpd=10000" {
		t.Errorf("%s of another dimension", w.holds())
	}
}

// Responses come out of order. The one to a request that was sent before the last that
// was heard of changes nothing.
func TestLateReports(t *testing.T) {
	for _, x := range []struct {
		name          string
		first, second time.Duration // when the requests were sent whose responses come
		changes       bool
	}{
		{"in order", 0, time.Second, true},
		{"at once", time.Second, time.Second, true},
		{"out of order", time.Second, time.Second - 1, false},
	} {
		w := newWorld(t, "")
		w.respond(2*time.Second, w.send(x.first, 10), headersOf("tokens", 1000, 10, minute))
		w.send(3*time.Second, 1) // the backend knows the bucket now
		l := w.limit("tpm")
		w.Clean()
		reports, confirmed := l.reportAt, l.confirmed
		got := w.respond(4*time.Second, &Request{SentAt: at(x.second), Cost: backend.Amounts{1, 10, 0}, Certain: 10},
			headersOf("tokens", 1000, 900, minute))
		if changed := l.reportAt != reports || l.confirmed != confirmed || len(got) > 0; changed != x.changes {
			t.Errorf("%s: %v changed to %v at %v, %v", x.name, reports, l.confirmed, l.reportAt, got)
		}
	}
}

// A limit below what has just been let through is not believed, but for the part of the
// cost that was a guess. Of a throttled request nothing was let through.
func TestLimitBelowWhatWasLetThrough(t *testing.T) {
	for _, x := range []struct {
		cost, certain int64
		throttled     bool
		want          string
	}{
		{500, 500, false, "tpm=500"},
		{501, 501, false, ""},
		{501, 500, false, "tpm=500"},
		{501, 501, true, "tpm=500"},
	} {
		w := newWorld(t, "")
		r := w.send(0, x.cost)
		r.Certain = x.certain
		headers := headersOf("tokens", 500, 400, minute)
		if x.throttled {
			w.refuse(time.Second, r, headers)
		} else {
			w.respond(time.Second, r, headers)
		}
		if got := w.holds(); got != x.want {
			t.Errorf("%+v: %s", x, got)
		}
	}
}

// The first report's level is where our bucket begins, with what was sent meanwhile. Once
// the backend knows the bucket, that counts.
func TestFirstLevelIsUsedOnce(t *testing.T) {
	w := newWorld(t, "")
	first := w.send(0, 100)
	w.send(200*time.Millisecond, 70)
	w.send(400*time.Millisecond, 30)
	w.respond(time.Second, first, headersOf("tokens", 6000, 1000, minute))
	l := w.limit("tpm")
	for after, want := range map[time.Duration]float64{
		time.Second:      1100,
		2 * time.Second:  1000,
		11 * time.Second: 100,
		time.Minute:      0,
	} {
		if got := l.Bucket(at(after)).Start; got < want-1e-6 || got > want+1e-6 {
			t.Errorf("it starts at %v after %v; want %v", got, after, want)
		}
	}
	w.send(2*time.Second, 10)
	if got := l.Bucket(at(time.Second)).Start; got != 0 {
		t.Errorf("it starts at %v although the backend knows it", got)
	}
}

// What was guessed to be on its way may be taken off again, even of requests, of which the
// server can't have counted fewer than were sent.
func TestFirstLevelsGuessIsUndone(t *testing.T) {
	w := newWorld(t, "")
	first := w.send(0, 1)
	w.send(200*time.Millisecond, 1)
	w.send(400*time.Millisecond, 1)
	w.respond(time.Second, first, headersOf("requests", 6000, 1000, minute))
	r := w.send(time.Second, 1)
	if got := w.respond(1100*time.Millisecond, r, headersOf("requests", 6000, 900, minute)); got["rpm"] != -2 {
		t.Errorf("corrected by %v; the guess was 2", got)
	}
}

// The responses of the calls that were guessed to be on their way show how many of them the first
// report had counted already. What is certain is taken off at once.
func TestGuessIsResolved(t *testing.T) {
	type response struct {
		call int
		used int64 // by the server, this call included
		want float64
	}
	used := func(n int64) string { return headersOf("requests", 600, n, minute) }
	for _, x := range []struct {
		name    string
		sent    []time.Duration // before the first of these responses
		first   response
		then    []response
		headers func(used int64) string
		change  func(*world)
	}{
		{"the first report counts all", make([]time.Duration, 4), response{0, 4, 0}, []response{{1, 1, -1}, {2, 2, -1}, {3, 3, -1}}, used, nil},
		{"it counts none", make([]time.Duration, 4), response{0, 1, 0}, []response{{1, 2, 0}, {2, 3, 0}, {3, 4, 0}}, used, nil},
		{"it counts two of three", make([]time.Duration, 4), response{0, 3, 0}, []response{{3, 4, 0}, {2, 1, -1}, {1, 2, -1}}, used, nil},
		{"it is of the call that was sent last", []time.Duration{0, 0, 5 * time.Millisecond}, response{2, 3, 0}, []response{{1, 1, -1}, {0, 2, -1}}, used, nil},
		{"a call is not guessed at", []time.Duration{0, 100 * time.Millisecond, 100 * time.Millisecond}, response{2, 3, 0}, []response{{0, 1, 0}, {1, 2, -1}}, used, nil},
		{"others have used some", make([]time.Duration, 3), response{0, 4, 0}, []response{{1, 1, 0}, {2, 2, 0}}, used, nil},
		{"others use some", make([]time.Duration, 3), response{0, 3, 0}, []response{{1, 5, 0}, {2, 2, 0}}, used, nil},
		{"rounding hides the call itself", make([]time.Duration, 3), response{0, 1, 0}, []response{{1, 2, 0}, {2, 3, 0}}, func(n int64) string {
			if n > 1 {
				return fmt.Sprintf("limit-requests=600 remaining-requests=%d", 600-n)
			}
			return used(n)
		}, nil},
		{"another limit is reported", []time.Duration{0, 0, 5 * time.Millisecond}, response{2, 3, 0}, []response{{1, 1, 0}, {0, 2, 0}}, func(n int64) string {
			if n < 3 {
				return headersOf("requests", 500, n, minute)
			}
			return used(n)
		}, nil},
		{"another process has begun the bucket", make([]time.Duration, 3), response{0, 3, 0}, []response{{1, 1, 0}, {2, 2, 0}}, used, func(w *world) {
			w.bucket(w.limit("rpm"), at(time.Second)).charged = 2
		}},
		{"nothing is left of a report", make([]time.Duration, 3), response{0, 3, 0}, []response{{1, 1, 0}, {2, 2, 0}}, func(n int64) string {
			if n < 3 {
				return "limit-requests=600 reset-requests=100ms"
			}
			return used(n)
		}, nil},
	} {
		w := newWorld(t, "")
		var calls []*Request
		for _, after := range x.sent {
			calls = append(calls, w.send(after, 1))
		}
		w.respond(time.Second, calls[x.first.call], x.headers(x.first.used))
		if x.change != nil {
			x.change(w)
		}
		w.send(time.Second, 1) // the backend knows the bucket from now on
		for _, r := range x.then {
			if got := w.respond(1100*time.Millisecond, calls[r.call], x.headers(r.used))["rpm"]; math.Abs(got-r.want) > 1e-9 {
				t.Errorf("%s: corrected by %v after call %d; want %v", x.name, got, r.call, r.want)
			}
		}
	}
}

// What resolves a guess changes where the bucket begins as long as the backend does not know it. A
// throttled call says nothing, and a correction that comes before resolves what is left.
func TestGuessIsResolvedBefore(t *testing.T) {
	used := func(n int64) string { return headersOf("requests", 600, n, minute) }
	for _, x := range []struct {
		name   string
		change func(*world, *Request)
		start  float64
		want   float64
	}{
		{"the backend does not know the bucket", nil, 3, 0},
		{"a call is throttled", func(w *world, r *Request) { w.refuse(time.Second, r, used(3)) }, 4, 0},
		{"the backend knows it", func(w *world, _ *Request) { w.send(time.Second, 1) }, 0, -1},
		{"a later call's report is late", func(w *world, _ *Request) {
			late, r := w.send(time.Second, 1), w.send(time.Second+10*time.Millisecond, 1)
			w.respond(1100*time.Millisecond, r, used(6))
			w.respond(1100*time.Millisecond, late, used(6))
		}, 0, -1},
		{"a correction came", func(w *world, _ *Request) { w.respond(time.Second, w.send(time.Second, 1), used(20)) }, 0, 0},
	} {
		w := newWorld(t, "")
		calls := []*Request{w.send(0, 1), w.send(0, 1), w.send(0, 1)}
		w.respond(time.Second, calls[0], used(3))
		if x.change != nil {
			x.change(w, calls[1])
		} else {
			w.respond(time.Second, calls[1], used(1))
		}
		got := w.respond(time.Second, calls[2], used(2))["rpm"]
		if start := w.limit("rpm").Bucket(at(time.Second)).Start; math.Abs(got-x.want) > 1e-9 || math.Abs(start-x.start) > 1e-9 {
			t.Errorf("%s: corrected by %v, and it begins at %v; want %v and %v", x.name, got, start, x.want, x.start)
		}
	}
}

// Calls in flight add to a bucket that is only now known what was sent after the request
// whose response reports it.
func TestSentAfter(t *testing.T) {
	w := newWorld(t, "")
	var requests []*Request
	for i, tokens := range []int64{100, 70, 30} {
		requests = append(requests, w.send(time.Duration(i)*100*time.Millisecond, tokens))
	}
	for i, want := range []backend.Amounts{{2, 100, 0}, {1, 30, 0}, {0, 0, 0}} {
		for d, n := range want {
			if got := w.sentAfter(requests[i], backend.Dimension(d)); got != float64(n) {
				t.Errorf("%v after request %d of dimension %d; want %d", got, i, d, n)
			}
		}
	}
}

// A limit is confirmed by its second report in a row.
func TestConfirmed(t *testing.T) {
	for _, x := range []struct {
		reports []int64
		want    bool
	}{
		{[]int64{500}, false},
		{[]int64{500, 500}, true},
		{[]int64{500, 500, 400}, true}, // which is not believed
		{append(times(9, 500), times(8, 400)...), false},
		{append(times(9, 500), times(9, 400)...), true},
	} {
		w := newWorld(t, "")
		for i, n := range x.reports {
			now := time.Duration(i) * time.Second
			w.respond(now+time.Millisecond, w.send(now, 1), headersOf("tokens", n, int64(10+i), minute))
		}
		if l := w.limit("tpm"); l.confirmed != x.want {
			t.Errorf("%v: confirmed is %v, at %d", x.reports, l.confirmed, l.Amount())
		}
	}
}

// A limit that another amount is believed of starts over.
func TestChangedLimitStartsOver(t *testing.T) {
	w := newWorld(t, "tpm=1000")
	w.respond(time.Second, w.send(0, 1), headersOf("tokens", 1000, 10, minute))
	l := w.limit("tpm")
	if !l.tracker.Reported() {
		t.Fatal("no level")
	}
	w.respond(time.Second, w.send(time.Second, 1), headersOf("tokens", 1000, 11, minute))
	w.Clean()
	for i := 0; l.Amount() == 1000 && i < 20; i++ {
		if l.tracker.Findings().Reports != 2 || w.Dirty() {
			t.Fatalf("%+v, dirty %v", l.tracker.Findings(), w.Dirty())
		}
		now := time.Duration(2+i) * time.Second
		w.respond(now, w.send(now, 1), headersOf("tokens", 500, int64(10+i), minute))
	}
	if l.Amount() != 500 || !w.Dirty() || l.tracker.Findings().Reports != 1 {
		t.Errorf("%d, dirty %v, %+v", l.Amount(), w.Dirty(), l.tracker.Findings())
	}
}

// Of a grant of several costs, the levels that the answer tells are those after the last.
func TestChargedBeforeOthers(t *testing.T) {
	w := newWorld(t, "rpm=500 tpm=1000")
	limits := w.Limits()
	answer := &backend.Answer{Granted: 3, Levels: []float64{490, 600}, Charged: []float64{70, 700}, Corrected: []float64{1, 2}}
	for _, x := range []struct {
		cost, later  backend.Amounts
		used, charge [2]float64
	}{
		{backend.Amounts{1, 100, 0}, backend.Amounts{2, 50, 0}, [2]float64{8, 350}, [2]float64{68, 650}},
		{backend.Amounts{1, 20, 0}, backend.Amounts{1, 30, 0}, [2]float64{9, 370}, [2]float64{69, 670}},
		{backend.Amounts{1, 30, 0}, backend.Amounts{}, [2]float64{10, 400}, [2]float64{70, 700}},
	} {
		sent := w.Charged(epoch, nil, &Grant{Cost: x.cost, Limits: limits, Buckets: Unpaced(epoch, limits), Answer: answer, Later: x.later})
		for k, s := range sent {
			if s.Used != x.used[k] || s.Charged != x.charge[k] || s.Corrected != answer.Corrected[k] || s.Cost != float64(x.cost[k]) || s.limit != limits[k] {
				t.Errorf("%+v: %+v", x, s)
			}
		}
	}
	// A backend that says nothing of levels teaches none.
	if sent := w.Charged(epoch, nil, &Grant{Limits: limits, Buckets: Unpaced(epoch, limits), Answer: &backend.Answer{Granted: 1}}); len(sent) > 0 {
		t.Errorf("%+v", sent)
	}
}

// Others are told of a margin that grows, not of a level.
func TestMarginsAreShared(t *testing.T) {
	for used, want := range map[int64]bool{200: false, 203: true} {
		w := newWorld(t, "tpm=1000")
		w.respond(time.Second, w.send(0, 100), headersOf("tokens", 1000, 100, minute))
		w.send(2*time.Second, 1)
		r := w.send(3*time.Second, 150) // we stand at 201
		w.Clean()
		got := w.respond(3100*time.Millisecond, r, headersOf("tokens", 1000, used, minute))
		if w.Dirty() != want || (len(got) > 0) != want {
			t.Errorf("the server stands at %d: dirty is %v, corrected by %v", used, w.Dirty(), got)
		}
	}
}

// A report that comes after that of a later request corrects nothing, but shows as well as any
// what the server charges for input, unless it is of another limit.
func TestLateReportsShowWhatIsCharged(t *testing.T) {
	const (
		limit, ratio = 2_400_000, 1.3
		each         = 10 * time.Millisecond
		inOrder      = 41 // the first tells where the bucket stands
		late         = 44
	)
	for _, x := range []struct {
		name      string
		late      func(used int64) string // the headers of late responses
		throttled bool
		delay     time.Duration // between the charge and the request
		ratio     float64
	}{
		{"as precise as others", func(used int64) string { return headersOf("tokens", limit, used, minute) }, false, 0, ratio},
		{"of requests soon after their charge", func(used int64) string { return headersOf("tokens", limit, used, minute) }, false, time.Second - 1, ratio},
		{"of requests long after their charge", func(used int64) string { return headersOf("tokens", limit, used, minute) }, false, time.Second, 1},
		{"of throttles", func(used int64) string { return headersOf("tokens", limit, used, minute) }, true, 0, 1},
		{"of another limit", func(used int64) string { return headersOf("tokens", limit/2, used, minute) }, false, 0, 1},
		{"without what remains", func(int64) string { return fmt.Sprint("limit-tokens=", limit) }, false, 0, 1},
	} {
		w := newWorld(t, fmt.Sprint("tpm=", limit))
		var requests []*Request
		var stands []int64
		server := 0.0
		for i := range inOrder + late {
			tokens := int64(2000 + 1000*(i*i%7))
			if i == 0 {
				tokens = limit / 10 // so that the bucket is never empty
			}
			now := time.Duration(i) * each
			requests = append(requests, w.sendInput(now, backend.Amounts{1, tokens}, Input{tokens, tokens}))
			server = max(0, server-limit*each.Minutes()) + ratio*float64(tokens)
			stands = append(stands, int64(server+0.5))
			if i >= inOrder {
				requests[i].SentAt = requests[i].SentAt.Add(x.delay)
			}
			if i < inOrder || i == inOrder+late-1 {
				w.respond(now, requests[i], headersOf("tokens", limit, stands[i], minute))
			}
		}
		w.Clean()
		for i := inOrder; i < inOrder+late-1; i++ {
			if c := w.Headers(at(time.Second), requests[i], parse(x.late(stands[i])), x.throttled, x.throttled); len(c) > 0 {
				t.Errorf("%s: corrected by %v", x.name, c)
			}
		}
		if got := w.ChargedInput(1000); got != int64(1000*x.ratio) {
			t.Errorf("%s: %d for an input of 1,000", x.name, got)
		}
		if w.Urgent() != (x.ratio != 1) || w.Dirty() != w.Urgent() {
			t.Errorf("%s: urgent is %v, dirty %v", x.name, w.Urgent(), w.Dirty())
		}
	}
}

// A report's own request has been charged even where rounding hides it; of its tokens nobody knows.
func TestFirstLevelCountsItsRequest(t *testing.T) {
	for remaining, want := range map[int64]float64{60: 1, 57: 2, 50: 9} {
		w := newWorld(t, "")
		w.respondAs(0, w.send(0, 1), wire.Headers{Requests: reported(minute, 60, remaining, 0), Tokens: reported(minute, 60, remaining, 0)})
		if got := w.limit("rpm").Bucket(epoch).Start; got != want {
			t.Errorf("%d requests left: %v; want %v", remaining, got, want)
		}
		if got := w.limit("tpm").Bucket(epoch).Start; got != float64(max(0, 59-remaining)) {
			t.Errorf("%d tokens left: %v", remaining, got)
		}
	}
}

// The input of a call is charged as it was found, to the nearest token.
func TestChargedInput(t *testing.T) {
	for _, x := range []struct {
		ratio        float64
		tokens, want int64
	}{{0, 7, 7}, {1.3, 4, 5}, {1.3, 5, 7}, {2, 7, 14}, {2, Largest, Largest}} {
		w := newWorld(t, "rpm=500 tpm=6000")
		f := calibration.Findings{Ratio: x.ratio, Charged: epoch}
		w.limit("tpm").tracker.Adopt(epoch, f, false)
		if got := w.ChargedInput(x.tokens); got != x.want {
			t.Errorf("%d at %v: %d; want %d", x.tokens, x.ratio, got, x.want)
		}
	}
}
