package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A scope may leave a family, or join it, while it has tickets in line: it stands where
// its last ticket says, and nowhere else.
func TestScopeThatLeavesItsFamilyInLine(t *testing.T) {
	a := New()
	account := bucketOf("account", "rpm", backend.Requests, 60)
	family := bucketOf("family", "rpm", backend.Requests, 6000)
	take(t, a, 0, ask("x", "x", 1, []backend.Bucket{account}, cost(60, 0, 0)))
	take(t, a, 0, ask("m", "in the family", 1, []backend.Bucket{family, account}, cost(30, 0, 0)))
	for n, buckets := range [][]backend.Bucket{{account}, {family, account}, {account}} {
		take(t, a, 0, ask("m", "p", uint64(n+1), buckets, cost(30, 0, 0)))
		if got := take(t, a, 0, ask("n", "q", uint64(n+1), []backend.Bucket{account}, cost(1, 0, 0))); got.Tickets != 2 {
			t.Errorf("%d tickets ahead in step %d; want both of the scope", got.Tickets, n)
		}
	}
	if got := take(t, a, 70*second, ask("n", "q", 9, []backend.Bucket{account}, cost(1, 0, 0))); got.Granted != 0 {
		t.Error("granted what both tickets ahead need")
	}
}

// A ticket may name another path than that on which its scope stands now. It is held back by what
// stands below those that it is a rival of, and not by what stands above them.
func TestTicketOnAnotherPathThanItsScope(t *testing.T) {
	a := New()
	own, family, account := bucketOf("m", "rpm", backend.Requests, 600), bucketOf("family", "rpm", backend.Requests, 600), bucketOf("account", "rpm", backend.Requests, 60)
	take(t, a, 0, ask("x", "x", 1, []backend.Bucket{account}, cost(60, 0, 0)))
	take(t, a, 0, ask("m", "from outside the family", 1, []backend.Bucket{own, account}, cost(1, 0, 0)))
	take(t, a, 0, ask("m", "from inside", 1, []backend.Bucket{own, family, account}, cost(1, 0, 0)))
	for number := range uint64(2) {
		a.Moved("line")
		got := take(t, a, 0, ask("n", "n", 1+number, []backend.Bucket{family, account}, cost(1, 0, 0)))
		if got.Tickets != 2 || number > 0 && a.Moved("line") {
			t.Errorf("%d tickets stand before it; want 2, and none moved", got.Tickets)
		}
	}
}

// Whether a model holds itself back is for its own margin to say, as the ticket that waits
// has described it, and not as others have since.
func TestMarginOfTheTicketHoldsItsModelBack(t *testing.T) {
	for _, tt := range []struct {
		margin  float64
		granted int // to another model
	}{{20, 1}, {0, 0}} {
		a := New()
		account := bucketOf("account", "rpm", backend.Requests, 600)
		own := bucketOf("m", "rpm", backend.Requests, 60)
		take(t, a, 0, ask("x", "x", 1, []backend.Bucket{account}, cost(590, 0, 0)))
		take(t, a, 0, ask("m", "y", 1, []backend.Bucket{own}, cost(45, 0, 0)))
		own.Margin = tt.margin
		take(t, a, 0, ask("m", "p", 1, []backend.Bucket{own, account}, cost(12, 0, 0)))
		other := own
		other.Margin = 20 - tt.margin
		take(t, a, 0, &backend.Ask{Line: "line", Scope: "m", Ticket: "z", Number: 1, Leave: true, Buckets: []backend.Bucket{other}})
		if got := take(t, a, 0, ask("n", "q", 1, []backend.Bucket{account}, cost(5, 0, 0))); got.Granted != tt.granted {
			t.Errorf("with a margin of %v %d were granted; want %d", tt.margin, got.Granted, tt.granted)
		}
	}
}

