package main

import (
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// All calls cost the same.
const (
	model     = "gpt-5.4-mini"
	maxTokens = 100
)

// limits are such that tokens are scarce: some 200 calls a second.
var limits = openaitest.Limits{RPM: 30_000, TPM: 1_200_000}

// A standIn is the API, with a log of whose calls it has admitted and throttled.
type standIn struct {
	*openaitest.Server

	mu    sync.Mutex
	keys  map[int64]string // of the calls that it is not done with
	calls []logged
}

// A logged call is one that the server is done with.
type logged struct {
	key string
	openaitest.Record
}

func newStandIn() *standIn {
	s := &standIn{keys: make(map[int64]string)}
	s.Server = openaitest.New(
		openaitest.WithLimits(model, limits),
		openaitest.WithRefunds(true),
		openaitest.WithAnswer(func(c *openaitest.Call) openaitest.Answer {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.keys[c.Seq] = strings.TrimPrefix(c.Request.Header.Get("Authorization"), "Bearer ")
			return openaitest.Answer{OutputTokens: maxTokens * (70 + rand.Int64N(26)) / 100}
		}),
		openaitest.WithTiming(func(*openaitest.Call) openaitest.Timing {
			return openaitest.Timing{Total: 200*time.Millisecond + rand.N(200*time.Millisecond)}
		}),
		openaitest.WithLog(func(r openaitest.Record) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.calls = append(s.calls, logged{s.keys[r.Seq], r})
			delete(s.keys, r.Seq)
		}))
	// All but what refills in two seconds: the first calls go out before an
	// answer has told how little there is.
	s.Spend(model, openaitest.Cost{Tokens: limits.TPM * 29 / 30})
	return s
}

// A span is a stretch of time, without its end.
type span struct{ from, to time.Time }

func (s span) holds(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// counts returns how many calls were admitted in a span and how many throttled,
// by key.
func (s *standIn) counts(in span) (admitted, throttled map[string]int) {
	admitted, throttled = make(map[string]int), make(map[string]int)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		switch {
		case !in.holds(c.Admitted):
		case c.Outcome == openaitest.Throttled:
			throttled[c.key]++
		default:
			admitted[c.key]++
		}
	}
	return admitted, throttled
}

// used is how much of the tokens that refilled in a span calls have used in it:
// what they were charged less what came back. More than 1 is possible, since
// what is left goes on the next span's account.
func (s *standIn) used(in span) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var net int64
	for _, c := range s.calls {
		if in.holds(c.Admitted) {
			net += c.Cost.Tokens
		}
		if in.holds(c.Ended) {
			net -= c.Refunded.Tokens
		}
	}
	return float64(net) / (float64(limits.TPM) * in.to.Sub(in.from).Minutes())
}
