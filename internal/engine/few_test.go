package engine

import (
	"slices"
	"testing"
	"time"
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
