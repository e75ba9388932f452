package ratelimiter

// output remembers how much output the scope's answers have needed, for calls
// that declare no maximum.
type output struct {
	recent [32]int64
	n      int
}

// undeclared is what is reserved for output before any answer was seen.
const undeclared = 256

func (o *output) add(tokens int64) {
	if tokens <= 0 {
		return
	}
	o.recent[o.n%len(o.recent)] = tokens
	o.n++
}

// expect is the mean of the recent answers: the server charges what they need
// in all, and the ledger is settled to each.
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
