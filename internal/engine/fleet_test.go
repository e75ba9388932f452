package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// A board is where processes report. It shows what a test has put there.
type board struct {
	*fake
	mu     sync.Mutex
	said   []said
	others []backend.Report
	err    error
}

type said struct {
	account, process string
	data             []byte
	holds            time.Duration
}

func (b *board) Report(_ context.Context, account, process string, data []byte, ttl time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = append(b.said, said{account, process, data, ttl})
	return nil
}

func (b *board) Reports(context.Context, string) ([]backend.Report, error) { return b.others, b.err }

// since returns what was said since it was last asked.
func (b *board) since() []said {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.said
	b.said = nil
	return all
}

// runFleet runs f in a bubble, with a backend on which processes report.
func runFleet(t *testing.T, f func(b *bench, board *board)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, fake: newFake()}
		board := &board{fake: b.fake}
		b.Engine = New(Config{Backend: b.fake, Fleet: board, MaxPause: time.Minute, Ledger: "of ",
			Rules: Rules{Models: map[string]quota.Rule{"m": {Amounts: [5]int64{0: rpm, 2: tpm}}}}})
		f(b, board)
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A process reports what it does every two seconds, and once more when it does nothing any more,
// which removes its report.
func TestProcessReports(t *testing.T) {
	runFleet(t, func(b *bench, board *board) {
		report := func(what string, want ModelUse) {
			t.Helper()
			all := board.since()
			if len(all) != 1 {
				t.Fatalf("%s: %d reports; want one", what, len(all))
			}
			var p ProcessState
			if err := json.Unmarshal(all[0].data, &p); err != nil || all[0].account != "of a" || all[0].process != p.ID || all[0].holds != 6*time.Second ||
				!slices.Equal(p.Models, []ModelUse{want}) {
				t.Errorf("%s: %v, %s of %s for %v: %s", what, err, all[0].process, all[0].account, all[0].holds, all[0].data)
			}
		}
		nothing := func(what string) {
			t.Helper()
			if all := board.since(); len(all) != 1 || all[0].data != nil || all[0].account != "of a" || all[0].holds != 0 {
				t.Errorf("%s: %v; want a report of nothing", what, all)
			}
		}
		r := b.admit(call(100))
		if all := board.since(); len(all) != 0 {
			t.Errorf("%v at once", all)
		}
		for range 3 {
			time.Sleep(2 * time.Second)
			report("in flight", ModelUse{Model: "m", InFlight: 1, Charged: 100})
		}
		r.end()
		time.Sleep(2 * time.Minute)
		all := board.since()
		if n := len(all); n < 20 || n > 40 || all[n-1].data != nil || slices.ContainsFunc(all[:n-1], func(s said) bool { return s.data == nil }) {
			t.Errorf("%d reports until it does nothing: %v", n, all)
		}
		time.Sleep(time.Minute)
		if all := board.since(); len(all) != 0 {
			t.Errorf("it does nothing, and says %v", all)
		}
		if n := b.reporters.Load(); n != 0 {
			t.Errorf("%d accounts are counted", n)
		}

		// Another process has used all there is, so that a call of this one only waits.
		b.memory.Settle(b.Context(), backend.Settlement{Account: "of a", Stamp: 1 << 52, Buckets: b.asked()[0].Buckets, Refund: backend.Amounts{0, -tpm, 0}})
		a := b.start(call(500))
		time.Sleep(2 * time.Second)
		report("waiting", ModelUse{Model: "m", Waiting: 1, Oldest: 2 * time.Second})
		a.cancel()
		<-a.err
		time.Sleep(2 * time.Second)
		nothing("nobody waits any more")
		a = b.start(call(500))
		a.cancel()
		<-a.err
		time.Sleep(2 * time.Second)
		if all := board.since(); len(all) != 0 {
			t.Errorf("%v of a call that has come and gone", all)
		}

		// It is shut down: what is in flight is reported until it ends.
		time.Sleep(2 * time.Minute)
		r = b.admit(call(100))
		time.Sleep(2 * time.Second)
		report("in flight again", ModelUse{Model: "m", InFlight: 1, Charged: 100})
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		_ = b.Shutdown(ctx)
		report("shut down, with a call in flight", ModelUse{Model: "m", InFlight: 1, Charged: 100})
		r.end()
		time.Sleep(2 * time.Second)
		nothing("all have ended")
		time.Sleep(time.Minute)
		if all := board.since(); len(all) != 0 {
			t.Errorf("it has ended, and says %v", all)
		}
	})
}

