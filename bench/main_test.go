package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

func TestPairs(t *testing.T) {
	all, err := pairs()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if err := p.with(); err != nil {
			t.Errorf("%s: %v", p.what, err)
		}
		if err := p.without(); err != nil {
			t.Errorf("%s, beside %s: %v", p.what, p.beside, err)
		}
	}
}

func TestRows(t *testing.T) {
	for name, rows := range map[string]func(int) ([]row, error){
		"growth":   growth{few: 10, many: 1_000, calls: 10}.rows,
		"loopback": loopback{crowds: []crowdOfCallers{{2, time.Millisecond}}, calls: 2}.rows,
		"throng":   throng{callers: 2, calls: 10}.rows,
		"lines":    lines{waiting: []int{10, 20, 30}, span: 100 * time.Millisecond, crowd: 100}.rows,
	} {
		all, err := rows(1)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, r := range all {
			t.Log(r)
		}
	}
}

// What the headers say must be what the limiter understands and has charged.
func TestUpstream(t *testing.T) {
	limits := ratelimiter.Limits{RPM: 1_000, TPM: 1_000_000}
	for _, stream := range []bool{false, true} {
		body := chatBody(1_000, stream)
		u := newUpstream(limits, body)
		l := newLimiter(limits)
		for range 10 {
			if err := post(l.Transport(u), "chat/completions", body)(); err != nil {
				t.Fatal(err)
			}
		}
		stands := func() wire.Headers {
			h := http.Header{}
			u.requests.charge(time.Now(), 0, h, "Requests")
			u.tokens.charge(time.Now(), 0, h, "Tokens")
			return wire.ParseHeaders(h)
		}
		before := stands()
		s, err := l.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		after := stands() // both buckets refill meanwhile
		for _, limit := range s.Scopes[0].Limits {
			most, least := before.Requests, after.Requests
			if limit.Name == "tpm" {
				most, least = before.Tokens, after.Tokens
			}
			ours := limit.Limit - limit.Remaining
			if ours > most.Limit-most.Remaining+1 || ours < least.Limit-least.Remaining-1-limit.Limit/1000 || limit.KeepsUnused {
				t.Errorf("stream %v, %s: used %d of ours, %d to %d of the server's",
					stream, limit.Name, ours, least.Limit-least.Remaining, most.Limit-most.Remaining)
			}
		}
	}
}
