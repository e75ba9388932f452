// Package busy measures whether a machine is too busy for a demo to say much.
package busy

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

const (
	// Threshold is for what part of the time a busy machine keeps a process waiting. On an idle
	// one 0.5 % was measured, and 11 to 17 % beside two or three processes for each processor.
	Threshold = 0.02
	// punctual is how late a timer may fire: an idle machine takes a millisecond or so.
	punctual = 5 * time.Millisecond
)

// Watch measures for what part of the time this process is kept waiting, which stop returns. It
// waits for processors that run something else, as far as the system tells, and for timers that
// fire late. Timers count after settling, in which a demo itself keeps its process busy.
func Watch(settling time.Duration) (stop func() float64) {
	begun, before := time.Now(), waited()
	late := lateTimers(settling)
	return func() float64 {
		return max(late(), share(waited()-before, time.Since(begun), runtime.GOMAXPROCS(0)))
	}
}

// share is what part of the time of so many processors it is.
func share(waited, elapsed time.Duration, processors int) float64 {
	return max(0, waited.Seconds()) / (max(elapsed, 1).Seconds() * float64(processors))
}

// waited is how long the threads of this process have waited for a processor, all together. It is
// 0 where the system does not tell: only Linux does.
func waited() (sum time.Duration) {
	threads, err := filepath.Glob("/proc/self/task/*/schedstat")
	if err != nil {
		return 0
	}
	for _, thread := range threads {
		if stat, err := os.ReadFile(thread); err == nil { // it may have ended
			sum += waitedOf(string(stat))
		}
	}
	return sum
}

// waitedOf reads the second of the numbers that Linux has about a thread.
func waitedOf(stat string) time.Duration {
	var ran, waited time.Duration
	if _, err := fmt.Sscan(stat, &ran, &waited); err != nil {
		return 0
	}
	return waited
}

// lateTimers measures for what part of the time timers are late.
func lateTimers(settling time.Duration) (stop func() float64) {
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
