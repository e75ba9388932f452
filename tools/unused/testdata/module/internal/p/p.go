// Package p declares what is used, and what is not.
package p

import "io"

type T[E any] struct {
	Used, Unused, Tested E
	Tagged               int `json:"tagged"`
	io.Closer
	private int
}

func (t *T[E]) Called()       {}
func (t *T[E]) Uncalled()     {}
func (t *T[E]) Tests() E      { t.private++; var e E; return e }
func (t *T[E]) Error() string { return "" }
func (t *T[E]) Flush()        {}

func Flush(f interface{ Flush() }) { f.Flush() }

type Pair struct{ X, Y int }

type Nested struct {
	Inner struct{ Deep, Deeper int }
}
