package ratelimiter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

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

// A stream's text is counted when its usage is asked for in vain, delta by delta; a long one's in
// between, so that little of it is kept.
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

// Text is not counted where usage comes, but for what comes behind it if a stream is cut, and
// none of it is left to the next body.
func TestDeltasBesideUsage(t *testing.T) {
	c := new(perDelta)
	m := newMetering(newCounted(c), 200, "text/event-stream")
	m.Write(delta("before"))
	m.Write([]byte(`data: {"usage":{"total_tokens":5}}` + "\n\n"))
	if m.outgrown() {
		t.Error("nothing has come behind the usage")
	}
	m.Write(delta("after"))
	if !m.outgrown() || len(m.text) != len("after")+1 || c.texts > 0 {
		t.Errorf("%d bytes are kept, %d deltas counted", len(m.text), c.texts)
	}
	m.Write([]byte(`data: {"usage":{"total_tokens":6}}` + "\n\n"))
	if m.outgrown() {
		t.Error("a usage includes what has come before it")
	}
	m.reset(newCounted(c), 200, "text/event-stream")
	if got := m.count(); got != 0 || c.texts > 0 {
		t.Errorf("the next body begins with %d tokens", got)
	}
}

type fragile struct{ broken bool }

func (f *fragile) Count(string, string, string) int {
	if f.broken {
		panic("index out of range")
	}
	return 1
}

// A counter that panics when a stream is given up reaches who closes it, and the call ends
// all the same.
func TestCounterPanicsAtClose(t *testing.T) {
	f := new(fragile)
	settled := 0
	l, err := New(WithAccount("a"), WithCounter(f), WithTrace(&Trace{Settled: func(context.Context, SettledInfo) { settled++ }}))
	if err != nil {
		t.Fatal(err)
	}
	closed := 0
	resp, err := l.Transport(sends(func(r *http.Request) (*http.Response, error) {
		body := struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(delta("text")), iotest.ErrReader(errors.New("not read"))), closes(func() { closed++ })}
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: body, Request: r}, nil
	})).RoundTrip(httptest.NewRequest(http.MethodPost, "https://api.openai.com/v1/chat/completions", strings.NewReader(`{"model":"m"}`)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resp.Body.Read(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	f.broken = true
	func() {
		defer func() {
			if p := recover(); !strings.Contains(fmt.Sprint(p), "the Counter of WithCounter panicked") {
				t.Errorf("Close panics with %v", p)
			}
		}()
		resp.Body.Close()
	}()
	if closed != 1 || settled != 1 {
		t.Errorf("closed %d times, settled %d", closed, settled)
	}
}

type closes func()

func (c closes) Close() error { c(); return nil }
