package failover

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

var errAway = errors.New("away")

// A primary is a backend in memory that a test takes away.
type primary struct {
	memory *memory.Backend

	mu      sync.Mutex
	err     error
	asks    int
	settled []backend.Settlement
	gate    chan struct{} // holds asks back, if not nil
}

func (p *primary) answer(ctx context.Context) error {
	p.mu.Lock()
	p.asks++
	gate, err := p.gate, p.err
	p.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if err != nil {
		return err
	}
	return ctx.Err()
}

func (p *primary) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	if err := p.answer(ctx); err != nil {
		return backend.Answer{}, err
	}
	return p.memory.Take(ctx, ask)
}

func (p *primary) Look(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	if err := p.answer(ctx); err != nil {
		return backend.Answer{}, err
	}
	return p.memory.Look(ctx, ask)
}

func (p *primary) Settle(ctx context.Context, s backend.Settlement) error {
	if err := p.answer(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	p.settled = append(p.settled, s)
	p.mu.Unlock()
	return p.memory.Settle(ctx, s)
}

func (p *primary) Clear(ctx context.Context, account string, owners []string) error {
	if err := p.answer(ctx); err != nil {
		return err
	}
	return p.memory.Clear(ctx, account, owners)
}

// A bench is a failover in a synctest bubble, over a primary of 600 requests a minute.
type bench struct {
	*testing.T
	*failover
	primary *primary
	told    []error
	number  uint64
}

func run(t *testing.T, limits []backend.Bucket, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, primary: &primary{memory: memory.New()}}
		b.failover = New(Config{
			Primary: b.primary, Limits: limits,
			Shared: func(owner string) bool { return owner == "account" },
			Notify: func(err error) { b.told = append(b.told, err) },
		}).(*failover)
		f(b)
	})
}

func (b *bench) fail(err error) {
	b.primary.mu.Lock()
	defer b.primary.mu.Unlock()
	b.primary.err = err
}

func (b *bench) ask(requests int64) backend.Ask {
	b.number++
	return backend.Ask{
		Account: "a", Line: "model:m", Ticket: "t", Number: b.number, Scope: "model:m",
		Buckets: []backend.Bucket{{Owner: "model:m", Name: "rpm", Limit: 600, Period: time.Minute}},
		Costs:   []backend.Amounts{{requests}},
	}
}

