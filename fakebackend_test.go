package ratelimiter_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// A store is a budget elsewhere: a memory that has to be asked, and that a test can
// make fail. Unlike memory it is not Local. All that is set is set before its first
// use, but for down.
type store struct {
	backend.Backend
	// down makes it answer nothing. Asks then fail after timeout.
	down    atomic.Bool
	timeout time.Duration
	// mute makes it tell nobody of changes: who waits must look again, after a tenth
	// of a second at most.
	mute bool
	// before is called with each ask before it is answered, and after with its answer.
	// Both may take their time; an error is what the limiter gets in place of the
	// answer, which before has not yet been found, and after has been lost.
	before func(backend.Ask) error
	after  func(backend.Ask, backend.Answer) error

	takes atomic.Int64 // asks that have come
	lost  atomic.Int64 // of them, those that failed because it was down

	mu      sync.Mutex
	numbers map[ticket]int
}

// A ticket is an ask's place in line and its number there.
type ticket struct {
	account, name string
	number        uint64
}

func newStore() *store { return &store{Backend: memory.New(), numbers: map[ticket]int{}} }

// errAway is what a store that is down answers.
var errAway = errors.New("away")

func (s *store) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	s.takes.Add(1)
	s.mu.Lock()
	s.numbers[ticket{ask.Account, ask.Ticket, ask.Number}]++
	s.mu.Unlock()
	if s.down.Load() {
		time.Sleep(s.timeout)
		s.lost.Add(1)
		return backend.Answer{}, errAway
	}
	if s.before != nil {
		if err := s.before(ask); err != nil {
			return backend.Answer{}, err
		}
	}
	answer, err := s.Backend.Take(ctx, ask)
	if s.mute {
		answer.Hint, answer.Changed = min(answer.Hint, 100*time.Millisecond), nil
	}
	if s.after != nil {
		if lost := s.after(ask, answer); lost != nil {
			return backend.Answer{}, lost
		}
	}
	return answer, err
}

func (s *store) Settle(ctx context.Context, settlement backend.Settlement) error {
	if s.down.Load() {
		return errAway
	}
	return s.Backend.Settle(ctx, settlement)
}

func (s *store) Look(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	if s.down.Load() {
		return backend.Answer{}, errAway
	}
	return s.Backend.Look(ctx, ask)
}

// asked is how often each number of a ticket came.
func (s *store) asked() map[ticket]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.numbers
}

// wants reports whether an ask is for exactly so many tokens first.
func wants(ask backend.Ask, tokens int64) bool {
	return len(ask.Costs) > 0 && ask.Costs[0][backend.Tokens] == tokens
}

// A keeper is a memory that also keeps notes, as Redis does.
type keeper struct {
	memory.Backend
	mu    sync.Mutex
	notes map[string]keptNote
}

type keptNote struct {
	note  []byte
	until time.Time
}

func newKeeper() *keeper { return &keeper{notes: map[string]keptNote{}} }

func (k *keeper) Keep(_ context.Context, account, scope string, note []byte, ttl time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.notes[account+scope] = keptNote{note, time.Now().Add(ttl)}
	return nil
}

func (k *keeper) Recall(_ context.Context, account string, scopes []string) (notes []backend.Note, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, scope := range scopes {
		n := k.notes[account+scope]
		notes = append(notes, backend.Note{Data: n.note, Left: time.Until(n.until)})
	}
	return notes, nil
}

var _ backend.Keeper = (*keeper)(nil)
