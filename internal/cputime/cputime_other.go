//go:build !linux

package cputime

import "time"

var start = time.Now()

// Thread is the time on the clock.
func Thread() time.Duration { return time.Since(start) }

// Process is the time on the clock.
func Process() time.Duration { return time.Since(start) }