// Those behind leave the margin of a ticket ahead, or their own where that is larger; but not in
// a bucket of which that ticket wants nothing.
func TestMarginOfThoseAheadIsLeft(t *testing.T) {
	for _, tt := range []struct {
		name            string
		ahead           backend.Amounts
		margin          float64       // of the one behind, beside 35
		before, granted time.Duration // when 12 of 600 a minute are not granted yet, and are
	}{
		{"its own is smaller", cost(12, 0, 0), 0, 1890 * time.Millisecond, 1900 * time.Millisecond},
		{"its own is larger", cost(12, 0, 0), 40, 2390 * time.Millisecond, 2400 * time.Millisecond},
		{"of nothing", cost(0, 100, 0), 0, -1, 0},
	} {
		for granted, after := range []time.Duration{tt.before, tt.granted} {
			if after < 0 {
				continue
			}
			a := New()
			a.Lease = 10 * time.Second
			requests, tokens := bucketOf("account", "rpm", backend.Requests, 600), bucketOf("account", "tpm", backend.Tokens, 100)
			take(t, a, 0, ask("x", "x", 1, []backend.Bucket{requests, tokens}, cost(560, 100, 0)))
			careful := requests
			careful.Margin = 35
			if got := take(t, a, 0, ask("m", "p", 1, []backend.Bucket{careful, tokens}, tt.ahead)); got.Granted != 0 {
				t.Fatalf("%s: the one ahead does not wait", tt.name)
			}
			requests.Margin = tt.margin
			if got := take(t, a, after.Microseconds(), ask("n", "q", 1, []backend.Bucket{requests}, cost(12, 0, 0))); got.Granted != granted {
				t.Errorf("%s, after %v: %d were granted", tt.name, after, got.Granted)
			}
		}
	}
}

// An ask reads the buckets of those ahead, and leaves them as they are.
func TestOthersStayAsTheyAre(t *testing.T) {
	a := New()
	account := bucketOf("account", "rpm", backend.Requests, 60)
	take(t, a, 0, ask("x", "x", 1, []backend.Bucket{account}, cost(60, 0, 0)))
	take(t, a, 0, ask("m", "p", 1, []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60), account}, cost(30, 0, 0)))
	if got := take(t, a, second, ask("n", "q", 1, []backend.Bucket{account}, cost(1, 0, 0))); got.Tickets != 1 {
		t.Fatalf("%d ahead; want one", got.Tickets)
	}
	if stamp := a.owners["m"].stamp; stamp != 0 {
		t.Errorf("the other model's buckets have refilled up to %d", stamp)
	}
}

// A fresh ask leaves no trace in the line where its ticket has been stepped over.
func TestFreshAskOfASilentTicket(t *testing.T) {
	a := New()
	a.Lease, a.Erase = time.Second, 10*time.Second
	account := bucketOf("account", "rpm", backend.Requests, 60)
	take(t, a, 0, ask("x", "x", 1, []backend.Bucket{account}, cost(60, 0, 0)))
	take(t, a, 0, ask("m", "slow", 1, []backend.Bucket{account}, cost(60, 0, 0)))
	for i := range uint64(3) { // more than the lease, in steps that are nobody's silence
		take(t, a, int64(i+1)*second*4/10, ask("n", "q", i+1, []backend.Bucket{account}, cost(60, 0, 0)))
	}
	fresh := ask("m", "slow", 2, []backend.Bucket{account}, cost(1, 0, 0))
	fresh.Fresh = true
	if got := take(t, a, second*12/10, fresh); got.Granted != 0 || got.Tickets != 1 {
		t.Errorf("granted %d, %d ahead; want it to stand behind its own ticket", got.Granted, got.Tickets)
	}
	if n := len(a.lines["line"].nodes); n != 2 {
		t.Errorf("%d nodes; want that of the other scope and the account's", n)
	}
}

