package ledger

import "github.com/openai-ratelimiter/ratelimiter/backend"

// A rival is a ticket, or a node, that may stand before.
type rival struct {
	entry
	end        float64
	parts      []part // of the ticket, or of the node's first
	next, need backend.Amounts
	alike      bool            // it is a node, and has several parts, all of one flow
	first      backend.Amounts // what the node's first ticket needs, if they are alike
	part       float64         // of what it needs, as its own buckets let it start now
	tickets    float64
	buckets    []*bucket
	margins    []float64 // of the first cost, by bucket
}

// before reports whether the rival stands before a cost of that tag and place.
func (r *rival) before(tag, place float64) bool {
	return r.tag < tag || r.tag == tag && r.place < place
}

// shares are the parts of what the rival needs that come before a cost of that tag, and that its
// own buckets let start now: of what the first of a node's tickets needs, and of all the rest.
func (r *rival) shares(tag float64) (first, rest float64) {
	if r.node != nil && len(r.parts) == 1 {
		rest = r.spread(tag)
		return rest, rest
	}
	sum, all := 0.0, 0.0
	for i := range r.parts {
		p := &r.parts[i]
		all += p.units
		if p.end <= tag {
			sum += p.units
		} else if p.tag < tag {
			sum += float64(p.units * (tag - p.tag) / (p.end - p.tag))
		}
	}
	share := r.part
	if sum != all {
		share = min(share, sum/all)
	}
	switch {
	case r.node == nil || r.end <= tag:
		return share, share
	case r.alike:
		return share, r.spread(tag)
	}
	// Of several flows, each ticket's first cost is about as early as that of the first, and the
	// others are all over the time to the last: the mean of both is near enough. With the first
	// alone so much would be set aside that what there is stayed unused.
	share = (share + min(share, r.spread(tag))) / 2
	return share, share
}

// spread is that part if what is needed is all over the time from the first cost to the last.
func (r *rival) spread(tag float64) float64 {
	if r.end > tag {
		return min(r.part, (tag-r.tag)/(r.end-r.tag))
	}
	return r.part
}
