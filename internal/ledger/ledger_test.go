package ledger

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"pgregory.net/rapid"
)

const second = int64(1e6)

func bucketOf(owner, name string, d backend.Dimension, perMinute int64) backend.Bucket {
	return backend.Bucket{Owner: owner, Name: name, Dimension: d, Limit: perMinute, Period: time.Minute}
}

func ask(scope, ticket string, number uint64, buckets []backend.Bucket, costs ...backend.Amounts) *backend.Ask {
	return &backend.Ask{Line: "line", Scope: scope, Ticket: ticket, Number: number, Buckets: buckets, Costs: costs}
}

func cost(requests, tokens, images int64) backend.Amounts {
	return backend.Amounts{requests, tokens, images}
}

// take fails the test on an error.
func take(t testing.TB, a *Account, now int64, q *backend.Ask) backend.Answer {
	t.Helper()
	answer, err := a.Take(now, q)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestTakeChargesEveryDimensionOrNone(t *testing.T) {
	a := New()
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60), bucketOf("m", "tpm", backend.Tokens, 600)}
	got := take(t, a, 0, ask("m", "p", 1, buckets, cost(1, 500, 0), cost(1, 200, 0)))
	if got.Granted != 1 || got.Levels[0] != 59 || got.Levels[1] != 100 {
		t.Fatalf("granted %d, levels %v; want 1 and [59 100]", got.Granted, got.Levels)
	}
	if want := 10 * time.Second; got.Wait != want {
		t.Errorf("wait %v; want %v, when 100 of 600 a minute have refilled", got.Wait, want)
	}
	got = take(t, a, 10*second-1, ask("m", "p", 2, buckets, cost(1, 200, 0)))
	if got.Granted != 0 {
		t.Error("granted a microsecond too early")
	}
	got = take(t, a, 10*second, ask("m", "p", 3, buckets, cost(1, 200, 0)))
	if got.Granted != 1 {
		t.Errorf("not granted in time: wait %v", got.Wait)
	}
}

func TestCostAboveCapacityStartsOnAFullBucket(t *testing.T) {
	a := New()
	b := bucketOf("m", "tpm", backend.Tokens, 600)
	b.Burst = time.Second // capacity 10
	buckets := []backend.Bucket{b}
	if got := take(t, a, 0, ask("m", "p", 1, buckets, cost(0, 5, 0))); got.Granted != 1 {
		t.Fatal("a small cost was not granted")
	}
	got := take(t, a, 0, ask("m", "p", 2, buckets, cost(0, 300, 0)))
	if got.Granted != 0 || got.Wait != 500*time.Millisecond {
		t.Fatalf("granted %d, wait %v; want 0 until the 5 have refilled", got.Granted, got.Wait)
	}
	got = take(t, a, second/2, ask("m", "p", 3, buckets, cost(0, 300, 0)))
	if got.Granted != 1 || got.Levels[0] != -290 {
		t.Fatalf("granted %d, levels %v; want a debt of 290", got.Granted, got.Levels)
	}
	if _, err := a.Take(0, ask("m", "p", 4, buckets, cost(0, 601, 0))); err != backend.ErrTooLarge {
		t.Errorf("a cost above the limit: %v; want ErrTooLarge", err)
	}
}

func TestTicketHeldBackElsewhereSetsNothingAside(t *testing.T) {
	// Model A stands at its own limit with many tickets; B has room of its own,
	// and so has the account that both share.
	account := bucketOf("account", "rpm", backend.Requests, 600)
	forA := []backend.Bucket{bucketOf("A", "rpm", backend.Requests, 500), account}
	forB := []backend.Bucket{bucketOf("B", "rpm", backend.Requests, 500), account}
	a := New()
	costs := make([]backend.Amounts, 16)
	for i := range costs {
		costs[i] = cost(1, 0, 0)
	}
	granted := 0
	for i := range 200 {
		granted += take(t, a, 0, ask("A", fmt.Sprint("a", i), 1, forA, costs...)).Granted
	}
	if granted != 500 {
		t.Fatalf("A got %d; want its 500", granted)
	}
	if got := take(t, a, 0, ask("B", "b", 1, forB, cost(1, 0, 0))); got.Granted != 1 {
		t.Errorf("B waits %v beside an account with %v", got.Wait, got.Levels)
	}
}

// Models and families that their own buckets hold back leave the account to others,
// however many wait there; one that nothing else holds back comes first.
func TestAsideForSeveralModels(t *testing.T) {
	const account, left = 600, 20 // requests a minute, and what is left of them now
	type model struct {
		limit   int64
		tickets int
		family  bool // the limit is shared
	}
	for _, tt := range []struct {
		name    string
		models  []model
		granted int // to the third model, of 20
	}{
		{"one behind many of another", []model{{500, 200, false}, {10, 1, false}}, 20},
		{"more than refills", []model{{500, 200, false}, {500, 200, false}}, 20},
		{"more of them than are looked at", slices.Repeat([]model{{500, 2, false}}, 30), 20},
		{"a family", []model{{500, 200, true}, {500, 200, true}}, 20},
		{"a family and another", []model{{500, 200, true}, {500, 200, true}, {60, 200, false}}, 20},
		{"one that starts soon", []model{{1200, 2, false}, {60, 200, false}}, 19}, // one of it, within 50 ms
		{"a family that starts soon", []model{{1200, 2, true}, {1200, 2, true}}, 19},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := New()
			all := bucketOf("account", "rpm", backend.Requests, account)
			one := cost(1, 0, 0)
			used, family := int64(0), false
			var own [][]backend.Bucket
			for i, m := range tt.models {
				owner := fmt.Sprint("M", i)
				if m.family {
					owner = "family"
				}
				b := bucketOf(owner, "rpm", backend.Requests, m.limit)
				const burst = 6
				b.Burst = burst * time.Minute / time.Duration(m.limit)
				own = append(own, []backend.Bucket{b, all})
				if !m.family || !family {
					take(t, a, 0, ask(fmt.Sprint("M", i), "x", 1, own[i], cost(burst, 0, 0)))
					used += burst
				}
				family = family || m.family
			}
			take(t, a, 0, ask("X", "x", 1, []backend.Bucket{all}, cost(account-left-used, 0, 0)))
			for n := range 200 {
				for i, m := range tt.models {
					if n < m.tickets {
						take(t, a, 0, ask(fmt.Sprint("M", i), fmt.Sprint(i, "/", n), 1, own[i], one))
					}
				}
			}
			third := []backend.Bucket{bucketOf("third", "rpm", backend.Requests, 600), all}
			costs := slices.Repeat([]backend.Amounts{one}, left)
			granted := 0
			for n := range uint64(10) { // who was held back is found a few at a time
				q := ask("third", "t", n+1, third, costs...)
				q.Leave = true
				granted = max(granted, take(t, a, 0, q).Granted)
				a.Settle(0, &backend.Settlement{Stamp: 0, Buckets: third, Refund: cost(int64(granted), 0, 0)})
			}
			if granted != tt.granted {
				t.Errorf("%d of %d granted; want %d", granted, left, tt.granted)
			}
		})
	}
}

