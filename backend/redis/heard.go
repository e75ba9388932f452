package redis

import (
	"math"

	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

// heard is what was last heard of an account's time. It is guarded by its memory's lock.
type heard struct {
	stamp          int64 // the account's time, or 0
	sent, received int64 // when its ask was sent and answered, by the process's clock
}

// bounds are what must have passed in the account since then, and what can have when an
// ask is sent now that is answered within the timeout.
func (h *heard) bounds(now, timeout int64) ledger.Bounds {
	if h.stamp == 0 {
		return ledger.Bounds{}
	}
	return ledger.Bounds{Earliest: h.stamp + now - h.received, Latest: h.stamp + now - h.sent + timeout}
}

// hear notes the time of an answer, if it is later. After a loss of its data the
// account's time may have begun anew, and be earlier.
func (h *heard) hear(stamp, sent, received int64) {
	if stamp > h.stamp || sent > h.received {
		*h = heard{stamp, sent, received}
	}
}

// time returns what is known of the account's.
func (m *memory) time(account string) *heard {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.accounts[account]
	if h == nil {
		if m.accounts == nil {
			m.accounts = map[string]*heard{}
		}
		room(m.accounts)
		h = &heard{}
		m.accounts[account] = h
	}
	return h
}

// bounds are what is known of the account's time for an ask that is sent now.
func (m *memory) bounds(h *heard, now, timeout int64) ledger.Bounds {
	m.mu.Lock()
	defer m.mu.Unlock()
	return h.bounds(now, timeout)
}

// bounds adds what head.lua wants to know of them.
func (n *numbers) bounds(b ledger.Bounds) {
	latest := math.Inf(1)
	if b.Latest > 0 {
		latest = float64(b.Latest)
	}
	n.add(float64(b.Earliest), latest)
}
