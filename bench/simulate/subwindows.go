package simulate

import (
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A subwindowView is what the oracle knows of the subwindows in which the server
// enforces its limits: the server does not show them, but the oracle has sent
// all that fills them and knows when it arrives.
type subwindowView struct {
	length time.Duration
	fixed  bool
	limits []*subwindowOf
}

// subwindowOf is the view of one limit.
type subwindowOf struct {
	limit    openaitest.Limit
	rate     float64 // a second
	capacity float64
	used     float64 // of a continuous one, at the time since
	since    time.Duration
	coming   []arrival // in the order of arrival
}

type arrival struct {
	at time.Duration
	n  float64
}

// newSubwindowView returns nil for a server without subwindows.
func newSubwindowView(s *scenario) *subwindowView {
	if s.subwindows == nil {
		return nil
	}
	v := &subwindowView{length: s.subwindows.Length, fixed: s.subwindows.Fixed}
	if v.length == 0 {
		v.length = time.Second
	}
	for _, l := range s.subwindows.On {
		amount := s.limits.RPM
		if l == openaitest.TPM {
			amount = s.limits.TPM
		}
		rate := float64(amount) / l.Period().Seconds()
		v.limits = append(v.limits, &subwindowOf{limit: l, rate: rate, capacity: rate * v.length.Seconds()})
	}
	return v
}

// fits reports whether a cost may arrive then, and all that is on its way
// already still fits.
func (v *subwindowView) fits(at time.Duration, c openaitest.Cost) bool {
	if v == nil {
		return true
	}
	for _, s := range v.limits {
		with := arrival{at, float64(of(c, s.limit))}
		if v.fixed && !s.fitsWindow(with, v.length) || !v.fixed && !s.fitsBucket(with) {
			return false
		}
	}
	return true
}

// add notes what has been sent.
func (v *subwindowView) add(at time.Duration, c openaitest.Cost) {
	if v == nil {
		return
	}
	for _, s := range v.limits {
		s.coming = s.with(arrival{at, float64(of(c, s.limit))})
	}
}

func (s *subwindowOf) with(a arrival) []arrival {
	at, _ := slices.BinarySearchFunc(s.coming, a, func(x, y arrival) int { return int(x.at - y.at) })
	return slices.Insert(slices.Clone(s.coming), at, a)
}

// fitsBucket plays what is coming into a small bucket that refills all the time.
// What is larger than it passes while nothing is used.
func (s *subwindowOf) fitsBucket(a arrival) bool {
	const memory = 2 * time.Second // nothing arrives so much later than another
	for len(s.coming) > 0 && s.coming[0].at < a.at-memory {
		s.used = max(0, s.used-s.rate*(s.coming[0].at-s.since).Seconds()) + s.coming[0].n
		s.since, s.coming = s.coming[0].at, s.coming[1:]
	}
	used, since := s.used, s.since
	for _, x := range s.with(a) {
		used, since = max(0, used-s.rate*(x.at-since).Seconds()), x.at
		if used > 0 && used+x.n > s.capacity {
			return false
		}
		used += x.n
	}
	return true
}

// fitsWindow counts what comes into the window of the arrival.
func (s *subwindowOf) fitsWindow(a arrival, length time.Duration) bool {
	window, sum := a.at/length, 0.0
	for len(s.coming) > 0 && s.coming[0].at/length < window-5 {
		s.coming = s.coming[1:]
	}
	for _, x := range s.coming {
		if x.at/length == window {
			sum += x.n
		}
	}
	return sum == 0 || sum+a.n <= s.capacity
}
