package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// replicated has somebody read what the server replicates. It returns how many bytes that
// has been so far.
func replicated(t *testing.T, s *redistest.Server) func() int {
	c := admin(t, s)
	if err := c.ConfigSet(t.Context(), "repl-diskless-sync-delay", "0").Err(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "SYNC\r\n"); err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() { _, _ = io.Copy(io.Discard, conn) }) // until the test ends
	t.Cleanup(func() { conn.Close(); work.Wait() })
	count := func() int {
		_, says, _ := strings.Cut(c.Info(t.Context(), "replication").Val(), "master_repl_offset:")
		says, _, _ = strings.Cut(says, "\r\n")
		n, err := strconv.Atoi(says)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	redistest.Eventually(t, "Redis replicates", func() bool {
		return strings.Contains(c.Info(t.Context(), "replication").Val(), "state=online") || count() > 0
	})
	return count
}

// A ticket that waits on, and asks when it is told to, has Redis write so often as it must
// lest it be taken for dead, and what time it is. Nothing else changes, and it keeps its place.
func TestWaitingAsksWriteNothing(t *testing.T) {
	model := perDay(1000)[0]
	large, account, ceiling := model, model, model
	large.Limit, account.Owner, ceiling.Owner, ceiling.Ceiling = 1e9, "account", "class", true
	flow := []backend.Flow{{Class: "class", Tenant: "tenant", Weight: 2}}
	tests := []struct {
		name    string
		buckets []backend.Bucket
		flows   []backend.Flow
		waiting int
		pause   time.Duration
		bytes   int // for each ask, at most
	}{
		{"the model's limit", []backend.Bucket{model}, nil, 1, 0, 120},
		{"the model's limit, beside the account's", []backend.Bucket{model, {Owner: "account", Name: "rpd", Limit: 1e9, Period: 24 * time.Hour}}, nil, 1, 0, 120},
		{"the account's limit", []backend.Bucket{large, account}, nil, 1, 0, 120},
		{"a class's limit", []backend.Bucket{large, ceiling}, nil, 1, 0, 120},
		{"a flow", []backend.Bucket{model}, flow, 1, 0, 120},
		{"four in line", []backend.Bucket{model}, nil, 4, 0, 70},
		{"many in line, who ask less often", []backend.Bucket{model}, nil, 50, 0, 130},
		{"a pause", []backend.Bucket{model}, nil, 4, time.Minute, 200},
	}
	s := redistest.Run(t)
	c, replicated := admin(t, s), replicated(t, s)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newVirtual(c)
			b.prefix = DefaultPrefix // whose length is among what is counted
			asks, due, numbers := 0, make([]int64, tt.waiting), make([]uint64, tt.waiting)
			take := func(i int, costs ...int64) backend.Answer {
				t.Helper()
				numbers[i]++
				asks++
				a := ask(numbers[i], tt.buckets, costs...)
				a.Account, a.Line, a.Ticket, a.Flows = tt.name, "account", fmt.Sprint(i), tt.flows
				answer, err := b.Take(t.Context(), a)
				if err != nil {
					t.Fatal(err)
				}
				due[i] = b.now + answer.Hint.Microseconds()
				return answer
			}
			if a := take(0, 1000); a.Granted != 1 {
				t.Fatal("there is nothing to take")
			}
			if tt.pause > 0 {
				if err := b.Settle(t.Context(), backend.Settlement{Account: tt.name, Buckets: tt.buckets, PauseOwner: "model:m", Pause: tt.pause}); err != nil {
					t.Fatal(err)
				}
			}
			keys := lineKeys(b.accountKey(tt.name), lineField("account"), ticketField(""))
			state := func() map[string]string {
				all := c.HGetAll(t.Context(), keys[0]).Val()
				delete(all, lineField("account"))
				all["line"], all["tickets"] = c.Dump(t.Context(), keys[1]).Val(), c.Dump(t.Context(), keys[2]).Val()
				return all
			}
			noted := func() map[string]float64 {
				all := map[string]float64{}
				for _, z := range c.ZRangeWithScores(t.Context(), keys[4], 0, -1).Val() {
					all[z.Member.(string)] = z.Score
				}
				return all
			}
			turns := func(d time.Duration) {
				for end := b.now + d.Microseconds(); ; {
					i := slices.Index(due, slices.Min(due))
					if due[i] >= end {
						return
					}
					b.now = max(b.now, due[i])
					if a := take(i, 100); a.Granted > 0 || a.Tickets != i {
						t.Fatalf("granted %d, with %d before it; want %d", a.Granted, a.Tickets, i)
					}
				}
			}
			clear(due)
			turns(2 * time.Second) // all have come, and know what the others want
			before, was := state(), noted()
			asks = 0
			bytes := replicated()
			turns(10 * time.Second)
			bytes = (replicated() - bytes) / asks
			t.Logf("%d asks of %d: %d bytes each", asks, tt.waiting, bytes)
			if bytes > tt.bytes {
				t.Errorf("an ask has %d bytes replicated; want %d at most", bytes, tt.bytes)
			}
			if now := state(); !maps.Equal(now, before) {
				for k := range now {
					if now[k] != before[k] {
						t.Errorf("%q has changed", k)
					}
				}
			}
			for m, at := range noted() {
				if at == was[m] {
					t.Errorf("of %q nobody has noted that it asks", m)
				}
			}
		})
	}
}

