package predict

// Outputs remembers how much output the scope's responses have needed, reasoning
// included, for calls that declare no maximum. Responses that were broken off, or hide
// reasoning and report no usage, teach nothing. The zero value has seen none.
//
// What is reserved for such a call is their mean, not a high quantile. The ledger is
// settled to each response, so that over many calls it holds what they use: a quantile
// would only keep budget from others for as long as responses take, several times as
// much as they need where a few are long. What it would guard against, more output
// than was reserved, the server learns no earlier than we do. In the simulation's
// scenarios without a maximum, over five seeds, the mean used 99.91 % of what the
// oracle used, quantiles of 50, 75 and 90 % used 99.92, 99.89 and 99.98 %: no more than
// the seeds differ.
//
// Each process learns for itself: what a response needs depends on what is asked, and
// processes that share a budget need not ask the same. A few responses teach it, and no
// call has to wait for a store.
type Outputs struct {
	recent [32]int64
	n      uint64
	sum    int64
}

// unseen is what is reserved for output before any response was seen: a few paragraphs.
// The first response replaces it.
const unseen = 256

// Add takes in how many tokens a response has needed.
func (o *Outputs) Add(tokens int64) {
	if tokens <= 0 {
		return
	}
	tokens = min(tokens, largest)
	at := o.n % uint64(len(o.recent))
	o.sum += tokens - o.recent[at]
	o.recent[at] = tokens
	o.n++
}

// Expect is the mean of the recent responses, rounded up.
func (o *Outputs) Expect() int64 {
	n := int64(min(o.n, uint64(len(o.recent))))
	if n == 0 {
		return unseen
	}
	return (o.sum + n - 1) / n
}