func (b *bench) take(ask backend.Ask) backend.Answer {
	b.Helper()
	a, err := b.Take(b.Context(), ask)
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// Ten requests a second, ten at once.
var ten = []backend.Bucket{{Name: "rpm", Limit: 10, Period: time.Second}}

// While the primary answers, it alone is asked.
func TestPrimaryAnswers(t *testing.T) {
	run(t, ten, func(b *bench) {
		for range 60 {
			if a := b.take(b.ask(10)); a.Granted != 1 || a.Stamp <= 0 || len(a.Levels) != 1 {
				b.Fatalf("%+v", a)
			}
		}
		if a := b.take(b.ask(10)); a.Granted != 0 || a.Hint > a.Wait {
			b.Errorf("%+v", a)
		}
		if b.primary.asks != 61 || len(b.told) > 0 || b.isDown() {
			b.Errorf("%d asks, told %v", b.primary.asks, b.told)
		}
	})
}

// While the primary does not answer, every call passes, or those do that fit the limits.
func TestPassAndLimits(t *testing.T) {
	for _, x := range []struct {
		name    string
		limits  []backend.Bucket
		costs   []backend.Amounts
		granted int
	}{
		{"no limits", nil, []backend.Amounts{{1000}, {1000}, {1000}}, 3},
		{"no limits, no costs", nil, nil, 0},
		{"limits", ten, []backend.Amounts{{4}, {4}, {4}}, 2},
		{"larger than the limits", ten, []backend.Amounts{{400}}, 1}, // on a full bucket
		{"larger than the limits, and others", ten, []backend.Amounts{{400}, {1}}, 1},
		{"two limits", append([]backend.Bucket{{Name: "x", Limit: 5, Period: time.Second}}, ten...), []backend.Amounts{{4}, {4}}, 1},
		{"a burst", []backend.Bucket{{Name: "x", Limit: 600, Period: time.Minute, Burst: time.Second}}, []backend.Amounts{{6}, {6}}, 1},
	} {
		run(t, x.limits, func(b *bench) {
			b.fail(errAway)
			ask := b.ask(0)
			ask.Costs = x.costs
			a := b.take(ask)
			if a.Granted != x.granted || a.Stamp >= 0 || a.Levels != nil || a.Hint > probing {
				b.Errorf("%s: %+v", x.name, a)
			}
			if len(b.told) != 1 || b.told[0] != errAway || !b.isDown() {
				b.Errorf("%s: told %v", x.name, b.told)
			}
		})
	}
}

// A large call leaves a debt that refills as the limits say.
func TestLimitsRefill(t *testing.T) {
	run(t, ten, func(b *bench) {
		b.fail(errAway)
		b.take(b.ask(30))
		a := b.take(b.ask(10))
		if a.Granted != 0 || a.Wait < 3*time.Second || a.Wait > 3*time.Second+10*time.Millisecond || a.Hint != probing {
			b.Errorf("%+v", a)
		}
		time.Sleep(a.Wait)
		if a := b.take(b.ask(10)); a.Granted != 1 {
			b.Errorf("%+v", a)
		}
		// Another line has buckets of its own, other scopes of the line do not.
		other := b.ask(10)
		other.Line, other.Scope, other.Ticket = "model:n", "model:n", "u"
		if a := b.take(other); a.Granted != 1 {
			b.Errorf("another line: %+v", a)
		}
		other.Line, other.Scope, other.Ticket, other.Leave = "model:m", "model:o", "v", true
		if a := b.take(other); a.Granted != 0 {
			b.Errorf("another scope of the line: %+v", a)
		}
	})
}

// One ask a second probes a primary that is away, and no other waits for it. The first
// answer tells that it is back.
func TestOneProbeASecond(t *testing.T) {
	run(t, ten, func(b *bench) {
		b.fail(errAway)
		b.take(b.ask(0))
		begun := b.primary.asks
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			b.take(b.ask(0))
		}
		if n := b.primary.asks - begun; n < 4 || n > 5 {
			b.Errorf("%d probes in five seconds", n)
		}
		time.Sleep(probing)
		gate := make(chan struct{})
		b.primary.gate = gate
		done := make(chan backend.Answer)
		probe := b.ask(0)
		go func() {
			a, _ := b.Take(b.Context(), probe)
			done <- a
		}()
		synctest.Wait()
		n := b.primary.asks
		for range 5 {
			if a := b.take(b.ask(0)); a.Stamp >= 0 {
				b.Errorf("%+v", a)
			}
		}
		if b.primary.asks != n {
			b.Errorf("%d others wait for the probe", b.primary.asks-n)
		}
		b.fail(nil)
		b.primary.gate = nil
		close(gate)
		if a := <-done; a.Stamp >= 0 { // it failed before
			b.Errorf("%+v", a)
		}
		time.Sleep(probing)
		if a := b.take(b.ask(1)); a.Stamp <= 0 || b.isDown() {
			b.Errorf("%+v", a)
		}
		if len(b.told) != 2 || b.told[0] != errAway || b.told[1] != nil {
			b.Errorf("told %v", b.told)
		}
		if a := b.take(b.ask(1)); a.Stamp <= 0 || len(b.told) != 2 {
			b.Errorf("%+v", a)
		}
	})
}