// A call above the capacity starts on a full bucket though others are ahead who are
// held back elsewhere: none of them could start now.
func TestAboveTheCapacityBehindThoseHeldBackElsewhere(t *testing.T) {
	a := New()
	own := bucketOf("A", "rpm", backend.Requests, 60)
	all := bucketOf("account", "tpm", backend.Tokens, 60_000)
	all.Burst = time.Second
	forA := []backend.Bucket{own, all}
	take(t, a, 0, ask("A", "x", 1, forA[:1], cost(60, 0, 0)))
	now := int64(300_000) // three tenths of a request have refilled
	for n := range 200 {
		take(t, a, now, ask("A", fmt.Sprint("a", n), 1, forA, cost(1, 100, 0)))
	}
	large := ask("B", "b", 1, []backend.Bucket{all}, cost(0, 5000, 0))
	if got := take(t, a, now, large); got.Granted != 1 {
		t.Errorf("waits %v beside a full bucket", got.Wait)
	}
	now = 1_200_000
	large.Number, large.Ticket = 2, "c"
	if got := take(t, a, now, large); got.Granted != 0 {
		t.Error("started although one of those ahead could")
	}
}

// What a call lacks elsewhere is not kept for it while it waits for that, and is from
// then on.
func TestComesFirstWhenItsOwnBucketsLetItOn(t *testing.T) {
	a := New()
	own := bucketOf("A", "rpm", backend.Requests, 60)
	all := bucketOf("account", "tpm", backend.Tokens, 600_000)
	forA, forB := []backend.Bucket{own, all}, []backend.Bucket{all}
	take(t, a, 0, ask("A", "x", 1, forA[:1], cost(60, 0, 0)))
	take(t, a, 0, ask("X", "x", 1, forB, cost(0, 580_000, 0)))
	take(t, a, 0, ask("A", "a", 1, forA, cost(5, 70_000, 0))) // in 5 s
	number := uint64(0)
	b := func(now int64) backend.Answer {
		number++
		return take(t, a, now, ask("B", "b", number, forB, cost(0, 20_000, 0)))
	}
	for now := int64(0); now < 48*second/10; now += 2 * second {
		if got := b(now); got.Granted != 1 {
			t.Fatalf("waits %v for one that waits elsewhere", got.Wait)
		}
	}
	got := b(5 * second)
	if want := 8 * time.Second; got.Granted != 0 || got.Wait.Round(time.Millisecond) != want {
		t.Errorf("granted %d, wait %v; want %v, for 70,000 and its own, of which 10,000 are there", got.Granted, got.Wait, want)
	}
	if got := take(t, a, 11*second, ask("A", "a", 2, forA, cost(5, 70_000, 0))); got.Granted != 1 {
		t.Errorf("the first waits %v", got.Wait)
	}
}

// What a front ticket needs is sure to it, and nothing that it can't use is kept.
func TestAsideForTheFront(t *testing.T) {
	burst := func(b backend.Bucket, d time.Duration) backend.Bucket {
		b.Burst = d
		return b
	}
	account := bucketOf("account", "tpm", backend.Tokens, 60_000)
	small := burst(account, time.Second)
	family := bucketOf("family", "rpm", backend.Requests, 60)
	for _, tt := range []struct {
		name    string
		account backend.Bucket
		used    int64
		own     backend.Bucket // of those ahead
		ahead   []backend.Amounts
		pause   time.Duration
		cost    int64
		granted int
		wait    time.Duration
	}{
		{"above the capacity of a full bucket of its own", account, 58_000, burst(bucketOf("A", "tpm", backend.Tokens, 60_000), time.Second),
			[]backend.Amounts{cost(1, 5000, 0)}, 0, 500, 0, 3500 * time.Millisecond},
		{"large before many that are small, and a full family", account, 45_000, family,
			append([]backend.Amounts{cost(1, 30_000, 0)}, slices.Repeat([]backend.Amounts{cost(1, 100, 0)}, 200)...), 0, 500, 0, 0},
		{"a pause that refills more than there is room for", small, 0, bucketOf("A", "rpm", backend.Requests, 600),
			slices.Repeat([]backend.Amounts{cost(1, 900, 0)}, 30), 20 * time.Second, 100, 1, 0},
		{"a pause that ends soon", account, 50_000, bucketOf("A", "rpm", backend.Requests, 600),
			[]backend.Amounts{cost(1, 19_000, 0)}, 50 * time.Millisecond, 100, 0, 9100 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := New()
			if tt.used > 0 {
				take(t, a, 0, ask("X", "x", 1, []backend.Bucket{account}, cost(0, tt.used, 0)))
			}
			if tt.pause > 0 {
				a.Settle(0, &backend.Settlement{PauseOwner: "A", Pause: tt.pause})
			}
			for i, c := range tt.ahead {
				scope := "A"
				if i > 0 && tt.own.Owner != "A" {
					scope = "C"
				}
				if got := take(t, a, 0, ask(scope, fmt.Sprint(scope, i), 1, []backend.Bucket{tt.own, tt.account}, c)); got.Granted != 0 {
					t.Fatalf("%v was granted", c)
				}
			}
			got := take(t, a, 0, ask("B", "b", 1, []backend.Bucket{tt.account}, cost(0, tt.cost, 0)))
			if got.Granted != tt.granted || tt.wait > 0 && got.Wait.Round(time.Millisecond) != tt.wait {
				t.Errorf("granted %d, wait %v; want %d and %v", got.Granted, got.Wait, tt.granted, tt.wait)
			}
		})
	}
}

