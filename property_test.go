package ratelimiter_test

import (
	"flag"
	"testing"

	"pgregory.net/rapid"
)

// property checks a property on random draws, as many as -rapid.checks says.
//
// It keeps no fail files. rapid replays every one that it finds, whatever it is told,
// and one that was left by another version of the test draws something else, and
// fails for no reason. So it looks in an empty directory. A failure names its seed
// instead: -rapid.seed=N draws the same again.
func property(t *testing.T, holds func(*rapid.T)) {
	t.Helper()
	kept := flag.Lookup("rapid.nofailfile")
	was := kept.Value.String()
	if err := kept.Value.Set("true"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kept.Value.Set(was) }()
	t.Chdir(t.TempDir())
	rapid.Check(t, holds)
}
