package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// The calls of an account use the same memory one after another. How a model's buckets stood
// is still known when another model's call has been asked for.
func TestAnotherModelsAskLeavesTheSnapshot(t *testing.T) {
	run(t, true, func(b *bench) {
		b.rules.Store(&Rules{Models: map[string]quota.Rule{
			"m": {Amounts: [5]int64{0: rpm, 2: tpm}}, "other": {Amounts: [5]int64{0: 10, 2: 10 * tpm}},
		}})
		other := call(5)
		other.Model = "other"
		b.admit(other)
		b.open()
		b.admit(call(tpm)).Settle(&Outcome{})
		starts := func() time.Time {
			c := call(1000)
			c.MaxWait = time.Second
			var r *Rejection
			if err := b.Admit(context.Background(), &Reservation{Call: *c}); !errors.As(err, &r) || r.Reason != MaxWait {
				b.Fatalf("%v, %+v", err, r)
			}
			return time.Now().Add(r.Wait)
		}
		before := starts()
		b.admit(other)
		if after := starts(); after.Sub(before).Abs() > time.Second {
			b.Errorf("the call would start at %v, and at %v after another model's call", before, after)
		}
	})
}

// Nothing is compared with a call that has ended: its memory belongs to the next.
func TestResponseAfterTheEndCorrectsNothing(t *testing.T) {
	run(t, true, func(b *bench) {
		b.open()
		tokens := wire.Window{Limit: tpm, HasLimit: true, Remaining: tpm - 1000, HasRemaining: true, Reset: 10 * time.Second, HasReset: true}
		head := Response{Status: 200, Headers: wire.Headers{Tokens: tokens}}
		for range 3 {
			r := b.admit(call(10))
			r.Observe(&head)
			r.Settle(&Outcome{})
		}
		ended := b.admit(call(10))
		ended.Settle(&Outcome{})
		next := b.admit(call(3000))
		head.Headers.Tokens.Remaining, head.Headers.Tokens.Reset = 100, 59*time.Second
		if _, corrected := ended.Observe(&head); corrected != (backend.Amounts{}) {
			b.Errorf("corrected by %v", corrected)
		}
		if _, corrected := next.Observe(&head); corrected == (backend.Amounts{}) {
			b.Error("the next call's response corrects nothing")
		}
	})
}

// An ask of a local backend finds the buckets and the flow of its own call.
func TestAsksOfManyModelsAreTheirOwn(t *testing.T) {
	run(t, true, func(b *bench) {
		b.open()
		for range 3 {
			for _, x := range []struct {
				model  string
				tokens int64
			}{{"m", 50}, {"other", 70}, {"third", 90}} {
				c := call(x.tokens)
				c.Model, c.Body = x.model, predict.Body{Tokens: x.tokens, Input: x.tokens, Choices: 1}
				r := b.admit(c)
				if r.Cost() != (backend.Amounts{1, x.tokens, 0}) {
					b.Errorf("%s is charged %v", x.model, r.Cost())
				}
				r.Settle(&Outcome{HasUsage: true, Usage: wire.Usage{Input: x.tokens - 1, Output: 0, Total: x.tokens - 1}})
			}
		}
		if free := b.free(); free != tpm-3*49 {
			b.Errorf("%d tokens are free of %d", free, tpm)
		}
	})
}

// The memory of a call that has ended is the next one's; so much is kept as calls have been in flight,
// within bounds.
func TestSpareMemoryIsBounded(t *testing.T) {
	run(t, true, func(b *bench) {
		b.open()
		spare := func() int { return len(b.account("a").spare) }
		if spare() != 1 {
			b.Errorf("%d are kept after a call", spare())
		}
		r := b.admit(call(1))
		if spare() != 0 {
			b.Error("the call has other memory")
		}
		r.Settle(&Outcome{})
		if r.sent != nil || spare() != 1 {
			b.Errorf("%d are kept, and the call has %v", spare(), r.sent)
		}
		var all []*Reservation
		for range mostSpare + 2 {
			all = append(all, b.admit(call(1)))
		}
		for _, r := range all {
			r.Settle(&Outcome{})
		}
		if spare() != mostSpare {
			b.Errorf("%d are kept of %d", spare(), len(all))
		}
	})
}
