package simulate

import (
	"flag"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var sharesNames = flag.String("shares", "", "play the sharings that match this regular expression, at full length")

// TestShares plays what the flag chooses.
func TestShares(t *testing.T) {
	if *sharesNames == "" {
		t.Skip("without -shares, TestShortShares is enough")
	}
	which := regexp.MustCompile(*sharesNames)
	others := func(s sharing) bool { return !which.MatchString(s.name) }
	var results []*sharingResult
	for _, s := range slices.DeleteFunc(sharings(1), others) {
		results = append(results, playShares(t, &s))
	}
	results = append(results, playRealShares(t, slices.DeleteFunc(realSharings(), others))...)
	table := &table{header: sharesHeader}
	for _, r := range results {
		for _, cells := range r.rows() {
			table.add(cells...)
		}
		for _, m := range r.missed() {
			t.Error(m)
		}
	}
	show(table)
}

// TestShortShares plays a part of each. Who comes first at the same moment differs from run
// to run, and so do single calls and throttles: what is published holds its bars at length.
func TestShortShares(t *testing.T) {
	for _, s := range sharings(100) {
		s.refused += 3
		compareWithAlone(t, &s, 1)
		for i := range s.groups {
			s.groups[i].p99 = s.groups[i].p99 * 3 / 2
		}
		r := playSharing(t, s.name, &s)
		for _, cells := range r.rows() {
			t.Log(cells)
		}
		for _, m := range r.missed() {
			t.Error(m)
		}
	}
}

// playShares plays a sharing; before it, alone, each of the groups that are compared with that.
func playShares(t *testing.T, s *sharing) *sharingResult {
	compareWithAlone(t, s, len(s.groups))
	return playSharing(t, s.name, s)
}

// compareWithAlone sets the bars of groups that may wait as long as they do alone: as the one of
// the first few that waits longest.
func compareWithAlone(t *testing.T, s *sharing, few int) {
	var longest time.Duration
	for i, g := range s.groups {
		if g.behind > 0 && few > 0 {
			longest = max(longest, playSharing(t, s.name+", one alone", s.alone(i)).groups[i].p99)
			few--
		}
	}
	s.compare(longest)
}

func playSharing(t *testing.T, name string, s *sharing) (r *sharingResult) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(*testing.T) { r = s.run() })
	})
	return r
}

// TestShortRealShares plays a part of each in real time. What a busy machine does to use and
// throttles is not asked. Two groups that always want more differ by two of the largest calls
// of each, divided by its weight, and by what refills until both ask. A machine that is busy with
// other tests starts calls late, so that not both always wait: what misses is played again, twice.
func TestShortRealShares(t *testing.T) {
	all := realSharings()
	for i := range all {
		s := &all[i]
		s.refused, s.idle, s.spent = -1, true, true
		s.warmUp, s.length = 5*time.Second, 15*time.Second
		if s.killed > 0 {
			s.killed = 10 * time.Second
		}
	}
	for try := range 3 {
		var again []sharing
		for i, r := range playRealShares(t, all) {
			s := r.sharing
			started := r.use * float64(s.limits.TPM) * s.length.Minutes()
			for g := range r.groups {
				largest := float64(r.groups[g].group.most) + 20 + float64(promptOverhead())
				untilAsked := float64(s.limits.TPM) / 60 / 10 // what refills in a tenth of a second
				r.groups[g].group.within = (2*largest + untilAsked) / started
			}
			for _, cells := range r.rows() {
				t.Log(cells)
			}
			missed := r.missed()
			if len(missed) > 0 {
				again = append(again, all[i])
			}
			for _, m := range missed {
				if try < 2 {
					t.Log(m)
				} else {
					t.Error(m)
				}
			}
		}
		if all = again; len(all) == 0 {
			return
		}
	}
}

// playRealShares plays sharings in real time, side by side: none of them keeps a machine busy.
func playRealShares(t *testing.T, all []sharing) []*sharingResult {
	results := make([]*sharingResult, len(all))
	t.Run("in real time", func(t *testing.T) {
		for i := range all {
			t.Run(all[i].name, func(t *testing.T) {
				t.Parallel()
				r, err := all[i].runReal()
				if err != nil {
					t.Error(err)
				}
				results[i] = r
			})
		}
	})
	return results
}
