// Package p has a rule that its tests hold, and one that only its importer's do.
package p

// Over reports whether n is above the limit.
func Over(n, limit int) bool { return n > limit }

// Half is n / 2.
func Half(n int) int { return n / 2 }

// Slack is what nobody tests.
func Slack(n int) int { return n * 3 }

// Twice is 2 n, which a test of another package compares.
func Twice(n int) int { return n + n }
