package quota

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
	"github.com/openai-ratelimiter/ratelimiter/internal/digest"
)

// experienced returns a set that knows something of everything a note tells.
func experienced(t *testing.T) *world {
	w := newWorld(t, "rpm=500 account/tpm=90000")
	r := w.send(0, 1000)
	w.respond(time.Second, r, headersOf("requests", 300, 2, minute)+headersOf("tokens", 40_000, 2000, minute))
	w.respond(2*time.Second, w.send(time.Second+time.Millisecond, 10), headersOf("requests", 300, 3, minute))
	w.Written(r, 50*time.Millisecond)
	l := w.limit("rpm")
	w.subwindow(at(3*time.Second), l, time.Second)
	w.slowDown(at(4 * time.Second))
	l.tracker.Adopt(at(4*time.Second), calibration.Findings{Margin: 0.1, At: at(4 * time.Second), Reports: 3, Kept: true, Found: at(-time.Second)}, true)
	return w
}

func (w *world) note(after time.Duration) []byte {
	w.Helper()
	data, err := w.Note(at(after))
	if err != nil {
		w.Fatal(err)
	}
	return data
}

// What is written in a note, its reader knows, and writes again.
func TestNoteRoundTrip(t *testing.T) {
	w := experienced(t)
	const later = 5 * time.Second
	data := w.note(later)
	for _, secret := range []string{owner, AccountOwner} {
		if strings.Contains(string(data), secret) {
			t.Errorf("it names %s: %s", secret, data)
		}
	}
	other := newWorld(t, "rpm=500 account/tpm=90000")
	if _, err := other.TakeNote(at(later), data, 0); err != nil {
		t.Fatal(err)
	}
	const want = "rpm=300 account/tpm=90000 tpm=40000 rpm/subwindow=300"
	if w.holds() != want {
		t.Fatal(w.holds())
	}
	if got := other.holds(); got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if again := other.note(later); !bytes.Equal(again, data) {
		t.Errorf("what is written again:\n%s\nof\n%s", again, data)
	}
	if got := other.limit("rpm").Ramp(at(later)); got != w.limit("rpm").Ramp(at(later)) || got == 0 {
		t.Errorf("a ramp of %v", got)
	}
	if l := other.limit("rpm"); other.Exceeded(&backend.Amounts{301}, at(later)) != l {
		t.Error("a limit from a note is not confirmed")
	}
	if source, age := other.limit("rpm").Source(at(later)); source != "x-ratelimit-limit-requests" || age != 3*time.Second {
		t.Errorf("from %s, %v ago", source, age)
	}
	if other.Dirty() {
		t.Error("what others know is told them")
	}
}

