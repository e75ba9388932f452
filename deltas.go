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
	within wire.Usage         // the usage when the last delta came
}

const (
	// mostText is how much text is kept until it is known whether the response reports its
	// usage: some 4,000 tokens, which few outputs have. The text of longer ones is counted
	// whenever that much has come.
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
	m.r, m.text, m.tokens, m.within = r, m.text[:0], 0, wire.Usage{}
	m.Reset(status, contentType, m.keep)
}

func (m *metering) free() {
	m.r = nil
	meterings.Put(m)
}

// keepDelta is handed the text of a stream's deltas. Those that a usage includes need no
// count.
func (m *metering) keepDelta(delta []byte) {
	if u, known := m.Usage(); known && u != m.within {
		if m.within = u; !inputAlone(&u) {
			m.text, m.tokens = m.text[:0], 0
		}
	}
	if len(m.text)+len(delta) >= mostText {
		m.count()
	}
	m.text = append(append(m.text, delta...), deltaMark)
}

// inputAlone reports whether a usage has no output.
func inputAlone(u *wire.Usage) bool { return u.Output == 0 && u.Input == u.Total }

// outgrown reports whether text has come after the last usage: some servers begin a stream with
// the usage of its input.
func (m *metering) outgrown() bool {
	u, known := m.Usage()
	return known && u == m.within && (len(m.text) > 0 || m.tokens > 0)
}

// count returns the tokens of all deltas that no usage includes. Each is counted by itself, as
// servers send them. If the counter panics, what is left is not counted.
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