func TestAsideForThoseAhead(t *testing.T) {
	a := New()
	buckets := []backend.Bucket{bucketOf("m", "tpm", backend.Tokens, 600)}
	take(t, a, 0, ask("m", "x", 1, buckets, cost(0, 500, 0)))
	if got := take(t, a, 0, ask("m", "large", 1, buckets, cost(0, 300, 0))); got.Granted != 0 {
		t.Fatal("large was granted")
	}
	got := take(t, a, 0, ask("m", "small", 1, buckets, cost(0, 10, 0)))
	if got.Granted != 0 {
		t.Fatal("small overtook large")
	}
	if want := 21 * time.Second; got.Wait != want {
		t.Errorf("small waits %v; want %v, when 300 and its own 10 have refilled", got.Wait, want)
	}
	// Large leaves; what it had waited for is free.
	take(t, a, second, &backend.Ask{Line: "line", Scope: "m", Ticket: "large", Number: 2, Leave: true})
	if got := take(t, a, second, ask("m", "small", 2, buckets, cost(0, 10, 0))); got.Granted != 1 {
		t.Error("small still waits after large has left")
	}
}

func TestPausedTicketLetsOthersUseWhatRefills(t *testing.T) {
	a := New()
	account := bucketOf("account", "rpm", backend.Requests, 60)
	forA, forB := []backend.Bucket{account}, []backend.Bucket{account}
	take(t, a, 0, ask("A", "x", 1, forA, cost(50, 0, 0)))
	a.Settle(0, &backend.Settlement{PauseOwner: "A", Pause: 20 * time.Second})
	got := take(t, a, 0, ask("A", "a", 1, forA, cost(25, 0, 0)))
	if got.Granted != 0 || got.Paused != 20*time.Second {
		t.Fatalf("granted %d, paused %v", got.Granted, got.Paused)
	}
	if got := take(t, a, 0, ask("B", "b", 1, forB, cost(10, 0, 0))); got.Granted != 1 {
		t.Error("B may use what A can't")
	}
	if got := take(t, a, 20*second, ask("B", "b", 2, forB, cost(10, 0, 0))); got.Granted != 0 {
		t.Error("B took what A waits for after its pause")
	}
	if got := take(t, a, 25*second, ask("A", "a", 2, forA, cost(25, 0, 0))); got.Granted != 1 {
		t.Error("A still waits")
	}
}

// Of what a model needs, as much is set aside as its own buckets let start now.
func TestAsideForWhatOthersLetATicketDrawNow(t *testing.T) {
	a := New()
	own, account := bucketOf("A", "rpm", backend.Requests, 10), bucketOf("account", "rpm", backend.Requests, 600)
	forA, forB := []backend.Bucket{own, account}, []backend.Bucket{account}
	take(t, a, 0, ask("A", "x", 1, forA, cost(5, 0, 0)))
	take(t, a, 0, ask("B", "y", 1, forB, cost(595, 0, 0)))
	one := cost(1, 0, 0)
	take(t, a, 0, ask("A", "a", 1, forA, one, one, one, one, one, one, one, one, one, one))
	a.Settle(0, &backend.Settlement{Buckets: forB, Refund: cost(10, 0, 0)})
	if got := take(t, a, 0, ask("B", "b", 1, forB, cost(6, 0, 0))); got.Granted != 0 {
		t.Error("B took what A can draw now")
	}
	if got := take(t, a, 0, ask("B", "b", 2, forB, cost(5, 0, 0))); got.Granted != 1 {
		t.Error("B waits for what A can't draw")
	}
}

// Scopes that name the same owners in opposite orders stand in one line all the same: the first
// decides which owner is broader, and all get through in the order in which they came.
func TestOwnersInOppositeOrders(t *testing.T) {
	a := New()
	own := func(scope string) backend.Bucket { return bucketOf(scope, "rpm", backend.Requests, 600) }
	family, account := bucketOf("family", "rpm", backend.Requests, 60), bucketOf("account", "rpm", backend.Requests, 60)
	scopes := map[string][]backend.Bucket{
		"a": {own("a"), family, account},
		"b": {own("b"), account, family},
		"c": {own("c"), family, account},
	}
	take(t, a, 0, ask("a", "first", 1, scopes["a"], slices.Repeat([]backend.Amounts{cost(1, 0, 0)}, 60)...))
	now, number := int64(0), uint64(0)
	var got []string
	waits := []string{"a", "b", "c"}
	for len(waits) > 0 && now < 10*second {
		number++
		for _, scope := range slices.Clone(waits) {
			if take(t, a, now, ask(scope, scope, number, scopes[scope], cost(1, 0, 0))).Granted > 0 {
				got = append(got, scope)
				waits = slices.DeleteFunc(waits, func(x string) bool { return x == scope })
			}
		}
		if l := a.lines["line"]; l != nil && l.nodes[a.owners["account"]].parent != nil {
			t.Fatal("the account stands below the family")
		}
		now += second / 10
	}
	if !slices.Equal(got, []string{"a", "b", "c"}) || now > 31*second/10 {
		t.Errorf("%v have started within %d ms; want a, b, c, one a second", got, now/1000)
	}
}

