package quota

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
	"github.com/openai-ratelimiter/ratelimiter/internal/digest"
)

// What a process learns about a scope it shares with the others, as a note in a backend
// that keeps it: those that come later start with it, and all leave the same margins,
// without which their turns would not be worth the same.

const (
	noteVersion = 3
	// NoteLife is for how long a note is kept after it was last written.
	NoteLife = 7 * 24 * time.Hour
	// noteFresh is how old a note may be and still speak for the state of the
	// backend's buckets.
	noteFresh = 10 * time.Minute
)

// A note's times are by the clock of the process that wrote it, which need not be right.
type note struct {
	Version int         `json:"v"`
	At      time.Time   `json:"at"` // when it was written
	Limits  []noteLimit `json:"limits"`
}

type noteLimit struct {
	Owner     string               `json:"owner"` // a digest: names are not stored
	Name      string               `json:"name"`
	Amount    int64                `json:"amount,omitempty"`
	Source    string               `json:"source,omitempty"`
	Reported  time.Time            `json:"reported"`
	Sent      time.Time            `json:"sent"` // when the request of that response was
	Subwindow time.Duration        `json:"subwindow,omitempty"`
	Tracker   calibration.Findings `json:"tracker"`
	Ramp      calibration.Ramp     `json:"ramp,omitzero"`
	Transit   time.Duration        `json:"transit,omitempty"`
	Assumed   int64                `json:"assumed,omitempty"` // the largest that a process has configured
	Claimed   time.Time            `json:"claimed,omitzero"`  // when such a process last said so
}

// Note is what there is to share.
func (s *Set) Note(now time.Time) ([]byte, error) {
	n := note{Version: noteVersion, At: now}
	for _, l := range s.limits {
		nl := noteLimit{
			Owner: digest.Of(l.Owner), Name: l.Name, Amount: l.learned.Amount, Source: l.source, Reported: l.reportAt, Sent: l.agreedSentAt,
			Tracker: l.tracker.Findings(), Ramp: l.ramp, Transit: l.transit,
		}
		nl.Assumed, nl.Claimed = l.claim(now)
		if l.whole != nil {
			nl.Name, nl.Subwindow = l.whole.Name, l.burst
		}
		n.Limits = append(n.Limits, nl)
	}
	return json.Marshal(n)
}

// parseNote reads a note, or says what is wrong with it.
func parseNote(data []byte) (*note, error) {
	var n note
	if err := json.Unmarshal(data, &n); err != nil {
		return nil, err
	}
	if n.Version != noteVersion {
		return nil, fmt.Errorf("version %d", n.Version)
	}
	if n.At.IsZero() {
		return nil, errors.New("no time")
	}
	for i := range n.Limits {
		if err := n.Limits[i].check(); err != nil {
			return nil, fmt.Errorf("limit %d: %w", i, err)
		}
	}
	return &n, nil
}

func (n *noteLimit) check() error {
	_, known := kindNamed(n.Name)
	finite := func(f, least, most float64) bool { return !math.IsNaN(f) && least <= f && f <= most }
	switch {
	case n.Owner == "":
		return errors.New("no owner")
	case !known:
		return fmt.Errorf("unknown name %q", n.Name)
	case n.Amount < 0 || n.Amount > Largest:
		return fmt.Errorf("amount %d", n.Amount)
	case n.Amount > 0 && n.Reported.IsZero():
		return errors.New("an amount that was never reported")
	case n.Subwindow != 0 && n.Subwindow != shortSubwindow && n.Subwindow != longSubwindow:
		return fmt.Errorf("subwindow %v", n.Subwindow)
	case n.Subwindow != 0 && n.Amount != 0:
		return errors.New("a subwindow with an amount")
	case n.Subwindow != 0 && n.Reported.IsZero():
		return errors.New("a subwindow that was never reported")
	case !finite(n.Tracker.Margin, 0, 1):
		return fmt.Errorf("margin %v", n.Tracker.Margin)
	case n.Tracker.Ratio != 0 && !finite(n.Tracker.Ratio, 0.01, 100):
		return fmt.Errorf("ratio %v", n.Tracker.Ratio)
	case n.Tracker.Reports < 0:
		return fmt.Errorf("%d reports", n.Tracker.Reports)
	case n.Ramp.From != 0 && !finite(n.Ramp.From, slowPart, Largest): // no limit is below 1
		return fmt.Errorf("ramp %v", n.Ramp.From)
	case n.Transit < 0 || n.Transit > mostTransit:
		return fmt.Errorf("transit %v", n.Transit)
	case n.Assumed < 0 || n.Assumed > Largest:
		return fmt.Errorf("assumed %d", n.Assumed)
	}
	return nil
}

