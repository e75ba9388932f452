package quota

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

const owner = "model:m"

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(d time.Duration) time.Time { return epoch.Add(d) }

// A world is a set and a backend of its buckets, in which every call may start at once.
type world struct {
	*testing.T
	Set
	buckets map[string]*bucket

	// In a property anything goes: corrections may miss, and results are kept.
	loose    bool
	requests []*Request
	results  strings.Builder
}

type bucket struct {
	used, charged, corrected float64
	at                       time.Time
}

// newWorld returns one with these limits, in the syntax of configured.
func newWorld(t *testing.T, limits string) *world {
	return &world{T: t, Set: NewSet(owner, configured(limits)), buckets: map[string]*bucket{}}
}

// configured reads limits such as "rpm=500 account/tpm=1000", the model's own where no
// owner is named.
func configured(limits string) (all []*Limit) {
	for _, word := range strings.Fields(limits) {
		key, value, _ := strings.Cut(word, "=")
		of, name, ok := strings.Cut(key, "/")
		if !ok {
			of, name = owner, key
		}
		var rule Rule
		for i, k := range Kinds {
			if k.Name == name {
				fmt.Sscan(value, &rule.Amounts[i])
			}
		}
		all = append(all, rule.Limits(of)...)
	}
	return all
}

// holds is what the limits are, in the syntax of configured.
func (s *Set) holds() string {
	var words []string
	for _, l := range s.limits {
		of := l.Owner + "/"
		if l.Owner == s.owner {
			of = ""
		}
		words = append(words, fmt.Sprintf("%s%s=%d", of, l.Name, l.Amount()))
	}
	return strings.Join(words, " ")
}

func (w *world) bucket(l *Limit, now time.Time) *bucket {
	d := l.Bucket(now)
	key := l.Owner + "/" + l.Name
	b := w.buckets[key]
	if b == nil {
		b = &bucket{used: d.Start, corrected: d.Start, at: now}
		w.buckets[key] = b
	}
	b.used = max(0, b.used-float64(d.Limit)*now.Sub(b.at).Seconds()/d.Period.Seconds())
	b.at = now
	return b
}

// send starts a call of so many tokens, all of them certain.
func (w *world) send(after time.Duration, tokens int64) *Request {
	return w.sendCost(after, backend.Amounts{backend.Requests: 1, backend.Tokens: tokens})
}

func (w *world) sendCost(after time.Duration, cost backend.Amounts) *Request {
	return w.sendInput(after, cost, Input{})
}

// sendInput starts a call of whose tokens so many are input.
func (w *world) sendInput(after time.Duration, cost backend.Amounts, input Input) *Request {
	now := at(after)
	limits := w.Limits()
	buckets := Unpaced(now, limits)
	answer := backend.Answer{Granted: 1}
	for i, l := range limits {
		b := w.bucket(l, now)
		n := float64(cost[l.Dimension])
		b.used, b.charged = b.used+n, b.charged+n
		answer.Levels = append(answer.Levels, buckets[i].Capacity()-b.used)
		answer.Charged = append(answer.Charged, b.charged)
		answer.Corrected = append(answer.Corrected, b.corrected)
	}
	sent := w.Charged(now, nil, &Grant{Cost: cost, Input: input, Limits: limits, Buckets: buckets, Answer: &answer})
	return &Request{SentAt: now, Cost: cost, Input: input, Certain: cost[backend.Tokens], Sent: sent}
}

// respond takes in a response's headers, such as "limit-tokens=500", and applies the
// corrections, which it returns by their limits' names.
func (w *world) respond(after time.Duration, r *Request, headers string) map[string]float64 {
	return w.apply(w.Headers(at(after), r, parse(headers), false, false))
}

// refuse takes in a 429's headers.
func (w *world) refuse(after time.Duration, r *Request, headers string) map[string]float64 {
	return w.apply(w.Headers(at(after), r, parse(headers), true, true))
}

func (w *world) apply(corrections []Correction) map[string]float64 {
	by := map[string]float64{}
	for _, c := range corrections {
		b := w.buckets[c.Limit.Owner+"/"+c.Limit.Name]
		if b == nil || b.corrected != c.From {
			if w.loose {
				continue
			}
			w.Errorf("a correction of %s from %v, beside %+v", c.Limit.Name, c.From, b)
			continue
		}
		b.used, b.corrected = b.used+c.To-c.From, c.To
		by[c.Limit.Name] += c.To - c.From
	}
	return by
}

func parse(headers string) *wire.Headers {
	h := http.Header{}
	for _, word := range strings.Fields(headers) {
		key, value, _ := strings.Cut(word, "=")
		h.Set("X-Ratelimit-"+key, value)
	}
	parsed := wire.ParseHeaders(h)
	return &parsed
}

// limit returns the one of that name.
func (w *world) limit(name string) *Limit {
	w.Helper()
	for _, l := range w.limits {
		if l.Name == name {
			return l
		}
	}
	w.Fatalf("no %s among %s", name, w.holds())
	return nil
}

// dump is everything that a set knows.
func (s *Set) dump() string {
	var b strings.Builder
	for _, l := range s.limits {
		x := *l
		part := "whole"
		if x.whole != nil {
			part, x.whole = "part of "+x.whole.Name, nil
		}
		fmt.Fprintf(&b, "%s %+v\n", part, x)
	}
	fmt.Fprintf(&b, "%+v %v %v %+v %+v %v %v %v", s.start, s.sends, s.sent, s.candidates, s.refunds, s.dirty, s.urgent, s.subwindows)
	return b.String()
}
