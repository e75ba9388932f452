package engine

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// What a charge is changed to, once other limits and another charge of the input are known.
func TestChargeChanges(t *testing.T) {
	of := func(tokens, input, counted, certain int64) charge {
		return charge{cost: backend.Amounts{1, tokens, 2}, input: input, counted: counted, certain: certain}
	}
	for _, x := range []struct {
		name string
		f    func(*charge)
		was  charge
		want charge
	}{
		{"cut", func(c *charge) { c.cut(600) }, of(1500, 1000, 1000, 500), of(600, 600, 600, 500)},
		{"cut, of output", func(c *charge) { c.cut(1200) }, of(1500, 1000, 1000, 1000), of(1200, 1000, 1000, 1000)},
		{"cut to more", func(c *charge) { c.cut(2000) }, of(900, 600, 1000, 900), of(900, 600, 1000, 900)},
		{"cut, charged by another ratio", func(c *charge) { c.cut(500) }, of(1500, 1000, 2001, 500), of(500, 500, 1001, 500)},
		{"charged less", func(c *charge) { c.recharge(600) }, of(1500, 1000, 1000, 1500), of(1100, 600, 1000, 1100)},
		{"charged more", func(c *charge) { c.recharge(1300) }, of(1500, 1000, 1000, 1500), of(1800, 1300, 1000, 1500)},
	} {
		got := x.was
		if x.f(&got); got != x.want {
			t.Errorf("%s: %+v; want %+v", x.name, got, x.want)
		}
	}
}

// What the server says of its charge is compared only with what is no guess.
func TestComparable(t *testing.T) {
	c := charge{cost: backend.Amounts{1, 1500}, input: 800, counted: 1000}
	for name, x := range map[string]struct {
		body predict.Body
		want quota.Input
	}{
		"exact":             {predict.Body{}, quota.Input{Charged: 800, Counted: 1000}},
		"a whole":           {predict.Body{Whole: true}, quota.Input{}},
		"no output":         {predict.Body{Undeclared: true}, quota.Input{Charged: 800}},
		"hidden context":    {predict.Body{Previous: "r"}, quota.Input{Charged: 800}},
		"guesses of images": {predict.Body{Guessed: 10}, quota.Input{Charged: 800}},
	} {
		r := Reservation{Call: Call{Body: x.body}, charge: c}
		if got := r.comparable(&c); got != x.want {
			t.Errorf("%s: %+v; want %+v", name, got, x.want)
		}
	}
}

// charges makes it known how many times our count of the input the server charges.
func (b *bench) charges(ratio float64) {
	s := b.scope()
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	now := time.Now().Format(time.RFC3339Nano)
	note := fmt.Sprintf(`{"v":3,"at":%q,"limits":[{"owner":%q,"name":"tpm","reported":%q,"tracker":{"margin":0,"at":%q,"reports":1,"ratio":%v,"charged":%q}}]}`,
		now, digestOf(b, &s.quota), now, now, ratio, now)
	if _, err := s.quota.TakeNote(time.Now(), []byte(note), 0); err != nil {
		b.Fatal(err)
	}
}

// wanted is what calls of the model wait for.
func (b *bench) wanted() backend.Amounts {
	synctest.Wait()
	s := b.scope()
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	return s.queue.wanted
}

// Calls that wait are charged by what is known when they start. A cost that is stated as a
// whole is no input.
func TestWaitersAreChargedByWhatIsKnown(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		whole := call(400)
		whole.Body.Whole = true
		first, second := b.start(call(1000)), b.start(whole)
		time.Sleep(time.Second)
		b.charges(0.5)
		if tokens := b.wanted()[backend.Tokens]; tokens != 1400 {
			b.Errorf("%d tokens are wanted", tokens)
		}
		time.Sleep(time.Minute)
		if err := <-first.err; err != nil {
			b.Fatal(err)
		}
		if err := <-second.err; err != nil {
			b.Fatal(err)
		}
		if got, all := first.r.Cost()[backend.Tokens], second.r.Cost()[backend.Tokens]; got != 500 || all != 400 {
			b.Errorf("%d and %d are charged; want 500 and 400", got, all)
		}
		if got := b.wanted(); got != (backend.Amounts{}) {
			b.Errorf("%v are wanted by nobody", got)
		}
	})
}

// What a response is expected to use is what was counted, and the rest of the charge.
func TestEstimate(t *testing.T) {
	for _, x := range []struct {
		name   string
		charge charge
		want   wire.Usage
	}{
		{"input and output", charge{cost: backend.Amounts{1, 1500}, input: 1000, counted: 1000}, wire.Usage{Input: 1000, Output: 500}},
		{"input charged by a ratio", charge{cost: backend.Amounts{1, 1500}, input: 800, counted: 1000}, wire.Usage{Input: 1000, Output: 700}},
		{"input alone", charge{cost: backend.Amounts{1, 1000}, input: 1000, counted: 1000}, wire.Usage{Input: 1000}},
		{"a charge that was cut below its input", charge{cost: backend.Amounts{1, 600}, input: 1000, counted: 1000}, wire.Usage{Input: 1000}},
	} {
		if got := (&Reservation{charge: x.charge}).Estimate(); got != x.want {
			t.Errorf("%s: %+v; want %+v", x.name, got, x.want)
		}
	}
}

// A call knows how old the levels are that a slow backend has answered with: asked for alone, and
// after a wait.
func TestLevelsAreAsOldAsTheAnswer(t *testing.T) {
	const took = 300 * time.Millisecond
	run(t, false, func(b *bench) {
		b.open()
		b.takes(func(int, *backend.Ask) error {
			time.Sleep(took)
			return nil
		})
		alone := b.admit(call(tpm / 2))
		waited := b.admit(call(tpm))
		for _, r := range []*Reservation{alone, waited} {
			if len(r.sent) == 0 {
				b.Fatal("nothing is known of its buckets")
			}
			for i := range r.sent {
				if r.sent[i].Age != took {
					b.Errorf("%v old", r.sent[i].Age)
				}
			}
			r.Settle(&Outcome{})
		}
	})
}
