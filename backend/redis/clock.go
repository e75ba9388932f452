package redis

import (
	"math"

	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

// A clock is an account's time as an answer has shown it last. It is guarded by its memory's
// lock.
type clock struct {
	stamp          int64 // the account's time, or 0
	sent, received int64 // when its ask was sent and answered, by the process's clock
}

// bounds are what must have passed in the account since then, and what can have when an
// ask is sent now that is answered within the timeout.
func (c *clock) bounds(now, timeout int64) ledger.Bounds {
	if c.stamp == 0 {
		return ledger.Bounds{}
	}
	return ledger.Bounds{Earliest: c.stamp + now - c.received, Latest: c.stamp + now - c.sent + timeout}
}

// observe notes the time of an answer, if it is later. After Redis has lost its data, the
// account's time may have begun anew and be earlier.
func (c *clock) observe(stamp, sent, received int64) {
	if stamp > c.stamp || sent > c.received {
		*c = clock{stamp, sent, received}
	}
}

// clock returns the account's, which is new where nothing is known of it.
func (m *memory) clock(account string) *clock {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.clocks[account]
	if c == nil {
		if m.clocks == nil {
			m.clocks = map[string]*clock{}
		}
		room(m.clocks, remembered)
		c = &clock{}
		m.clocks[account] = c
	}
	return c
}

// bounds are what is known of the account's time for an ask that is sent now.
func (m *memory) bounds(c *clock, now, timeout int64) ledger.Bounds {
	m.mu.Lock()
	defer m.mu.Unlock()
	return c.bounds(now, timeout)
}

// bounds adds what head.lua wants to know of them.
func (n *numbers) bounds(b ledger.Bounds) {
	latest := math.Inf(1)
	if b.Latest > 0 {
		latest = float64(b.Latest)
	}
	n.add(float64(b.Earliest), latest)
}
