package engine

import (
	"errors"
	"math/rand/v2"
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

// A backend that takes longer to answer than usual may be overloaded, since too many ask. It
// recovers only if each asks the less often the longer it takes: it works off what it was asked,
// whether or not anybody still waits for the answer.
const (
	usual      = 150 * time.Millisecond
	mostStrain = 4 * time.Second
	mostRest   = 2 * time.Second // where it does not answer at all
)

// A strained driver is one whose asks have been slow: it leaves the backend alone for a while.
type strained struct {
	last time.Duration // how long the last ask took
	rest time.Duration
}

// asked takes in how long an ask took. One slow answer alone says nothing. What is left wears off
// slowly, or all would come back together.
func (s *strained) asked(took time.Duration) {
	s.rest = min(max(s.rest*3/4, 12*(min(took, s.last)-usual)), mostStrain)
	if s.rest < usual/3 {
		s.rest = 0
	}
	s.last = took
}

// varied is a quarter more or less, lest all wait for as long.
func varied(d time.Duration) time.Duration { return d*3/4 + rand.N(d/2+1) }

// persist asks for a turn's calls, again and again as long as there is hope and somebody
// waits. The number stays the same: what was charged although its reply was lost, or came
// late, is answered and not charged twice.
func (s *scope) persist(t *turn, kick <-chan struct{}) (backend.Answer, error) {
	e := s.account.engine
	take := func() (answer backend.Answer, err error) {
		answer, t.took, err = e.timedTake(&t.ask.Ask)
		t.strained.asked(t.took)
		return answer, err
	}
	answer, err := take()
	if t.first && failed(err) && t.took <= usual {
		answer, err = take()
	}
	for pause := firstPause; failed(err) && s.hopes(err, t.since, time.Now().Add(pause)); pause = min(2*pause, lastPause) {
		if t.vain = !s.rest(max(pause, varied(min(t.strained.rest, mostRest))), kick); t.vain {
			break
		}
		if s.asksForAll() {
			answer, err = take()
		}
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

// hopes is hopeful for asks of the scope. An answer to another of the account's, meanwhile, is
// hope for all of them.
func (s *scope) hopes(err error, since, now time.Time) bool {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	return s.hopesLocked(err, since, now)
}

func (s *scope) hopesLocked(err error, since, now time.Time) bool {
	if heard := s.account.heard; heard.After(since) {
		since = heard
	}
	return hopeful(err, since, now)
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
func (s *scope) failedLocked(now time.Time, err error, since time.Time, took time.Duration) bool {
	a := s.account
	if !failed(err) {
		s.away, a.heard, a.rest = nil, now, 0
		return false
	}
	s.away, s.awaySince = err, since
	if took <= usual {
		a.rest = 0
		return true
	}
	a.rest = min(max(2*a.rest, took), mostRest)
	a.restsUntil = now.Add(a.rest)
	return true
}

// asksForAll reports whether the scope may ask again. While a backend is slow to fail, one ask
// of the account speaks for all, and then the backend is left alone for a moment.
func (s *scope) asksForAll() bool {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	a, now := s.account, time.Now()
	if a.rest > 0 && now.Before(a.restsUntil) {
		return false
	}
	a.restsUntil = now.Add(mostRest) // unless it is answered, or fails, before
	return true
}

// hopelessLocked reports whether a call need not ask: all who waited have been rejected, and
// another model's call is about to find whether anything has changed.
func (s *scope) hopelessLocked() bool {
	a := s.account
	return s.away != nil && s.awaySince.IsZero() && a.rest > 0 && a.asking > 0 && s.asking == 0 && s.queue.len() == 0
}

// rejectAllLocked rejects all who wait, for asks have failed too often: they would not
// fare better one by one, and each of them takes long. Nor is there hope for those who
// come later, until one of them is answered.
func (s *scope) rejectAllLocked(cause error) {
	s.awaySince, s.account.heard = time.Time{}, time.Time{}
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