// A note with anything wrong in it is dropped whole.
func TestCorruptNotes(t *testing.T) {
	data := experienced(t).note(5 * time.Second)
	set := func(path string, value any) func([]byte) []byte {
		return func(data []byte) []byte {
			var n map[string]any
			if err := json.Unmarshal(data, &n); err != nil {
				t.Fatal(err)
			}
			in := n
			keys := strings.Split(path, ".")
			for _, key := range keys[:len(keys)-1] {
				if key == "limits" {
					in = n["limits"].([]any)[0].(map[string]any)
				} else if key == "subwindow" {
					in = n["limits"].([]any)[3].(map[string]any)
				} else {
					in = in[key].(map[string]any)
				}
			}
			if last := keys[len(keys)-1]; value == nil {
				delete(in, last)
			} else {
				in[last] = value
			}
			out, err := json.Marshal(n)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
	text := func(s string) func([]byte) []byte { return func([]byte) []byte { return []byte(s) } }
	replace := func(old, new string) func([]byte) []byte {
		return func(data []byte) []byte {
			out := bytes.Replace(data, []byte(old), []byte(new), 1)
			if bytes.Equal(out, data) {
				t.Fatalf("no %s in %s", old, data)
			}
			return out
		}
	}
	const never = "0001-01-01T00:00:00Z"
	for _, x := range []struct {
		name    string
		corrupt func([]byte) []byte
	}{
		{"nothing", text("")},
		{"null", text("null")},
		{"an empty object", text("{}")},
		{"a list", text("[]")},
		{"truncated", func(data []byte) []byte { return data[:len(data)-1] }},
		{"cut in the middle", func(data []byte) []byte { return data[:len(data)/2] }},
		{"with something behind", func(data []byte) []byte { return append(bytes.Clone(data), '{') }},
		{"a megabyte of zeros", func([]byte) []byte { return make([]byte, 1<<20) }},
		{"a megabyte of brackets", func([]byte) []byte { return bytes.Repeat([]byte("["), 1<<20) }},
		{"an older version", set("v", noteVersion-1)},
		{"a newer version", set("v", noteVersion+1)},
		{"no version", set("v", nil)},
		{"no time", set("at", nil)},
		{"never written", set("at", never)},
		{"a time that is none", set("at", "yesterday")},
		{"limits that are none", set("limits", 1)},
		{"no owner", set("limits.owner", "")},
		{"no name", set("limits.name", nil)},
		{"an unknown name", set("limits.name", "rps")},
		{"a subwindow's name", set("limits.name", "rpm/subwindow")},
		{"a negative amount", set("limits.amount", -1)},
		{"a huge amount", set("limits.amount", int64(Largest+1))},
		{"an amount that is no integer", set("limits.amount", 0.5)},
		{"an amount that was never reported", set("limits.reported", nil)},
		{"one that was reported never", set("limits.reported", never)},
		{"a limit of 1 that was reported never", func(data []byte) []byte {
			return set("limits.amount", 1)(set("limits.reported", never)(data))
		}},
		{"a subwindow of another length", set("subwindow.subwindow", int64(2*time.Second))},
		{"a negative subwindow", set("subwindow.subwindow", -1)},
		{"a subwindow with an amount", set("subwindow.amount", 5)},
		{"a subwindow that was never reported", set("subwindow.reported", never)},
		{"a negative margin", set("limits.tracker.margin", -0.1)},
		{"a margin above the whole", set("limits.tracker.margin", 1.1)},
		{"NaN", replace(`"margin":0.1`, `"margin":NaN`)},
		{"infinite", replace(`"margin":0.1`, `"margin":1e999`)},
		{"a tiny ratio", set("limits.tracker.ratio", 0.001)},
		{"a negative ratio", set("limits.tracker.ratio", -1)},
		{"a huge ratio", set("limits.tracker.ratio", 101)},
		{"negative reports", set("limits.tracker.reports", -1)},
		{"a negative claim", set("limits.assumed", -1)},
		{"a huge claim", set("limits.assumed", int64(Largest+1))},
		{"a claim that is no integer", set("limits.assumed", 0.5)},
		{"a negative ramp", set("limits.ramp.from", -1)},
		{"a tiny ramp", set("limits.ramp.from", 1e-300)},
		{"a ramp below that of any limit", set("limits.ramp.from", slowPart-0.001)},
		{"a huge ramp", set("limits.ramp.from", 1e13)},
		{"a negative transit", set("limits.transit", -1)},
		{"a long transit", set("limits.transit", int64(mostTransit+1))},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, "rpm=500 account/tpm=90000")
			before := w.dump()
			if _, err := w.TakeNote(at(5*time.Second), x.corrupt(data), 0); err == nil {
				t.Error("it is taken")
			}
			if w.dump() != before {
				t.Errorf("it changes\n%s to\n%s", before, w.dump())
			}
		})
	}
	// What differs, but could have been written.
	for _, x := range []struct {
		name    string
		corrupt func([]byte) []byte
		want    string
	}{
		{"as it was written", text(string(data)), "rpm=300 account/tpm=90000 tpm=40000 rpm/subwindow=300"},
		{"a foreign owner", set("limits.owner", digest.Of("model:other")), "rpm=500 account/tpm=90000 tpm=40000 rpm/subwindow=500"},
		{"no limits", set("limits", []any{}), "rpm=500 account/tpm=90000"},
		{"a higher amount than was configured", set("limits.amount", 9000), "rpm=500 account/tpm=90000 tpm=40000 rpm/subwindow=500"},
		{"the largest margin", set("limits.tracker.margin", 1), "rpm=300 account/tpm=90000 tpm=40000 rpm/subwindow=300"},
		{"the smallest ratio", set("limits.tracker.ratio", 0.01), "rpm=300 account/tpm=90000 tpm=40000 rpm/subwindow=300"},
		{"the largest ratio", set("limits.tracker.ratio", 100), "rpm=300 account/tpm=90000 tpm=40000 rpm/subwindow=300"},
		{"a limit of 1", set("limits.amount", 1), "rpm=1 account/tpm=90000 tpm=40000 rpm/subwindow=1"},
		{"the longest transit", set("limits.transit", int64(mostTransit)), "rpm=300 account/tpm=90000 tpm=40000 rpm/subwindow=300"},
		{"the smallest ramp", set("limits.ramp.from", slowPart), "rpm=300 account/tpm=90000 tpm=40000 rpm/subwindow=300"},
		{"the largest ramp", set("limits.ramp.from", int64(Largest)), "rpm=300 account/tpm=90000 tpm=40000 rpm/subwindow=300"},
		{"the largest amount", set("limits.amount", int64(Largest)), "rpm=500 account/tpm=90000 tpm=40000 rpm/subwindow=500"},
		{"a member that is not known", set("limits.more", 1), "rpm=300 account/tpm=90000 tpm=40000 rpm/subwindow=300"},
	} {
		w := newWorld(t, "rpm=500 account/tpm=90000")
		if _, err := w.TakeNote(at(5*time.Second), x.corrupt(data), 0); err != nil || w.holds() != x.want {
			t.Errorf("%s: %s, %v; want %s", x.name, w.holds(), err, x.want)
		}
	}
}

