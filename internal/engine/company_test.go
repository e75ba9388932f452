package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// A lineup is a backend whose line a test makes up: when the ticket of each model has its turn,
// and what is left of the model's own buckets.
type lineup struct {
	*lender
	mu      sync.Mutex
	begun   time.Time
	turns   map[string]time.Duration // after begun, by scope
	parts   time.Duration            // if positive, the first of several calls starts that much before the next
	left    float64                  // a part of what a model's own buckets hold; negative if nobody knows
	paused  time.Duration
	slow    time.Duration
	signals bool
	changed chan struct{}
	fails   error
	slots   int64 // that limit the calls of the first model in flight; one of them is
	asks    []lineupAsk
	calls   []*admission // those that inLine has made
}

type lineupAsk struct {
	at         time.Duration
	scope      string
	costs      int
	companions []string
}

func (l *lineup) Take(_ context.Context, ask backend.Ask) (a backend.Answer, err error) {
	time.Sleep(l.slow)
	l.mu.Lock()
	defer l.mu.Unlock()
	at := time.Since(l.begun)
	l.asks = append(l.asks, lineupAsk{at, ask.Scope, len(ask.Costs), ask.Companions})
	if l.fails != nil {
		return a, l.fails
	}
	a.Levels, a.Charged, a.Corrected = make([]float64, len(ask.Buckets)), make([]float64, len(ask.Buckets)), make([]float64, len(ask.Buckets))
	for i := range ask.Buckets {
		if b := &ask.Buckets[i]; b.Owner != ask.Line {
			a.Levels[i] = l.left * b.Capacity()
		}
	}
	if a.Wait = l.turns[ask.Scope] - at; a.Wait <= 0 {
		if a.Granted = len(ask.Costs); l.parts == 0 || a.Granted < 2 {
			return backend.Answer{Granted: a.Granted}, nil
		}
		l.turns[ask.Scope] += l.parts
		a.Granted, a.Wait = 1, a.Wait+l.parts
	}
	if l.left < 0 {
		a.Levels = nil
	}
	a.Hint, a.Paused, a.Changed = min(a.Wait, 800*time.Millisecond), l.paused, l.changed
	return a, nil
}

// since returns the asks of a model, or of all, from a time on.
func (l *lineup) since(at time.Duration, model string) (asks []lineupAsk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.asks {
		if a.at >= at && (model == "" || a.scope == quota.ModelOwner(model)) {
			asks = append(asks, a)
		}
	}
	return asks
}

// move changes the turns of some models, or of all.
func (l *lineup) move(by time.Duration, models ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for scope := range l.turns {
		if len(models) == 0 || slices.ContainsFunc(models, func(m string) bool { return quota.ModelOwner(m) == scope }) {
			l.turns[scope] += by
		}
	}
}

// silence is for how long nobody speaks at most, from a time on.
func (l *lineup) silence(from time.Duration) (longest time.Duration) {
	last := from
	for _, a := range l.since(from, "") {
		if len(a.companions) > 0 {
			longest, last = max(longest, a.at-last), a.at
		}
	}
	return max(longest, time.Since(l.begun)-last)
}

// inLine runs f while a call of each of some models waits, for so long.
func inLine(t *testing.T, l *lineup, waits []time.Duration, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, fake: newFake()}
		l.lender, l.turns = &lender{fake: b.fake, owners: map[string]*ledger.Slots{}}, map[string]time.Duration{}
		b.Engine = New(Config{Backend: l, Rules: *oneLine(l.slots), MaxPause: time.Minute})
		for i := range waits {
			b.admit(of(i)).end()
		}
		time.Sleep(minute + 10*time.Second) // the slow start is over
		if l.slots > 0 {
			r := b.admit(of(0))
			defer func() {
				r.end()
				time.Sleep(time.Minute) // the lease ends
			}()
		}
		if l.signals {
			l.changed = make(chan struct{})
		}
		l.begun, l.asks = time.Now(), nil
		for i, wait := range waits {
			l.mu.Lock()
			l.turns[quota.ModelOwner(fmt.Sprint("m", i))] = wait
			l.mu.Unlock()
			l.calls = append(l.calls, b.start(of(i)))
			if i == 0 {
				time.Sleep(time.Millisecond) // it speaks
			}
		}
		f(b)
		for _, a := range l.calls {
			a.cancel()
			<-a.err
		}
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(b.account("a").companies); n > 0 {
			t.Errorf("%d companies are left", n)
		}
	})
}

