package redis

import (
	"slices"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// flows are what an ask says of its flows, each once: as flow.lua wants them.
type flows struct {
	packed numbers
	seen   []backend.Flow
}

// number is that of the i-th cost's flow, or 0 if the ask has none.
func (f *flows) number(ask *backend.Ask, i int) float64 {
	if ask.Flows == nil {
		return 0
	}
	flow := ask.FlowOf(i)
	flow.Credit = 0 // it is in what the cost counts
	at := slices.Index(f.seen, flow)
	if at < 0 {
		at = len(f.seen)
		f.seen = append(f.seen, flow)
		f.packed = append(f.packed, flowField(&flow)...)
		f.packed.add(flow.Weight)
	}
	return float64(at + 1)
}
