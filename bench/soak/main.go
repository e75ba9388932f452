// Command soak lets random calls run over the memory backend and over Redis for ten minutes,
// or -duration, while everything goes wrong that may: faults, cancellations, slow readers,
// bodies that nobody closes, limits that change, keys, models and tenants that come and go,
// and a Redis that stands still. At the end nothing may be left, the heap must be flat, a
// call must cost what it did in the beginning, and the limiters' accounts must be the
// server's.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	duration := flag.Duration("duration", 10*time.Minute, "for how long calls run")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the calls and faults")
	flag.Parse()
	fmt.Printf("%v, -seed %d\n", *duration, *seed)
	report, err := run(*duration, *seed)
	fmt.Print(report)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
