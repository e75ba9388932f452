package ratelimiter

import (
	"slices"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// told pairs a window of the headers with what it counts.
type told struct {
	wire.Window
	dimension backend.Dimension
	header    string
}

func toldBy(h wire.Headers) [3]told {
	return [...]told{
		{h.Requests, backend.Requests, "x-ratelimit-limit-requests"},
		{h.Tokens, backend.Tokens, "x-ratelimit-limit-tokens"},
		{h.Images, backend.Images, "x-ratelimit-limit-images"},
	}
}

// match finds the limit that a window is about: of the same period where that
// can be told, else of the same amount.
func (s *scope) match(t told) *limit {
	if period := t.Period(); period != 0 {
		return s.find(t.dimension, period, t.Limit)
	}
	for _, l := range s.limits {
		if l.dimension == t.dimension && l.is(t.Limit) {
			return l
		}
	}
	return nil
}

// A rumour is a window that answers tell beside one that is known by their header.
type rumour struct {
	window
	amount int64
	told   int
}

const (
	// rumours is how many answers in a row make one be believed.
	rumours = 3
	// denials is how many that tell another period by the same header make a
	// learned window be forgotten.
	denials = 8
)

// heard takes in an unknown window and reports whether there is one: of a dimension
// of which nothing is known at once, else if answers keep saying so. The figure of
// the known window with another period is a mistake.
func (s *scope) heard(t told, w window) bool {
	known := false
	for _, l := range s.limits {
		if l.dimension == t.dimension && l.whole == nil {
			if l.is(t.Limit) {
				return false
			}
			known = known || l.owner == s.owner
		}
	}
	said := &s.rumours[t.dimension]
	if said.window != w || said.amount != t.Limit {
		*said = rumour{window: w, amount: t.Limit}
	}
	said.told++
	return !known || said.told >= rumours
}

// deny forgets other windows that the header has told before, if that is long ago.
func (s *scope) deny(told *limit, header string) {
	told.denied = 0
	for _, l := range slices.Clone(s.limits) {
		if l == told || l.dimension != told.dimension || l.header != header || l.configured > 0 || l.whole != nil {
			continue
		}
		if l.denied++; l.denied >= denials {
			s.forget(l)
		}
	}
}
