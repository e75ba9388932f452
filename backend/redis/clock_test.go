package redis

import (
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A clockTest has processes whose clocks run as time does, and a Redis whose clock is
// set now and then.
type clockTest struct {
	*testing.T
	client    *goredis.Client
	prefix    Option
	shown     int64
	processes []*processUnderTest
	number    uint64
}

func newClockTest(t *testing.T) *clockTest {
	return &clockTest{T: t, client: client(t), prefix: prefix(), shown: 1_700_000_000_000_000}
}

// process is one that has heard nothing yet.
func (c *clockTest) process() *processUnderTest {
	p := &processUnderTest{clock: int64(len(c.processes)+1) * 1e9}
	p.Backend = New(c.client, c.prefix, WithTimeout(10*time.Second), withClock(func() int64 { return c.shown }))
	p.now = func() int64 { return p.clock }
	c.processes = append(c.processes, p)
	return p
}

// pass lets time pass, and a little for what rounds, and set sets Redis's clock.
func (c *clockTest) pass(d time.Duration) {
	d += 10 * time.Microsecond
	c.set(d)
	for _, p := range c.processes {
		p.clock += d.Microseconds()
	}
}

func (c *clockTest) set(d time.Duration) { c.shown += d.Microseconds() }

// inTenMinutes holds a thousand calls, of which a hundred refill in a minute.
var inTenMinutes = []backend.Bucket{{Owner: "model:m", Name: "rpm", Dimension: backend.Requests, Limit: 1000, Period: 10 * time.Minute}}

// take has the process ask for so many calls, at once and without a ticket.
func (c *clockTest) take(p *processUnderTest, n int64) backend.Answer {
	c.Helper()
	c.number++
	a := ask(c.number, inTenMinutes, n)
	a.Fresh, a.Leave = true, true
	answer, err := p.Take(c.Context(), a)
	if err != nil {
		c.Fatal(err)
	}
	return answer
}

// takes wants the process to find so many calls, and no more, and takes them.
func (c *clockTest) takes(p *processUnderTest, n int64) {
	c.Helper()
	if n > 0 {
		if a := c.take(p, n); a.Granted == 0 {
			c.Fatalf("%d calls were not granted at a level of %v", n, a.Levels[0])
		}
	}
	if a := c.take(p, 1); a.Granted > 0 {
		c.Fatalf("a call was granted, and %v are left", a.Levels[0])
	}
}

// Whatever Redis's clock does, a process that has heard of the account gets what
// refills in time, and no more.
func TestClockThatIsSet(t *testing.T) {
	for _, steps := range [][]time.Duration{
		{5 * time.Minute}, {-time.Hour}, {-time.Hour, time.Hour}, {5 * time.Minute, -5 * time.Minute},
		{30 * time.Second, 30 * time.Second, 30 * time.Second}, {-30 * time.Second, 20 * time.Second, time.Hour},
		{time.Hour, -2 * time.Hour, time.Hour},
	} {
		c := newClockTest(t)
		one, other := c.process(), c.process()
		c.takes(one, 1000)
		c.takes(other, 0)
		for _, d := range steps {
			c.set(d)
			c.takes(one, 0)
			c.takes(other, 0)
			c.pass(time.Minute)
			c.takes(other, 100)
			c.takes(one, 0)
		}
	}
}

// And so it is if it is set while nobody asks. What passes until the first ask after it
// was set back can't be told.
func TestClockThatIsSetWhileNobodyAsks(t *testing.T) {
	for step, want := range map[time.Duration]int64{5 * time.Minute: 100, -time.Hour: 0} {
		c := newClockTest(t)
		one, other := c.process(), c.process()
		c.takes(one, 1000)
		c.takes(other, 0)
		c.pass(30 * time.Second)
		c.set(step)
		c.pass(30 * time.Second)
		c.takes(one, want)
		c.takes(other, 0)
		c.pass(time.Minute)
		c.takes(one, 100)
		c.set(-step)
		c.pass(time.Hour)
		c.takes(other, 1000)
	}
}

// An hour in which nobody asks refills all, for whoever asks first.
func TestIdleHour(t *testing.T) {
	c := newClockTest(t)
	one := c.process()
	c.takes(one, 1000)
	c.pass(time.Hour)
	c.takes(one, 1000)
	c.pass(time.Hour)
	c.takes(c.process(), 1000)
}

// A process that has heard nothing can't tell a step from an idle time. If it is the
// first to ask after the step, that counts as time, once.
func TestNewProcessAfterTheClockWasSet(t *testing.T) {
	c := newClockTest(t)
	one := c.process()
	c.takes(one, 1000)
	c.set(5 * time.Minute)
	c.takes(c.process(), 500)
	c.takes(one, 0)
	c.takes(c.process(), 0)
	c.pass(time.Minute)
	c.takes(one, 100)
	c.set(5 * time.Minute)
	c.takes(one, 0)
	c.takes(c.process(), 0) // somebody who knows was there before it
}

// An ask that has lain unanswered while Redis stood still, for longer than its process
// waits, does not know how much has passed. The next one does.
func TestTimeThatAnAskHasNotSeenPass(t *testing.T) {
	c := newClockTest(t)
	one, other := c.process(), c.process()
	c.takes(one, 1000)
	c.takes(other, 0)
	// late has one ask with what it knew so long ago. An answer that comes too late
	// teaches it nothing.
	late := func(ago time.Duration, n int64) {
		t.Helper()
		known := one.memory.clock("account")
		was := *known
		one.clock -= ago.Microseconds()
		c.takes(one, n)
		one.clock += ago.Microseconds()
		*known = was
	}
	c.pass(2 * time.Minute)
	late(2*time.Minute, 0)
	late(2*time.Minute, 0)
	c.takes(other, 200)

	c.takes(one, 0)
	c.pass(9 * time.Second) // of which an ask may not know that is answered in time
	late(9*time.Second, 15)

	// Nor does an answer that is heard hide it, of a call that finds what it needs.
	c.pass(time.Hour)
	c.take(one, 500)
	c.take(other, 1)
	c.pass(2 * time.Minute)
	known := one.memory.clock("account")
	was := *known
	one.clock -= 120e6
	c.take(one, 1)
	one.clock += 120e6
	*known = was
	c.take(other, 1)
	c.takes(other, 497+200)
}

// A process whose clock stands still takes the time for a step. That costs what would
// have refilled meanwhile, where nobody else has asked, and nothing later.
func TestProcessWhoseClockStoodStill(t *testing.T) {
	c := newClockTest(t)
	one, other := c.process(), c.process()
	c.takes(one, 1000)
	c.set(time.Hour) // for one's clock, that is
	c.takes(one, 0)
	c.pass(time.Minute)
	c.takes(one, 100)

	c.takes(other, 0)
	c.pass(30 * time.Second)
	one.clock -= 30e6
	c.takes(one, 0)
	c.takes(other, 50) // who knows better
	c.pass(time.Minute)
	c.takes(one, 50) // for what it has heard last was too early
	c.takes(other, 50)
	c.takes(one, 0) // now it has heard of that
	c.pass(time.Minute)
	c.takes(one, 100)
}

// Pauses and the stamps of charges go by the account's time.
func TestPauseAndRefundAfterTheClockWasSet(t *testing.T) {
	for _, step := range []time.Duration{5 * time.Minute, -time.Hour} {
		c := newClockTest(t)
		p := c.process()
		c.take(p, 400)
		a := c.take(p, 600)
		settle := func(s backend.Settlement) {
			t.Helper()
			s.Account = "account"
			if err := p.Settle(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		settle(backend.Settlement{PauseOwner: "model:m", Pause: 200 * time.Second})
		c.set(step)
		settle(backend.Settlement{Stamp: a.Stamp, Buckets: inTenMinutes, Refund: backend.Amounts{50}})
		if a := c.take(p, 1); a.Granted > 0 || a.Paused != 200*time.Second {
			t.Errorf("%v: granted %d, paused for %v", step, a.Granted, a.Paused)
		}
		c.pass(200 * time.Second)
		c.takes(p, 50+333)
		if err := p.Clear(t.Context(), "account", []string{"model:m"}); err != nil {
			t.Fatal(err)
		}
		settle(backend.Settlement{Stamp: a.Stamp, Buckets: inTenMinutes, Refund: backend.Amounts{-50}})
		c.takes(p, 1000)
	}
}

// After a loss the account's time begins anew, with what Redis's clock shows. What was
// heard before goes for another one.
func TestClockAfterALoss(t *testing.T) {
	flush := func(c *clockTest) {
		t.Helper()
		if err := admin(t, shared).Del(t.Context(), c.processes[0].accountKey("account")).Err(); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("of a clock that was behind", func(t *testing.T) {
		c := newClockTest(t)
		old := c.process()
		c.takes(old, 1000)
		c.set(5 * time.Minute)
		c.takes(old, 0)
		flush(c)
		fresh := c.process()
		c.take(fresh, 1000)
		other := ask(1, []backend.Bucket{inTenMinutes[0]}, 1000)
		other.Scope, other.Buckets[0].Owner, other.Ticket, other.Leave = "model:n", "model:n", "n", true
		mustTake(t, old.Backend, other)
		c.takes(fresh, 0)
		other.Number++
		if a, err := fresh.Take(t.Context(), other); err != nil || a.Granted > 0 {
			t.Errorf("granted %d, %v", a.Granted, err)
		}
	})
	t.Run("of one that was ahead", func(t *testing.T) {
		c := newClockTest(t)
		p := c.process()
		c.takes(p, 1000)
		c.set(-time.Hour)
		c.takes(p, 0)
		flush(c)
		c.pass(0)
		c.takes(p, 0) // it remembers what was used
		c.set(5 * time.Minute)
		c.takes(p, 0)
	})
}

// The hash lives until its buckets are full by the account's time, however far Redis's
// is ahead.
func TestHashLivesThoughTheClockWasSet(t *testing.T) {
	c := newClockTest(t)
	p := c.process()
	c.takes(p, 1000)
	const step = 21 * time.Minute
	key := p.accountKey("account")
	left := c.client.PTTL(t.Context(), key).Val() - step
	if err := admin(t, shared).PExpire(t.Context(), key, left).Err(); err != nil {
		t.Fatal(err)
	}
	c.set(step)
	c.takes(p, 0)
	if left := c.client.PTTL(t.Context(), key).Val(); left < 20*time.Minute {
		t.Errorf("the hash expires in %v", left)
	}

	// Nor does a call that finds no line forget it.
	c.pass(13 * time.Minute)
	if err := admin(t, shared).PExpire(t.Context(), key, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	c.take(p, 1)
	if left := c.client.PTTL(t.Context(), key).Val(); left < 10*time.Minute {
		t.Errorf("the hash expires in %v", left)
	}
}

// A clock keeps the latest time, and any of an ask that was sent after the answer before.
func TestClockKeepsTheLatest(t *testing.T) {
	for _, tt := range []struct{ stamp, sent, received, want int64 }{
		{70, 15, 40, 70}, // asked for at the same time, and later there
		{55, 16, 31, 60}, // and earlier
		{40, 30, 33, 60},
		{40, 31, 33, 40}, // the time has begun anew
	} {
		c := clock{60, 12, 30}
		if c.observe(tt.stamp, tt.sent, tt.received); c.stamp != tt.want {
			t.Errorf("%+v: %+v", tt, c)
		}
	}
	c := clock{1000, 100, 130}
	if b := c.bounds(500, 50); b.Earliest != 1370 || b.Latest != 1450 {
		t.Errorf("%+v; want what has passed since it was heard, and since it was asked for and until the answer", b)
	}
}