// A cost that is too large is an answer.
func TestTooLargeIsNoFailure(t *testing.T) {
	run(t, ten, func(b *bench) {
		if _, err := b.Take(b.Context(), b.ask(601)); !errors.Is(err, backend.ErrTooLarge) || b.isDown() || len(b.told) > 0 {
			b.Errorf("%v, told %v", err, b.told)
		}
		if _, err := b.Look(b.Context(), b.ask(601)); !errors.Is(err, backend.ErrTooLarge) || b.isDown() || len(b.told) > 0 {
			b.Errorf("%v, told %v", err, b.told)
		}
		b.fail(errAway)
		b.take(b.ask(0))
		b.fail(nil)
		time.Sleep(probing)
		if _, err := b.Take(b.Context(), b.ask(601)); !errors.Is(err, backend.ErrTooLarge) || b.isDown() || len(b.told) != 2 || b.told[1] != nil {
			b.Errorf("%v, told %v", err, b.told)
		}
	})
}

// A caller that gives up is no failure of the primary.
func TestCancelledIsNoFailure(t *testing.T) {
	run(t, ten, func(b *bench) {
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		if _, err := b.Look(ctx, b.ask(1)); !errors.Is(err, context.Canceled) {
			b.Errorf("look: %v", err)
		}
		if _, err := b.Take(ctx, b.ask(1)); !errors.Is(err, context.Canceled) {
			b.Errorf("take: %v", err)
		}
		if err := b.Settle(ctx, backend.Settlement{Account: "a", Line: "model:m", Stamp: 1}); !errors.Is(err, context.Canceled) {
			b.Errorf("settle: %v", err)
		}
		if b.isDown() || len(b.told) > 0 {
			b.Errorf("told %v", b.told)
		}
		// Nor does a note that nobody waits for.
		k := &keeper{b.failover, &store{primary: b.primary}}
		if _, err := k.Recall(ctx, "a", []string{"m"}); !errors.Is(err, context.Canceled) || b.isDown() {
			b.Errorf("recall: %v, told %v", err, b.told)
		}
		// Nor does it say that the primary is back.
		b.fail(errAway)
		b.take(b.ask(0))
		time.Sleep(probing)
		if _, err := b.Look(ctx, b.ask(1)); err == nil || !b.isDown() || len(b.told) != 1 {
			b.Errorf("%v, told %v", err, b.told)
		}
	})
}

// A failure of what began before the last answer says nothing.
func TestLateFailure(t *testing.T) {
	run(t, ten, func(b *bench) {
		gate := make(chan struct{})
		b.primary.gate = gate
		b.fail(errAway)
		done := make(chan error)
		slow := b.ask(0)
		go func() {
			_, err := b.Take(b.Context(), slow)
			done <- err
		}()
		synctest.Wait()
		b.fail(nil)
		b.primary.gate = nil
		time.Sleep(time.Millisecond)
		b.take(b.ask(1))
		close(gate)
		if err := <-done; err != nil || b.isDown() || len(b.told) > 0 {
			b.Errorf("%v, told %v", err, b.told)
		}
	})
}

// A charge is settled where it was made.
func TestSettledWhereItWasMade(t *testing.T) {
	run(t, ten, func(b *bench) {
		b.fail(errAway)
		here := b.take(b.ask(10))
		refund := backend.Settlement{
			Account: "a", Line: "model:m", Stamp: here.Stamp, Refund: backend.Amounts{8},
			Buckets:     []backend.Bucket{{Owner: "account", Name: "rpd", Limit: 10_000, Period: 24 * time.Hour}}, // the primary's
			Corrections: []backend.Correction{{From: 0, To: 100}},
		}
		asks := b.primary.asks
		if err := b.Settle(b.Context(), refund); err != nil || b.primary.asks != asks {
			b.Errorf("%v after %d asks of the primary", err, b.primary.asks-asks)
		}
		if a := b.take(b.ask(8)); a.Granted != 1 {
			b.Errorf("it is not refunded here: %+v", a)
		}
		if a := b.take(b.ask(1)); a.Granted != 0 {
			b.Errorf("more is refunded here: %+v", a)
		}
		b.fail(nil)
		time.Sleep(time.Minute)
		there := b.take(b.ask(600))
		refund.Stamp, refund.Buckets, refund.Corrections = there.Stamp, b.ask(0).Buckets, nil
		if err := b.Settle(b.Context(), refund); err != nil {
			b.Error(err)
		}
		if a := b.take(b.ask(8)); a.Granted != 1 {
			b.Errorf("it is not refunded there: %+v", a)
		}
		if s := b.primary.settled; len(s) != 1 || s[0].Refund != refund.Refund {
			b.Errorf("%+v", s)
		}
	})
}