// A fleet is this process, as it is now, and the others whose reports can be read.
func TestFleetIsOfAll(t *testing.T) {
	runFleet(t, func(b *bench, board *board) {
		other := func(id string) backend.Report {
			data, _ := json.Marshal(ProcessState{Format: reportFormat, ID: id, Slots: []SlotsUse{{Owner: "o", Held: 2}}})
			return backend.Report{Data: data, Age: time.Second}
		}
		board.others = []backend.Report{other("~ after"), {Data: []byte("{")}, other(""), other(b.id), other("! before")}
		names := func() (all []string) {
			t.Helper()
			fleet, err := b.Fleet(b.Context(), "a")
			if err != nil {
				t.Error(err)
			}
			for _, p := range fleet {
				all = append(all, fmt.Sprint(p.ID, " ", p.Own, " ", p.Age))
			}
			return all
		}
		if got, want := names(), []string{"! before false 1s", "~ after false 1s"}; !slices.Equal(got, want) {
			t.Errorf("%q; want %q", got, want)
		}
		b.admit(call(100)).end()
		if got, want := names(), []string{"! before false 1s", b.id + " true 0s", "~ after false 1s"}; !slices.Equal(got, want) {
			t.Errorf("%q; want %q", got, want)
		}
		board.err = errAway
		var r *Rejection
		if fleet, err := b.Fleet(b.Context(), "a"); !errors.As(err, &r) || r.Reason != BackendFailed || !errors.Is(r.Cause, errAway) || fleet != nil {
			t.Errorf("%v, %v", fleet, err)
		}
	})
	run(t, false, func(b *bench) { // a backend that shows nobody
		b.admit(call(100)).end()
		if fleet, err := b.Fleet(b.Context(), "a"); err != nil || len(fleet) != 1 || !fleet[0].Own {
			t.Errorf("%v, %v", fleet, err)
		}
	})
}

// Models that are not listed are summed up: as many wait as of all, since the oldest has.
func TestOtherModelsAreSummedUp(t *testing.T) {
	others := ModelUse{Waiting: 1, Oldest: 2, InFlight: 3, Charged: 4}
	others.add(&ModelUse{Model: "m", Waiting: 10, Oldest: 20, InFlight: 30, Charged: 40})
	others.add(&ModelUse{Model: "n", Waiting: 100, Oldest: 1})
	if want := (ModelUse{Waiting: 111, Oldest: 20, InFlight: 33, Charged: 44}); others != want {
		t.Errorf("%+v; want %+v", others, want)
	}
}

// As many models as are listed leave no others.
func TestAllModelsAreListed(t *testing.T) {
	a := newAccount(New(Config{}), "a")
	for i := range mostModels {
		a.scopeLocked(scopeKey{model: fmt.Sprint(i)}).inFlight = 1
	}
	if n := len(a.process(time.Now()).Models); n != mostModels {
		t.Errorf("%d are listed", n)
	}
}

// An account whose reports have ended has none to give, though a timer may still fire.
func TestNoReportIsDue(t *testing.T) {
	runFleet(t, func(b *bench, _ *board) {
		r := b.admit(call(1))
		a := b.account("a")
		a.mu.Lock()
		a.dontReportLocked()
		a.mu.Unlock()
		if _, data, _, ok := a.nextReport(time.Now()); ok {
			t.Errorf("%s", data)
		}
		r.end()
	})
}

// Slots are reason enough to report.
func TestProcessThatHoldsSlotsIsNotIdle(t *testing.T) {
	for _, p := range []ProcessState{{Models: []ModelUse{{}}}, {Slots: []SlotsUse{{}}}} {
		if p.idle() {
			t.Errorf("%+v", p)
		}
	}
	if p := (ProcessState{}); !p.idle() {
		t.Error("nothing")
	}
}