func TestAskTwiceIsGrantedOnce(t *testing.T) {
	a := New()
	a.Lease, a.Erase = time.Second, 10*time.Second
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60)}
	first := take(t, a, 0, ask("m", "p", 7, buckets, cost(2, 0, 0)))
	again := take(t, a, second, ask("m", "p", 7, buckets, cost(2, 0, 0)))
	if again.Granted != first.Granted || again.Stamp != first.Stamp {
		t.Errorf("again %+v; want %+v", again, first)
	}
	if got := take(t, a, second, ask("m", "p", 8, buckets, cost(1, 0, 0))); got.Levels[0] != 58 {
		t.Errorf("level %v; want 58", got.Levels[0])
	}
}

func TestSilentTicketIsSteppedOver(t *testing.T) {
	a := New()
	a.Lease, a.Erase = time.Second, 10*time.Second
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60)}
	take(t, a, 0, ask("m", "x", 1, buckets, cost(60, 0, 0)))
	take(t, a, 0, ask("m", "dead", 1, buckets, cost(60, 0, 0)))
	take(t, a, second/2, ask("m", "p", 1, buckets, cost(1, 0, 0)))
	if got := take(t, a, second, ask("m", "p", 2, buckets, cost(1, 0, 0))); got.Granted != 0 {
		t.Fatal("overtook a ticket that is not stale")
	}
	if got := take(t, a, second+1, ask("m", "p", 3, buckets, cost(1, 0, 0))); got.Granted != 1 {
		t.Fatal("waits for a stale ticket")
	}
	// It was only slow: it keeps its place.
	take(t, a, 2*second, ask("m", "p", 4, buckets, cost(30, 0, 0)))
	take(t, a, 3*second, ask("m", "dead", 2, buckets, cost(60, 0, 0)))
	if got := take(t, a, 3*second, ask("m", "p", 5, buckets, cost(1, 0, 0))); got.Granted != 0 || got.Tickets != 1 {
		t.Error("the slow ticket lost its place")
	}
	// It stays silent for longer, and is forgotten.
	for n := range uint64(22) {
		take(t, a, 3*second+int64(n)*second/2, ask("m", "p", 6+n, buckets, cost(30, 0, 0)))
	}
	if got := take(t, a, 14*second, ask("m", "dead", 3, buckets, cost(1, 0, 0))); got.Tickets != 1 {
		t.Error("an erased ticket kept its place")
	}
}

// However many have died, an ask steps over some, and the next ones over the rest.
func TestManyDeadAreSteppedOverByManyAsks(t *testing.T) {
	a := New()
	a.Lease, a.Erase = time.Second, 10*time.Second
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60)}
	take(t, a, 0, ask("m", "x", 1, buckets, cost(60, 0, 0)))
	const dead = 1000
	for i := range dead {
		take(t, a, 0, ask("m", fmt.Sprint("dead", i), 1, buckets, cost(1, 0, 0)))
	}
	now, number := int64(0), uint64(0)
	alive := func(d int64) int {
		now, number = now+d, number+1
		return take(t, a, now, ask("m", "alive", number, buckets, cost(60, 0, 0))).Tickets
	}
	alive(second / 2)
	alive(second / 2)
	for left := dead; left > 0; left -= Patrol {
		if got, want := alive(1), max(0, left-Patrol); got != want {
			t.Fatalf("%d tickets ahead; want %d", got, want)
		}
	}
	for range 17 {
		alive(second / 2)
	}
	now += second / 2
	for left := dead; left > 0; left -= Erased {
		if got := len(a.lines["line"].silent); got != left {
			t.Fatalf("%d are kept; want %d", got, left)
		}
		alive(1)
	}
	if got := len(a.lines["line"].silent); got != 0 {
		t.Errorf("%d are kept", got)
	}
}

func TestClear(t *testing.T) {
	a := New()
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60)}
	old := take(t, a, 0, ask("m", "p", 1, buckets, cost(60, 0, 0)))
	a.Settle(0, &backend.Settlement{PauseOwner: "m", Pause: time.Hour})
	a.Clear(second, []string{"m"})
	got := take(t, a, second, ask("m", "p", 2, buckets, cost(40, 0, 0)))
	if got.Granted != 1 || got.Levels[0] != 20 {
		t.Fatalf("granted %d, level %v; want a full bucket and no pause", got.Granted, got.Levels)
	}
	a.Settle(2*second, &backend.Settlement{Stamp: old.Stamp, Buckets: buckets, Refund: cost(60, 0, 0)})
	if got, _ := a.Look(2*second, ask("m", "", 0, buckets)); got.Levels[0] != 21 {
		t.Errorf("level %v; want 21: a charge from before the clear gives nothing back", got.Levels[0])
	}
}

