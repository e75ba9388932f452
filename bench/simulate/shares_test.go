package simulate

import (
	"flag"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
)

var sharesNames = flag.String("shares", "", "play the sharings that match this regular expression, at full length")

// TestShares plays what the flag chooses.
func TestShares(t *testing.T) {
	if *sharesNames == "" {
		t.Skip("without -shares, TestShortShares is enough")
	}
	which := regexp.MustCompile(*sharesNames)
	table := &table{header: sharesHeader}
	for _, s := range sharings(1) {
		if which.MatchString(s.name) {
			r := playShares(t, &s)
			for _, cells := range r.rows() {
				table.add(cells...)
			}
			for _, m := range r.missed() {
				t.Error(m)
			}
		}
	}
	show(table)
}

// TestShortShares plays a part of each. Who comes first at the same moment differs from run
// to run, and so do single calls and throttles: what is published holds its bars at length.
func TestShortShares(t *testing.T) {
	for _, s := range sharings(100) {
		s.refused += 3
		for i := range s.groups {
			s.groups[i].p99 = s.groups[i].p99 * 3 / 2
		}
		r := playShares(t, &s)
		for _, cells := range r.rows() {
			t.Log(cells)
		}
		for _, m := range r.missed() {
			t.Error(m)
		}
	}
}

// playShares plays a sharing; before it, alone, the first of the groups that is compared with that.
func playShares(t *testing.T, s *sharing) (r *sharingResult) {
	play := func(name string, s *sharing) (r *sharingResult) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(*testing.T) { r = s.run() })
		})
		return r
	}
	if i := slices.IndexFunc(s.groups, func(g group) bool { return g.behind > 0 }); i >= 0 {
		s.compare(play(s.name+", one alone", s.alone(s.groups[i])))
	}
	return play(s.name, s)
}