// oneLine are rules by which all models stand in one line, and the first has so many slots.
func oneLine(slots int64) *Rules {
	return &Rules{Account: &quota.Rule{Amounts: [5]int64{0: rpm}}, Models: map[string]quota.Rule{"m0": {Concurrent: slots}}}
}

// of is a call of the i-th model.
func of(i int) *Call {
	return &Call{Account: "a", Model: fmt.Sprint("m", i), Requests: 1, MaxWait: -1, Body: predict.Body{Tokens: 1, Input: 1, Choices: 1}}
}

const minute = time.Minute

// Of the models that stand far behind one asks for all, and the others only when their turns are
// near.
func TestOneSpeaksForAll(t *testing.T) {
	l := &lineup{left: 1}
	inLine(t, l, []time.Duration{minute, 20 * time.Second, 20 * time.Second}, func(b *bench) {
		time.Sleep(5 * time.Second)
		for _, model := range []string{"m1", "m2"} {
			if n := len(l.since(time.Second, model)); n > 0 {
				t.Errorf("%d asks of %s, whose turn is far", n, model)
			}
		}
		asks := l.since(time.Second, "m0")
		if n := len(asks); n < 9 || n > 11 {
			t.Errorf("%d asks of the speaker in four seconds", n)
		}
		for _, a := range asks {
			if len(a.companions) != 2 {
				b.Fatalf("it speaks for %q", a.companions)
			}
		}
		time.Sleep(3*time.Second + 100*time.Millisecond)
		if n := len(l.since(time.Second, "m1")); n != 1 {
			t.Errorf("%d asks of m1 by the time at which it would lose its place", n)
		}
		time.Sleep(12 * time.Second)
		if asks := l.since(time.Second, "m1"); len(asks) > 8 || asks[len(asks)-1].at < 20*time.Second {
			t.Errorf("asks when the turn is near: %v", asks)
		}
	})
}

// Whoever stands there alone asks as the hint says.
func TestNobodySpeaksForOne(t *testing.T) {
	l := &lineup{left: 1}
	inLine(t, l, []time.Duration{minute}, func(b *bench) {
		time.Sleep(8 * time.Second)
		if n := len(l.since(0, "m0")); n < 10 || n > 13 {
			t.Errorf("%d asks", n)
		}
	})
}

// Whom something else holds back asks for itself, as often as the hint says.
func TestWhoAsksForItself(t *testing.T) {
	for name, l := range map[string]*lineup{
		"its own buckets hold it back":  {left: 0.4},
		"nobody knows what does":        {left: -1},
		"a pause does":                  {left: 1, paused: time.Second},
		"the backend says what changes": {left: 1, signals: true},
	} {
		t.Run(name, func(t *testing.T) {
			inLine(t, l, []time.Duration{minute, minute}, func(b *bench) {
				limits := quota.Rule{Amounts: [5]int64{0: rpm}}
				b.SetRules(&Rules{Account: &limits, Models: map[string]quota.Rule{"m0": limits, "m1": limits}})
				time.Sleep(8 * time.Second)
				if n := len(l.since(0, "m1")); n < 10 {
					t.Errorf("%d asks", n)
				}
			})
		})
	}
}

