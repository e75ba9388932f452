// Package seedtest has the seed of tests that draw at random.
package seedtest

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// Seed returns that of RAPID_SEED, or a new one where that is unset or 0. make test sets it, so
// that what a change's tests draw depends on the change alone; rapid reads the same variable.
func Seed() uint64 {
	if set, ok := os.LookupEnv("RAPID_SEED"); ok {
		seed, err := strconv.ParseUint(set, 0, 64)
		if err != nil {
			panic(fmt.Sprintf("RAPID_SEED: %v", err))
		}
		if seed != 0 {
			return seed
		}
	}
	return uint64(time.Now().UnixNano())
}
