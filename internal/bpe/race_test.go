//go:build race

package bpe_test

// The race detector makes sync.Pool drop some of what it is given.
const raceEnabled = true
