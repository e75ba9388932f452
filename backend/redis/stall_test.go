package redis

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// A Redis that stands still for longer than a lease, while a large call waits and fifty
// behind it: nobody overtakes it when Redis goes on.
func TestNobodyOvertakesAfterAStall(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	s := redistest.Run(t)
	b := New(admin(t, s), WithTimeout(10*time.Second))
	buckets := perDay(1000)
	var numbers sync.Map
	take := func(ticket string, n int64) backend.Answer {
		a := ask(0, buckets, n)
		a.Ticket = ticket
		number, _ := numbers.LoadOrStore(ticket, new(uint64))
		*number.(*uint64)++
		a.Number = *number.(*uint64)
		answer, err := b.Take(t.Context(), a)
		if err != nil {
			t.Error(err)
		}
		return answer
	}
	take("x", 500)
	take("large", 1000)
	for i := range 50 {
		take(fmt.Sprint(i), 1)
	}
	take("large", 1000)
	if err := s.Signal(redistest.StandStill); err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for i := range 50 { // they come before the large one
		work.Go(func() {
			if a := take(fmt.Sprint(i), 1); a.Granted > 0 {
				t.Error("a small call has overtaken the large one")
			}
		})
	}
	time.Sleep(3 * lease)
	if err := s.Signal(redistest.GoOn); err != nil {
		t.Fatal(err)
	}
	work.Wait()
	if a := take("large", 1000); a.Tickets != 0 {
		t.Errorf("%d stand before the large call", a.Tickets)
	}
}

// However many have died, an ask steps over some, and the next ones over the rest.
func TestManyDeadAreSteppedOverByManyAsks(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a long line")
	}
	c := admin(t, redistest.Run(t))
	b := newVirtual(c)
	number := uint64(0)
	take := func(ticket string, n int64) backend.Answer {
		t.Helper()
		number++
		a := ask(number, perDay(1000), n)
		a.Ticket = ticket
		answer, err := b.Take(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	const dead = 1000
	take("x", 1000)
	for i := range dead {
		take(fmt.Sprint("dead", i), 1)
	}
	for range 2 {
		b.now += 500_000
		take("alive", 1)
	}
	b.now++
	for left := dead; left > 0; left -= ledger.Patrol {
		if err := c.ConfigResetStat(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		a := take("alive", 1)
		if want := max(0, left-ledger.Patrol); a.Tickets != want {
			t.Fatalf("%d tickets ahead; want %d", a.Tickets, want)
		}
		if n := calls(t, c); n > 3000 {
			t.Errorf("an ask made %d commands", n)
		}
	}
	key := lineKeys(b.accountKey("account"), lineField("model:m"), ticketField("x"))[2]
	for range 17 {
		b.now += 500_000
		take("alive", 1)
	}
	b.now += 500_000
	kept := c.HLen(t.Context(), key).Val()
	for left := int64(dead); left > 0; left -= ledger.Erased {
		take("alive", 1)
		now := c.HLen(t.Context(), key).Val()
		if forgotten, want := kept-now, min(left, ledger.Erased); forgotten != want {
			t.Fatalf("an ask forgets %d of %d; want %d", forgotten, left, want)
		}
		kept = now
	}
}
