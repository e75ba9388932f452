package redis

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

// The script lends what the ledger lends, whatever is claimed: also by holders that break
// the rules, with claims that come twice or late, and a clock that is set.
func TestSlotsScriptIsTheLedger(t *testing.T) {
	script, seed := newVirtual(client(t)), newSeed()
	histories := 60
	if testing.Short() {
		histories = 10
	}
	if *replay != 0 {
		histories = 1
	}
	for i := range histories {
		slotsHistory(t, script, seed+uint64(i))
	}
}

func slotsHistory(t *testing.T, script *virtualBackend, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2))
	var slots ledger.Slots
	var numbers [40]uint64
	var log []string
	holders := 1 + r.IntN(len(numbers))
	limit := 1 + r.Int64N(30)
	account := fmt.Sprint("account", seed)
	pause := []int64{50_000, 2_000}[r.IntN(2)] // in a short one, few claims look at all holders
	for range 300 {
		switch r.IntN(30) {
		case 0:
			script.now += r.Int64N(15_000_000)
		case 1:
			script.now -= r.Int64N(3_000_000)
		case 2:
			limit = 1 + r.Int64N(30)
		default:
			script.now += r.Int64N(pause)
		}
		i := r.IntN(holders)
		numbers[i]++
		c := backend.Claim{Account: account, Owner: "o", Holder: fmt.Sprint(i), Number: numbers[i], Limit: limit, Used: r.Int64N(4)}
		c.Held, c.Need = c.Used+r.Int64N(3), c.Used+r.Int64N(6)
		switch r.IntN(12) {
		case 0:
			c.Number -= min(c.Number, r.Uint64N(3))
		case 1:
			c.Used, c.Held, c.Need = 0, 0, 0
		case 2:
			c.Spare = r.Int64N(10)
		case 3:
			c.Holder = ""
		}
		got, err := script.Lease(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		want := slots.Lease(script.now, &c)
		if c.Holder == "" {
			want.For, want.Again = 0, 0
		}
		log = append(log, fmt.Sprintf("%d: %+v: %+v", script.now, c, want))
		if got != want {
			t.Fatalf("seed %d: after\n%s\nthe script lends %+v", seed, log[max(0, len(log)-10):], got)
		}
	}
}

// What a claim costs Redis does not grow with the holders, but for a look at all of them
// now and then.
func TestSlotsAreFew(t *testing.T) {
	c := admin(t, shared)
	b := New(c, prefix())
	key := b.slotsKey("account", "o")
	for i := range 3 {
		if _, err := b.Lease(t.Context(), backend.Claim{Account: "account", Owner: "o", Holder: fmt.Sprint(i), Number: 1, Limit: 2, Need: 1}); err != nil {
			t.Fatal(err)
		}
	}
	fields, err := c.HGetAll(t.Context(), key).Result()
	if err != nil || len(fields) != 4 {
		t.Errorf("%d fields, %v; want three holders and a head", len(fields), err)
	}
	if ttl, err := c.PTTL(t.Context(), key).Result(); err != nil || ttl <= 0 || ttl > time.Minute {
		t.Errorf("the slots expire in %v, %v", ttl, err)
	}
}

// A head of another version is left as it is, and whoever asks is told. One that makes no
// sense is as good as lost: who holds slots is lent no more until all have claimed again.
func TestSlotsOfAnotherVersion(t *testing.T) {
	c := admin(t, shared)
	for name, x := range map[string]struct {
		head  string
		other bool // it is another version's
	}{
		"the one before":                         {numbersOf(version - 1), true},
		"the next":                               {numbersOf(version + 1), true},
		"the next, as long as ours":              {numbersOf(append([]float64{version + 1}, make([]float64, 12)...)...), true},
		"none":                                   {numbersOf(append([]float64{0}, make([]float64, 12)...)...), false},
		"below none":                             {numbersOf(-1), false},
		"a fraction":                             {numbersOf(version + 0.5), false},
		"more than there will be":                {numbersOf(1 << 20), false},
		"no number":                              {numbersOf(math.NaN()), false},
		"too short for a number":                 {"1234567", false},
		"ours, and nothing more":                 {numbersOf(version), false},
		"ours, with more holders than there are": {numbersOf(version, 1, 1, 0, 0, 0, 0, 1e6+1, 0, 0, 0, 0, 0), false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newVirtual(c)
			claim := backend.Claim{Account: "account", Owner: "o", Holder: "holder", Number: 1, Limit: 10, Need: 4, Held: 2}
			key := b.slotsKey(claim.Account, claim.Owner)
			if err := c.HSet(t.Context(), key, "h", x.head).Err(); err != nil {
				t.Fatal(err)
			}
			question := backend.Claim{Account: claim.Account, Owner: claim.Owner}
			if _, err := b.Lease(t.Context(), question); errors.Is(err, ErrVersion) != x.other {
				t.Errorf("a question: %v", err)
			}
			l, err := b.Lease(t.Context(), claim)
			if x.other {
				if fields := c.HGetAll(t.Context(), key).Val(); !errors.Is(err, ErrVersion) || len(fields) != 1 || fields["h"] != x.head {
					t.Errorf("%+v, %v; there is %q", l, err, fields)
				}
				return
			}
			if err != nil || l.Slots != 2 {
				t.Errorf("%+v, %v; want the two that it holds", l, err)
			}
			for range 2 { // the clock of leases moves by a second at most
				b.now += ledger.SlotRecovery.Microseconds() / 2
				claim.Number++
				l, err = b.Lease(t.Context(), claim)
			}
			if err != nil || l.Slots != 4 {
				t.Errorf("%+v, %v; want the four that it needs", l, err)
			}
		})
	}
}

// A holder whose record is far ahead of what it claims has not been answered: somebody else
// has written there, and it would have to wait for as many claims.
func TestSlotsOfANumberAhead(t *testing.T) {
	c := admin(t, shared)
	late, err := strconv.Atoi(constants["LATE_ASKS"])
	if err != nil {
		t.Fatal(err)
	}
	for ahead, want := range map[int]int64{late - 1: 4, late: 7} {
		b := newVirtual(c)
		claim := backend.Claim{Account: "account", Owner: "o", Holder: "holder", Number: 5, Limit: 10, Need: 4}
		if l, err := b.Lease(t.Context(), claim); err != nil || l.Slots != 4 {
			t.Fatalf("%+v, %v", l, err)
		}
		key, field := b.slotsKey(claim.Account, claim.Owner), digest("holder", claim.Holder)
		record := c.HGet(t.Context(), key, field).Val()
		claim.Number, claim.Held, claim.Need = 6, 4, 7
		if err := c.HSet(t.Context(), key, field, numbersOf(float64(6+ahead))+record[8:]).Err(); err != nil {
			t.Fatal(err)
		}
		if l, err := b.Lease(t.Context(), claim); err != nil || l.Slots != want {
			t.Errorf("%d ahead: %+v, %v; want %d slots", ahead, l, err, want)
		}
	}
}
