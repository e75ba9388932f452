package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// What is shown of classes and tenants is that of the last minute, and bounded.
func TestUsageOfFlows(t *testing.T) {
	a := newAccount(New(Config{}), "a")
	now := time.Unix(1_000_000_000, 0)
	start := func(class, tenant string, tokens int64) {
		a.usage.add(now, &Call{Flow: named(class, tenant, 1)}, tokens)
	}
	start("", "", 1000)
	if classes, tenants := a.shares(now); classes != nil || tenants != nil {
		t.Errorf("%v, %v of calls that have neither", classes, tenants)
	}
	start("chat", "", 300)
	start("batch", "x", 100)
	now = now.Add(30 * time.Second)
	start("batch", "y", 600)
	classes, tenants := a.shares(now)
	if len(classes) != 2 || classes[0].Class != "batch" || classes[0].Charged != 700 || classes[0].Share != 0.7 || classes[1].Share != 0.3 {
		t.Errorf("classes %+v", classes)
	}
	if len(tenants) != 2 || tenants[0].Tenant != "y" || tenants[1].Charged != 100 {
		t.Errorf("tenants %+v", tenants)
	}
	now = now.Add(35 * time.Second) // the first are gone
	if classes, _ = a.shares(now); len(classes) != 1 || classes[0].Charged != 600 {
		t.Errorf("classes %+v", classes)
	}
	for i := range 3 * manyTenants {
		start("batch", fmt.Sprint(i), 1)
	}
	if n := len(a.usage.periods[now.Unix()/10%usagePeriods].charged); n > manyTenants+1 {
		t.Errorf("%d tenants are kept", n)
	}
	if classes, tenants = a.shares(now); len(tenants) != mostShown || classes[0].Charged != 600+3*manyTenants {
		t.Errorf("%d tenants, classes %+v", len(tenants), classes)
	}
}

// A clock that is set back leaves nothing that counts until it has caught up.
func TestUsageWhereTheClockIsSetBack(t *testing.T) {
	a := newAccount(New(Config{}), "a")
	var all tally
	now := time.Unix(1_000_000_000, 0)
	add := func() {
		a.usage.add(now, &Call{Flow: named("chat", "", 1)}, 100)
		all.add(now, 100)
	}
	for range usagePeriods {
		add()
		now = now.Add(usageEach)
	}
	now = now.Add(-time.Hour)
	add()
	if classes, _ := a.shares(now); len(classes) != 1 || classes[0].Charged != 100 {
		t.Errorf("classes %+v; want 100 to be charged", classes)
	}
	if sum := all.sum(now); sum != 100 {
		t.Errorf("%d are counted; want 100", sum)
	}
}

// The busiest tenants are shown, also where they come after many others, and nothing is lost
// of what is counted.
func TestUsageOfLateTenants(t *testing.T) {
	a := newAccount(New(Config{}), "a")
	now := time.Unix(1_000_000_000, 0)
	total := int64(0)
	start := func(class, tenant string, tokens int64) {
		total += tokens
		a.usage.add(now, &Call{Flow: named(class, tenant, 1)}, tokens)
	}
	for i := range 3 * manyTenants {
		start("batch", fmt.Sprint("early", i), 100)
	}
	for i := range 3 * manyTenants {
		start("batch", fmt.Sprint("other", i), 100)
		if i%4 == 0 {
			start("batch", fmt.Sprint("busy", i/4%8), 100)
		}
	}
	classes, tenants := a.shares(now)
	if len(classes) != 1 || classes[0].Charged != total {
		t.Errorf("%+v; %d were started", classes, total)
	}
	if len(a.usage.periods[now.Unix()/10%usagePeriods].charged) > manyTenants+1 {
		t.Error("too many are kept")
	}
	for i := range 8 {
		if got := tenants[i].Tenant; !strings.HasPrefix(got, "busy") || tenants[i].Charged < total/200 {
			t.Errorf("%q is at %d of the busiest, with %d", got, i, tenants[i].Charged)
		}
	}
}

// Those that wait are shown, with how long the first of them has.
func TestUsageShowsThoseThatWait(t *testing.T) {
	a := newAccount(New(Config{}), "a")
	now := time.Now()
	for _, model := range []string{"m", "n"} {
		s := a.scopeLocked(scopeKey{model: model})
		s.queue.join(&waiter{arrived: now.Add(-time.Minute)}, named("chat", "x", 1))
		s.queue.join(&waiter{arrived: now.Add(-time.Second)}, named("chat", "x", 1))
	}
	a.scopes[scopeKey{model: "m"}].queue.join(&waiter{arrived: now}, backend.Flow{})
	classes, tenants := a.shares(now)
	if len(tenants) != 1 || tenants[0].Waiting != 4 || tenants[0].Oldest != time.Minute {
		t.Errorf("tenants %+v", tenants)
	}
	if len(classes) != 2 || classes[0].Waiting != 1 || classes[1].Waiting != 4 {
		t.Errorf("classes %+v", classes)
	}
}

// Calls that have neither class nor tenant are not shown, also while they wait. Others are, also
// before any has started.
func TestUsageOfPlainCalls(t *testing.T) {
	for _, x := range []struct {
		flows []backend.Flow
		want  string // classes and how many wait
	}{
		{nil, ""},
		{[]backend.Flow{{}}, ""},
		{[]backend.Flow{named("chat", "", 1)}, "chat:1"},
		{[]backend.Flow{{}, named("chat", "", 1), named("chat", "", 1)}, ":1 chat:2"},
	} {
		a := newAccount(New(Config{}), "a")
		now := time.Now()
		s := a.scopeLocked(scopeKey{model: "m"})
		for i, f := range x.flows {
			s.queue.join(&waiter{arrived: now.Add(-time.Duration(i+1) * time.Second)}, f)
		}
		var got []string
		classes, _ := a.shares(now)
		for _, c := range classes {
			got = append(got, fmt.Sprint(c.Class, ":", c.Waiting))
			if c.Charged != 0 || c.Share != 0 || c.Oldest < time.Second {
				t.Errorf("%+v", c)
			}
		}
		if got := strings.Join(got, " "); got != x.want {
			t.Errorf("%v: %q; want %q", x.flows, got, x.want)
		}
	}
	for part, want := range map[int64]float64{0: 0, 1: 1} {
		if got := Share(part, part); got != want {
			t.Errorf("%d of as many: %v", part, got)
		}
	}
}

// Who starts less than all that are kept counts for the class alone. A share is a part of all.
func TestUsageOfSmallTenants(t *testing.T) {
	a := newAccount(New(Config{}), "a")
	now := time.Unix(1_000_000_000, 0)
	start := func(tenant string, tokens int64) { a.usage.add(now, &Call{Flow: named("batch", tenant, 1)}, tokens) }
	for i := range manyTenants {
		start(fmt.Sprint("large", i), 100)
	}
	start("small", 99)
	charged := a.usage.periods[periodOf(now.Truncate(usageEach))%usagePeriods].charged
	if _, kept := charged[flowKey{"batch", "small"}]; kept || charged[flowKey{class: "batch"}] != 99 || len(charged) != manyTenants+1 {
		t.Errorf("%d are kept, small among them: %v, and %d of the class", len(charged), kept, charged[flowKey{class: "batch"}])
	}
	classes, tenants := a.shares(now)
	if len(classes) != 1 || classes[0].Share != 1 || tenants[0].Share != 100./(100*manyTenants+99) {
		t.Errorf("%+v, %+v", classes, tenants[0])
	}
}