func TestCorrectionSeenTwiceCountsOnce(t *testing.T) {
	a := New()
	buckets := []backend.Bucket{bucketOf("m", "tpm", backend.Tokens, 600)}
	charge := take(t, a, 0, ask("m", "p", 1, buckets, cost(0, 100, 0)))
	for i, tt := range []struct {
		from, to  float64
		level     float64
		corrected float64
	}{
		{0, 300, 200, 300},
		{0, 300, 200, 300},       // another process has seen the same
		{0, 250, 200, 300},       // or a little less
		{0, 320, 180, 320},       // or a little more
		{300, 100, 180, 320},     // what was seen before it was tightened is void
		{320, 100, 400, 100},     // down, where nobody else has moved it
		{320, 100, 400, 100},     // once
		{100, -150, 600, -100},   // no further than full
		{-100, 5000, -600, 1100}, // nor below a debt of the limit
	} {
		a.Settle(0, &backend.Settlement{Stamp: charge.Stamp, Buckets: buckets, Corrections: []backend.Correction{{From: tt.from, To: tt.to}}})
		got, err := a.Look(0, ask("m", "", 0, buckets))
		if err != nil || got.Levels[0] != tt.level || got.Corrected[0] != tt.corrected {
			t.Errorf("%d: level %v, corrected %v, error %v; want %v and %v", i, got.Levels[0], got.Corrected[0], err, tt.level, tt.corrected)
		}
	}
}

// A look says of its first cost when it will fit, and of one that fits nothing.
func TestLookSaysWhenACostFits(t *testing.T) {
	a := New()
	buckets := []backend.Bucket{bucketOf("m", "tpm", backend.Tokens, 60)}
	take(t, a, 0, ask("m", "p", 1, buckets, cost(0, 50, 0)))
	a.Settle(0, &backend.Settlement{PauseOwner: "m", Pause: 2 * time.Second})
	for _, x := range []struct {
		at           int64
		tokens       int64
		wait, paused time.Duration
	}{
		{0, 10, 2 * time.Second, 2 * time.Second},
		{0, 15, 5 * time.Second, 2 * time.Second},
		{3 * second, 13, 0, 0},
		{3 * second, 14, time.Second, 0},
	} {
		got, err := a.Look(x.at, ask("m", "", 0, buckets, cost(0, x.tokens, 0), cost(0, 60, 0)))
		if err != nil || got.Wait != x.wait || got.Hint != x.wait || got.Paused != x.paused || got.Granted != 0 {
			t.Errorf("%d tokens after %d s: %+v, %v; want a wait of %v, %v of it a pause", x.tokens, x.at/second, got, err, x.wait, x.paused)
		}
	}
	short := bucketOf("n", "tpm", backend.Tokens, 600)
	short.Burst = 6 * time.Second // capacity 60
	take(t, a, 0, ask("n", "p", 1, []backend.Bucket{short}, cost(0, 50, 0)))
	if got, err := a.Look(0, ask("n", "", 0, []backend.Bucket{short}, cost(0, 100, 0))); err != nil || got.Wait != 5*time.Second {
		t.Errorf("what needs a full bucket waits %v, %v", got.Wait, err)
	}
}

func TestWhatIsUsedAddsUp(t *testing.T) {
	a := New()
	buckets := []backend.Bucket{bucketOf("m", "tpm", backend.Tokens, 60)}
	used := func(now int64, charged, corrected float64) {
		t.Helper()
		got, err := a.Look(now, ask("m", "", 0, buckets))
		if err != nil || got.Charged[0] != charged || got.Corrected[0] != corrected {
			t.Errorf("at %d: charged %v, corrected %v, error %v; want %v and %v", now, got.Charged[0], got.Corrected[0], err, charged, corrected)
		}
	}
	used(10*second, 0, 0) // it was not there yet, and is not yet
	used(20*second, 0, 0)
	take(t, a, 10*second, ask("m", "p", 1, buckets, cost(0, 0, 0)))
	used(20*second, 0, 10)
	first := take(t, a, 20*second, ask("m", "p", 2, buckets, cost(0, 30, 0)))
	used(40*second, 30, 10)
	a.Settle(40*second, &backend.Settlement{Stamp: first.Stamp, Buckets: buckets, Refund: cost(0, 15, 0)})
	used(40*second, 30, 15) // 10 were used: 5 of the refund are lost
	take(t, a, 40*second, ask("m", "p", 3, buckets, cost(0, 50, 0)))
	a.Clear(50*second, []string{"m"})
	used(50*second, 80, -25)
}

// A bucket that was begun anew half a minute ago is corrected to what it would be if it
// had begun with what was used then.
func TestRaiseOfABucketThatHasRefilled(t *testing.T) {
	for _, tt := range []struct{ charged, used float64 }{{0, 40}, {10, 50}, {50, 90}} {
		a := New()
		b := bucketOf("m", "tpm", backend.Tokens, 100)
		take(t, a, 100*second, ask("m", "p", 1, []backend.Bucket{b}))
		take(t, a, 130*second-1, ask("m", "p", 2, []backend.Bucket{b}, cost(0, int64(tt.charged), 0)))
		b.Start, b.StartStamp = 40, 99*second
		for range 2 {
			got, err := a.Look(130*second-1, ask("m", "", 0, []backend.Bucket{b}))
			if used := 100 - got.Levels[0]; err != nil || math.Abs(used-tt.used) > 1e-5 {
				t.Errorf("%v are used beside 40 of before; want %v: %v", used, tt.used, err)
			}
		}
	}
}

func TestPeriodThatChangesAlone(t *testing.T) {
	a := New()
	b := bucketOf("m", "tpm", backend.Tokens, 600)
	take(t, a, 0, ask("m", "p", 1, []backend.Bucket{b}, cost(0, 600, 0)))
	b.Period = time.Second
	take(t, a, 0, ask("m", "p", 2, []backend.Bucket{b}, cost(0, 300, 0)))
	if got := take(t, a, second/2, ask("m", "p", 3, []backend.Bucket{b}, cost(0, 300, 0))); got.Granted != 1 {
		t.Errorf("waits %v for what refills in half a second", got.Wait)
	}
}

