package engine

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// before is what stands before a call that joins, for queues of any kind.
func TestBefore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var q queue
		n := rapid.IntRange(0, 40).Draw(rt, "calls")
		for i := range n {
			w := &waiter{
				seq: uint64(2*i) + 2, retry: rapid.Bool().Draw(rt, "retry"),
				charge: charge{cost: backend.Amounts{1, int64(1) << i, 0}},
			}
			q.join(w)
			if rapid.IntRange(0, 3).Draw(rt, "leaves") == 0 {
				q.leave(q.head())
			}
		}
		retry := rapid.Bool().Draw(rt, "retry")
		seq := uint64(0)
		if rapid.Bool().Draw(rt, "has arrived before") {
			seq = 1 + 2*rapid.Uint64Range(0, uint64(n)).Draw(rt, "seq")
		}
		got := q.before(retry, seq)
		w := &waiter{seq: seq, retry: retry}
		if seq == 0 {
			w.seq = 1000
		}
		q.join(w)
		var want backend.Amounts
		for _, x := range collect(&q) {
			if x == w {
				break
			}
			for d, n := range x.charge.cost {
				want[d] += n
			}
		}
		if got != want {
			rt.Fatalf("%v; want %v", got, want)
		}
	})
}

// How long a call must wait at least is how long it waits, also where it needs so much of a
// bucket that the margin for the way is not left beside it.
func TestEarliestIsWhenACallStarts(t *testing.T) {
	for _, tokens := range []int64{100, tpm / 2, tpm - 30, tpm - 12, tpm - 8, tpm - 1, tpm} {
		t.Run(fmt.Sprint(tokens), func(t *testing.T) {
			var waited time.Duration
			run(t, false, func(b *bench) {
				b.spend()
				begun := time.Now()
				b.admit(call(tokens)).Settle(&Outcome{})
				waited = time.Since(begun)
			})
			run(t, false, func(b *bench) {
				b.spend()
				b.rejects(patient(tokens, waited-2*time.Millisecond))
				b.admit(patient(tokens, waited+2*time.Millisecond)).Settle(&Outcome{})
			})
		})
	}
}

// Where a margin of requests was learned, a call is rejected at once only if it would wait too
// long even with a tenth of the margin gone by the time it starts, and then it is.
func TestEarliestWithALearnedMargin(t *testing.T) {
	learn := func(b *bench) { // and use up all requests
		b.open()
		s := b.scope()
		now := time.Now().Format(time.RFC3339Nano)
		note := fmt.Sprintf(`{"v":3,"at":%q,"limits":[{"owner":%q,"name":"rpm","reported":%[1]q,"tracker":{"margin":0.2,"at":%[1]q,"reports":9}}]}`,
			now, digestOf(b, &s.quota))
		s.account.mu.Lock()
		_, err := s.quota.TakeNote(time.Now(), []byte(note), 0)
		s.account.mu.Unlock()
		if err != nil {
			b.Fatal(err)
		}
		c := call(0)
		c.Requests = rpm
		b.admit(c).Settle(&Outcome{})
	}
	needs := func(d time.Duration) *Call {
		c := patient(0, d)
		c.Requests = 1000
		return c
	}
	var waited time.Duration
	run(t, false, func(b *bench) {
		learn(b)
		begun := time.Now()
		b.admit(needs(time.Hour)).Settle(&Outcome{})
		waited = time.Since(begun)
	})
	margin := waited - time.Second // in which the 1,000 refill
	if margin < 5*time.Second {
		t.Fatalf("it waits %v: there is no margin", waited)
	}
	run(t, false, func(b *bench) {
		learn(b)
		b.rejects(needs(waited - margin*15/100))
		b.admit(needs(waited + time.Millisecond)).Settle(&Outcome{})
	})
	run(t, false, func(b *bench) { // it is not sure that the margin will last
		learn(b)
		c := needs(waited - margin*5/100)
		begun := time.Now()
		if err := b.Admit(b.Context(), &Reservation{Call: *c}); err != nil && time.Now().Equal(begun) {
			b.Errorf("%v at once", err)
		}
	})
}