// One who only waits on keeps the line's time: who has died is stepped over.
func TestQuietAsksStepOverTheDead(t *testing.T) {
	b := newVirtual(client(t))
	buckets := perDay(1000)
	number := uint64(0)
	take := func(ticket string, n int64) backend.Answer {
		t.Helper()
		number++
		a := ask(number, buckets, n)
		a.Ticket = ticket
		answer, err := b.Take(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	take("x", 500)
	take("dead", 1000)
	died := b.now
	for {
		a := take("alive", 1000)
		if a.Tickets == 0 {
			break
		}
		if b.now-died > lease.Microseconds() {
			t.Fatalf("%d before it after %d µs", a.Tickets, b.now-died)
		}
		b.now += a.Hint.Microseconds()
	}
	if b.now-died <= lease.Microseconds() {
		t.Errorf("it was taken for dead after %d µs", b.now-died)
	}
}

// A ticket that asks only as a fresh one does is not stepped over by itself, but by whoever
// comes next.
func TestWhoComesNextStepsOverTheDead(t *testing.T) {
	b := newVirtual(client(t))
	buckets := perDay(1000)
	x := ask(1, buckets, 1000)
	x.Ticket = "x"
	mustTake(t, b.Backend, x)
	take := func(ticket string, fresh bool) backend.Answer {
		t.Helper()
		a := ask(1, buckets, 10)
		a.Ticket, a.Fresh = ticket, fresh
		answer, err := b.Take(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	take("dead", false)
	for died := b.now; b.now-died <= lease.Microseconds(); {
		b.now += ledger.Gap.Microseconds()
		take("dead", true)
	}
	b.now += 100_000
	if a := take("next", false); a.Tickets != 0 {
		t.Errorf("%d before the next ticket; want 0: the dead one has been silent for more than a lease", a.Tickets)
	}
}

// Where Redis's clock is set back behind an ask that was not noted, a ticket that comes then
// and dies is stepped over in time all the same.
func TestTheDeadWhenTheClockWasSetBack(t *testing.T) {
	b := newVirtual(client(t))
	x := ask(1, perDay(1000), 1000)
	x.Ticket = "x"
	mustTake(t, b.Backend, x)
	number := uint64(0)
	turn := func(after time.Duration, ticket string, fresh bool) int {
		t.Helper()
		b.now += after.Microseconds()
		number++
		a := ask(number, perDay(1000), 10)
		a.Ticket, a.Fresh = ticket, fresh
		got, err := b.Take(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return got.Tickets
	}
	const ms = time.Millisecond
	turn(0, "alive", false)
	turn(500*ms, "alive", true)
	turn(480*ms, "alive", true)
	turn(200*ms, "alive", false)
	turn(-150*ms, "dead", false)
	for range 3 {
		turn(330*ms, "alive", false)
	}
	if n := turn(70*ms, "next", false); n != 1 {
		t.Errorf("%d before the next ticket; want 1, for the other has been silent for more than a lease", n)
	}
}

// What an ask changes of a bucket is noted, also if its ticket only waits on, as if all asks
// were.
func TestQuietAsksNoteWhatTheyChange(t *testing.T) {
	c := admin(t, shared)
	b, other := newVirtual(c), newVirtual(c)
	other.prefix = b.prefix
	number := uint64(0)
	asks := func(account, ticket string, limit int64, costs ...int64) backend.Ask {
		number++
		a := ask(number, perDay(limit), costs...)
		a.Account, a.Ticket, a.Leave = account, ticket, len(costs) == 0
		a.Buckets[0].Period = time.Minute
		return a
	}
	take := func(b *virtualBackend, a backend.Ask) {
		t.Helper()
		if _, err := b.Take(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		before func(account string)
		limit  int64
		costs  []int64
		noted  bool
	}{
		{"nothing", func(account string) {
			take(b, asks(account, "waits", 1000, 5))
		}, 1000, []int64{5}, false},
		{"a bucket is cut down to a limit that was lowered a period ago", func(account string) {
			take(b, asks(account, "waits", 10, 5))
			b.now += time.Minute.Microseconds()
		}, 10, []int64{5}, true},
		{"somebody else has described another limit", func(account string) {
			take(b, asks(account, "waits", 10, 5))
			take(b, asks(account, "other", 20, 5))
		}, 10, []int64{5}, true},
		{"a bucket was lost, and others know less of it", func(account string) {
			take(b, asks(account, "waits", 1000, 5))
			if n := c.Del(t.Context(), lineKeys(b.accountKey(account), lineField("model:m"), "")...).Val(); n == 0 {
				t.Fatal("nothing was lost")
			}
			b.now += 1000
			other.now = b.now
			take(other, asks(account, "other", 1000, 5))
		}, 1000, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			begun := b.now
			var states []map[string]string
			for _, quiet := range []bool{false, true} {
				account := fmt.Sprint(tt.name, quiet)
				b.now = begun
				take(b, asks(account, "x", 1000, 1000))
				tt.before(account)
				b.now += 10_000
				last := asks(account, "waits", tt.limit, tt.costs...)
				if known := &b.prepare(&last).asked.known; !quiet {
					*known = false
				} else if !*known {
					t.Fatal("the ticket has not been answered yet")
				}
				take(b, last)
				state := c.HGetAll(t.Context(), b.accountKey(account)).Val()
				delete(state, lineField("model:m"))
				states = append(states, state)
			}
			if noted := maps.Equal(states[0], states[1]); noted != tt.noted {
				t.Errorf("it is noted: %t", noted)
			}
		})
	}
}

// Where it is lost when tickets last asked, those who have died hold nobody up either: the
// line begins anew.
func TestLostTimesOfALine(t *testing.T) {
	c := admin(t, redistest.Run(t))
	b := newVirtual(c)
	number := uint64(0)
	take := func(ticket string, costs ...int64) backend.Answer {
		t.Helper()
		number++
		a := ask(number, perDay(1000), costs...)
		a.Ticket, a.Leave = ticket, len(costs) == 0
		answer, err := b.Take(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	take("x", 1000)
	take("dead", 10)
	b.now += 100_000
	if n := c.Del(t.Context(), lineKeys(b.accountKey("account"), lineField("model:m"), ticketField(""))[4]).Val(); n != 1 {
		t.Fatal("there is no such key")
	}
	took := time.Duration(0)
	for i := 0; take(fmt.Sprint("new", i), 10).Tickets > 0; i++ {
		if took > 2*lease {
			t.Fatal("the dead ticket holds up all who come")
		}
		take(fmt.Sprint("new", i))
		b.now += 200_000
		took += 200 * time.Millisecond
	}
}

// Where it is lost when tickets last asked, those who still ask keep their places if all of
// them do so before somebody may be taken for dead.
func TestLostTimesOfTheLiving(t *testing.T) {
	c := admin(t, shared)
	b := newVirtual(c)
	x := ask(1, perDay(1000), 1000)
	x.Ticket = "x"
	mustTake(t, b.Backend, x)
	number := uint64(0)
	turn := func(ticket string, ahead int) {
		t.Helper()
		number++
		a := ask(number, perDay(1000), 10)
		a.Ticket = ticket
		if got, err := b.Take(t.Context(), a); err != nil || got.Tickets != ahead {
			t.Fatalf("%d before the %s one, %v; want %d", got.Tickets, ticket, err, ahead)
		}
	}
	turn("first", 0)
	turn("second", 1)
	for i := range 20 {
		b.now += 100_000
		turn("second", 1)
		turn("first", 0)
		if i == 4 && c.Del(t.Context(), lineKeys(b.accountKey("account"), lineField("model:m"), "")[4]).Val() != 1 {
			t.Fatal("there is no such key")
		}
	}
}

// A holding client may keep asks to itself, as a network does that delivers them late.
type holding struct {
	Client
	held []goredis.Cmder
	keep int // so many more
}

func (h *holding) Process(ctx context.Context, cmd goredis.Cmder) error {
	if h.keep == 0 {
		return h.Client.Process(ctx, cmd)
	}
	h.keep--
	h.held = append(h.held, onlyOnce{goredis.NewCmd(context.WithoutCancel(ctx), slices.Clone(cmd.Args())...)})
	return errors.New("no reply")
}

// An ask that comes late, when its ticket has been told to wait on, is granted nothing:
// nobody would hear of it.
func TestLateAsksAreGrantedNothing(t *testing.T) {
	for name, lost := range map[string]int{"its first attempt": 1, "both of its attempts": 2} {
		t.Run(name, func(t *testing.T) {
			h := &holding{Client: client(t)}
			b := New(h, prefix(), WithTimeout(10*time.Second))
			buckets := perDay(1000)
			x := ask(1, buckets, 1000)
			x.Ticket = "x"
			stamp := mustTake(t, b, x).Stamp
			number := uint64(0)
			waits := func() error {
				number++
				a, err := b.Take(t.Context(), ask(number, buckets, 100))
				if a.Granted > 0 {
					t.Fatal("there was something left")
				}
				return err
			}
			for range 3 {
				if err := waits(); err != nil {
					t.Fatal(err)
				}
			}
			h.keep = lost
			if err := waits(); (err != nil) != (lost == 2) {
				t.Fatal(err)
			}
			for range 3 {
				if err := waits(); err != nil && lost == 2 {
					t.Fatal(err)
				}
				if lost == 1 {
					break
				}
			}
			if err := b.Settle(t.Context(), backend.Settlement{Account: "account", Line: "model:m", Stamp: stamp,
				Buckets: buckets, Refund: backend.Amounts{500}}); err != nil {
				t.Fatal(err)
			}
			for _, cmd := range h.held {
				if err := h.Client.Process(t.Context(), cmd); err != nil {
					t.Fatal(err)
				}
			}
			if n := used(t, b, buckets); n != 500 {
				t.Errorf("%d used; want 500: nobody hears what the late ask was granted", n)
			}
			number++
			mustTake(t, b, ask(number, buckets, 100))
		})
	}
}

// An ask need not be noted where all before it have been answered. One whose number was given
// out, but which has not been sent, may still come.
func TestQuietOnlyBehindTheAnswered(t *testing.T) {
	var a asked
	for _, x := range []struct {
		number uint64
		quiet  bool
	}{{1, false}, {2, true}, {4, false}, {5, true}, {3, false}, {6, true}} {
		if got := a.quiet(x.number); got != x.quiet {
			t.Errorf("ask %d: %v; want %v", x.number, got, x.quiet)
		}
		a.answer(x.number)
	}
}
