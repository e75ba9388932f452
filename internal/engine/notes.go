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
	heard         time.Time // when the first response came
	indebted      bool      // more is used than our limits allow
	unsure        bool      // what was saved last may have been overwritten
	wants         bool      // a response has come since it was loaded
	busy          bool
	due           bool // a goroutine waits until what is new may be saved
}

// What is new is saved for the others at once, and anything else now and then. What they have
// learned is loaded while there are responses.
const (
	saveEvery, saveAtMost = time.Minute, time.Second
	loadEvery             = 5 * time.Second
	// In the beginning most is learned.
	earlyEvery, earlyFor = time.Second, time.Minute
	// After a throttle it is loaded often, for a moment.
	hurryEvery, hurryFor = 100 * time.Millisecond, 500 * time.Millisecond
)

// load takes in what others know of a scope that this process has just entered, and lets those
// who wait for that go on.
func (s *scope) load() {
	s.account.loadNotes([]*scope{s})
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.loaded, s.sync.loaded = true, time.Now()
	close(s.loading)
}

// loadNotes takes in what others know of the scopes. Where the backend does not answer,
// nothing is known.
func (a *account) loadNotes(scopes []*scope) {
	owners := make([]string, len(scopes))
	for i, s := range scopes {
		owners[i] = s.quota.Owner()
	}
	notes, err := a.engine.keeper.Recall(context.Background(), scopes[0].payer(), owners)
	if err != nil || len(notes) != len(scopes) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for i, n := range notes {
		raised, err := scopes[i].quota.TakeNote(now, n.Data, quota.NoteLife-n.Left)
		if err != nil { // there is none, or it is not valid, says nothing and will be overwritten
			scopes[i].quota.Unheard()
		}
		if raised {
			a.limitsChangedLocked()
		}
	}
}

// heardLocked is called when a response has said something.
func (s *scope) heardLocked(now time.Time) {
	if s.sync.heard.IsZero() {
		s.sync.heard = now
	}
	s.syncLocked(now)
}

// syncLocked exchanges what is known with the others, if it is time to.
func (s *scope) syncLocked(now time.Time) {
	e := s.account.engine
	since := now.Sub(s.sync.saved)
	save := s.quota.Urgent() || s.quota.Dirty() && since > saveAtMost || since > saveEvery && !s.sync.heard.IsZero()
	every := loadEvery
	if now.Sub(s.sync.heard) < earlyFor || s.sync.indebted || s.sync.unsure {
		every = earlyEvery
	}
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
		s.sync.wants = true
		return
	}
	load := s.account.loadLocked(now, s)
	s.sync.busy, s.sync.unsure = true, save && s.quota.Dirty()
	if save {
		s.sync.saved = now
		s.quota.Clean()
	}
	e.tasks.start(func() {
		s.account.loadNotes(load) // others may have learned something that must not be overwritten
		note, err := s.note(now, save)
		if save && err == nil {
			_ = e.keeper.Keep(context.Background(), s.payer(), s.quota.Owner(), note, quota.NoteLife)
		}
	})
}

// loadLocked returns the scopes to load when this one is: with it those that will want it
// soon, so that a process with many models asks once for all. From then on they are due at
// the same time.
func (a *account) loadLocked(now time.Time, first *scope) []*scope {
	load := []*scope{first}
	for _, s := range a.scopes {
		if s != first && s.sync.wants && !s.sync.busy && now.Sub(s.sync.loaded) >= loadEvery/2 && len(load) < mostNotes {
			load = append(load, s)
		}
	}
	for _, s := range load {
		s.sync.loaded, s.sync.wants = now, false
	}
	return load
}

// mostNotes is how many notes are loaded at a time.
const mostNotes = 100

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

// note is what there is to share. It is called once for each time that syncLocked has set busy.
// saved says that the note will be saved, with all that was learned until now.
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