// If turns come sooner than was expected, all ask at once.
func TestTurnsThatComeSooner(t *testing.T) {
	l := &lineup{left: 1}
	inLine(t, l, []time.Duration{minute, 30 * time.Second, 40 * time.Second}, func(b *bench) {
		time.Sleep(time.Second)
		for range 28 { // little by little, until the second one's is over
			l.move(-time.Second)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if n := len(l.since(time.Second, "m1")); n == 0 {
			t.Error("a call whose turn has come has not asked within a second")
		}
		if n := len(l.since(time.Second, "m2")); n > 1 {
			t.Errorf("%d asks of one whose turn is still far", n)
		}
	})
}

// That one call's turn comes sooner than another's of its scope did says nothing of those of others.
func TestTurnOfAnotherCall(t *testing.T) {
	l := &lineup{left: 1}
	inLine(t, l, []time.Duration{minute, 30 * time.Second}, func(b *bench) {
		a := b.start(of(0))
		time.Sleep(time.Second)
		l.move(-29*time.Second, "m0") // the next one needs less
		l.calls[0].cancel()
		time.Sleep(time.Second)
		if n := len(l.since(time.Second, "m1")); n > 0 {
			t.Errorf("%d asks of one whose turn is as far as before", n)
		}
		a.cancel()
		<-a.err
	})
}

// Nor does it matter if one that is not the speaker is told of another turn.
func TestTurnOfOneThatDoesNotSpeak(t *testing.T) {
	l := &lineup{left: 1}
	inLine(t, l, []time.Duration{minute, 30 * time.Second, 25 * time.Second}, func(b *bench) {
		time.Sleep(time.Second)
		l.move(-20*time.Second, "m1")
		a := b.start(of(1))
		time.Sleep(time.Second)
		if n := len(l.since(time.Second, "m1")); n == 0 {
			b.Fatal("no ask for a call that has come")
		}
		if n := len(l.since(time.Second, "m2")); n > 0 {
			t.Errorf("%d asks of one whose turn is as far as before", n)
		}
		a.cancel()
		<-a.err
	})
}

// Nor does that the first call of a scope has started, and the next waits for long.
func TestTurnOfTheNextCall(t *testing.T) {
	l := &lineup{left: 1, parts: 100 * time.Second}
	inLine(t, l, []time.Duration{30 * time.Second, minute}, func(b *bench) {
		a := b.start(of(0))
		time.Sleep(time.Second)
		l.move(-30*time.Second, "m0")
		time.Sleep(2 * time.Second)
		if l.calls[0].waits() || !a.waits() {
			b.Fatal("not only the first call has started")
		}
		l.calls[0].r.end()
		l.calls[0] = a
		l.move(-minute)
		time.Sleep(time.Second)
		if n := len(l.since(3*time.Second, "m1")); n == 0 {
			t.Error("a call whose turn has come has not asked within a second")
		}
	})
}

// When the speaker has had its turn, leaves, or fails, the one whose turn is farthest speaks, at
// once.
func TestSpeakerGoes(t *testing.T) {
	l := &lineup{left: 1}
	inLine(t, l, []time.Duration{4 * time.Second, 20 * time.Second, 30 * time.Second}, func(b *bench) {
		time.Sleep(10 * time.Second)
		if n := len(l.since(4*time.Second, "m2")); n < 12 {
			t.Errorf("%d asks of the next speaker", n)
		}
		if silent := l.silence(time.Second); silent > time.Second/2 {
			t.Errorf("nobody has spoken for %v", silent)
		}
		for _, a := range l.since(3300*time.Millisecond, "m0") {
			if len(a.companions) > 0 {
				t.Errorf("whose turn is near speaks for others, after %v", a.at)
			}
		}
		l.mu.Lock()
		l.fails = errors.New("away")
		l.mu.Unlock()
	})
}

// A ticket that is far from its turn takes in calls that come, and one whose turn has begun does
// not.
func TestFarTicketsTakeInCalls(t *testing.T) {
	for _, x := range []struct {
		wait time.Duration
		want int
	}{{20 * time.Second, 3}, {1500 * time.Millisecond, 3}, {900 * time.Millisecond, 1}} {
		l := &lineup{left: 1}
		inLine(t, l, []time.Duration{x.wait}, func(b *bench) {
			two := []*admission{b.start(of(0)), b.start(of(0))}
			time.Sleep(100 * time.Millisecond)
			asks := l.since(0, "m0")
			if got := asks[len(asks)-1].costs; got != x.want {
				t.Errorf("%d calls ask where the first waits for %v; want %d", got, x.wait, x.want)
			}
			for _, a := range two {
				a.cancel()
				<-a.err
			}
		})
	}
}

// A call that comes while the ticket asks is taken in soon after.
func TestFarTicketsTakeInCallsThatComeMeanwhile(t *testing.T) {
	l := &lineup{left: 1, slow: 5 * time.Millisecond}
	inLine(t, l, []time.Duration{20 * time.Second}, func(b *bench) {
		time.Sleep(7 * time.Millisecond) // the second ask of the first call is under way
		a := b.start(of(0))
		time.Sleep(100 * time.Millisecond)
		asks := l.since(0, "m0")
		if got := asks[len(asks)-1].costs; got != 2 {
			t.Errorf("%d calls ask", got)
		}
		a.cancel()
		<-a.err
	})
}

// Whoever speaks for many leaves an overloaded backend alone for as much less.
func TestSpeakerOfMany(t *testing.T) {
	l := &lineup{left: 1, slow: 400 * time.Millisecond}
	inLine(t, l, []time.Duration{minute, minute, minute, minute, minute}, func(b *bench) {
		time.Sleep(20 * time.Second)
		n := 0
		for _, a := range l.since(10*time.Second, "") {
			if len(a.companions) > 0 {
				n++
			}
		}
		if n < 7 {
			t.Errorf("the speaker has asked %d times in ten seconds", n)
		}
	})
}

// Nobody speaks for scopes that have come to stand in other lines.
func TestCompanyOfALineThatWasLeft(t *testing.T) {
	l := &lineup{left: 1}
	inLine(t, l, []time.Duration{minute, minute, minute}, func(b *bench) {
		time.Sleep(3 * time.Second)
		b.SetRules(&Rules{})
		time.Sleep(3 * time.Second)
		for _, a := range l.since(3*time.Second+time.Millisecond, "") {
			if len(a.companions) > 0 {
				b.Fatalf("%s speaks for %q", a.scope, a.companions)
			}
		}
	})
}

// When the speaker asks nothing, since its own calls are held back here, another one speaks.
func TestSpeakerThatAsksNothing(t *testing.T) {
	l := &lineup{left: 1, slots: 2}
	inLine(t, l, []time.Duration{minute, minute, minute}, func(b *bench) {
		time.Sleep(time.Second)
		b.SetRules(oneLine(1))
		time.Sleep(4 * time.Second)
		if n := len(l.since(1500*time.Millisecond, "m0")); n > 0 {
			b.Fatalf("%d asks of the one that is held back", n)
		}
		if silent := l.silence(1500 * time.Millisecond); silent > time.Second/2 {
			t.Errorf("nobody has spoken for %v", silent)
		}
	})
}

// A speaker speaks for a bounded number. The others ask as the hint says.
func TestSpeakerOfTooMany(t *testing.T) {
	const more = 3
	l := &lineup{left: 1}
	inLine(t, l, slices.Repeat([]time.Duration{minute}, mostMembers+more), func(b *bench) {
		time.Sleep(5 * time.Second)
		often := map[string]bool{}
		for _, a := range l.since(time.Second, "") {
			often[a.scope] = true
			if n := len(a.companions); n != 0 && n != mostMembers-1 {
				b.Fatalf("it speaks for %d others", n)
			}
		}
		if n := len(often) - 1; n != more {
			t.Errorf("%d ask for themselves; want %d", n, more)
		}
	})
}

// If turns come sooner all ask once, but not before an overloaded backend has been left alone.
func TestHurryOfMany(t *testing.T) {
	for slow, want := range map[time.Duration]int{20 * time.Millisecond: 1, 400 * time.Millisecond: 0} {
		l := &lineup{left: 1, slow: slow}
		inLine(t, l, []time.Duration{minute, minute, minute, minute, minute}, func(b *bench) {
			time.Sleep(9200 * time.Millisecond) // they have asked after eight seconds
			l.move(-48 * time.Second)
			time.Sleep(1300 * time.Millisecond)
			for i := 1; i < 5; i++ {
				if asks := l.since(9200*time.Millisecond+slow, fmt.Sprint("m", i)); len(asks) != want {
					t.Errorf("an ask takes %v: %v of m%d; want %d", slow, asks, i, want)
				}
			}
		})
	}
}

// A ticket that has a slot for no more takes in no calls that come, whether slots are limited or
// the model has just begun.
func TestFarTicketsThatAreFull(t *testing.T) {
	for model, slots := range []int64{3, 0} {
		l := &lineup{left: 1, slots: slots}
		inLine(t, l, []time.Duration{minute}, func(b *bench) {
			l.mu.Lock()
			l.turns[quota.ModelOwner(fmt.Sprint("m", model))] = minute
			l.mu.Unlock()
			for range 40 {
				l.calls = append(l.calls, b.start(of(model)))
			}
			time.Sleep(5 * time.Second)
			if n := len(l.since(0, fmt.Sprint("m", model))); n > 10 {
				t.Errorf("%d asks in five seconds, while nobody comes", n)
			}
		})
	}
}
