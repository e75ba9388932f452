// Package first measures the first use of a counter in a program.
package first

import (
	"encoding/json"
	"net/http"
	"os"
	"runtime"
	"time"
)

// A Use is what the first use took.
type Use struct {
	Took      time.Duration
	Allocated uint64 // bytes
}

// Count counts the tokens of a sentence and prints a Use. It makes sure as well
// that the program has what every user's has, and comparing sizes is fair.
func Count(count func(text string) int) {
	_ = http.DefaultClient.Transport
	http.DefaultServeMux.Handle("/", http.NotFoundHandler())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	n := count("The quick brown fox doesn't jump over 13 lazy dogs, antidisestablishmentarianism notwithstanding.")
	use := Use{Took: time.Since(start)}
	runtime.ReadMemStats(&after)
	use.Allocated = after.TotalAlloc - before.TotalAlloc
	if n == 0 || json.NewEncoder(os.Stdout).Encode(use) != nil {
		os.Exit(1)
	}
	if len(os.Args) > 1 { // never; but the linker cannot know
		_ = http.ListenAndServe(os.Args[1], nil)
	}
}
