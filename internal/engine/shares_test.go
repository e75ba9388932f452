package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
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

// What a call has used replaces what it was charged, in the period in which it was.
func TestUsageIsCorrected(t *testing.T) {
	now := time.Unix(1_000_000_000, 0)
	for _, x := range []struct {
		name    string
		by      int64
		later   time.Duration // than the call of x, when others start
		gone    bool          // x has given way to others
		again   int64         // what x starts after that
		want, x int64         // what the class, as the scope, and x have then
	}{
		{"it used less", -80, 0, false, 0, 320, 20},
		{"it used nothing", -100, 0, false, 0, 300, 0},
		{"it used more", 50, 0, false, 0, 450, 150},
		{"in a later period", -80, usageEach, false, 0, 320, 20},
		{"after the period", -80, usagePeriods * usageEach, false, 0, 300, 0},
		{"it has given way", -80, 0, true, 0, 320, 0},
		{"it has given way, and starts again", -80, 0, true, 10, 330, 0},
		{"it has given way, and used more", 50, 0, true, 0, 450, 0},
	} {
		a := newAccount(New(Config{}), "a")
		var all tally
		start := func(now time.Time, tenant string, tokens int64) *Call {
			c := &Call{Flow: named("batch", tenant, 1)}
			all.add(now, tokens)
			if !a.usage.add(now, c, tokens) {
				t.Errorf("%s: the call is not counted", x.name)
			}
			return c
		}
		c := start(now, "x", 100)
		then := now.Add(x.later)
		start(then, "y", 300)
		if x.gone && !a.usage.periods[periodOf(now)%usagePeriods].giveWay(100) {
			t.Errorf("%s: nobody gives way", x.name)
		}
		if x.again > 0 {
			start(then, "x", x.again)
		}
		a.usage.correct(periodOf(now), c, x.by)
		all.correct(periodOf(now), x.by)
		classes, tenants := a.shares(then)
		if sum := all.sum(then); len(classes) != 1 || classes[0].Charged != x.want || sum != x.want {
			t.Errorf("%s: %+v and %d; want %d", x.name, classes, sum, x.want)
		}
		for _, s := range tenants {
			if s.Tenant == "x" && s.Charged != x.x {
				t.Errorf("%s: %+v; want %d", x.name, s, x.x)
			}
		}
	}
}

// Nobody is shown with less than nothing, whoever gives way to whom between a call's start and
// its end; and what is counted is what the calls have used.
func TestUsageIsNeverNegative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newAccount(New(Config{}), "a")
		now := time.Unix(1_000_000_000, 0)
		type call struct {
			*Call
			charged, period int64
		}
		var calls []call
		total := int64(0)
		tenant := rapid.SampledFrom([]string{"", "x", "y", "z"})
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			switch p := &a.usage.periods[periodOf(now)%usagePeriods]; rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				c := call{&Call{Flow: named("batch", tenant.Draw(t, "tenant"), 1)}, rapid.Int64Range(1, 100).Draw(t, "tokens"), periodOf(now)}
				a.usage.add(now, c.Call, c.charged)
				calls, total = append(calls, c), total+c.charged
			case 1:
				if len(calls) > 0 {
					c := calls[0]
					calls = calls[1:]
					used := rapid.Int64Range(0, 150).Draw(t, "used")
					a.usage.correct(c.period, c.Call, used-c.charged)
					total += used - c.charged
				}
			default:
				if len(p.charged) > 0 {
					p.giveWay(100)
				}
			}
		}
		classes, tenants := a.shares(now)
		counted := int64(0)
		for _, c := range classes {
			counted += c.Charged
		}
		if counted != total {
			t.Fatalf("%d tokens are counted; %d were used", counted, total)
		}
		for _, p := range a.usage.periods {
			for key, n := range p.charged {
				if n < 0 {
					t.Fatalf("%+v has %d; %+v", key, n, tenants)
				}
			}
		}
	})
}

