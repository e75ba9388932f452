package engine

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// patience is how long asks may fail before waiting calls are rejected, if the backend says that
// it may answer in a moment. A store that is overloaded, fails over or restarts then makes calls
// slower, and rejects none.
const patience = 5 * time.Second

// The pauses between asks that fail grow from the first to the last. The first ask of all
// is sent again without one: only its reply may have been lost.
const firstPause, lastPause = 100 * time.Millisecond, 500 * time.Millisecond

// A backend that takes longer to answer than usual may be overloaded by too many asks. It works
// off every ask, whether or not anybody still waits for the answer. So it recovers only if each
// process asks the less often, the longer an answer takes.
const (
	usual      = 150 * time.Millisecond
	mostStrain = 4 * time.Second
	mostRest   = 2 * time.Second // where it does not answer at all
)

// A strained driver is one whose asks have been slow: it leaves the backend alone for a while.
type strained struct {
	at   time.Time     // when it was last answered
	last time.Duration // how long that took
	rest time.Duration
}

// asked takes in how long an ask took. One slow answer alone changes nothing. The rest shrinks
// by a quarter of the time that passes, so that not all processes come back together.
func (s *strained) asked(now time.Time, took time.Duration) {
	s.rest = min(max(s.rest-now.Sub(s.at)/4, 12*(min(took, s.last)-usual)), mostStrain)
	if s.rest < usual/3 {
		s.rest = 0
	}
	s.at, s.last = now, took
}

// varied is d, a quarter more or less, so that not all processes wait for as long.
func varied(d time.Duration) time.Duration { return d*3/4 + rand.N(d/2+1) }

// persist asks for a turn's calls until there is an answer, as long as there is hope and
// somebody waits. Each try has the same number. So if only a reply was lost or late, the backend
// repeats it and charges nothing twice.
func (s *scope) persist(t *turn, kick <-chan struct{}) (backend.Answer, error) {
	e := s.account.engine
	take := func() (answer backend.Answer, err error) {
		answer, t.ask.took, err = e.timedTake(&t.ask.Ask)
		t.strained.asked(time.Now(), t.ask.took)
		return answer, err
	}
	answer, err := take()
	if t.first && failed(err) && t.ask.took <= usual {
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

// hopeful reports whether an error is no reason yet to reject waiting calls: the backend may
// answer in a moment, and has failed for less than patience.
func hopeful(err error, since, now time.Time) bool {
	return errors.Is(err, backend.ErrUnavailable) && now.Sub(since) < patience
}

// hopes is hopeful for asks of the scope. An answer to any other ask of the account since then
// counts for all of its scopes.
func (s *scope) hopes(err error, since, now time.Time) bool {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	return s.hopesLocked(err, since, now)
}

func (s *scope) hopesLocked(err error, since, now time.Time) bool {
	if answered := s.account.answered; answered.After(since) {
		since = answered
	}
	return hopeful(err, since, now)
}

// failingLocked is when the asks began to fail, if one that begins now fails too.
func (s *scope) failingLocked(now time.Time) time.Time {
	if s.away != nil {
		return s.awaySince
	}
	return now
}

// failedLocked notes whether the backend has answered, and reports whether it has not. since is
// when the asks began to fail.
func (s *scope) failedLocked(now time.Time, err error, since time.Time, took time.Duration) bool {
	a := s.account
	if !failed(err) {
		s.away, a.answered, a.rest = nil, now, 0
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

// rejectAllLocked rejects all who wait: asks have failed too often, and one by one they would
// fare no better, each after a long wait. Until an ask is answered, there is no hope for calls
// that come later either.
func (s *scope) rejectAllLocked(cause error) {
	s.awaySince, s.account.answered = time.Time{}, time.Time{}
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
