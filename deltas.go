package ratelimiter

import (
	"bytes"
	"sync"

	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// A metering is what it takes to watch a response's body. The next body gets it when this
// one is over.
type metering struct {
	wire.Meter
	r      *Reservation
	keep   func(delta []byte) // keepDelta, bound once
	text   []byte             // deltas that have not been counted, each before a mark
	tokens int64              // of those that have been
}

const (
	// mostText is how much text is kept until it is known whether the response says its
	// usage. Few have more than these 4,000 tokens; of those that do, all that is full of
	// it is counted.
	mostText = 16 << 10
	// deltaMark is a byte that no text has.
	deltaMark = 0xFF
)

var meterings = sync.Pool{New: func() any {
	m := new(metering)
	m.keep = m.keepDelta
	return m
}}

func newMetering(r *Reservation, status int, contentType string) *metering {
	m := meterings.Get().(*metering)
	m.reset(r, status, contentType)
	return m
}

func (m *metering) reset(r *Reservation, status int, contentType string) {
	m.r, m.text, m.tokens = r, m.text[:0], 0
	m.Reset(status, contentType, m.keep)
}

func (m *metering) free() {
	m.r = nil
	meterings.Put(m)
}

// keepDelta is handed the text of a stream's deltas. A response that says its usage needs
// no count of them.
func (m *metering) keepDelta(delta []byte) {
	if _, known := m.Usage(); known {
		return
	}
	if len(m.text)+len(delta) >= mostText {
		m.count()
	}
	m.text = append(append(m.text, delta...), deltaMark)
}

// count returns the tokens of all deltas so far. Each is counted by itself, as servers send
// them. If the counter panics, what is left is not counted.
func (m *metering) count() int64 {
	text := m.text
	m.text = m.text[:0]
	for delta := range bytes.SplitSeq(text, []byte{deltaMark}) {
		if len(delta) > 0 {
			m.tokens += int64(m.r.limiter.counter.Count(m.r.counted, m.r.encoding, delta))
		}
	}
	return m.tokens
}