// What passed was charged nowhere, and is settled nowhere.
func TestWhatPassedIsSettledNowhere(t *testing.T) {
	run(t, nil, func(b *bench) {
		b.fail(errAway)
		a := b.take(b.ask(10))
		b.fail(nil)
		asks := b.primary.asks
		if err := b.Settle(b.Context(), backend.Settlement{Account: "a", Line: "model:m", Stamp: a.Stamp, Refund: backend.Amounts{1}}); err != nil || b.primary.asks != asks {
			b.Errorf("%v after %d asks", err, b.primary.asks-asks)
		}
		if a.Stamp != math.MinInt64 {
			b.Errorf("%+v", a)
		}
	})
}

// A failure loses no pause: it holds in both places, whichever has charged the call.
func TestPausesHoldInBothPlaces(t *testing.T) {
	for _, owner := range []string{"model:m", "account"} {
		for _, down := range []bool{false, true} {
			run(t, ten, func(b *bench) {
				if down {
					b.fail(errAway)
				}
				a := b.take(b.ask(1))
				b.fail(nil)
				s := backend.Settlement{
					Account: "a", Line: "model:m", Stamp: a.Stamp, Buckets: b.ask(0).Buckets, Refund: backend.Amounts{1},
					PauseOwner: owner, Pause: 5 * time.Second,
				}
				if err := b.Settle(b.Context(), s); err != nil || b.isDown() {
					b.Error(err)
				}
				if got := b.primary.settled[0]; got.PauseOwner != owner || got.Pause != s.Pause || (got.Refund == backend.Amounts{}) != down {
					b.Errorf("%+v", got)
				}
				ask := b.ask(0)
				ask.Buckets = append(ask.Buckets, backend.Bucket{Owner: owner, Name: "all", Limit: 600, Period: time.Minute})
				if a := b.take(ask); a.Granted != 0 || a.Paused != 5*time.Second {
					b.Errorf("the primary of %s is not paused: %+v", owner, a)
				}
				b.fail(errAway)
				if a := b.take(b.ask(0)); a.Granted != 0 || a.Paused != 5*time.Second || a.Hint != probing {
					b.Errorf("the local one of %s is not paused: %+v", owner, a)
				}
			})
		}
	}
	run(t, ten, func(b *bench) { // another scope of the line goes on, unless the pause is its own
		b.fail(errAway)
		for _, scope := range []string{"model:m", "model:n"} {
			s := backend.Settlement{Account: "a", Line: "account", PauseOwner: scope, Pause: 5 * time.Second}
			if err := b.Settle(b.Context(), s); !errors.Is(err, errAway) {
				b.Error(err)
			}
			ask := b.ask(0)
			ask.Line, ask.Scope, ask.Leave = "account", "model:n", true
			if a := b.take(ask); (a.Paused > 0) != (scope == ask.Scope) {
				b.Errorf("as %s pauses, %s does for %v", scope, ask.Scope, a.Paused)
			}
		}
	})
	run(t, ten, func(b *bench) { // a pause that does not arrive is an error, but holds here
		b.fail(errAway)
		s := backend.Settlement{Account: "a", Line: "model:m", Stamp: 1, PauseOwner: "model:m", Pause: 5 * time.Second}
		if err := b.Settle(b.Context(), s); !errors.Is(err, errAway) || !b.isDown() {
			b.Error(err)
		}
		if a := b.take(b.ask(0)); a.Paused != 5*time.Second {
			b.Errorf("%+v", a)
		}
	})
}

