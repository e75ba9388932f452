package quota

import (
	"testing"
	"time"
)

// What is not named goes, unless it was learned; a subwindow goes only with its limit.
func TestConfigure(t *testing.T) {
	w := newWorld(t, "rpm=60 tpm=600")
	w.subwindow(at(0), w.limits[0], time.Second)
	learned := newLimit(owner, Kinds[1])
	learned.adopt(&noteLimit{Amount: 1000, Source: "header", Reported: at(0)})
	w.add(learned)
	for _, x := range []struct{ to, want string }{
		{"rpm=60 tpm=600", "rpm=60 tpm=600 rpd=1000 rpm/subwindow=60"},
		{"rpm=600 tpm=600 account/tpm=9000", "rpm=600 tpm=600 account/tpm=9000 rpd=1000 rpm/subwindow=600"},
		{"rpm=600 family:f/tpm=9000", "rpm=600 family:f/tpm=9000 rpd=1000 rpm/subwindow=600"},
		{"tpm=700 rpd=500", "tpm=700 rpd=500"},
		{"tpm=700", "tpm=700"},
		{"", ""},
	} {
		w.Configure(at(0), configured(x.to))
		if got := w.holds(); got != x.want {
			t.Errorf("%s: %s; want %s", x.to, got, x.want)
		}
	}
}

// What was learned of a limit that is no longer configured holds without the ceiling that it
// had.
func TestLearnedOutlivesTheCeiling(t *testing.T) {
	w := newWorld(t, "tpm=600")
	w.limit("tpm").adopt(&noteLimit{Amount: 900, Source: "header", Reported: at(0)})
	for _, x := range []struct{ to, want string }{{"tpm=600", "tpm=600"}, {"", "tpm=900"}, {"tpm=700", "tpm=700"}} {
		w.Configure(at(0), configured(x.to))
		if got := w.holds(); got != x.want {
			t.Errorf("%q: %s; want %s", x.to, got, x.want)
		}
	}
}

// A limit that is set to another amount begins anew, also one of 1.
func TestConfiguredToAnotherAmount(t *testing.T) {
	w := newWorld(t, "tpm=600")
	w.respond(time.Second, w.send(0, 100), headersOf("tokens", 600, 300, minute))
	l := w.limit("tpm")
	for _, x := range []struct {
		to    string
		knows bool
	}{{"tpm=600", true}, {"tpm=1", false}} {
		if w.Configure(at(time.Minute), configured(x.to)); w.holds() != x.to || l.tracker.Reported() != x.knows || l.learned.Amount == 600 != x.knows {
			t.Errorf("%s: %s, %d learned, its level known: %v", x.to, w.holds(), l.learned.Amount, l.tracker.Reported())
		}
	}
}

// A call in flight is settled by the limits that it was charged to, also by one that holds no
// more: a backend is never asked for a limit of nothing.
func TestSettledByALimitThatIsGone(t *testing.T) {
	w := newWorld(t, "rpm=60 tpm=600")
	w.subwindow(at(0), w.limit("tpm"), time.Second)
	r := w.send(0, 100)
	w.Configure(at(time.Second), configured("rpm=60"))
	if got := w.holds(); got != "rpm=60" {
		t.Error(got)
	}
	for _, b := range Unpaced(at(time.Second), Refundable(r.Sent, true)) {
		if want := map[string]int64{"rpm": 60, "tpm": 600, "tpm/subwindow": 600}[b.Name]; b.Limit != want {
			t.Errorf("%s is %d; want %d", b.Name, b.Limit, want)
		}
	}
}

// What was learned before a limit was set to another amount is about the one before, also in
// others' notes.
func TestNotesFromBeforeTheChange(t *testing.T) {
	for sent, want := range map[time.Duration]string{time.Second: "tpm=900", time.Minute: "tpm=900", time.Minute + 1: "tpm=500"} {
		writer := newWorld(t, "tpm=600")
		writer.limit("tpm").adopt(&noteLimit{Amount: 500, Source: "header", Reported: at(sent), Sent: at(sent)})
		w := newWorld(t, "tpm=600")
		w.Configure(at(time.Minute), configured("tpm=900"))
		if _, err := w.TakeNote(at(2*time.Minute), writer.note(2*time.Minute), 0); err != nil {
			t.Fatal(err)
		}
		if got := w.holds(); got != want {
			t.Errorf("sent at %v: %s; want %s", sent, got, want)
		}
	}
}