// What a process says of itself counts if one of this version may have said it.
func TestValidReports(t *testing.T) {
	for _, x := range []struct {
		name   string
		change func(p *ProcessState)
		want   bool
	}{
		{"a report", func(*ProcessState) {}, true},
		{"nothing in it", func(p *ProcessState) { p.Models, p.Slots = nil, nil }, true},
		{"another format", func(p *ProcessState) { p.Format++ }, false},
		{"no name", func(p *ProcessState) { p.ID = "" }, false},
		{"a model that idles", func(p *ProcessState) { p.Models[0] = ModelUse{} }, true},
		{"fewer than nobody wait", func(p *ProcessState) { p.Models[0].Waiting = -1 }, false},
		{"since a time to come", func(p *ProcessState) { p.Models[0].Oldest = -1 }, false},
		{"fewer than none in flight", func(p *ProcessState) { p.Models[0].InFlight = -1 }, false},
		{"less than nothing charged", func(p *ProcessState) { p.Models[0].Charged = -1 }, false},
		{"a wrong model among others", func(p *ProcessState) { p.Models = append(p.Models, ModelUse{Waiting: -1}) }, false},
		{"no slots used", func(p *ProcessState) { p.Slots[0].Used = 0 }, true},
		{"all slots used", func(p *ProcessState) { p.Slots[0].Used = 3 }, true},
		{"fewer than no slots", func(p *ProcessState) { p.Slots[0].Used = -1 }, false},
		{"more slots used than held", func(p *ProcessState) { p.Slots[0].Used = 4 }, false},
	} {
		p := ProcessState{
			Format: reportFormat, ID: "p", Models: []ModelUse{{Model: "m", Waiting: 1, Oldest: 1, InFlight: 1, Charged: 1}},
			Slots: []SlotsUse{{Owner: "o", Held: 3, Used: 1}},
		}
		if x.change(&p); p.valid() != x.want {
			t.Errorf("%s: %v", x.name, p.valid())
		}
	}
}

// A process lists the models with most calls, those that wait before those that have started, and
// sums up the others; and the owners of which it holds most slots.
func TestProcessIsListed(t *testing.T) {
	a := newAccount(New(Config{}), "a")
	now := time.Unix(1_000_000_000, 0)
	add := func(model string, wait, flight int, tokens int64) {
		s := a.scopeLocked(scopeKey{model: model})
		for i := range wait {
			s.queue.join(&waiter{arrived: now.Add(-time.Duration(wait-i) * time.Second)}, call(1).Flow)
		}
		s.inFlight = flight
		s.started.add(now, tokens)
	}
	add("idle", 0, 0, 0)
	add("in flight", 0, 1, 0)
	add("busy", 0, 1, 500)
	add("two wait", 2, 0, 0)
	add("three wait", 3, 1, 0)
	s := a.scopeLocked(scopeKey{"busy", "chat"}) // of a class
	s.inFlight = 2
	s.started.add(now, 7)
	for owner, n := range map[string][2]int64{"none": {0, 0}, "held": {5, 2}, "used": {0, 3}, "more": {9, 0}, "as many": {5, 5}, "one": {1, 0}} {
		a.slots[owner] = &slots{owner: owner, used: n[1], lease: lease{ceiling: n[0]}}
	}
	p := a.process(now)
	if got, want := fmt.Sprint(p.Models), "[{three wait 3 3s 1 0} {two wait 2 2s 0 0} {busy 0 0s 3 507} {in flight 0 0s 1 0}]"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if got, want := fmt.Sprint(p.Slots), "[{more 9 0} {as many 5 5} {held 5 2} {used 3 3} {one 1 0}]"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if p.ID != a.engine.id || !p.valid() || p.idle() {
		t.Errorf("%+v", p)
	}

	for i := range mostModels + 1 {
		add(fmt.Sprintf("%02d", i), 0, 1, 1000)
	}
	p = a.process(now)
	if n := len(p.Models); n != mostModels+1 || p.Models[2].Model != "00" || p.Models[mostModels-1].Model != "61" {
		t.Errorf("%d models: %+v", n, p.Models)
	}
	if got, want := fmt.Sprint(p.Models[len(p.Models)-1]), "{ 0 0s 7 3507}"; got != want {
		t.Errorf("the others: %s; want %s", got, want)
	}
	for i := range mostModels {
		o := fmt.Sprintf("owner %d", i)
		a.slots[o] = &slots{owner: o, used: 1}
	}
	if n := len(a.process(now).Slots); n != mostModels {
		t.Errorf("%d owners", n)
	}
}

// Many accounts are reported less often.
func TestReportEvery(t *testing.T) {
	e := New(Config{})
	for n, want := range map[int64]time.Duration{0: 2 * time.Second, 1: 2 * time.Second, 40: 2 * time.Second, 60: 3 * time.Second, 400: 20 * time.Second, 4000: 20 * time.Second} {
		if e.reporters.Store(n); e.reportEvery() != want {
			t.Errorf("%d accounts: every %v; want %v", n, e.reportEvery(), want)
		}
	}
}
