package redis

import (
	"sync"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// memory is how full the buckets were when Redis last told. Asks carry it, so
// that a Redis that lost its data starts from there, not from full buckets.
type memory struct {
	mu     sync.Mutex
	levels map[bucketKey]*level
}

type bucketKey struct{ account, owner, name string }

// A level is guarded by its memory's lock.
type level struct {
	at   int64
	used float64
}

// remembered is how many buckets are kept.
const remembered = 4096

// find returns the level of each bucket, which may be one without a past.
func (m *memory) find(account string, buckets []backend.Bucket) []*level {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.levels == nil {
		m.levels = map[bucketKey]*level{}
	}
	out := make([]*level, len(buckets))
	for i := range buckets {
		key := bucketKey{account, buckets[i].Owner, buckets[i].Name}
		l := m.levels[key]
		if l == nil {
			m.room()
			l = &level{}
			m.levels[key] = l
		}
		out[i] = l
	}
	return out
}

// starts adds each bucket's margin, and what to begin it with if Redis does not
// know it.
func (m *memory) starts(n *numbers, now int64, owners []owner, levels []*level, buckets []backend.Bucket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range owners {
		for _, k := range o.buckets {
			d, l := &buckets[k.at], levels[k.at]
			used := max(0, d.Start)
			if l.used > 0 {
				used = max(used, l.used-k.rate*float64(max(0, now-l.at)))
			}
			n.add(d.Margin, used)
		}
	}
}

// saw notes what an answer said.
func (m *memory) saw(now int64, levels []*level, buckets []backend.Bucket, free []float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, l := range levels {
		*l = level{now, buckets[i].Capacity() - free[i]}
	}
}

// room drops some buckets, whichever come first, if too many are kept. m.mu must
// be held.
func (m *memory) room() {
	for key := range m.levels {
		if len(m.levels) < remembered {
			return
		}
		delete(m.levels, key)
	}
}

// forget is for owners whose buckets have been filled.
func (m *memory) forget(account string, owners []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, l := range m.levels {
		for _, o := range owners {
			if key.account == account && key.owner == o {
				*l = level{}
			}
		}
	}
}
