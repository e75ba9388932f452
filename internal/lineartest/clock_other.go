//go:build !linux

package lineartest

import "time"

var start = time.Now()

// now is the time on the clock: other systems tell a thread's otherwise.
func now() time.Duration { return time.Since(start) }