// A note's times are by its writer's clock, which may be wrong by any amount: what counts
// is how long ago the store says it was written.
func TestNoteTimes(t *testing.T) {
	for _, x := range []struct {
		name              string
		clock, age, noted time.Duration // of the writer, ahead of ours; of the note; before it was written
		want              time.Duration // how long ago the limit was reported
	}{
		{"equal clocks", 0, 0, time.Second, time.Second},
		{"an old note", 0, time.Hour, time.Second, time.Hour + time.Second},
		{"a clock that is ahead", 24 * time.Hour, time.Minute, time.Second, time.Minute + time.Second},
		{"a clock that is behind", -24 * time.Hour, time.Minute, time.Second, time.Minute + time.Second},
		{"a report that is to come", 0, time.Minute, -time.Hour, time.Millisecond},
		{"clocks a millennium apart", 200 * 365 * 24 * time.Hour, 0, time.Second, time.Second},
	} {
		const now = time.Hour
		writer := newWorld(t, "")
		l := newLimit(owner, Kinds[0])
		writtenAt := now - x.age + x.clock
		l.adopt(&noteLimit{Amount: 700, Source: "x", Reported: at(writtenAt - x.noted)})
		l.ramp = calibration.Ramp{From: 100, Begun: at(writtenAt - x.noted)}
		writer.add(l)
		w := newWorld(t, "")
		if _, err := w.TakeNote(at(now), writer.note(writtenAt), x.age); err != nil {
			t.Fatal(err)
		}
		if _, got := w.limit("rpm").Source(at(now)); got != x.want || w.holds() != "rpm=700" {
			t.Errorf("%s: %s, %v ago; want %v", x.name, w.holds(), got, x.want)
		}
		if begun := w.limit("rpm").ramp.Begun; begun.After(at(now)) {
			t.Errorf("%s: a ramp begins in %v", x.name, begun.Sub(at(now)))
		}
	}
}

// No limit comes of a note without an amount, however strange its times are.
func TestNoteOfTheBeginningOfTime(t *testing.T) {
	writer := newWorld(t, "")
	l := newLimit(owner, Kinds[0])
	l.adopt(&noteLimit{Amount: 700, Source: "x", Reported: time.Time{}.Add(time.Second)})
	writer.add(l)
	w := newWorld(t, "")
	if _, err := w.TakeNote(epoch, writer.note(time.Hour), 0); err != nil {
		t.Fatal(err)
	}
	if got := w.holds(); got != "rpm=700" {
		t.Errorf("%q", got)
	}
}

