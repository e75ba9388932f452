package main

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

// A trie is all tokens as a double array; see [layout.Node].
type trie struct {
	nodes []layout.Node
}

// A branch is a node before it has a place.
type branch struct {
	label    byte
	token    uint32 // or None
	children []*branch
}

// buildTrie places nodes in the order in which tokens need them. The lowest ranks
// are the commonest tokens, which so come to lie side by side, and the large nodes
// come early, while there is room; the many of one child fill what is left.
func buildTrie(tokens []string) (*trie, error) {
	root := &branch{token: layout.None}
	var inner []*branch
	for id, token := range tokens {
		if token == "" {
			continue
		}
		at := root
		for i := range len(token) {
			next := at.child(token[i])
			if next == nil {
				if i > 0 && token[i] == layout.End {
					return nil, errors.New("a token contains the byte that marks the ends of tokens")
				}
				if len(at.children) == 0 {
					inner = append(inner, at)
				}
				next = &branch{label: token[i], token: layout.None}
				at.children = append(at.children, next)
			}
			at = next
		}
		at.token = uint32(id)
	}
	return place(root, inner)
}

func (b *branch) child(label byte) *branch {
	for _, c := range b.children {
		if c.label == label {
			return c
		}
	}
	return nil
}

func place(root *branch, inner []*branch) (*trie, error) {
	p := placement{bases: map[uint32]bool{}}
	places := map[*branch]uint32{}
	bases := map[*branch]uint32{}
	for _, b := range inner {
		labels := make([]byte, 0, len(b.children)+1)
		for _, c := range b.children {
			labels = append(labels, c.label)
		}
		if b.token != layout.None {
			labels = append(labels, layout.End)
		}
		base := layout.Root.Value()
		if b != root {
			base = p.base(labels, places[b])
		}
		p.take(base, labels)
		bases[b] = base
		for _, c := range b.children {
			places[c] = base ^ uint32(c.label)
		}
	}
	t := &trie{nodes: make([]layout.Node, len(p.taken)*64)}
	for i := range t.nodes {
		t.nodes[i] = layout.MakeLeaf(layout.End, layout.None)
	}
	for b, at := range places {
		base, isInner := bases[b]
		switch {
		case !isInner:
			t.nodes[at] = layout.MakeLeaf(b.label, b.token)
		case base > math.MaxUint32>>10:
			return nil, errors.New("the trie is too large for its nodes")
		default:
			t.nodes[at] = layout.MakeInner(b.label, base, b.token != layout.None)
			if b.token != layout.None {
				t.nodes[base^layout.End] = layout.MakeLeaf(layout.End, b.token)
			}
		}
	}
	return t, nil
}

// A placement knows which elements are taken, and by which bases.
type placement struct {
	taken []uint64 // a bit for each element
	full  int      // words of taken that have no bit left
	bases map[uint32]bool
}

func (p *placement) free(i uint32) bool {
	return int(i/64) >= len(p.taken) || p.taken[i/64]&(1<<(i%64)) == 0
}

func (p *placement) take(base uint32, labels []byte) {
	p.bases[base] = true
	for _, l := range labels {
		i := base ^ uint32(l)
		for int(i/64) >= len(p.taken) {
			p.taken = append(p.taken, 0)
		}
		p.taken[i/64] |= 1 << (i % 64)
	}
}

// base finds a base that no other node has and whose children are free: near the
// node if there is one, as the way down the trie is then a way through few lines
// of the cache, or else the first.
func (p *placement) base(labels []byte, node uint32) uint32 {
	for p.full < len(p.taken) && p.taken[p.full] == math.MaxUint64 {
		p.full++
	}
	base, ok := p.baseIn(int(node/64), labels)
	for w := p.full; !ok; w++ {
		base, ok = p.baseIn(w, labels)
	}
	return base
}

// baseIn finds a base with which the first child comes to lie in this word of
// taken.
func (p *placement) baseIn(word int, labels []byte) (base uint32, ok bool) {
	free := uint64(math.MaxUint64)
	if word < len(p.taken) {
		free = ^p.taken[word]
	}
	for ; free != 0; free &= free - 1 {
		base := uint32(word*64+bits.TrailingZeros64(free)) ^ uint32(labels[0])
		if !p.bases[base] && p.fits(base, labels) {
			return base, true
		}
	}
	return 0, false
}

func (p *placement) fits(base uint32, labels []byte) bool {
	for _, l := range labels {
		if !p.free(base ^ uint32(l)) {
			return false
		}
	}
	return true
}

func (t *trie) bytes() []byte {
	out := make([]byte, 0, len(t.nodes)*layout.NodeSize)
	for _, n := range t.nodes {
		out = binary.LittleEndian.AppendUint32(out, uint32(n))
	}
	return out
}