// shift turns the times into those of our clock.
func (n *noteLimit) shift(now time.Time, by time.Duration) {
	for _, t := range []*time.Time{&n.Reported, &n.Sent, &n.Tracker.At, &n.Tracker.Found, &n.Tracker.Charged, &n.Ramp.Begun, &n.Claimed} {
		if !t.IsZero() {
			*t = t.Add(by)
		}
		if t.After(now) {
			*t = now
		}
	}
}

// newer reports whether others' report of the amount is newer than ours. That goes by when the
// requests were sent, since a late response may report an older limit. Of two that were sent
// together, the lower amount counts.
func (n *noteLimit) newer(l *Limit) bool {
	sent := n.Sent
	switch {
	case n.Amount < l.learned.Amount:
		sent = sent.Add(calibration.Overtaking)
	case l.learned.Amount > 0:
		sent = sent.Add(-calibration.Overtaking)
	}
	return sent.After(l.agreedSentAt)
}

// TakeNote takes in what others knew so long ago. The newer report counts, and the larger
// margin. It reports whether a limit is higher now. It fails, and changes nothing, where the note
// is not one that Note has written.
func (s *Set) TakeNote(now time.Time, data []byte, age time.Duration) (raised bool, err error) {
	n, err := parseNote(data)
	if err != nil {
		return false, fmt.Errorf("quota: the note is not valid: %w", err)
	}
	fresh := age < noteFresh
	for _, nl := range n.Limits {
		nl.shift(now, now.Add(-age).Sub(n.At))
		l := s.named(nl.Owner, nl.Name)
		if l == nil {
			if l = s.adopt(&nl); l == nil {
				continue
			}
		}
		if nl.Subwindow > 0 {
			if now.Sub(nl.Reported) < subwindowLife {
				dirty, urgent := s.dirty, s.urgent
				s.subwindow(nl.Reported, l, nl.Subwindow)
				s.dirty, s.urgent = dirty, urgent // they know
			}
			continue
		}
		before := l.Amount()
		if nl.Amount > 0 && l.learned.Amount != nl.Amount && nl.newer(l) {
			l.adopt(&nl)
		}
		if l.follow(now, claim{nl.Assumed, nl.Claimed}) {
			s.dirty = true
		}
		raised = raised || l.Amount() > before
		l.tracker.Adopt(now, nl.Tracker, fresh)
		if nl.Ramp.From > 0 { // a ramp begins no lower
			nl.Ramp.From = max(nl.Ramp.From, slowPart*float64(l.Amount()))
		}
		l.ramp.Adopt(nl.Ramp)
		l.written(nl.Transit)
	}
	if fresh && len(n.Limits) > 0 {
		s.start.Skip()
	}
	return raised, nil
}

// adopt adds a limit to the scope that the server has reported only to others.
func (s *Set) adopt(n *noteLimit) *Limit {
	kind, ok := kindNamed(n.Name)
	if !ok || n.Owner != digest.Of(s.owner) || n.Amount <= 0 {
		return nil
	}
	l := newLimit(s.owner, kind)
	l.adopt(n)
	s.add(l)
	return l
}

// named returns the limit with this owner and name.
func (s *Set) named(owner, name string) *Limit {
	for _, l := range s.limits {
		if l.Name == name && digest.Of(l.Owner) == owner {
			return l
		}
	}
	return nil
}