// A ticket that stands in the local line leaves it when the primary has answered it.
func TestTicketsLeaveTheLocalLine(t *testing.T) {
	for _, x := range []struct {
		name   string
		change func(ask *backend.Ask)
		stands bool
	}{
		{"it waits", func(*backend.Ask) {}, true},
		{"it waits, at the first try", func(a *backend.Ask) { a.Fresh = true }, true},
		{"it does not wait", func(a *backend.Ask) { a.Leave = true }, false},
		{"it is granted", func(a *backend.Ask) { a.Costs = []backend.Amounts{{}} }, false},
	} {
		run(t, ten, func(b *bench) {
			local := func() int {
				a, err := b.local.Look(b.Context(), backend.Ask{Account: "a", Line: "model:m", Scope: "model:m", Buckets: b.buckets("model:m"), Costs: []backend.Amounts{{}}})
				if err != nil {
					b.Fatal(err)
				}
				return a.Tickets
			}
			b.fail(errAway)
			b.take(b.ask(10))
			ask := b.ask(5)
			x.change(&ask)
			b.take(ask)
			if got := local() == 1; got != x.stands {
				b.Errorf("%s: %d in line", x.name, local())
			}
			if got := b.inLine["t"]; got != x.stands {
				b.Errorf("%s: known to stand in line: %v", x.name, got)
			}
			b.fail(nil)
			time.Sleep(probing)
			b.take(b.ask(5))
			if local() != 0 || len(b.inLine) != 0 || b.isDown() {
				b.Errorf("%s: %d still in line, %v", x.name, local(), b.inLine)
			}
		})
	}
	run(t, ten, func(b *bench) { // nor is one remembered that has got all
		b.fail(errAway)
		b.take(b.ask(10))
		b.take(b.ask(5))
		time.Sleep(500 * time.Millisecond)
		if a := b.take(b.ask(5)); a.Granted != 1 || len(b.inLine) != 0 {
			b.Errorf("%+v; %v are known to stand in line", a, b.inLine)
		}
	})
	run(t, ten, func(b *bench) { // a first try takes nothing out
		b.fail(errAway)
		b.take(b.ask(10))
		b.take(b.ask(5))
		ask := b.ask(5)
		ask.Fresh, ask.Leave = true, true
		if b.take(ask); !b.inLine["t"] {
			b.Error("the ticket in line is forgotten")
		}
	})
}

// Questions are answered locally too, as far as that can be: how the primary's buckets stand
// nobody knows.
func TestLook(t *testing.T) {
	run(t, ten, func(b *bench) {
		b.fail(errAway)
		b.take(b.ask(10))
		ask := b.ask(5)
		ask.Buckets = append(ask.Buckets, ask.Buckets[0], ask.Buckets[0])
		a, err := b.Look(b.Context(), ask)
		if err != nil || a.Levels != nil || a.Wait != 500*time.Millisecond {
			b.Errorf("%+v, %v", a, err)
		}
		b.fail(nil)
		time.Sleep(probing)
		if a, err := b.Look(b.Context(), b.ask(5)); err != nil || a.Levels[0] != 600 || b.isDown() {
			b.Errorf("%+v, %v", a, err)
		}
	})
	run(t, nil, func(b *bench) {
		b.fail(errAway)
		if a, err := b.Look(b.Context(), b.ask(5)); err != nil || a.Wait != 0 || a.Levels != nil {
			b.Errorf("%+v, %v", a, err)
		}
	})
}

// A clear fills the buckets in both places.
func TestClear(t *testing.T) {
	run(t, ten, func(b *bench) {
		b.take(b.ask(600))
		b.fail(errAway)
		b.take(b.ask(10))
		if err := b.Clear(b.Context(), "a", []string{"model:m"}); !errors.Is(err, errAway) {
			b.Error(err)
		}
		if a := b.take(b.ask(10)); a.Granted != 1 {
			b.Errorf("here: %+v", a)
		}
		b.fail(nil)
		if err := b.Clear(b.Context(), "a", []string{"model:m"}); err != nil {
			b.Error(err)
		}
		time.Sleep(probing)
		if a := b.take(b.ask(600)); a.Granted != 1 || a.Stamp < 0 {
			b.Errorf("there: %+v", a)
		}
	})
}

