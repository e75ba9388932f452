package quota

import (
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// Where next to nothing of what calls are charged comes back, and enough calls have shown
// it, a call's wait is known when it comes.
func TestRefundsNothing(t *testing.T) {
	type end struct {
		calls         int
		charged, back int64
	}
	for _, x := range []struct {
		name    string
		ends    []end
		surplus float64
		want    bool
	}{
		{"no call", nil, 0, false},
		{"too few", []end{{15, 100, 0}}, 0, false},
		{"enough", []end{{16, 100, 0}}, 0, true},
		{"one part in a hundred", []end{{16, 100, 1}}, 0, true},
		{"three", []end{{16, 100, 3}}, 0, false},
		{"what is charged in addition is no refund", []end{{16, 100, -50}}, 0, true},
		{"nor pays for one", []end{{8, 100, -90}, {8, 100, 50}}, 0, false},
		{"one large refund", []end{{15, 100, 0}, {1, 100, 90}}, 0, false},
		{"large charges fade too", []end{{16, 10_000, 0}, {500, 100, 3}}, 0, false},
		{"which fades", []end{{15, 100, 0}, {1, 100, 90}, {100, 100, 0}}, 0, true},
		{"a surplus that the server shows", []end{{16, 100, 0}}, 90, false},
		{"a small one", []end{{16, 100, 0}}, 20, true},
		{"calls without tokens", []end{{16, 0, 0}}, 0, true},
	} {
		w := newWorld(t, "")
		for _, e := range x.ends {
			for range e.calls {
				w.Settled(e.charged, e.back)
			}
		}
		w.refunds.surplus(x.surplus)
		if got := w.RefundsNothing(); got != x.want {
			t.Errorf("%s: %v", x.name, got)
		}
	}
}

func TestIsLittle(t *testing.T) {
	for _, x := range []struct {
		limits string
		tokens int64
		want   bool
	}{
		{"", 1 << 30, true},
		{"rpm=1", 1 << 30, true},
		{"tpm=1000", 10, true},
		{"tpm=1000", 11, false},
		{"tpm=1000", -5, true},
		{"account/tpm=500 tpm=1000", 6, false},
		{"tpm=1000 account/tpm=500", 6, false},
	} {
		if got := newWorld(t, x.limits).send(0, 1).IsLittle(x.tokens); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
	}
}

// The server keeps unused output or gives it back, by what limits of tokens have shown.
func TestUnusedIsKept(t *testing.T) {
	for _, x := range []struct {
		limits, kept string
		want         bool
	}{
		{"rpm=500 tpm=1000", "", false},
		{"rpm=500 tpm=1000", "tpm", true},
		{"tpm=1000 tpd=2000", "tpm", true},
		{"tpm=1000 tpd=2000", "tpd", true},
		{"rpm=500 tpm=1000", "rpm", false},
		{"", "", false},
	} {
		w := newWorld(t, x.limits)
		r := w.send(0, 1)
		if x.kept != "" {
			l := w.limit(x.kept)
			f := l.tracker.Findings()
			f.Kept, f.Found = true, epoch
			l.tracker.Adopt(epoch, f, false)
			if !l.KeepsUnused() {
				t.Fatal("not taken in")
			}
		}
		if got := r.Unused(at(time.Second), 100); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
	}
	if got := (&Request{Cost: backend.Amounts{1, 2, 3}, Certain: 1}); got.least(backend.Requests) != 1 || got.least(backend.Tokens) != 1 || got.least(backend.Images) != 3 {
		t.Error("what a call draws for certain")
	}
}

// Refunds are of tokens: what is corrected of requests is none.
func TestSurplusOfRequests(t *testing.T) {
	w := newWorld(t, "")
	w.respond(time.Millisecond, w.send(0, 1), headersOf("requests", 6000, 3000, minute)+headersOf("tokens", 60_000, 600, minute))
	for i := range time.Duration(16) {
		sent := (i + 1) * time.Second
		r := w.send(sent, 100)
		w.respond(sent+time.Millisecond, r, headersOf("requests", 6000, 2, minute))
		w.Settled(100, 0)
	}
	if !w.RefundsNothing() {
		t.Errorf("%+v are refunded", w.refunds)
	}
}
