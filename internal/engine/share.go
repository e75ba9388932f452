package engine

import (
	"context"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// syncing is when a scope last gave what it has learned to the other processes, and took
// what they have, through a backend that keeps notes.
type syncing struct {
	loaded, saved time.Time
	hurry         time.Time // until when to load often
	busy          bool
	due           bool // a goroutine waits until what is new may be saved
}

// Others are told of something new at once, and else now and then; what they have learned
// is loaded while there are responses.
const (
	saveEvery, saveAtMost = time.Minute, time.Second
	loadEvery             = 5 * time.Second
	// After a throttle it is loaded often, for a moment.
	hurryEvery, hurryFor = 100 * time.Millisecond, 500 * time.Millisecond
)

// load takes in what others know of a scope that this process has just entered, and lets those
// who wait for that go on.
func (s *scope) load() {
	s.loadNote()
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.loaded = true
	close(s.loading)
}

// loadNote takes in what others know. Where the backend does not answer, nothing is known.
func (s *scope) loadNote() {
	data, left, err := s.account.engine.keeper.Recall(context.Background(), s.payer(), s.quota.Owner())
	if err != nil || data == nil {
		return
	}
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	// A note that is not valid says nothing, and will be overwritten.
	_ = s.quota.TakeNote(time.Now(), data, quota.NoteLife-left)
}

// syncLocked exchanges what is known with the others, if it is time to.
func (s *scope) syncLocked(now time.Time) {
	e := s.account.engine
	since := now.Sub(s.sync.saved)
	save := s.quota.Urgent() || s.quota.Dirty() && since > saveAtMost || since > saveEvery
	every := loadEvery
	if now.Before(s.sync.hurry) {
		every = hurryEvery
	}
	if e.keeper == nil || s.sync.busy {
		return
	}
	if !save && s.quota.Dirty() {
		s.syncLaterLocked(saveAtMost - since)
	}
	if !save && now.Sub(s.sync.loaded) < every {
		return
	}
	s.sync.busy, s.sync.loaded = true, now
	if save {
		s.sync.saved = now
		s.quota.Clean()
	}
	e.tasks.start(func() {
		s.loadNote() // others may have learned something that must not be overwritten
		note, err := s.note(now, save)
		if save && err == nil {
			_ = e.keeper.Keep(context.Background(), s.payer(), s.quota.Owner(), note, quota.NoteLife)
		}
	})
}

// syncLaterLocked saves what is new after a moment, since no response may come after this
// one; at once where the engine is shut down.
func (s *scope) syncLaterLocked(d time.Duration) {
	if s.sync.due {
		return
	}
	s.sync.due = true
	e := s.account.engine
	e.tasks.start(func() {
		timer := time.NewTimer(d + time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-e.done:
		}
		s.syncDue()
	})
}

func (s *scope) syncDue() {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.sync.due = false
	if s.quota.Dirty() {
		s.sync.saved = time.Time{}
		s.syncLocked(time.Now())
	}
}

// note is what there is to share, once for each time that syncLocked has set busy. saved
// says that it will be, with what was learned since then.
func (s *scope) note(now time.Time, saved bool) ([]byte, error) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.sync.busy = false
	if saved {
		s.quota.Clean()
	} else if s.quota.Dirty() {
		s.syncLaterLocked(saveAtMost)
	}
	return s.quota.Note(now)
}