// The newer report counts, by when its request was sent: neither does a note override what this
// process was told since, nor does it ignore what others were told later. Of two that were sent
// together the lower counts, so that all come to the same.
func TestNewerReportCounts(t *testing.T) {
	for _, x := range []struct {
		name         string
		mine, theirs time.Duration // sent
		amount       int64         // theirs
		want         int64
		before       int64 // mine, if not 500
	}{
		{"mine is newer", 2 * time.Minute, time.Minute, 300, 500, 0},
		{"mine is hardly newer", time.Minute + calibration.Overtaking, time.Minute, 300, 500, 0},
		{"as new, and lower", time.Minute, time.Minute, 300, 300, 0},
		{"as new, and higher", time.Minute, time.Minute, 700, 500, 0},
		{"as new, and higher than 1", time.Minute, time.Minute + calibration.Overtaking, 700, 1, 1},
		{"theirs is hardly newer, and higher", time.Minute, time.Minute + calibration.Overtaking, 700, 500, 0},
		{"theirs is newer, and lower", time.Minute, time.Minute + 1, 300, 300, 0},
		{"theirs is newer, and 1", time.Minute, time.Minute + 1, 1, 1, 0},
		{"theirs is newer, and nothing", time.Minute, 2 * time.Minute, 0, 500, 0},
		{"theirs is newer, and higher", time.Minute, time.Minute + calibration.Overtaking + 1, 700, 700, 0},
	} {
		make := func(amount int64, sent, reported time.Duration) *world {
			w := newWorld(t, "")
			l := newLimit(owner, Kinds[0])
			l.adopt(&noteLimit{Amount: amount, Source: "x", Sent: at(sent), Reported: at(reported)})
			w.add(l)
			return w
		}
		before := cmp.Or(x.before, 500)
		w := make(before, x.mine, 150*time.Second) // a response that was longer on its way says nothing newer
		w.send(3*time.Minute, 1)
		w.limit("rpm").tracker.Observe(at(3*time.Minute), calibration.Sent{At: at(3 * time.Minute)}, 5, 500)
		if _, err := w.TakeNote(at(3*time.Minute), make(x.amount, x.theirs, 151*time.Second).note(3*time.Minute), 0); err != nil {
			t.Fatal(err)
		}
		l := w.limit("rpm")
		if l.Amount() != x.want {
			t.Errorf("%s: %d; want %d", x.name, l.Amount(), x.want)
		}
		if l.tracker.Reported() != (x.want == before) {
			t.Errorf("%s: of another limit the level is known: %v", x.name, l.tracker.Reported())
		}
	}
}

