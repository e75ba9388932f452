package engine

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// What the unnamed account has used is charged to its heir: at once, as other processes may
// ask for the heir, and what an ask that was under way under the old name has charged, once
// none can be any more.
func TestHeirIsCharged(t *testing.T) {
	for name, x := range map[string]struct{ answer, after time.Duration }{
		"at once":             {0, 0},
		"what came meanwhile": {time.Second, 2100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, false, func(b *bench) {
				b.takes(func(int, *backend.Ask) error { time.Sleep(x.answer); return nil })
				c := call(3000)
				c.Account = Unnamed
				a := b.start(c)
				b.account("a")
				synctest.Wait()
				time.Sleep(x.after)
				synctest.Wait()

				ask := b.asked()[0]
				ask.Account = "a"
				answer, err := b.memory.Look(b.Context(), ask)
				if err != nil {
					t.Fatal(err)
				}
				want := float64(tpm)
				if x.answer <= x.after {
					want -= 3000 - x.after.Seconds()*tpm/60
				}
				for i, bucket := range ask.Buckets {
					if bucket.Name == "tpm" && answer.Levels[i] > want {
						t.Errorf("%v tokens are free; want %v", answer.Levels[i], want)
					}
				}
				if err := <-a.err; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Calls without a name are those of the only account, or of the one that has taken over theirs.
func TestWhoIsMeant(t *testing.T) {
	for want, names := range map[string][]string{Unnamed: {"a", "b"}, "a": {"a"}} {
		e := New(Config{})
		for _, name := range names {
			e.accounts[name] = newAccount(e, name)
		}
		if got := e.meantLocked(); got != want {
			t.Errorf("%v: %q; want %q", names, got, want)
		}
		if e.heir = "b"; e.meantLocked() != "b" {
			t.Error("the heir is not meant")
		}
	}
	if got := New(Config{}).meantLocked(); got != Unnamed {
		t.Errorf("%q of no account", got)
	}
}

// Accounts are listed by name.
func TestAccountsAreSorted(t *testing.T) {
	e := New(Config{})
	want := []string{"a", "b", "c", "d", "e", "f", "g"}
	for _, name := range want {
		e.accounts[name] = newAccount(e, name)
	}
	if got := e.Accounts(); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// What several models draw from is looked at, moved and cleared once.
func TestBucketsAreMovedOnce(t *testing.T) {
	run(t, false, func(b *bench) {
		b.SetRules(b.accountRules())
		for _, model := range []string{"m", "n"} {
			c := call(1)
			c.Model = model
			b.admit(c).end()
		}
		times := map[string]int{}
		for _, look := range b.account("a").buckets(time.Now()) {
			for _, bucket := range look.Buckets {
				times[bucket.Owner+"/"+bucket.Name]++
			}
		}
		for name, n := range times {
			if n != 1 {
				t.Errorf("%s is looked at %d times", name, n)
			}
		}
		if times[quota.AccountOwner+"/rpm"] != 1 {
			t.Errorf("%v", times)
		}
	})
	if got := owners([]backend.Bucket{{Owner: "b"}, {Owner: "a"}, {Owner: "b"}}); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%v", got)
	}
}

// A looked is a backend whose buckets stand as a test says.
type looked struct {
	*fake
	answer backend.Answer
	err    error
}

func (l *looked) Look(context.Context, backend.Ask) (backend.Answer, error) { return l.answer, l.err }

func (l *looked) Settle(_ context.Context, s backend.Settlement) error {
	l.settled = append(l.settled, s)
	return nil
}

// What is moved first is all that is used, and then what has come or gone since, less what has
// refilled of the first part.
func TestMovedCharges(t *testing.T) {
	bucket := backend.Bucket{Owner: "o", Name: "tpm", Dimension: backend.Tokens, Limit: 6000, Period: time.Minute} // 100 a second
	l := &looked{fake: newFake()}
	m := move{old: backend.Ask{Line: "line", Buckets: []backend.Bucket{bucket}}, name: "heir", since: 5_000_000}
	for _, x := range []struct {
		name   string
		level  float64
		at     time.Duration
		err    error
		stamp  int64 // of the settlement
		charge int64
		start  float64
	}{
		{"all", 5000.5, time.Second, nil, 5_000_000, 1000, 999.5},
		{"nobody knows", 0, 9 * time.Second, errAway, 0, 0, 0},
		{"as much, while some refilled", 5000.5, 6 * time.Second, nil, 5_999_999, 500, 500},
		{"nothing but a refill", 5500.5, 11 * time.Second, nil, 10_999_999, 0, 0},
		{"a refund", 5900.5, 12 * time.Second, nil, 11_999_999, -300, 0},
		{"more than there was has refilled", 5950, 22 * time.Second, nil, 21_999_999, 50, 50},
	} {
		l.settled, l.err = nil, x.err
		l.answer = backend.Answer{Levels: []float64{x.level}, Stamp: x.at.Microseconds()}
		m.settle(context.Background(), l)
		if x.charge == 0 {
			if len(l.settled) > 0 {
				t.Errorf("%s: %+v", x.name, l.settled)
			}
			continue
		}
		if len(l.settled) != 1 {
			t.Errorf("%s: %+v", x.name, l.settled)
			continue
		}
		s := l.settled[0]
		if s.Account != "heir" || s.Line != "line" || s.Stamp != x.stamp || s.Refund != (backend.Amounts{backend.Tokens: -x.charge}) ||
			len(s.Buckets) != 1 || s.Buckets[0].Start != x.start {
			t.Errorf("%s: %+v", x.name, s)
		}
	}
}
