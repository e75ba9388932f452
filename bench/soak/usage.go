package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/cputime"
)

// A usage is what the periods of a run have taken, one after another.
type usage struct {
	heap []int64         // at the end of each
	each []time.Duration // of processors' time, for a call
	cpu  time.Duration
	n    int64
}

// take closes a period.
func (u *usage) take(t *tally) string {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first has found lost is closed by now, or soon
	runtime.ReadMemStats(&m)
	cpu, n := cputime.Process(), t.settled.Load()
	each := (cpu - u.cpu) / time.Duration(max(1, n-u.n))
	u.heap, u.each, u.cpu, u.n = append(u.heap, int64(m.HeapAlloc)), append(u.each, each), cpu, n
	return fmt.Sprintf("%d calls, %v each, heap %d KB, %d goroutines", n, each, m.HeapAlloc>>10, runtime.NumGoroutine())
}

// check compares the second period with the last. What is kept of names grows for ten
// minutes, by some KB for each that comes once; a call's time is that of the server, too.
func (u *usage) check(duration time.Duration) error {
	if len(u.heap) < 3 {
		return errors.New("there were no periods")
	}
	var errs []error
	first, last := u.heap[1], u.heap[len(u.heap)-1]
	if most := first + first/4 + names.Load()*8<<10 + 4<<20; last > most {
		errs = append(errs, fmt.Errorf("the heap has grown from %d KB to %d", first>>10, last>>10))
	}
	most := 2.0
	if duration < time.Minute {
		most = 3
	}
	if ratio := float64(u.each[len(u.each)-1]) / float64(u.each[1]); ratio > most {
		errs = append(errs, fmt.Errorf("a call takes %v, beside %v in the beginning: %.1f times as much", u.each[len(u.each)-1], u.each[1], ratio))
	}
	return errors.Join(errs...)
}