// A store is a primary that keeps notes.
type store struct {
	*primary
	note []byte
}

func (s *store) Keep(ctx context.Context, _, _ string, note []byte, _ time.Duration) error {
	if err := s.answer(ctx); err != nil {
		return err
	}
	s.note = note
	return nil
}

func (s *store) Recall(ctx context.Context, _ string, scopes []string) ([]backend.Note, error) {
	return slices.Repeat([]backend.Note{{Data: s.note, Left: time.Minute}}, len(scopes)), s.answer(ctx)
}

// Notes are kept where the primary keeps them, and while it answers.
func TestKeeper(t *testing.T) {
	run(t, ten, func(b *bench) {
		var f backend.Backend = b.failover
		if _, ok := f.(backend.Keeper); ok {
			b.Error("it keeps notes that the primary does not")
		}
		s := &store{primary: b.primary}
		k, ok := New(Config{Primary: s, Notify: func(err error) { b.told = append(b.told, err) }}).(backend.Keeper)
		if !ok {
			b.Fatal("it keeps no notes")
		}
		if err := k.Keep(b.Context(), "a", "m", []byte("x"), time.Minute); err != nil || string(s.note) != "x" {
			b.Errorf("%q, %v", s.note, err)
		}
		if notes, err := k.Recall(b.Context(), "a", []string{"m"}); err != nil || string(notes[0].Data) != "x" || notes[0].Left != time.Minute {
			b.Errorf("%v, %v", notes, err)
		}
		// A note that cannot be kept says nothing; one that cannot be read does.
		b.fail(errAway)
		if err := k.Keep(b.Context(), "a", "m", nil, 0); err == nil || len(b.told) > 0 {
			b.Errorf("%v, told %v", err, b.told)
		}
		if _, err := k.Recall(b.Context(), "a", []string{"m"}); err == nil || len(b.told) != 1 || b.told[0] == nil {
			b.Errorf("%v, told %v", err, b.told)
		}
		asks := b.primary.asks
		if err := k.Keep(b.Context(), "a", "m", []byte("y"), 0); err != nil || string(s.note) != "x" {
			b.Errorf("%q, %v", s.note, err)
		}
		if notes, err := k.Recall(b.Context(), "a", []string{"m", "n"}); err != nil || len(notes) != 2 || notes[0].Data != nil || notes[1].Left != 0 || b.primary.asks != asks {
			b.Errorf("%v, %v", notes, err)
		}
	})
}

// What was charged at the beginning of time was charged by the primary, and is settled there alone.
func TestSettledFromTheBeginningOfTime(t *testing.T) {
	run(t, ten, func(b *bench) {
		s := backend.Settlement{Account: "a", Line: "model:m", Buckets: b.ask(0).Buckets, Refund: backend.Amounts{-8}}
		if err := b.Settle(b.Context(), s); err != nil || len(b.primary.settled) != 1 || b.primary.settled[0].Refund != s.Refund {
			b.Errorf("%v, %+v", err, b.primary.settled)
		}
		b.fail(errAway)
		if a := b.take(b.ask(10)); a.Granted != 1 {
			b.Errorf("it is settled here: %+v", a)
		}
	})
}

// Where all calls pass, nothing is known while the primary is away.
func TestLookWithoutLimits(t *testing.T) {
	run(t, nil, func(b *bench) {
		b.fail(errAway)
		if a, err := b.Look(b.Context(), b.ask(10)); err != nil || !reflect.DeepEqual(a, backend.Answer{}) {
			b.Errorf("%+v, %v", a, err)
		}
	})
}
