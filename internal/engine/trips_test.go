package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// However many callers join a queue, a backend that takes time is asked for its head alone,
// ten times a second: nothing that joins behind can start earlier.
func TestCallersThatJoinCostNoAsks(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		all := []*admission{b.start(call(tpm))} // for which a minute's tokens must refill
		before := len(b.asked())
		for range 1000 {
			all = append(all, b.start(call(1)))
			time.Sleep(time.Millisecond)
		}
		if n := len(b.asked()) - before; n > 11 {
			b.Errorf("%d asks in a second", n)
		}
		for _, a := range slices.Backward(all) {
			if !a.waits() {
				b.Error("one did not wait")
			}
			a.cancel()
			<-a.err
		}
	})
}

// A turn is of few calls while tickets take turns. It stops being so when two asks in a row
// have got all they wanted: there is plenty.
func TestTurnIsShortUntilThereIsPlenty(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		b.admit(call(tpm))
		var all []*admission
		for range 2 + 2*backend.MaxCosts {
			all = append(all, b.start(call(10))) // what refills in turnTime
		}
		before := len(b.asked())
		if err := b.Engine.Clear(b.Context(), "a", "m"); err != nil {
			b.Fatal(err)
		}
		for _, a := range all {
			if err := <-a.err; err != nil {
				b.Error(err)
			}
		}
		var got []int
		for _, ask := range b.asked()[before:] {
			got = append(got, len(ask.Costs))
		}
		if want := []int{1, 1, backend.MaxCosts, backend.MaxCosts}; !slices.Equal(got, want) {
			b.Errorf("asks are for %d calls; want %d", got, want)
		}
	})
}