// What is used is cut a period after the limit was lowered, and not sooner.
func TestLimitThatIsLowered(t *testing.T) {
	a := New()
	const begun = 1000 * second
	level := func(now, limit int64) float64 {
		got, err := a.Look(now, ask("m", "", 0, []backend.Bucket{bucketOf("m", "tpm", backend.Tokens, limit)}))
		if err != nil {
			t.Fatal(err)
		}
		return got.Levels[0]
	}
	high := []backend.Bucket{bucketOf("m", "tpm", backend.Tokens, 60_000)}
	take(t, a, begun-100*second, ask("m", "p", 1, high, cost(0, 1, 0)))
	take(t, a, begun, ask("m", "p", 2, high, cost(0, 60_000, 0)))
	low := []backend.Bucket{bucketOf("m", "tpm", backend.Tokens, 60)}
	take(t, a, begun, ask("m", "q", 1, low, cost(0, 1, 0)))
	for _, x := range []struct{ at, want float64 }{{0, -59_940}, {59, -59_881}, {60, -60}} {
		if got := level(begun+int64(x.at*1e6), 60); math.Abs(got-x.want) > 1e-6 {
			t.Errorf("a level of %v after %v s; want %v", got, x.at, x.want)
		}
	}
}

func TestClockThatGoesBack(t *testing.T) {
	a := New()
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60)}
	take(t, a, 100*second, ask("m", "p", 1, buckets, cost(60, 0, 0)))
	if got := take(t, a, 50*second, ask("m", "p", 2, buckets, cost(1, 0, 0))); got.Granted != 0 {
		t.Fatal("the past refilled the bucket")
	}
	if got := take(t, a, 51*second, ask("m", "p", 3, buckets, cost(1, 0, 0))); got.Granted != 1 {
		t.Error("the bucket does not count on from where the clock is")
	}
}

func TestDeadTicketHoldsNobodyUpAfterTheClockWentBack(t *testing.T) {
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60)}
	for _, back := range []int64{second / 2, 3 * second, 3600 * second} {
		a := New()
		a.Lease, a.Erase = time.Second, 10*time.Second
		now := 7200 * second
		take(t, a, now, ask("m", "x", 1, buckets, cost(50, 0, 0)))
		take(t, a, now, ask("m", "dead", 1, buckets, cost(60, 0, 0)))
		take(t, a, now, ask("m", "p", 1, buckets, cost(60, 0, 0)))
		now -= back
		for n := range uint64(10) {
			if got := take(t, a, now, ask("m", "q", n+1, buckets, cost(1, 0, 0))); got.Granted != 0 {
				t.Errorf("%d µs back: granted after %d tenths, before the lease is over", back, n)
			}
			now += second / 10
			take(t, a, now, ask("m", "p", n+2, buckets, cost(60, 0, 0)))
		}
		now++
		if got := take(t, a, now, ask("m", "p", 100, buckets, cost(1, 0, 0))); got.Granted != 1 || got.Tickets != 0 {
			t.Errorf("%d µs back: granted %d behind %d", back, got.Granted, got.Tickets)
		}
	}
}

func TestPauseLastsNoLongerForAClockThatGoesBack(t *testing.T) {
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60)}
	for _, back := range []int64{second / 10, 3 * second, 3600 * second} {
		a := New()
		now := 7200 * second
		take(t, a, now, ask("m", "p", 1, buckets, cost(1, 0, 0)))
		a.Settle(now, &backend.Settlement{PauseOwner: "m", Pause: 5 * time.Second})
		now += 2*second - back
		got := take(t, a, now, ask("m", "p", 2, buckets, cost(1, 0, 0)))
		// The two seconds before the clock was set back cannot be told.
		if got.Granted != 0 || got.Paused < 3*time.Second || got.Paused > 5*time.Second {
			t.Errorf("%d µs back: granted %d, paused for %v", back, got.Granted, got.Paused)
		}
		if got := take(t, a, now+5*second, ask("m", "p", 3, buckets, cost(1, 0, 0))); got.Granted != 1 {
			t.Errorf("%d µs back: still paused for %v", back, got.Paused)
		}
		if got := take(t, a, now-back, ask("m", "p", 4, buckets, cost(1, 0, 0))); got.Granted != 1 {
			t.Errorf("%d µs back: a pause that was over holds for %v", back, got.Paused)
		}
	}
}

func TestClearAfterTheClockWentBack(t *testing.T) {
	a := New()
	buckets := []backend.Bucket{bucketOf("m", "rpm", backend.Requests, 60), bucketOf("account", "rpm", backend.Requests, 100)}
	old := take(t, a, 100*second, ask("m", "p", 1, buckets, cost(20, 0, 0)))
	now := 50 * second
	between := take(t, a, now, ask("m", "p", 2, buckets, cost(20, 0, 0)))
	settle := func(stamp int64) float64 {
		t.Helper()
		a.Settle(now, &backend.Settlement{Stamp: stamp, Buckets: buckets[:1], Refund: cost(20, 0, 0)})
		got, err := a.Look(now, ask("m", "", 0, buckets))
		if err != nil {
			t.Fatal(err)
		}
		return got.Levels[0]
	}
	if level := settle(between.Stamp); level != 40 {
		t.Errorf("level %v; want 40: what was charged since is given back", level)
	}
	a.Clear(now, []string{"m"})
	later := take(t, a, now, ask("m", "p", 3, buckets, cost(40, 0, 0)))
	if level := settle(old.Stamp); level != 20 {
		t.Errorf("level %v; want 20: a charge from before the clear gives nothing back", level)
	}
	if level := settle(later.Stamp); level != 40 {
		t.Errorf("level %v; want 40: one from after it does", level)
	}
	// The stamp that m made later is one of the account's charges, too.
	a.Clear(now, []string{"account"})
	take(t, a, now, ask("m", "p", 4, buckets, cost(40, 0, 0)))
	a.Settle(now, &backend.Settlement{Stamp: later.Stamp, Buckets: buckets[1:], Refund: cost(20, 0, 0)})
	if got, _ := a.Look(now, ask("m", "", 0, buckets)); got.Levels[1] != 60 {
		t.Errorf("level %v of the account; want 60", got.Levels[1])
	}
}

