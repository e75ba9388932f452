package engine

import (
	"fmt"
	"testing"
	"time"
)

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
	for owner, n := range map[string][2]int64{"none": {0, 0}, "held": {5, 2}, "used": {0, 3}, "more": {9, 0}, "as many": {5, 5}} {
		a.slots[owner] = &slots{owner: owner, used: n[1], lease: lease{ceiling: n[0]}}
	}
	p := a.process(now)
	if got, want := fmt.Sprint(p.Models), "[{three wait 3 3s 1 0} {two wait 2 2s 0 0} {busy 0 0s 3 507} {in flight 0 0s 1 0}]"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if got, want := fmt.Sprint(p.Slots), "[{more 9 0} {as many 5 5} {held 5 2} {used 3 3}]"; got != want {
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
