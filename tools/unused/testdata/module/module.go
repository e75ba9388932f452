// Package module uses an internal package.
package module

import "example.test/module/internal/p"

func F() int {
	t := p.T[int]{Used: 1}
	t.Called()
	p.Flush(&t)
	var n p.Nested
	return n.Inner.Deep + len([]p.Pair{{1, 2}})
}
