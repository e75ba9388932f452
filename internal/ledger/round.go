package ledger

import "slices"

// A Round comes to all of what is kept, a few at each call, so that no call pays for
// how much there is. The zero value is empty. It is not safe for concurrent use.
type Round[T any] struct {
	kept []T
	next int
}

// Len is how many are kept.
func (r *Round[T]) Len() int { return len(r.kept) }

// Add keeps one more.
func (r *Round[T]) Add(v T) { r.kept = append(r.kept, v) }

// Cut drops all but the first n, and returns what it drops.
func (r *Round[T]) Cut(n int) []T {
	cut := slices.Clone(r.kept[n:])
	clear(r.kept[n:])
	r.kept = r.kept[:n]
	return cut
}

// Visit looks at the next two, and drops those that are gone.
func (r *Round[T]) Visit(gone func(T) bool) {
	const looks = 2
	for range min(looks, len(r.kept)) {
		if r.next >= len(r.kept) {
			r.next = 0
		}
		if !gone(r.kept[r.next]) {
			r.next++
			continue
		}
		last := len(r.kept) - 1
		r.kept[r.next] = r.kept[last]
		clear(r.kept[last:]) // so that it can be collected
		r.kept = r.kept[:last]
	}
}
