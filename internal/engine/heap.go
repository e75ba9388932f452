package engine

import "container/heap"

// byTag is a heap of what stands in line, the lowest tag first.
type byTag[T tagged] []T

type tagged interface {
	at() float64  // its tag
	moved(to int) // in the heap
}

func (h byTag[T]) Len() int           { return len(h) }
func (h byTag[T]) Less(i, j int) bool { return h[i].at() < h[j].at() }
func (h byTag[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].moved(i)
	h[j].moved(j)
}
func (h *byTag[T]) Push(x any) {
	x.(T).moved(len(*h))
	*h = append(*h, x.(T))
}
func (h *byTag[T]) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	clear((*h)[last:]) // so that it can be collected
	*h = (*h)[:last]
	return x
}

// A front goes through a heap in its order, without a look at more of it than it must: what
// comes next is below something that has come already.
type front[T tagged] struct {
	heap byTag[T]
	next spots
}

// A spot is a place in the heap.
type spot struct {
	tag float64
	i   int
}

// spots are a heap too. They are values: to push one in place and fix the heap allocates
// nothing.
type spots []spot

func (s spots) Len() int           { return len(s) }
func (s spots) Less(i, j int) bool { return s[i].tag < s[j].tag }
func (s spots) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *spots) Push(x any)        { *s = append(*s, x.(spot)) }
func (s *spots) Pop() any {
	x := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return x
}

func newFront[T tagged](h byTag[T]) *front[T] {
	f := &front[T]{heap: h}
	f.look(0)
	return f
}

func (f *front[T]) look(i int) {
	if i < len(f.heap) {
		f.next = append(f.next, spot{f.heap[i].at(), i})
		heap.Fix(&f.next, len(f.next)-1)
	}
}

// first returns what comes next, or the zero value.
func (f *front[T]) first() (x T) {
	if len(f.next) > 0 {
		x = f.heap[f.next[0].i]
	}
	return x
}

func (f *front[T]) pop() {
	i, last := f.next[0].i, len(f.next)-1
	f.next[0] = f.next[last]
	if f.next = f.next[:last]; last > 0 {
		heap.Fix(&f.next, 0)
	}
	f.look(2*i + 1)
	f.look(2*i + 2)
}