// A model of the promises, checked over random histories.
type world struct {
	a       *Account
	now     int64
	scopes  []string
	buckets map[string][]backend.Bucket
	numbers map[string]uint64
	queues  map[string][]backend.Amounts
	charges []charge
	events  map[string][]event // by bucket
}

type charge struct {
	stamp int64
	scope string
	cost  backend.Amounts
}

// An event is a start (positive), a refund (negative) or a change of the limit.
type event struct {
	at       int64
	amount   float64
	limit    float64
	capacity float64
	oversize float64 // what a start on a full bucket took beyond the capacity
}

func key(b *backend.Bucket) string { return b.Owner + "/" + b.Name }

func (w *world) note(scope string, at int64, c backend.Amounts, sign float64) {
	for i := range w.buckets[scope] {
		b := &w.buckets[scope][i]
		e := event{at: at, amount: sign * float64(c[b.Dimension]), limit: float64(b.Limit), capacity: b.Capacity()}
		if sign > 0 {
			e.oversize = max(0, e.amount-e.capacity)
		}
		w.events[key(b)] = append(w.events[key(b)], e)
	}
}

// never over (I1): in any window, starts less refunds stay below the largest
// capacity and what refilled.
func (w *world) neverOver(t *rapid.T) {
	for name, events := range w.events {
		for i := range events {
			sum, allowed, limit := 0.0, 0.0, events[i].limit
			capacity, oversize := 0.0, 0.0
			for j := i; j < len(events); j++ {
				e := events[j]
				if j > i {
					allowed += max(limit, e.limit) * float64(e.at-events[j-1].at) / 60e6
				}
				limit = e.limit
				capacity = max(capacity, e.capacity)
				sum += e.amount
				// I5's exception: a start on a full bucket.
				oversize = max(oversize, e.oversize)
				if sum > capacity+oversize+allowed+1e-3 {
					t.Fatalf("%s: %v started between %d and %d, of %v + %v", name, sum, events[i].at, e.at, capacity, allowed)
				}
			}
		}
	}
}

func (w *world) ask(scope, ticket string) *backend.Ask {
	w.numbers[ticket]++
	q := w.queues[ticket]
	return &backend.Ask{
		Line: "line", Scope: scope, Ticket: ticket, Number: w.numbers[ticket],
		Buckets: w.buckets[scope], Costs: q[:min(len(q), backend.MaxCosts)],
	}
}

func TestPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{a: New(), buckets: map[string][]backend.Bucket{}, numbers: map[string]uint64{},
			queues: map[string][]backend.Amounts{}, events: map[string][]event{}, scopes: []string{"A", "B", "C"}}
		limits := rapid.Int64Range(10, 1000)
		account := bucketOf("account", "rpm", backend.Requests, limits.Draw(t, "account"))
		for _, s := range w.scopes {
			own := bucketOf(s, "rpm", backend.Requests, limits.Draw(t, "rpm"))
			tok := bucketOf(s, "tpm", backend.Tokens, limits.Draw(t, "tpm")*10)
			if rapid.Bool().Draw(t, "burst") {
				tok.Burst = time.Duration(rapid.IntRange(1, 60).Draw(t, "s")) * time.Second
			}
			w.buckets[s] = []backend.Bucket{own, tok, account}
		}
		tickets := []string{"A1", "A2", "B1", "B2", "C1"}
		steps := rapid.IntRange(20, 120).Draw(t, "steps")
		for range steps {
			ticket := rapid.SampledFrom(tickets).Draw(t, "ticket")
			scope := ticket[:1]
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1: // somebody comes
				top := w.buckets[scope]
				c := backend.Amounts{1, rapid.Int64Range(0, top[1].Limit).Draw(t, "tokens"), 0}
				w.queues[ticket] = append(w.queues[ticket], c)
			case 2, 3, 4:
				if len(w.queues[ticket]) == 0 {
					continue
				}
				q := w.ask(scope, ticket)
				w.check(t, q, scope, ticket)
			case 5, 6:
				w.now += rapid.Int64Range(0, 20*second).Draw(t, "dt")
			case 7: // settle
				if len(w.charges) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(w.charges)-1).Draw(t, "charge")
				c := w.charges[i]
				w.charges = append(w.charges[:i], w.charges[i+1:]...)
				refund := backend.Amounts{0, rapid.Int64Range(0, c.cost[1]).Draw(t, "refund"), 0}
				if rapid.Bool().Draw(t, "cancel") {
					refund = c.cost
				}
				w.a.Settle(w.now, &backend.Settlement{Stamp: c.stamp, Buckets: w.buckets[c.scope], Refund: refund})
				w.note(c.scope, w.now, refund, -1)
			case 8: // the head of a queue leaves
				if q := w.queues[ticket]; len(q) > 0 {
					w.queues[ticket] = q[1:]
				}
			case 9: // a limit changes; used units stay used
				i := rapid.IntRange(0, 1).Draw(t, "which")
				b := &w.buckets[scope][i]
				was := b.Capacity()
				b.Limit = limits.Draw(t, "limit") * []int64{1, 10}[i]
				if raised := b.Capacity() - was; raised > 0 {
					w.events[key(b)] = append(w.events[key(b)], event{at: w.now, amount: -raised, limit: float64(b.Limit), capacity: b.Capacity()})
				}
				for _, other := range tickets {
					if other[:1] == scope {
						w.queues[other] = nil // those above the limit would be refused
					}
				}
			}
		}
		w.neverOver(t)
	})
}

