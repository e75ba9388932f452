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
