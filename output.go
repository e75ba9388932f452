package ratelimiter

// output remembers how much output the scope's answers have needed, reasoning
// included, for calls that declare no maximum. Answers that were broken off, or hide
// reasoning and have no usage, teach nothing.
//
// What is reserved for such a call is their mean, not a high quantile. The ledger is
// settled to each answer, so that over many calls it holds what they use: a quantile
// would only keep budget from others for as long as answers take, several times as
// much as they need where a few are long. What it would guard against, more output
// than was reserved, the server learns no earlier than we do. In the simulation's
// scenarios without a maximum, over five seeds, the mean used 99.91 % of what the
// oracle used, quantiles of 50, 75 and 90 % used 99.92, 99.89 and 99.98 %: no more than
// the seeds differ.
//
// Each process learns for itself: what an answer needs depends on what is asked, and
// processes that share a budget need not ask the same. A few answers teach it, and no
// call has to wait for the store to tell.
type output struct {
	recent [32]int64
	n      int
}

// undeclared is what is reserved for output before any answer was seen: a few
// paragraphs. The first answer replaces it.
const undeclared = 256

func (o *output) add(tokens int64) {
	if tokens <= 0 {
		return
	}
	o.recent[o.n%len(o.recent)] = min(tokens, largest)
	o.n++
}

// expect is the mean of the recent answers.
func (o *output) expect() int64 {
	n := int64(min(o.n, len(o.recent)))
	if n == 0 {
		return undeclared
	}
	var sum int64
	for _, t := range o.recent[:n] {
		sum += t
	}
	return (sum + n - 1) / n
}
