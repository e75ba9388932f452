package ratelimiter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
)

// perDelta counts each text as so many tokens as it has bytes, and one more.
type perDelta struct{ texts int }

func (c *perDelta) Count(_ string, _ tokens.Encoding, text []byte) int {
	c.texts++
	return len(text) + 1
}

func newCounted(c tokens.Counter) *Reservation { return &Reservation{limiter: &Limiter{counter: c}} }

func delta(text string) []byte {
	return fmt.Appendf(nil, `data: {"choices":[{"delta":{"content":%q}}]}`+"\n\n", text)
}

// A stream's text is counted when its usage is asked for in vain, delta by delta; a long one's in between,
// so that little of it is kept.
func TestDeltasAreKept(t *testing.T) {
	c := new(perDelta)
	m := newMetering(newCounted(c), 200, "text/event-stream")
	const n = 3000
	for range n {
		m.Write(delta("0123456789"))
		if len(m.text) > mostText || cap(m.text) > 2*mostText {
			t.Fatalf("%d bytes of text are kept", len(m.text))
		}
	}
	if c.texts == 0 || c.texts == n {
		t.Errorf("%d of %d deltas were counted on the way", c.texts, n)
	}
	if got := m.count(); got != n*11 {
		t.Errorf("%d tokens, want %d", got, n*11)
	}
	if got := m.count(); got != n*11 || c.texts != n {
		t.Errorf("asked again: %d tokens, of %d deltas", got, c.texts)
	}
}

// Text is not counted where usage comes, and none of it is left to the next body.
func TestDeltasBesideUsage(t *testing.T) {
	c := new(perDelta)
	m := newMetering(newCounted(c), 200, "text/event-stream")
	m.Write(delta("before"))
	m.Write([]byte(`data: {"usage":{"total_tokens":5}}` + "\n\n"))
	kept := len(m.text)
	m.Write(delta(strings.Repeat("after", 100)))
	if len(m.text) != kept || c.texts > 0 {
		t.Errorf("%d bytes are kept, %d deltas counted", len(m.text), c.texts)
	}
	m.reset(newCounted(c), 200, "text/event-stream")
	if got := m.count(); got != 0 || c.texts > 0 {
		t.Errorf("the next body begins with %d tokens", got)
	}
}
