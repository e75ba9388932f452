package redis

import (
	"fmt"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// One ticket more than there is room for costs one that is kept, not all.
func TestCacheMakesRoom(t *testing.T) {
	var c cache
	asks := make([]backend.Ask, cached+10)
	for i := range asks {
		asks[i].Ticket = fmt.Sprint(i)
		c.put(&prepared{ticket: asks[i].Ticket})
	}
	kept := 0
	for i := range asks {
		if c.get(&asks[i]) != nil {
			kept++
		}
	}
	if kept != cached || c.get(&asks[len(asks)-1]) == nil {
		t.Errorf("%d tickets are kept; want %d, the last among them", kept, cached)
	}
}

// What a process remembers of accounts and buckets has a bound, however many names come.
func TestMemoryMakesRoom(t *testing.T) {
	var m memory
	var s settlings
	b := New(nil)
	for i := range remembered + 10 {
		account := fmt.Sprint(i)
		m.find(account, []backend.Bucket{{Owner: "o", Name: "rpm"}})
		m.clock(account)
		s.get(b, &backend.Settlement{Account: account})
	}
	if len(s.known) != cached {
		t.Errorf("settlements of %d sets of buckets are kept; want %d", len(s.known), cached)
	}
	if len(m.levels) != remembered || len(m.clocks) != remembered {
		t.Errorf("%d levels and %d clocks are kept; want %d", len(m.levels), len(m.clocks), remembered)
	}
}
