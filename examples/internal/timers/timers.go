// Package timers measures whether a machine is too busy for a demo to say much.
package timers

import "time"

const (
	// Busy is for what part of the time timers are late on a busy machine. With five
	// processes for each processor 6 to 11 % were measured.
	Busy = 0.02
	// punctual is how late a timer may fire: an idle machine takes a millisecond or so.
	punctual = 5 * time.Millisecond
)

// Watch measures for what part of the time timers of this process are late, which stop returns.
// It begins after settling, in which a demo itself keeps its process busy.
func Watch(settling time.Duration) (stop func() float64) {
	var late, total time.Duration
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		const tick = 10 * time.Millisecond
		begun := time.Now()
		for {
			set := time.Now()
			select {
			case <-time.After(tick):
				if set.Sub(begun) >= settling {
					took := time.Since(set)
					total += took
					late += lateness(took - tick)
				}
			case <-quit:
				return
			}
		}
	}()
	return func() float64 {
		close(quit)
		<-done
		return late.Seconds() / max(total, 1).Seconds()
	}
}

// lateness is what counts of a timer that fired so much after its time.
func lateness(d time.Duration) time.Duration {
	if d <= punctual {
		return 0
	}
	return d
}
