package engine

import (
	"errors"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A cost that all buckets hold waits for the tickets of others alone.
func TestLineAlone(t *testing.T) {
	buckets := []backend.Bucket{
		{Dimension: backend.Requests, Limit: 10, Period: time.Minute},
		{Dimension: backend.Tokens, Limit: 1000, Period: time.Minute},
	}
	for _, x := range []struct {
		name   string
		cost   backend.Amounts
		levels []float64
		want   bool
	}{
		{"all", backend.Amounts{1, 100}, []float64{5, 500}, true},
		{"just enough", backend.Amounts{1, 100}, []float64{1, 100}, true},
		{"too few tokens", backend.Amounts{1, 100}, []float64{5, 99}, false},
		{"too few requests", backend.Amounts{1, 100}, []float64{0.5, 500}, false},
		{"more than a bucket holds, which is full", backend.Amounts{1, 5000}, []float64{5, 1000}, true},
		{"and which is not", backend.Amounts{1, 5000}, []float64{5, 999}, false},
		{"nothing said", backend.Amounts{1, 100}, nil, false},
		{"not all said", backend.Amounts{1, 100}, []float64{5}, false},
	} {
		if got := lineAlone(&x.cost, &ask{Ask: backend.Ask{Buckets: buckets}}, &backend.Answer{Levels: x.levels}); got != x.want {
			t.Errorf("%s: %v", x.name, got)
		}
	}
}

// A longest wait is told from what would be too long by a moment, and a call that is rejected for it
// has not waited.
func TestLongestWait(t *testing.T) {
	run(t, true, func(b *bench) {
		b.open()
		b.admit(call(tpm)).Settle(&Outcome{})
		rejected := func(longest time.Duration) *Rejection {
			c := call(100)
			c.MaxWait = longest
			var r *Rejection
			a := b.start(c)
			if a.waits() {
				a.cancel()
				<-a.err
				return nil
			}
			if err := <-a.err; !errors.As(err, &r) || r.Reason != MaxWait || r.Waited != 0 || r.Allowed != longest {
				b.Fatalf("%v, %+v", err, r)
			}
			return r
		}
		least := rejected(1)
		if least == nil {
			b.Fatal("it waits")
		}
		if r := rejected(least.Wait - 1); r == nil || r.Wait != least.Wait {
			b.Errorf("%+v of a call that may wait for a nanosecond less than it must, %v", r, least.Wait)
		}
		if r := rejected(least.Wait); r != nil {
			b.Errorf("%+v of a call that may wait for as long as it must", r)
		}
	})
}

// What is known of the buckets proves for a second that a call comes too late, and anything else for ever.
func TestOutdated(t *testing.T) {
	s := newAccount(New(Config{}), "a").scopeLocked(scopeKey{model: "m"})
	s.last.at = now
	for _, x := range []struct {
		err   error
		after time.Duration
		want  bool
	}{
		{&Rejection{Reason: Deadline}, proof, false}, {&Rejection{Reason: Deadline}, proof + 1, true},
		{&Rejection{Reason: MaxWait}, proof, false}, {&Rejection{Reason: MaxWait}, proof + 1, true},
		{&Rejection{Reason: TooLarge}, time.Hour, false}, {errAway, time.Hour, false}, {nil, time.Hour, false},
	} {
		if got := s.outdatedLocked(now.Add(x.after), x.err); got != x.want {
			t.Errorf("%+v after %v: %v", x.err, x.after, got)
		}
	}
}
