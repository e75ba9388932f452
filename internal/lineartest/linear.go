// Package lineartest tells work that takes time linear in its size from work that
// does not, on machines that are busy with other things.
package lineartest

import (
	"fmt"
	"runtime"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/cputime"
)

const (
	factor = 8  // by which the larger input is larger
	most   = 24 // times as long may it take; quadratic work takes 64 times
	turns  = 3  // of which the best counts: others can only slow one down
	rounds = 4
)

// Check returns an error where the work on factor × size takes much more than
// factor times as long as that on size. prepare returns the work on a size.
func Check(size int, prepare func(size int) func()) error {
	runtime.LockOSThread() // whose time is measured
	defer runtime.UnlockOSThread()
	small, large := prepare(size), prepare(factor*size)
	small() // what is built once
	quick, slow := time.Duration(1<<62), time.Duration(1<<62)
	for range rounds {
		for range turns {
			quick, slow = min(quick, timed(small)), min(slow, timed(large))
		}
		if slow <= most*max(quick, time.Microsecond) {
			return nil
		}
	}
	return fmt.Errorf("%d times the size takes %v, beside %v", factor, slow, quick)
}

func timed(work func()) time.Duration {
	start := cputime.Thread()
	work()
	return cputime.Thread() - start
}
