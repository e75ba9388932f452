package redis

import (
	"math"
	"sync"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A memory is what answers have shown last: how full the buckets were, and the times of their
// accounts. Asks carry it, so that a Redis that has lost its data starts from there, and not
// from full buckets.
type memory struct {
	mu     sync.Mutex
	levels map[bucketKey]*level
	clocks map[string]*clock
}

type bucketKey struct{ account, owner, name string }

// A level is guarded by its memory's lock.
type level struct {
	at    int64
	used  float64
	stamp int64 // the account's time then
}

// remembered is how many buckets are kept, and how many accounts.
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
			room(m.levels, remembered)
			l = &level{}
			m.levels[key] = l
		}
		out[i] = l
	}
	return out
}

// starts adds for each bucket what to begin it with if Redis does not know it, its
// margin, and the stamp of the answer that the first goes back to. It returns the
// earliest of these, or infinity if nothing goes back to an answer.
func (m *memory) starts(n *numbers, now int64, owners []owner, levels []*level, buckets []backend.Bucket) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	earliest := math.Inf(1)
	for _, o := range owners {
		for _, k := range o.buckets {
			d, l := &buckets[k.at], levels[k.at]
			used, stamp := max(0, d.Start), d.StartStamp
			if left := l.used - k.rate*float64(max(0, now-l.at)); left > used {
				used, stamp = left, l.stamp
			}
			if used > 0 && stamp > 0 {
				earliest = min(earliest, float64(stamp))
			}
			n.add(used, d.Margin, float64(stamp))
		}
	}
	return earliest
}

// saw notes what an answer said to an ask that was sent then.
func (m *memory) saw(p *prepared, sent, received int64, answer *backend.Answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.clock.observe(answer.Stamp, sent, received)
	for i, l := range p.levels {
		*l = level{sent, p.buckets[i].Capacity() - answer.Levels[i], answer.Stamp}
	}
}

// room drops some of what is kept, whichever come first, so that there is room for one more
// below most.
func room[K comparable, V any](kept map[K]V, most int) {
	for key := range kept {
		if len(kept) < most {
			return
		}
		delete(kept, key)
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
