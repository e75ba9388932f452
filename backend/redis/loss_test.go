package redis

import (
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// When Redis has lost its data, whoever asks first begins the buckets anew. Those who
// know more of them correct that with their next ask, each once, and what was charged
// meanwhile counts beside it.
func TestLossIsMadeGoodByThoseWhoKnow(t *testing.T) {
	c := admin(t, redistest.Run(t))
	buckets := append(perDay(1000), backend.Bucket{Owner: "account", Name: "rpd", Limit: 2000, Period: perDay(1)[0].Period})
	start := func() *Backend { return New(c) }
	first, second, idle := start(), start(), start()
	number := uint64(0)
	take := func(b *Backend, n int64) int {
		t.Helper()
		number++
		a := ask(number, buckets, n)
		a.Fresh, a.Leave = true, true
		answer, err := b.Take(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Granted
	}
	stands := func(b *Backend, want int64) {
		t.Helper()
		if n := used(t, b, buckets); n != want {
			t.Errorf("%d are used; want %d", n, want)
		}
	}
	stands(idle, 0)
	if take(first, 600) != 1 {
		t.Fatal("a call was not granted")
	}
	stands(second, 600)
	if take(first, 300) != 1 {
		t.Fatal("a call was not granted")
	}
	for range 3 {
		if err := c.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		fresh := start()
		if take(fresh, 50) != 1 {
			t.Error("nobody knew better")
		}
		stands(idle, 50)
		if take(second, 401) != 0 { // it knows of 600
			t.Error("what was used before, and since, was forgotten")
		}
		stands(second, 650)
		stands(fresh, 650)
		if take(first, 51) != 0 { // it knows of 900
			t.Error("what was used before, and since, was forgotten")
		}
		for _, b := range []*Backend{first, second, fresh, idle} {
			stands(b, 950)
		}
		if take(fresh, 51) != 0 || take(fresh, 25) != 1 || take(first, 26) != 0 {
			t.Error("want 50 calls, and no more")
		}
		if err := c.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if err := start().Clear(t.Context(), "account", []string{"model:m", "account"}); err != nil {
			t.Fatal(err)
		}
		first, second, idle = start(), start(), start()
		stands(idle, 0)
		take(first, 600)
		stands(second, 600)
		take(first, 300)
	}
}

// A Clear by somebody else fills what a process remembers as used.
func TestNothingIsRaisedAfterAClear(t *testing.T) {
	c := client(t)
	p := prefix()
	one, other := New(c, p), New(c, p)
	mustTake(t, one, ask(1, perDay(1000), 900))
	if n := used(t, other, perDay(1000)); n != 900 {
		t.Fatalf("%d used", n)
	}
	if err := one.Clear(t.Context(), "account", []string{"model:m"}); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*Backend{other, one, other} {
		if n := used(t, b, perDay(1000)); n != 0 {
			t.Errorf("%d used; want 0", n)
		}
	}
}