// check takes and holds the answer against the promises.
func (w *world) check(t *rapid.T, q *backend.Ask, scope, ticket string) {
	before, _ := w.a.Look(w.now, &backend.Ask{Line: "empty", Scope: scope, Buckets: q.Buckets})
	w.a.Quiet = rapid.Bool().Draw(t, "quiet")
	answer, err := w.a.Take(w.now, q)
	if err != nil {
		t.Fatal(err)
	}
	sum, costs := backend.Amounts{}, backend.InOrder(&answer, q.Costs)
	for _, c := range costs[:answer.Granted] {
		for d := range c {
			sum[d] += c[d]
		}
		w.charges = append(w.charges, charge{answer.Stamp, scope, c})
		w.note(scope, w.now, c, 1)
	}
	for i := range q.Buckets { // all or nothing (I4)
		want := before.Levels[i] - float64(sum[q.Buckets[i].Dimension])
		if math.Abs(answer.Levels[i]-want) > 1e-6 {
			t.Fatalf("level %v after granting %v of %v; want %v", answer.Levels[i], sum, before.Levels[i], want)
		}
	}
	if answer.Granted < len(q.Costs) {
		if answer.Wait <= 0 {
			t.Fatal("not granted, and no wait")
		}
		if answer.Granted == 0 && answer.Tickets == 0 { // nothing idle (I3): with nobody ahead it starts when it fits
			next := costs[answer.Granted]
			fits := true
			for i := range q.Buckets {
				c := float64(next[q.Buckets[i].Dimension])
				level := answer.Levels[i]
				if c > 0 && c > level && !(c > q.Buckets[i].Capacity() && level == q.Buckets[i].Capacity()) {
					fits = false
				}
			}
			if fits {
				t.Fatalf("%v fits into %v and was not granted", next, answer.Levels)
			}
		}
	}
	w.queues[ticket] = backend.InOrder(&answer, w.queues[ticket])[answer.Granted:]
}

// never stuck (I5): left alone, the line empties within what its needs take to refill,
// whatever the models, families and flows, and more of them than are looked at.
func TestLineEmpties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := New()
		account := bucketOf("account", "rpm", backend.Requests, rapid.Int64Range(30, 600).Draw(t, "account"))
		family := bucketOf("family", "rpm", backend.Requests, rapid.Int64Range(30, 600).Draw(t, "family"))
		own := map[string][]backend.Bucket{}
		var scopes []string
		for i := range rapid.IntRange(1, 3*Heads).Draw(t, "scopes") {
			s := fmt.Sprint("S", i)
			tok := bucketOf(s, "tpm", backend.Tokens, rapid.Int64Range(100, 5000).Draw(t, "tpm"))
			tok.Burst = time.Duration(rapid.IntRange(1, 60).Draw(t, "burst")) * time.Second
			own[s] = []backend.Bucket{tok, account}
			if rapid.Bool().Draw(t, "in the family") {
				own[s] = []backend.Bucket{tok, family, account}
			}
			scopes = append(scopes, s)
		}
		type place struct {
			scope string
			id    string
			costs []backend.Amounts
			flows []backend.Flow
			at    int64
		}
		var line []*place
		var need float64
		n := rapid.IntRange(1, 30).Draw(t, "tickets")
		for i := range n {
			s := rapid.SampledFrom(scopes).Draw(t, "scope")
			p := &place{scope: s, id: fmt.Sprint(s, i)}
			for range rapid.IntRange(1, 5).Draw(t, "costs") {
				c := cost(1, rapid.Int64Range(1, own[s][0].Limit).Draw(t, "tokens"), 0)
				p.costs = append(p.costs, c)
				p.flows = append(p.flows, backend.Flow{
					Class: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "class"), Weight: 2,
					Tenant: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "tenant"),
				})
				need += float64(c[1])/float64(own[s][0].Limit)*60 + 60/float64(account.Limit) + 60/float64(family.Limit)
			}
			line = append(line, p)
		}
		numbers := uint64(0)
		var now int64
		for left := n; left > 0; {
			next := int64(math.MaxInt64)
			for _, p := range line {
				if len(p.costs) == 0 || p.at > now {
					if len(p.costs) > 0 {
						next = min(next, p.at)
					}
					continue
				}
				numbers++
				q := ask(p.scope, p.id, numbers, own[p.scope], p.costs...)
				q.Flows = p.flows
				answer, err := a.Take(now, q)
				if err != nil {
					t.Fatal(err)
				}
				p.costs, p.flows = backend.InOrder(&answer, p.costs)[answer.Granted:], backend.InOrder(&answer, p.flows)[answer.Granted:]
				if len(p.costs) == 0 {
					left--
					next = now // those behind may have been waiting for it
					for _, o := range line {
						o.at = min(o.at, now)
					}
					continue
				}
				p.at = now + int64(min(answer.Hint, 100*time.Millisecond)/time.Microsecond)
				next = min(next, p.at)
			}
			now = max(now+1, next)
			if left > 0 && float64(now)/1e6 > need+float64(n)*0.2+61 {
				t.Fatalf("%d tickets still wait after %d s; all they need refills in %.0f s", left, now/second, need)
			}
		}
		if l := a.lines["line"]; l != nil {
			t.Fatalf("%d tickets, %d nodes and %d that are held back are left of the line", len(l.tickets), len(l.nodes), len(l.blocked))
		}
		for _, o := range a.owners {
			if o.nodes != 0 {
				t.Fatalf("%s is kept for %d nodes that are gone", o.name, o.nodes)
			}
		}
	})
}
