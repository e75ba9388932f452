package backendtest

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// keep: a note is found by account and scope, and the latest counts.
func (s *suite) keep() {
	k, ok := s.Backend.(backend.Keeper)
	if !ok {
		s.Skip("only where the backend outlives the process")
	}
	recallsAll := func(account string, scopes []string, wants ...string) {
		s.Helper()
		notes, err := k.Recall(s.Context(), account, scopes)
		if err != nil || len(notes) != len(scopes) {
			s.Errorf("%d notes about %q, %v", len(notes), scopes, err)
			return
		}
		for i, want := range wants {
			if got := notes[i].Data; string(got) != want || (got == nil) != (want == "") {
				s.Errorf("the note about %s is %q; want %q", scopes[i], got, want)
			}
			if left := notes[i].Left; want != "" && (left > time.Hour || left < time.Hour-time.Minute) {
				s.Errorf("the note about %s will be kept for %v; want an hour", scopes[i], left)
			}
		}
	}
	recalls := func(account, scope, want string) {
		s.Helper()
		recallsAll(account, []string{scope}, want)
	}
	keeps := func(scope, note string) {
		s.Helper()
		if err := k.Keep(s.Context(), s.account, scope, []byte(note), time.Hour); err != nil {
			s.Error(err)
		}
	}
	recalls(s.account, "m", "")
	keeps("m", "one")
	keeps("n", "\x00\xff\r\n")
	recalls(s.account, "m", "one")
	recalls(s.account, "n", "\x00\xff\r\n")
	recallsAll(s.account, []string{"n", "none", "m", "n"}, "\x00\xff\r\n", "", "one", "\x00\xff\r\n")
	recallsAll(s.account, nil)
	recalls(s.account+"'", "m", "")
	keeps("m", "two")
	recalls(s.account, "m", "two")
}