// Of the margins the larger one counts, of ramps the later, of subwindows the longer, and of
// transits the longer.
func TestNotesAreMerged(t *testing.T) {
	mine, theirs := newWorld(t, "rpm=500"), newWorld(t, "rpm=500")
	learn := func(w *world, margin float64, ramp, transit, sub time.Duration) {
		l := w.limit("rpm")
		l.tracker.Adopt(epoch, calibration.Findings{Margin: margin, At: epoch}, false)
		l.ramp = calibration.Ramp{From: 100 + ramp.Seconds(), Begun: at(ramp)}
		l.transit = transit
		w.subwindow(at(ramp), l, sub)
	}
	learn(mine, 0.1, 1*time.Second, 20*time.Millisecond, time.Second)
	learn(theirs, 0.2, 2*time.Second, 10*time.Millisecond, 10*time.Second)
	a, b := mine.note(3*time.Second), theirs.note(3*time.Second)
	if _, err := mine.TakeNote(at(3*time.Second), b, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.TakeNote(at(3*time.Second), a, 0); err != nil {
		t.Fatal(err)
	}
	if x, y := mine.note(4*time.Second), theirs.note(4*time.Second); !bytes.Equal(x, y) {
		t.Errorf("they know\n%s and\n%s", x, y)
	}
	l := mine.limit("rpm")
	if m := l.tracker.Findings().Margin; m != 0.2 || l.ramp.From != 102 || l.transit != 20*time.Millisecond || mine.limit("rpm/subwindow").burst != 10*time.Second {
		t.Errorf("%v %+v %v", m, l.ramp, l.transit)
	}
}

// A ramp from a note begins no lower than what may always be sent, and a stale subwindow
// is none.
func TestNotesAreHeldToTheRules(t *testing.T) {
	for _, x := range []struct {
		from, want float64
	}{{slowPart, 50}, {49, 50}, {60, 60}, {0, 0}} {
		theirs := newWorld(t, "rpm=500")
		theirs.limit("rpm").ramp = calibration.Ramp{From: x.from, Begun: epoch}
		w := newWorld(t, "rpm=500")
		if _, err := w.TakeNote(epoch, theirs.note(0), 0); err != nil || w.limit("rpm").Ramp(epoch) != x.want || w.limit("rpm").ramp.From != x.want {
			t.Errorf("%v: %+v, %v", x.from, w.limit("rpm").ramp, err)
		}
	}
	for age, want := range map[time.Duration]int{0: 2, subwindowLife - 1: 2, subwindowLife: 1} {
		theirs := newWorld(t, "rpm=500")
		part, _ := theirs.subwindow(epoch, theirs.limit("rpm"), time.Second)
		part.tracker.Adopt(epoch, calibration.Findings{Margin: 0.3, At: epoch}, false)
		w := newWorld(t, "rpm=500")
		if _, err := w.TakeNote(at(age), theirs.note(0), age); err != nil || len(w.limits) != want || w.limit("rpm").tracker.Findings().Margin != 0 {
			t.Errorf("%v: %s, %v, and a margin of %v", age, w.holds(), err, w.limit("rpm").tracker.Findings().Margin)
		}
	}
}

// A note that was written lately ends a slow start that has not begun, and lets its reader
// take the bucket's level as known. One that is old, or empty, does neither.
func TestFreshNotes(t *testing.T) {
	for _, x := range []struct {
		name   string
		limits string
		age    time.Duration
		begun  bool
		paced  bool
	}{
		{"fresh", "rpm=500", 0, false, false},
		{"just fresh", "rpm=500", 10*time.Minute - 1, false, false},
		{"old", "rpm=500", 10 * time.Minute, false, true},
		{"empty", "", 0, false, true},
		{"a slow start that has begun", "rpm=500", 0, true, true},
	} {
		theirs := newWorld(t, x.limits)
		for _, l := range theirs.limits {
			l.tracker.Adopt(epoch, calibration.Findings{Reports: 1}, true)
		}
		w := newWorld(t, x.limits)
		if x.begun {
			w.Begin(at(x.age))
		}
		if _, err := w.TakeNote(at(x.age), theirs.note(0), x.age); err != nil {
			t.Fatal(err)
		}
		w.Begin(at(x.age))
		if got := w.Paced(at(x.age)); got != x.paced {
			t.Errorf("%s: paced is %v", x.name, got)
		}
		for _, l := range w.limits {
			if got := l.tracker.Reported(); got != (x.age < 10*time.Minute) {
				t.Errorf("%s: reported is %v", x.name, got)
			}
		}
	}
}

// Whatever a store returns, it is taken or dropped whole, and every bucket stays one.
func FuzzTakeNote(f *testing.F) {
	w := newWorld(&testing.T{}, "rpm=500 tpm=9000")
	w.slowDown(epoch)
	data, err := w.Note(epoch)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, int64(0))
	f.Add(data[:len(data)/2], int64(time.Hour))
	f.Fuzz(func(t *testing.T, data []byte, age int64) {
		w := newWorld(t, "rpm=500")
		before := w.dump()
		if _, err := w.TakeNote(epoch, data, time.Duration(age)); err != nil && w.dump() != before {
			t.Errorf("dropped, but it changes\n%s to\n%s", before, w.dump())
		}
		for _, b := range w.Buckets(nil, epoch, w.Limits()) {
			if b.Limit <= 0 || b.Period <= 0 || !(b.Margin >= 0) || !(b.Start >= 0) {
				t.Errorf("no bucket: %+v", b)
			}
		}
		if l := w.limit("rpm"); l.Amount() > max(500, l.fleet.amount) || l.fleet.amount > Largest {
			t.Errorf("a limit of %d", w.limit("rpm").Amount())
		}
	})
}

// A response that was long on its way tells others of a limit that is older than it is.
func TestLateResponseIsNoNews(t *testing.T) {
	heard := func(limit int64, sent, came time.Duration) *world {
		w := newWorld(t, "")
		w.respond(came, w.send(sent, 10), headersOf("requests", limit, limit-3, minute))
		return w
	}
	late, early := heard(500, 0, 10*time.Second), heard(300, 5*time.Second, 6*time.Second)
	for name, x := range map[string]struct{ reader, writer *world }{"the reader's": {late, early}, "the writer's": {early, late}} {
		if _, err := x.reader.TakeNote(at(time.Minute), x.writer.note(time.Minute), 0); err != nil {
			t.Fatal(err)
		}
		if got := x.reader.limit("rpm").Amount(); got != 300 {
			t.Errorf("%s response was late: %d", name, got)
		}
	}
}
