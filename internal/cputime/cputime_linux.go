// Package cputime measures how long processors have worked, which other processes on
// the machine do not change. Where the system does not tell that, or not as finely, it
// is the time on the clock.
package cputime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Thread is the time spent on the calling thread.
func Thread() time.Duration { return read(unix.CLOCK_THREAD_CPUTIME_ID) }

// Process is the time spent on this process, the garbage collector's included.
func Process() time.Duration { return read(unix.CLOCK_PROCESS_CPUTIME_ID) }

func read(clock int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		panic(err) // Linux has both
	}
	return time.Duration(t.Nano())
}
