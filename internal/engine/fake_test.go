package engine

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAway = errors.New("away")

// A fake is a backend that takes time: budgets in memory, whose answers a test may hold
// back or lose.
type fake struct {
	memory backend.Backend

	mu      sync.Mutex
	asks    []backend.Ask
	settled []backend.Settlement
	notes   map[string][]byte

	// onTake is called before an ask is answered; an error is the answer. lose is called
	// after, so that only the reply is lost.
	onTake, lose func(n int, ask *backend.Ask) error
	onSettle     func(n int, s *backend.Settlement) error
	looks        error // what questions fail with
	onLook       func()
}

func newFake() *fake { return &fake{memory: memory.New()} }

// takes, loses and settles set the hooks while calls may be under way.
func (f *fake) takes(hook func(n int, ask *backend.Ask) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onTake = hook
}

func (f *fake) loses(hook func(n int, ask *backend.Ask) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lose = hook
}

func (f *fake) settles(hook func(n int, s *backend.Settlement) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onSettle = hook
}

// asked and settlements are what has come so far.
func (f *fake) asked() []backend.Ask {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asks)
}

func (f *fake) settlements() []backend.Settlement {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.settled)
}

func (f *fake) Take(ctx context.Context, ask backend.Ask) (answer backend.Answer, err error) {
	f.mu.Lock()
	f.asks = append(f.asks, ask)
	n, take, lose := len(f.asks), f.onTake, f.lose
	f.mu.Unlock()
	if take != nil {
		err = take(n, &ask)
	}
	if err != nil {
		return answer, err
	}
	if answer, err = f.memory.Take(ctx, ask); err == nil && lose != nil {
		err = lose(n, &ask)
	}
	if err != nil {
		return backend.Answer{}, err
	}
	return answer, nil
}

func (f *fake) Settle(ctx context.Context, s backend.Settlement) error {
	f.mu.Lock()
	f.settled = append(f.settled, s)
	n, settle := len(f.settled), f.onSettle
	f.mu.Unlock()
	if settle != nil {
		if err := settle(n, &s); err != nil {
			return err
		}
	}
	return f.memory.Settle(ctx, s)
}

func (f *fake) Look(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	if f.onLook != nil {
		f.onLook()
	}
	if f.looks != nil {
		return backend.Answer{}, f.looks
	}
	return f.memory.Look(ctx, ask)
}

func (f *fake) Clear(ctx context.Context, account string, owners []string) error {
	if f.looks != nil {
		return f.looks
	}
	return f.memory.Clear(ctx, account, owners)
}

// A keeper is a fake that keeps notes.
type keeper struct {
	*fake
	recall, kept func() // are called as notes are
	recalls      []int  // how many notes were asked for, each time
}

func (k *keeper) Keep(_ context.Context, account, scope string, note []byte, _ time.Duration) error {
	if k.kept != nil {
		k.kept()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.notes == nil {
		k.notes = map[string][]byte{}
	}
	k.notes[account+"/"+scope] = note
	return nil
}

func (k *keeper) Recall(_ context.Context, account string, scopes []string) (notes []backend.Note, err error) {
	if k.recall != nil {
		k.recall()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.recalls = append(k.recalls, len(scopes))
	for _, scope := range scopes {
		notes = append(notes, backend.Note{Data: k.notes[account+"/"+scope], Left: quota.NoteLife})
	}
	return notes, nil
}

const (
	rpm = 60_000
	tpm = 6000 // 100 a second
)

// A bench is an engine in a synctest bubble whose model m has limits.
type bench struct {
	*testing.T
	*Engine
	*fake
}

// run runs f in a bubble, with a backend that takes time or with one that does not.
func run(t *testing.T, local bool, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, fake: newFake()}
		c := Config{Backend: b.fake, Rules: Rules{Models: map[string]quota.Rule{"m": {Amounts: [5]int64{0: rpm, 2: tpm}}}}, MaxPause: time.Minute}
		if local {
			c.Backend = b.memory
		}
		b.Engine = New(c)
		f(b)
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// call is one of so many tokens, which waits for as long as it takes.
func call(tokens int64) *Call {
	return &Call{Account: "a", Model: "m", Requests: 1, MaxWait: -1, Body: predict.Body{Tokens: tokens, Input: tokens, Choices: 1}}
}

// open admits calls until the slow start is over, and waits until buckets are full again.
func (b *bench) open() {
	b.Helper()
	b.admit(call(1)).end()
	time.Sleep(time.Minute + 10*time.Second)
	synctest.Wait()
}

func (b *bench) admit(c *Call) *Reservation {
	b.Helper()
	r := &Reservation{Call: *c}
	if err := b.Admit(b.Context(), r); err != nil {
		b.Fatal(err)
	}
	return r
}

// An admission is one under way.
type admission struct {
	cancel context.CancelFunc
	r      *Reservation
	err    chan error
}

// start admits a call in a goroutine, as far as it comes without anything that waits.
func (b *bench) start(c *Call) *admission {
	ctx, cancel := context.WithCancel(b.Context())
	a := &admission{cancel, &Reservation{Call: *c}, make(chan error, 1)}
	go func() { a.err <- b.Admit(ctx, a.r) }()
	synctest.Wait()
	return a
}

// waits reports whether an admission still is under way.
func (a *admission) waits() bool { return len(a.err) == 0 }

// free is how many tokens are free in the model's bucket.
func (b *bench) free() int64 {
	b.Helper()
	synctest.Wait()
	scopes, err := b.State(b.Context(), "a")
	if err != nil {
		b.Fatal(err)
	}
	for _, l := range scopes[0].Limits {
		if l.Name == "tpm" {
			return l.Remaining
		}
	}
	b.Fatalf("no tokens in %+v", scopes)
	return 0
}

// names are those of the accounts that calls have come for, sorted.
func (b *bench) names() []string {
	b.Engine.mu.Lock()
	defer b.Engine.mu.Unlock()
	return slices.Sorted(maps.Keys(b.accounts))
}

func (b *bench) scope() *scope {
	a := b.account("a")
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.scopeLocked(scopeKey{model: "m"})
}

// state describes the model.
func (b *bench) state() ScopeState {
	scopes, err := b.State(b.Context(), "a")
	if err != nil || len(scopes) == 0 {
		b.Fatalf("%v, %v", scopes, err)
	}
	return scopes[0]
}

// costs is how many asks since the first n have asked for something.
func (b *bench) costs(n int) (asks int) {
	for _, ask := range b.asked()[n:] {
		if len(ask.Costs) > 0 {
			asks++
		}
	}
	return asks
}

// line is how many tickets stand in the model's line.
func (b *bench) line() int {
	b.Helper()
	answer, err := b.memory.Look(b.Context(), backend.Ask{
		Account: "a", Line: "model:m", Scope: "model:m",
		Costs: []backend.Amounts{{}},
	})
	if err != nil {
		b.Fatal(err)
	}
	return answer.Tickets
}

// digestOf is how a note names the owner of a set.
func digestOf(b *bench, s *quota.Set) string {
	note, err := s.Note(time.Now())
	if err != nil {
		b.Fatal(err)
	}
	var n struct{ Limits []struct{ Owner string } }
	if err := json.Unmarshal(note, &n); err != nil {
		b.Fatal(err)
	}
	return n.Limits[0].Owner
}