// Of what others ask for, as much is set aside as comes before a cost: of the tickets of a
// model, and of one ticket for several flows.
func TestAsideForWhatComesBefore(t *testing.T) {
	account := []backend.Bucket{bucketOf("account", "tpm", backend.Tokens, 1000)}
	drained := func() *Account {
		a := New()
		take(t, a, 0, ask("x", "x", 1, account, cost(0, 1000, 0)))
		return a
	}
	back := func(a *Account, n int64) {
		a.Settle(0, &backend.Settlement{Buckets: account, Refund: cost(0, n, 0)})
	}
	t.Run("a model's tickets", func(t *testing.T) {
		a := drained()
		take(t, a, 0, ask("A", "a1", 1, account, cost(0, 10, 0)))
		take(t, a, 0, ask("B", "b", 1, account, cost(0, 5, 0)))
		take(t, a, 0, ask("A", "a2", 1, account, cost(0, 10, 0))) // behind b
		back(a, 15)
		if got := take(t, a, 0, ask("B", "b", 2, account, cost(0, 5, 0))); got.Granted != 1 {
			t.Errorf("waits %v for those behind it", got.Wait)
		}
	})
	t.Run("a ticket's flows", func(t *testing.T) {
		a := drained()
		flows := func(ticket string, number uint64, classes string, size int64) *backend.Ask {
			q := ask("m", ticket, number, account)
			for _, class := range classes {
				q.Costs = append(q.Costs, cost(0, size, 0))
				q.Flows = append(q.Flows, backend.Flow{Class: string(class)})
			}
			return q
		}
		take(t, a, 0, flows("q", 1, "yyyy", 25))
		take(t, a, 0, flows("p", 1, "xxxxxyy", 4)) // what it asks for y comes after q's
		take(t, a, 0, flows("z", 1, "zz", 5))
		back(a, 40) // 25 for q's first, 4 and then 5 for p's, and two of 5
		if got := take(t, a, 0, flows("z", 2, "zz", 5)); got.Granted != 2 {
			t.Errorf("%d granted; want both", got.Granted)
		}
	})
}

// A question takes nobody out of the way, and an ask that does says so.
func TestWhoIsHeldBackIsFoundByAsks(t *testing.T) {
	a := New()
	own, account := bucketOf("A", "rpm", backend.Requests, 60), bucketOf("account", "tpm", backend.Tokens, 1000)
	forA, forB := []backend.Bucket{own, account}, []backend.Bucket{account}
	take(t, a, 0, ask("x", "x", 1, forB, cost(0, 1000, 0)))
	take(t, a, 0, ask("A", "a", 1, forA, cost(1, 10, 0)))
	a.Settle(0, &backend.Settlement{Buckets: forA[:1], Refund: cost(-60, 0, 0)}) // it is used up meanwhile
	a.Moved("line")
	if _, err := a.Look(0, ask("B", "", 0, forB, cost(0, 1, 0))); err != nil {
		t.Fatal(err)
	}
	if n := len(a.lines["line"].blocked); n != 0 || a.Moved("line") {
		t.Errorf("a question holds %d back", n)
	}
	take(t, a, 0, ask("A", "a", 2, forA, cost(1, 10, 0)))
	if n := len(a.lines["line"].blocked); n != 1 || !a.Moved("line") {
		t.Errorf("%d are held back", n)
	}
	take(t, a, 0, ask("A", "a", 3, forA, cost(1, 10, 0)))
	if a.Moved("line") {
		t.Error("the same is told twice")
	}
	a.Settle(0, &backend.Settlement{Buckets: forA[:1], Refund: cost(60, 0, 0)}) // it has room again
	take(t, a, 0, ask("A", "a", 4, forA, cost(1, 10, 0)))
	if got := take(t, a, 0, ask("B", "b", 1, forB, cost(0, 1, 0))); got.Tickets != 1 {
		t.Errorf("%d before the one behind it", got.Tickets)
	}
}

// Who leaves makes room for others, who are told.
func TestWhoLeavesMovesTheLine(t *testing.T) {
	a := New()
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60)}
	take(t, a, 0, ask("m", "x", 1, buckets, cost(60, 0, 0)))
	take(t, a, 0, ask("m", "p", 1, buckets, cost(1, 0, 0)))
	take(t, a, 0, ask("m", "q", 1, buckets, cost(1, 0, 0)))
	a.Moved("line")
	take(t, a, 0, ask("m", "p", 2, buckets))
	if !a.Moved("line") {
		t.Error("nobody is told")
	}
}

