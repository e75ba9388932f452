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
