//go:build !linux

package main

import "time"

var start = time.Now()

// now is the time on the clock: other systems tell it otherwise, or not as finely.
func now() time.Duration { return time.Since(start) }
