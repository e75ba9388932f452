package engine

import (
	"context"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// proof is how old a snapshot of the buckets may be for a call to be rejected by it: another
// process may have cleared them meanwhile, or lifted a pause.
const proof = time.Second

// outdatedLocked reports whether a rejection rests on a snapshot that is no proof any more.
func (s *scope) outdatedLocked(now time.Time, err error) bool {
	r, ok := err.(*Rejection)
	return ok && (r.Reason == Deadline || r.Reason == MaxWait) && now.Sub(s.last.at) > proof
}

// refresh takes a snapshot of the buckets, and lets those who wait for it go on. Where the
// backend does not answer, the last one stays.
func (s *scope) refresh() {
	e := s.account.engine
	look := s.lookNow()
	answer, err := e.config.Backend.Look(context.Background(), look.Ask)
	s.refreshed(&look, &answer, err)
}

func (s *scope) lookNow() ask {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	limits := s.quota.Limits()
	now := time.Now()
	return s.drawLocked(now, limits, quota.Unpaced(now, limits))
}

func (s *scope) refreshed(look *ask, answer *backend.Answer, err error) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	if err == nil {
		s.keepLocked(time.Now(), look, answer)
	}
	close(s.looking)
	s.looking = nil
}
