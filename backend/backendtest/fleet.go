package backendtest

import (
	"slices"
	"strings"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// fleet: what a process has said of itself last is shown until it has said nothing for as
// long as that holds.
func (s *suite) fleet() {
	f, ok := s.Backend.(backend.Fleet)
	if !ok {
		s.Skip("only where processes are shown")
	}
	says := func(process, data string, ttl time.Duration) {
		s.Helper()
		if err := f.Report(s.Context(), s.account, process, []byte(data), ttl); err != nil {
			s.Fatal(err)
		}
	}
	shows := func(account string, oldest time.Duration, want ...string) {
		s.Helper()
		reports, err := f.Reports(s.Context(), account)
		if err != nil {
			s.Fatal(err)
		}
		var got []string
		for _, r := range reports {
			got = append(got, string(r.Data))
			if r.Age < 0 || r.Age > oldest+5*time.Second {
				s.Errorf("%q was said %v ago", r.Data, r.Age)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			s.Errorf("reports are %q; want %q", got, want)
		}
	}
	long := "z" + strings.Repeat("\x00\xff\r\n", 5000)
	shows(s.account, 0)
	says("a", "a1", time.Minute)
	says("b", "b1", 20*time.Second)
	says("c", long, time.Minute)
	shows(s.account, 0, "a1", "b1", long)
	shows(s.account+"'", 0)
	says("a", "a2", time.Minute)
	s.advance(12 * time.Second)
	says("c", "", time.Minute)
	shows(s.account, 12*time.Second, "a2", "b1")
	if reports, _ := f.Reports(s.Context(), s.account); len(reports) != 2 || reports[0].Age < 12*time.Second {
		s.Errorf("reports %+v; want two, of 12s ago", reports)
	}
	s.advance(10 * time.Second) // b has said nothing for 22 s
	shows(s.account, 22*time.Second, "a2")
	says("b", "b2", 20*time.Second)
	shows(s.account, 22*time.Second, "a2", "b2")
	for i := range 40 { // who die are forgotten by those who live
		says("dead"+strings.Repeat("x", i), "dead", 10*time.Second)
	}
	s.advance(11 * time.Second)
	for range 5 {
		says("b", "b3", 20*time.Second)
	}
	shows(s.account, 33*time.Second, "a2", "b3")
}
