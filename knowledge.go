package ratelimiter

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
)

// What a process learns about a scope it shares with the others, through a
// backend that keeps it: those that come later start with it, and all leave the
// same margins, without which their turns would not be worth the same.

const (
	knowledgeVersion = 2
	// knowledgeLife is for how long what was learned is kept after it was last
	// confirmed.
	knowledgeLife = 7 * 24 * time.Hour
	// knowledgeFresh is how old it may be and still speak for the state of the
	// backend's buckets.
	knowledgeFresh = 10 * time.Minute
	// Others are told of something new at once, and else now and then; what they
	// have learned is asked for while there are answers.
	keepEvery, keepAtMost = time.Minute, time.Second
	recallEvery           = 5 * time.Second
)

// knowledge is what was learned about a scope. Its times are by the clock of the
// process that wrote it, which need not be right.
type knowledge struct {
	Version int             `json:"v"`
	At      time.Time       `json:"at"` // when it was written
	Limits  []knownOfALimit `json:"limits"`
}

type knownOfALimit struct {
	Owner  string               `json:"owner"` // a digest: names are not stored
	Name   string               `json:"name"`
	Amount int64                `json:"amount,omitempty"`
	Source string               `json:"source,omitempty"`
	Told   time.Time            `json:"told"`
	Slice  time.Duration        `json:"slice,omitempty"`
	Gauge  calibration.Findings `json:"gauge"`
	Ramp   calibration.Ramp     `json:"ramp,omitzero"`
	Way    time.Duration        `json:"way,omitempty"`
}

// shift turns the times into those of our clock.
func (k *knownOfALimit) shift(now time.Time, by time.Duration) {
	for _, t := range []*time.Time{&k.Told, &k.Gauge.At, &k.Gauge.Found, &k.Ramp.Begun} {
		if !t.IsZero() {
			*t = t.Add(by)
		}
		if t.After(now) {
			*t = now
		}
	}
}

// exchange is when a scope last gave and took.
type exchange struct {
	recalled, kept time.Time
	busy           bool
	news           bool // that the others should have soon
}

// keeper returns the backend if it keeps knowledge, else nil.
func (l *Limiter) keeper() backend.Keeper {
	if s, ok := l.config.backend.(*standIn); ok {
		if _, ok := s.primary.(backend.Keeper); !ok {
			return nil
		}
		return s
	}
	k, _ := l.config.backend.(backend.Keeper)
	return k
}

// meet returns the model's scope. One that this process has just met knows what
// the others do: the backend is asked for it once. It leaves a.mu held, and fails
// only if ctx ends meanwhile.
func (a *account) meet(ctx context.Context, model string) (*scope, error) {
	a.mu.Lock()
	s := a.scope(model)
	k := a.limiter.keeper()
	if k == nil || s.met {
		return s, nil
	}
	meeting := s.meeting
	if meeting == nil {
		s.meeting = make(chan struct{})
	}
	a.mu.Unlock()
	if meeting == nil {
		s.recall(k)
		a.mu.Lock()
		s.met = true
		close(s.meeting)
		return s, nil
	}
	select {
	case <-meeting:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return a.meet(ctx, model) // it may have been forgotten meanwhile
}

// recall takes in what the others know. Where the backend does not answer,
// nothing is known.
func (s *scope) recall(k backend.Keeper) {
	data, left, err := k.Recall(context.Background(), s.account.name, s.owner)
	var known knowledge
	if err != nil || data == nil || json.Unmarshal(data, &known) != nil || known.Version != knowledgeVersion {
		return
	}
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.learnFrom(time.Now(), known, knowledgeLife-left)
}

// share exchanges what is known, if it is time to. s.account.mu must be held.
func (s *scope) share(now time.Time) {
	k := s.account.limiter.keeper()
	x := &s.exchange
	keep := x.news && now.Sub(x.kept) > keepAtMost || now.Sub(x.kept) > keepEvery
	if k == nil || x.busy || !keep && now.Sub(x.recalled) < recallEvery {
		return
	}
	x.busy, x.recalled = true, now
	if keep {
		x.kept, x.news = now, false
	}
	s.account.limiter.work.start(func() {
		s.recall(k) // others may have learned something that must not be overwritten
		s.account.mu.Lock()
		data, err := json.Marshal(s.knowledge(now))
		x.busy = false
		s.account.mu.Unlock()
		if keep && err == nil {
			_ = k.Keep(context.Background(), s.account.name, s.owner, data, knowledgeLife)
		}
	})
}

// knowledge is what there is to tell. s.account.mu must be held.
func (s *scope) knowledge(now time.Time) knowledge {
	k := knowledge{Version: knowledgeVersion, At: now}
	for _, l := range s.limits {
		known := knownOfALimit{
			Owner: digest(l.owner), Name: l.name, Amount: l.learned.Amount, Source: l.header, Told: l.learnedAt,
			Gauge: l.gauge.Findings(), Ramp: l.ramp, Way: l.way,
		}
		if l.whole != nil {
			known.Name, known.Slice = l.whole.name, l.burst
		}
		k.Limits = append(k.Limits, known)
	}
	return k
}

// learnFrom takes in what others knew so long ago. What is newer counts, and the
// larger margin. s.account.mu must be held.
func (s *scope) learnFrom(now time.Time, k knowledge, age time.Duration) {
	fresh := age < knowledgeFresh
	for _, known := range k.Limits {
		known.shift(now, now.Add(-age).Sub(k.At))
		l := s.named(known.Owner, known.Name)
		if l == nil {
			if l = s.adopt(known); l == nil {
				continue
			}
		}
		if known.Slice > 0 {
			if now.Sub(known.Told) < sliceBelief {
				s.slice(known.Told, l, known.Slice)
			}
			continue
		}
		if known.Amount > 0 && known.Amount <= largest && known.Told.After(l.learnedAt) && l.learned.Amount != known.Amount {
			l.believe(known.Amount, known.Source, known.Told)
		}
		l.gauge.Adopt(now, known.Gauge, fresh)
		l.ramp.Adopt(known.Ramp)
		l.reached(known.Way)
	}
	if fresh && len(k.Limits) > 0 {
		s.opening.Skip()
	}
}

// adopt makes a limit of the scope that only others have heard of.
func (s *scope) adopt(known knownOfALimit) *limit {
	at := slices.IndexFunc(windows[:], func(w window) bool { return w.name == known.Name })
	if at < 0 || known.Owner != digest(s.owner) || known.Amount <= 0 || known.Amount > largest {
		return nil
	}
	l := newLimit(s.owner, windows[at])
	s.limits = append(s.limits, l)
	return l
}

// named returns the limit with this owner and name.
func (s *scope) named(owner, name string) *limit {
	for _, l := range s.limits {
		if l.name == name && digest(l.owner) == owner {
			return l
		}
	}
	return nil
}
