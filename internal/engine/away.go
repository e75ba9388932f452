package engine

import (
	"errors"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// patience is how long asks may fail before those who wait are rejected, if the backend
// says that it may answer in a moment: what is overloaded, fails over or starts again
// makes calls slower, and refuses none.
const patience = 5 * time.Second

// The pauses between asks that fail grow from the first to the last. The first ask of all
// is sent again without one: only its reply may have been lost.
const firstPause, lastPause = 100 * time.Millisecond, 500 * time.Millisecond

// persist asks for a turn's calls, again and again as long as there is hope and somebody
// waits. The number stays the same: what was charged although its reply was lost, or came
// late, is answered and not charged twice.
func (s *scope) persist(t *turn, kick <-chan struct{}) (backend.Answer, error) {
	e := s.account.engine
	answer, err := e.take(&t.ask.Ask)
	if t.first && failed(err) {
		answer, err = e.take(&t.ask.Ask)
	}
	for pause := firstPause; failed(err) && hopeful(err, t.since, time.Now().Add(pause)); pause = min(2*pause, lastPause) {
		if t.vain = !s.rest(pause, kick); t.vain {
			break
		}
		answer, err = e.take(&t.ask.Ask)
	}
	return answer, err
}

// rest waits, and reports whether anybody still waits for the answer.
func (s *scope) rest(pause time.Duration, kick <-chan struct{}) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-kick:
			if s.waiting() == 0 {
				return false
			}
		}
	}
}

func (s *scope) waiting() int {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	return s.queue.len()
}

// failed reports whether the backend has not answered.
func failed(err error) bool { return err != nil && !errors.Is(err, backend.ErrTooLarge) }

// hopeful reports whether the error, after asks began to fail at that time, is none yet to
// reject those for who wait.
func hopeful(err error, since, now time.Time) bool {
	return errors.Is(err, backend.ErrUnavailable) && now.Sub(since) < patience
}

// failingLocked is since when asks fail, should one fail that begins now.
func (s *scope) failingLocked(now time.Time) time.Time {
	if s.away != nil {
		return s.awaySince
	}
	return now
}

// failedLocked notes whether the backend has answered, and reports whether it has not. The
// asks fail since then.
func (s *scope) failedLocked(err error, since time.Time) bool {
	if !failed(err) {
		s.away = nil
		return false
	}
	s.away, s.awaySince = err, since
	return true
}

// rejectAllLocked rejects all who wait, for asks have failed too often: they would not
// fare better one by one, and each of them takes long. Nor is there hope for those who
// come later, until one of them is answered.
func (s *scope) rejectAllLocked(cause error) {
	s.awaySince = time.Time{}
	s.rejectEachLocked(func(c *charge) *Rejection { return backendFailed(c, cause) })
}

// rejectEachLocked rejects all who wait.
func (s *scope) rejectEachLocked(rejection func(*charge) *Rejection) {
	for w := s.queue.head(); w != nil; w = s.queue.head() {
		s.rejectLocked(w, rejection(&w.charge))
	}
}

// rejectWaiting rejects all who wait, for the engine is shut down.
func (a *account) rejectWaiting() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.scopes {
		s.rejectEachLocked(shutDown)
		s.wakeLocked()
	}
}

func shutDown(c *charge) *Rejection { return &Rejection{Reason: Shutdown, Cost: c.cost} }
