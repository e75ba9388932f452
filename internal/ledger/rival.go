package ledger

import "github.com/openai-ratelimiter/ratelimiter/backend"

// A rival is a ticket, or a node, that may stand before.
type rival struct {
	entry
	end        float64
	parts      []part // of the ticket, or of the node's first
	next, need backend.Amounts
	part       float64 // of what it needs, as its own buckets let it start now
	tickets    float64
	buckets    []*bucket
	margins    []float64 // of the first cost, by bucket
}

// before reports whether the rival stands before a cost of that tag and place.
func (r *rival) before(tag, place float64) bool {
	return r.tag < tag || r.tag == tag && r.place < place
}

// share is the part of what the rival needs that comes before a cost of that tag, and
// that its own buckets let start now.
func (r *rival) share(tag float64) float64 {
	if r.node != nil && len(r.parts) == 1 {
		if r.end > tag {
			return min(r.part, (tag-r.tag)/(r.end-r.tag))
		}
		return r.part
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
	if r.node == nil || r.end <= tag {
		return share
	}
	// The tickets of a node are at most as early as its first, and else all over the time to
	// the last: the mean of both is near enough. With the first alone so much would be set
	// aside, where flows are many, that what there is stayed unused.
	return (share + min(share, (tag-r.tag)/(r.end-r.tag))) / 2
}
