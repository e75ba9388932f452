package engine

import (
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A company is the scopes of an account that stand far behind in the same line, and that the line
// alone holds back. One of them, the speaker, asks often, and its asks keep the tickets of all in
// the line. So the others need not ask until their turns are near. The speaker stands behind the
// same calls, so it finds out if turns come sooner than was expected. What the others are told of
// their own turns varies: to believe each of them would have all ask all the time.
type company struct {
	line    string
	members []*scope
	speaker *scope
	sooner  time.Duration // by how much turns come sooner than the first answer said
}

// A membership is how long a scope expects to wait.
type membership struct {
	company *company  // or nil
	first   *waiter   // of its calls
	starts  time.Time // as the first answer to its speaker would have said
	next    time.Time // when it asks again; zero while it is about to
}

const (
	// speakEach is how often the speaker asks at least. The backend lets a ticket wait for a
	// second.
	speakEach = 400 * time.Millisecond
	// farthest is for how long a scope that others speak for need not ask at most: who is not
	// heard of for ten seconds loses its place.
	farthest = 8 * time.Second
	// mostMembers is for how many a speaker can speak, itself included.
	mostMembers = backend.MaxCompanions + 1
)

// companionsLocked returns the tickets for which the scope's next ask speaks.
func (s *scope) companionsLocked() (tickets []string) {
	c := s.driver.company
	if c == nil || c.speaker != s {
		return nil
	}
	for _, m := range c.members {
		if m != s {
			tickets = append(tickets, m.ticket)
		}
	}
	return tickets
}

// waitsLocked takes in how long the scope's ticket has to wait, and returns when it asks next:
// when the hint says, or later if others speak for it.
func (s *scope) waitsLocked(now time.Time, t *turn, answer *backend.Answer) time.Duration {
	m, hint := &s.driver.membership, answer.Hint
	first := t.batch[min(answer.Granted, len(t.batch)-1)]
	starts := now.Add(answer.Wait)
	if c := m.company; c != nil && c.speaker == s && m.first == first {
		c.sooner = m.starts.Sub(starts)
		c.hurryLocked()
	}
	long := min(answer.Wait-far/2, farthest) // what it was told is right to within half a second
	if long < far || !s.farLocked(&t.ask, answer) || !s.joinCompanyLocked() {
		s.leaveCompanyLocked()
		return hint
	}
	c := m.company
	switch {
	case c.speaker != s:
		hint = long
	case len(c.members) > 1:
		hint = min(hint, speakEach)
		t.voices = len(c.members)
	}
	m.first, m.starts, m.next = first, starts.Add(c.sooner), now.Add(hint)
	return hint
}

// farLocked reports whether a ticket is held back by those before it in the line, and by nothing
// that concerns only its scope: of its own buckets at least half is free.
func (s *scope) farLocked(a *ask, answer *backend.Answer) bool {
	if answer.Changed != nil || answer.Paused > 0 || answer.Levels == nil {
		return false
	}
	for i := range a.Buckets {
		if b := &a.Buckets[i]; b.Owner != s.line && answer.Levels[i] < b.Capacity()/2 {
			return false
		}
	}
	return true
}

// joinCompanyLocked makes the scope one of the company of its line, and reports whether it is.
func (s *scope) joinCompanyLocked() bool {
	m := &s.driver.membership
	if m.company != nil {
		return true
	}
	c := s.account.companies[s.line]
	if c == nil {
		c = &company{line: s.line, speaker: s}
		s.account.companies[s.line] = c
	}
	if len(c.members) >= mostMembers {
		return false
	}
	c.members = append(c.members, s)
	m.company = c
	return true
}

// leaveCompanyLocked is for a scope that asks for itself again, or does not wait any more. If it
// was the speaker, the one whose turn is farthest is the next, and asks at once.
func (s *scope) leaveCompanyLocked() {
	c := s.driver.company
	if c == nil {
		return
	}
	s.driver.membership = membership{}
	at := slices.Index(c.members, s)
	c.members = slices.Delete(c.members, at, at+1)
	if c.speaker != s {
		return
	}
	if len(c.members) == 0 {
		delete(s.account.companies, c.line)
		return
	}
	c.speaker = slices.MaxFunc(c.members, func(a, b *scope) int { return a.driver.starts.Compare(b.driver.starts) })
	c.speaker.wakeLocked()
}

// hurryLocked has those members ask soon whose turns may come before they ask.
func (c *company) hurryLocked() {
	for _, s := range c.members {
		if m := s.driver.membership; m.starts.Add(-c.sooner).Before(m.next) {
			s.wakeSoonLocked()
		}
	}
}