// A family is gone from the line when its last ticket has left and its model stands elsewhere.
func TestFamilyThatNobodyNamesAnyMore(t *testing.T) {
	a := New()
	a.Lease = time.Second
	account := bucketOf("account", "rpm", backend.Requests, 60)
	alone, within := []backend.Bucket{account}, []backend.Bucket{bucketOf("family", "rpm", backend.Requests, 60), account}
	take(t, a, 0, ask("x", "x", 1, alone, cost(60, 0, 0)))
	take(t, a, 0, ask("m", "p", 1, alone, cost(1, 0, 0)))
	take(t, a, 0, ask("m", "q", 1, within, cost(1, 0, 0)))
	take(t, a, 0, ask("m", "q", 2, within))
	take(t, a, 0, ask("m", "r", 1, alone, cost(1, 0, 0)))
	if err := sound(a); err != nil {
		t.Error(err)
	}
}

// However many models hold themselves back, another one is not.
func TestManyModelsAreHeldBack(t *testing.T) {
	a := New()
	account := bucketOf("account", "tpm", backend.Tokens, 1000)
	take(t, a, 0, ask("x", "x", 1, []backend.Bucket{account}, cost(0, 1000, 0)))
	for i := range Heads + Tries + 4 {
		m := fmt.Sprint("m", i)
		own := bucketOf(m, "rpm", backend.Requests, 60)
		take(t, a, 0, ask(m, m, 1, []backend.Bucket{own, account}, cost(60, 10, 0)))
		a.Settle(0, &backend.Settlement{Buckets: []backend.Bucket{own}, Refund: cost(-60, 0, 0)}) // it is used up meanwhile
	}
	a.Settle(0, &backend.Settlement{Buckets: []backend.Bucket{account}, Refund: cost(0, 20, 0)})
	if got := take(t, a, 0, ask("n", "n", 1, []backend.Bucket{account}, cost(0, 20, 0))); got.Granted != 1 {
		t.Errorf("%d stand before it", got.Tickets)
	}
}

// A bucket of its own that is used up, and of which a model's tickets want nothing, sets nothing
// aside for them.
func TestBucketThatNobodyWants(t *testing.T) {
	a := New()
	own, account := bucketOf("m", "tpm", backend.Tokens, 1000), bucketOf("account", "rpm", backend.Requests, 60)
	take(t, a, 0, ask("m", "x", 1, []backend.Bucket{own, account}, cost(60, 1000, 0)))
	take(t, a, 0, ask("m", "p", 1, []backend.Bucket{own, account}, cost(1, 0, 0)))
	a.Settle(0, &backend.Settlement{Buckets: []backend.Bucket{account}, Refund: cost(2, 0, 0)})
	if got := take(t, a, 0, ask("n", "n", 1, []backend.Bucket{account}, cost(1, 0, 0))); got.Granted != 1 || got.Tickets != 1 {
		t.Errorf("%d before it, %d granted", got.Tickets, got.Granted)
	}
}

// A ticket that nobody erases keeps its place however long its process is silent.
func TestSilentForEver(t *testing.T) {
	a := New()
	a.Lease = time.Second
	day := bucketOf("m", "rpd", backend.Requests, 60)
	day.Period = 24 * time.Hour
	buckets := []backend.Bucket{day}
	take(t, a, 0, ask("m", "x", 1, buckets, cost(60, 0, 0)))
	take(t, a, 0, ask("m", "slow", 1, buckets, cost(60, 0, 0)))
	for n := range uint64(100) {
		if got := take(t, a, int64(n)*second/2, ask("m", "p", n+1, buckets, cost(60, 0, 0))); n > 3 && got.Tickets != 0 {
			t.Fatalf("%d before it", got.Tickets)
		}
	}
	take(t, a, 50*second, ask("m", "slow", 2, buckets, cost(60, 0, 0)))
	if got := take(t, a, 50*second, ask("m", "p", 1000, buckets, cost(60, 0, 0))); got.Tickets != 1 {
		t.Error("its place is lost")
	}
}