// A plain call that started before the first one of a flow is not counted, and so nothing of it
// is taken away when it ends.
func TestUsageOfPlainCallsThatEnd(t *testing.T) {
	run(t, true, func(b *bench) {
		b.open()
		plain, x := call(50), call(100)
		x.Flow = named("", "x", 1)
		early := b.admit(plain)
		other := b.admit(x)
		late := b.admit(plain)
		early.Settle(&Outcome{HasUsage: true, Usage: wire.Usage{Total: 20}})
		late.discard()
		other.Settle(&Outcome{HasUsage: true, Usage: wire.Usage{Total: 30}})
		if classes, tenants := b.Shares("a"); len(classes) != 1 || classes[0].Charged != 30 || len(tenants) != 1 || tenants[0].Charged != 30 {
			b.Errorf("%+v, %+v; want 30 of the tenant alone", classes, tenants)
		}
	})
}

// Every class that is configured is shown, also before its first call; and calls without a class
// count from the first one on.
func TestUsageOfConfiguredClasses(t *testing.T) {
	rules := &Rules{ClassNames: []string{"chat", "batch"}}
	late := New(Config{})
	before := late.account("a")
	late.SetRules(rules)
	for name, a := range map[string]*account{"from the start": newAccount(New(Config{Rules: *rules}), "a"), "later": before} {
		now := time.Unix(1_000_000_000, 0)
		shown := func(want string) {
			t.Helper()
			var got []string
			classes, tenants := a.shares(now)
			for _, c := range classes {
				got = append(got, fmt.Sprint(c.Class, ":", c.Charged, ":", c.Share))
			}
			if got := strings.Join(got, " "); got != want || len(tenants) != 0 {
				t.Errorf("%s: %q and %v; want %q", name, got, tenants, want)
			}
		}
		shown("batch:0:0 chat:0:0")
		a.usage.add(now, &Call{}, 100)
		shown(":100:1 batch:0:0 chat:0:0")
		a.usage.add(now, &Call{Flow: named("chat", "", 1)}, 300)
		shown(":100:0.25 batch:0:0 chat:300:0.75")
	}
}

// Of many tenants, half of those that are shown have started most, and the others wait longest.
func TestUsageShowsTenantsThatGetNothing(t *testing.T) {
	for _, x := range []struct {
		name           string
		started, waits int // how many tenants have started calls, and how many wait for their first
		both           bool
		want           string // more than the others: started s, waited w
	}{
		{"none wait", 30, 0, false, "s0 s1 s2 s3 s4 s5 s6 s7 s8 s9"},
		{"one waits", 30, 1, false, "s0 s1 s2 s3 s4 s5 s6 s7 s8 w0"},
		{"many wait", 30, 30, false, "s0 s1 s2 s3 s4 w0 w1 w2 w3 w4"},
		{"all wait", 0, 30, false, "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9"},
		{"few", 4, 3, false, "s0 s1 s2 s3 w0 w1 w2"},
		{"those that start much wait too", 30, 30, true, "s0 s1 s2 s3 s4 w0 w1 w2 w3 w4"},
	} {
		a := newAccount(New(Config{}), "a")
		now := time.Unix(1_000_000_000, 0)
		s := a.scopeLocked(scopeKey{model: "m"})
		for i := range x.started {
			f := named("", fmt.Sprint("s", i), 1)
			a.usage.add(now, &Call{Flow: f}, int64(1000-i))
			if x.both {
				s.queue.join(&waiter{arrived: now.Add(-time.Second)}, f)
			}
		}
		for i := range x.waits {
			s.queue.join(&waiter{arrived: now.Add(-time.Minute + time.Duration(i)*time.Second)}, named("", fmt.Sprint("w", i), 1))
		}
		var got []string
		_, tenants := a.shares(now)
		for _, t := range tenants {
			got = append(got, t.Tenant)
		}
		if got := strings.Join(got, " "); got != x.want {
			t.Errorf("%s: %s are shown; want %s", x.name, got, x.want)
		}
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
