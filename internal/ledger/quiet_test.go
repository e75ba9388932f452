package ledger

import (
	"reflect"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// An account that was asked quietly, and has changed nothing, is to the last bit as if nobody
// had asked. What does change something is noted with all else.
func TestQuietAsksLeaveNoTrace(t *testing.T) {
	model := bucketOf("m", "rpm", backend.Requests, 60)
	account := bucketOf("account", "rpm", backend.Requests, 7000)
	wider := model
	wider.Limit++
	careful := model
	careful.Margin++
	waits := func(number uint64, buckets ...backend.Bucket) *backend.Ask {
		return ask("m", "p", number, buckets, cost(30, 0, 0), cost(20, 0, 0))
	}
	fresh := waits(2, model, account)
	fresh.Fresh = true
	other := waits(2, model, account)
	other.Ticket, other.Leave, other.Costs = "nobody", true, nil
	more := waits(2, model, account)
	more.Costs = append(more.Costs, cost(1, 0, 0))
	tests := []struct {
		name    string
		ask     *backend.Ask
		after   time.Duration
		noted   bool // the ask, and all else
		renewed bool // only that it has asked
		clocked bool // only the time
	}{
		{"one that waits on", waits(2, model, account), 100 * time.Millisecond, false, false, false},
		{"one that waits on, and is a repetition of what was noted", waits(1, model, account), 100 * time.Millisecond, true, false, false},
		{"a fresh one whose ticket is in line", fresh, 100 * time.Millisecond, false, false, false},
		{"one that leaves and was not there", other, 100 * time.Millisecond, false, false, false},
		{"one that will be heard of too late", waits(2, model, account), Tick - time.Millisecond, false, true, false},
		{"one that is the first for long", waits(2, model, account), Tick, false, true, true},
		{"one with another cost", more, 100 * time.Millisecond, true, false, false},
		{"one with another bucket", waits(2, model), 100 * time.Millisecond, true, false, false},
		{"one with another limit", waits(2, wider, account), 100 * time.Millisecond, true, false, false},
		{"one with another margin", waits(2, careful, account), 100 * time.Millisecond, true, false, false},
		{"one that is granted something", waits(2, model, account), 31 * time.Second, true, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			prepared := func() *Account {
				a := New()
				a.Lease, a.Erase = time.Second, 10*time.Second
				take(t, a, 0, ask("m", "x", 1, []backend.Bucket{model, account}, cost(60, 0, 0)))
				take(t, a, second/3, waits(1, model, account))
				return a
			}
			was, is := prepared(), prepared()
			is.Quiet = true
			take(t, is, second/3+Micros(tt.after), tt.ask)
			is.Quiet = false
			for _, a := range []*Account{was, is} {
				a.parts, a.of, a.resolved, a.recent, a.empty = nil, nil, nil, nil, line{} // no state
				for _, o := range a.owners {
					o.dirty = false
				}
			}
			l, m := was.lines["line"], is.lines["line"]
			if renewed := m.tickets["p"].seen != l.tickets["p"].seen; renewed != (tt.renewed || tt.noted) {
				t.Errorf("that it has asked is noted: %t", renewed)
			}
			if clocked := m.clock != l.clock; clocked != (tt.clocked || tt.noted) {
				t.Errorf("the time is noted: %t", clocked)
			}
			nodes := [2]map[string]*node{{}, {}} // by name, for the owners are others
			for i, e := range []*line{l, m} {
				e.clock, e.stamp, e.dirty = 0, 0, false
				e.saw(e.tickets["p"], 0)
				for o, n := range e.nodes {
					nodes[i][o.name] = n
				}
				e.nodes = nil
			}
			if same := reflect.DeepEqual(is, was) && reflect.DeepEqual(nodes[1], nodes[0]); same == tt.noted {
				t.Errorf("it has left no trace: %t", same)
			}
		})
	}
}

