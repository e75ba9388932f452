package engine

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
