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
	recalls := func(account, scope, want string) {
		s.Helper()
		got, left, err := k.Recall(s.Context(), account, scope)
		if err != nil || string(got) != want || (got == nil) != (want == "") {
			s.Errorf("the note about %s is %q, %v; want %q", scope, got, err, want)
		}
		if want != "" && (left > time.Hour || left < time.Hour-time.Minute) {
			s.Errorf("the note about %s will be kept for %v; want an hour", scope, left)
		}
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
	recalls(s.account+"'", "m", "")
	keeps("m", "two")
	recalls(s.account, "m", "two")
}