// What else changes while a ticket waits on is noted, and its ask with it.
func TestQuietAsksNoteWhatTheyChange(t *testing.T) {
	model := bucketOf("m", "rpm", backend.Requests, 1000)
	low, lower, other := model, model, model
	low.Limit, lower.Limit, other.Name = 20, 10, "other"
	waits := func(t *testing.T, a *Account, at time.Duration, ticket string, number uint64, b backend.Bucket) {
		take(t, a, Micros(at), ask("m", ticket, number, []backend.Bucket{b}, cost(5, 0, 0)))
	}
	tests := []struct {
		name   string
		before func(t *testing.T, a *Account)
		at     time.Duration
		bucket backend.Bucket
		noted  bool
	}{
		{"nothing", func(*testing.T, *Account) {}, 100 * time.Millisecond, lower, false},
		{"a bucket is cut down", func(*testing.T, *Account) {}, time.Minute, lower, true},
		{"somebody else has described another limit", func(t *testing.T, a *Account) {
			waits(t, a, 0, "q", 1, low)
		}, 100 * time.Millisecond, lower, true},
		{"it wants of another bucket, which is known", func(t *testing.T, a *Account) {
			other.Start = 1000
			waits(t, a, 0, "q", 1, other)
		}, 100 * time.Millisecond, other, true},
		{"one that has died is stepped over", func(t *testing.T, a *Account) {
			waits(t, a, 0, "q", 1, lower)
			waits(t, a, Gap, "p", 2, lower)
			waits(t, a, 2*Gap, "p", 3, lower)
		}, 3 * Gap, lower, true},
		{"it has been stepped over itself", func(t *testing.T, a *Account) {
			for i := range time.Duration(4) {
				waits(t, a, i*Gap, "q", uint64(i+1), lower)
			}
		}, 3*Gap + 100*time.Millisecond, lower, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := New()
			a.Lease, a.Erase = time.Second, 10*time.Second
			take(t, a, 0, ask("m", "x", 1, []backend.Bucket{model}, cost(1000, 0, 0)))
			waits(t, a, 0, "p", 1, lower)
			tt.before(t, a)
			a.Quiet = true
			waits(t, a, tt.at, "p", 9, tt.bucket)
			if noted := a.lines["line"].tickets["p"].number == 9; noted != tt.noted {
				t.Errorf("it is noted: %t", noted)
			}
		})
	}
}

// A node may be taken out of the way that stands nowhere: the one below it stands elsewhere.
func TestQuietAsksNoteWhomTheyHoldBack(t *testing.T) {
	model, family, account := bucketOf("m", "rpm", backend.Requests, 1e6), bucketOf("f", "rpm", backend.Requests, 1000), bucketOf("account", "rpd", backend.Requests, 1e6)
	account.Period = 24 * time.Hour
	a := New()
	a.Lease, a.Erase = time.Second, 10*time.Second
	all, few := []backend.Bucket{model, family, account}, []backend.Bucket{model, account}
	take(t, a, 0, ask("x", "x", 1, []backend.Bucket{family}, cost(1000, 0, 0)))
	take(t, a, 0, ask("x", "x", 2, []backend.Bucket{account}, cost(999_900, 0, 0)))
	take(t, a, 0, ask("m", "p", 1, all, cost(50, 0, 0)))
	take(t, a, 0, ask("m", "q", 1, few, cost(1000, 0, 0)))
	take(t, a, 4*second, ask("m", "q", 2, few, cost(1000, 0, 0))) // the family's bucket has room
	a.Settle(4*second, &backend.Settlement{Buckets: all, PauseOwner: "f", Pause: time.Minute})
	a.Quiet = true
	take(t, a, 4*second+1000, ask("m", "p", 2, all, cost(50, 0, 0)))
	if n := a.lines["line"].tickets["p"].number; n != 2 {
		t.Error("the ask has held back its family, and is not noted")
	}
}

// A ticket that waits on and asks when it is told to is never taken for dead, and one that
// has died is, within a lease.
func TestQuietAsksKeepTheLineAlive(t *testing.T) {
	for _, others := range []int{0, 1, 30} {
		a := New()
		a.Lease, a.Erase = time.Second, 10*time.Second
		day := bucketOf("m", "rpd", backend.Requests, 1000)
		day.Period = 24 * time.Hour
		buckets := []backend.Bucket{day}
		take(t, a, 0, ask("m", "x", 1, buckets, cost(1000, 0, 0)))
		take(t, a, 0, ask("m", "dead", 1, buckets, cost(1000, 0, 0)))
		a.Quiet = true
		due := make([]int64, 1+others)
		for number, now := uint64(2), int64(0); now < 10*second; number++ {
			i := 0
			for j := range due {
				if due[j] < due[i] {
					i = j
				}
			}
			now = max(now, due[i])
			got := take(t, a, now, ask("m", string(rune('a'+i)), number, buckets, cost(10, 0, 0)))
			want := i
			if now <= second {
				want++ // the one that has died
			} else if now < second*11/10 {
				want = got.Tickets // it is stepped over by who comes next
			}
			if number > uint64(3+others) && got.Tickets != want {
				t.Fatalf("%d others, after %d µs: %d before the ticket; want %d", others, now, got.Tickets, want)
			}
			due[i] = now + Micros(got.Hint)
		}
	}
}