// A quiet ask for the same costs on behalf of others is noted.
func TestQuietAsksNoteOtherFlows(t *testing.T) {
	a := New()
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60)}
	take(t, a, 0, ask("m", "x", 1, buckets, cost(60, 0, 0)))
	costs := []backend.Amounts{cost(30, 0, 0), cost(10, 0, 0), cost(30, 0, 0)}
	for n, flows := range []string{"aab", "aab", "abb", "cbb"} {
		a.Quiet = n > 0
		q := ask("m", "p", uint64(n+1), buckets, costs...)
		for _, class := range flows {
			q.Flows = append(q.Flows, backend.Flow{Class: string(class)})
		}
		take(t, a, 0, q)
		want := uint64(n + 1)
		if n == 1 {
			want = 1 // nothing has changed
		}
		if got := a.lines["line"].tickets["p"].number; got != want {
			t.Errorf("%s after ask %d: that of number %d is noted; want %d", flows, n+1, got, want)
		}
	}
}

// A scope may stand apart from the family that a ticket of it names. If the family's bucket holds
// the ticket back, the scope's node waits, and not the family's, of which another one is first.
func TestTicketThatItsFamilyHoldsBackElsewhere(t *testing.T) {
	a := New()
	family, account := bucketOf("family", "rpm", backend.Requests, 60), bucketOf("account", "tpm", backend.Tokens, 1000)
	within, apart := []backend.Bucket{family, account}, []backend.Bucket{account}
	take(t, a, 0, ask("x", "x", 1, within, cost(60, 1000, 0)))
	asks := []*backend.Ask{
		ask("n", "p", 1, within, cost(1, 10, 0)),
		ask("n", "q", 1, apart, cost(0, 10, 0)), // now n stands below the account
		ask("m", "r", 1, within, cost(1, 10, 0)),
		ask("o", "s", 1, apart, cost(0, 10, 0)),
	}
	for range 4 {
		a.Moved("line")
		for _, q := range asks {
			take(t, a, 0, q)
			q.Number++
		}
	}
	if a.Moved("line") {
		t.Error("asks that change nothing move the line")
	}
	l := a.lines["line"]
	for name, want := range map[string]bool{"n": true, "family": true, "m": false} {
		if n := l.nodes[a.owners[name]]; (n.until > 0) != want {
			t.Errorf("%s is held back: %t", name, !want)
		}
	}
}

// What holds a ticket back above an owner that others leave out is found all the same.
func TestTicketThatIsHeldBackAboveAnOwnerThatOthersLeaveOut(t *testing.T) {
	a := New()
	family, project := bucketOf("family", "rpm", backend.Requests, 600), bucketOf("project", "rpm", backend.Requests, 60)
	account := bucketOf("account", "tpm", backend.Tokens, 1000)
	take(t, a, 0, ask("x", "x", 1, []backend.Bucket{project, account}, cost(60, 1000, 0)))
	within := ask("n", "p", 1, []backend.Bucket{family, project, account}, cost(1, 10, 0))
	take(t, a, 0, within)
	take(t, a, 0, ask("n", "q", 1, []backend.Bucket{project, account}, cost(1, 10, 0))) // now n stands below the project
	take(t, a, 0, ask("m", "r", 1, []backend.Bucket{family, account}, cost(1, 10, 0)))
	l := a.lines["line"]
	l.unblock(l.nodes[a.owners["project"]])
	l.stand(l.nodes[a.owners["project"]])
	within.Number++
	take(t, a, 0, within)
	if n := l.nodes[a.owners["project"]]; n.until == 0 {
		t.Error("the project is not held back")
	}
}
