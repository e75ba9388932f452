package main

import (
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

func TestPairs(t *testing.T) {
	for _, p := range pairs() {
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
		"growth": growth{few: 10, many: 1_000, calls: 10}.rows,
		"lines":  lines{waiting: []int{10, 20, 30}, span: 100 * time.Millisecond, crowd: 100}.rows,
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
		h := map[string][]string{}
		u.requests.charge(u.requests.at, 0, h, "Requests")
		u.tokens.charge(u.tokens.at, 0, h, "Tokens")
		said := wire.ParseHeaders(h)
		if said.Requests.Period() != time.Minute || said.Tokens.Period() != time.Minute {
			t.Errorf("periods of %v and %v", said.Requests.Period(), said.Tokens.Period())
		}
		s, err := l.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, limit := range s.Scopes[0].Limits {
			want := said.Requests
			if limit.Name == "tpm" {
				want = said.Tokens
			}
			used, theirs := limit.Limit-limit.Remaining, want.Limit-want.Remaining
			if used < theirs*9/10-1 || used > theirs+1 || limit.KeepsUnused {
				t.Errorf("stream %v, %s: used %d of ours, %d of the server's", stream, limit.Name, used, theirs)
			}
		}
	}
}
