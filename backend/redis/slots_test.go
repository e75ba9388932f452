package redis

import (
	"fmt"
	"math/rand/v2"
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
