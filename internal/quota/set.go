package quota

import (
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
)

// A Set is what one scope may draw from.
type Set struct {
	owner  string
	limits []*Limit // replaced when it changes, never changed in place: asks refer to it

	start      calibration.SlowStart
	restarted  time.Time                             // when a pause last made start begin anew
	sends      [backend.Dimensions]calibration.Sends // of this scope in this process
	sent       [backend.Dimensions]float64           // in all
	candidates [backend.Dimensions]candidate
	refunds    refunds
	backoff    backoff
	throughput throughput
	dirty      bool
	urgent     bool // what made it dirty must not wait
	subwindows bool // the server is of a kind that enforces limits in them
}

// NewSet returns the set of a scope whose own buckets belong to owner. Some of the
// limits may be shared with other sets.
func NewSet(owner string, limits []*Limit) Set { return Set{owner: owner, limits: limits} }

// ExpectSubwindows says that the server is of a kind that enforces limits in subwindows.
func (s *Set) ExpectSubwindows() { s.subwindows = true }

// Configure replaces what was configured: limits are those of the scope's own, which may be
// new, and those that it shares from now on. What was learned of a limit stays unless the
// limit is configured to be another.
func (s *Set) Configure(now time.Time, limits []*Limit) {
	holds := make([]*Limit, 0, len(s.limits))
	for _, to := range limits {
		l := to
		if own := s.own(to); own != nil {
			own.Configure(now, to)
			l = own
		}
		if l.set.Equal(now) {
			s.dirty, s.urgent = true, true
		}
		holds = append(holds, l)
	}
	for _, l := range s.limits {
		if l.whole != nil || slices.Contains(holds, l) || l.Owner != s.owner || l.learned.Amount == 0 {
			continue // what goes stays as it was: calls in flight are settled by it
		}
		l.Configure(now, newLimit(l.Owner, l.Kind))
		holds = append(holds, l)
	}
	for _, l := range s.limits {
		if l.whole != nil && slices.Contains(holds, l.whole) {
			holds = append(holds, l)
		}
	}
	s.limits = holds
}

// own returns the limit of the scope's own with this owner and name.
func (s *Set) own(like *Limit) *Limit {
	for _, l := range s.limits {
		if l.Owner == s.owner && l.Owner == like.Owner && l.Name == like.Name {
			return l
		}
	}
	return nil
}

// Owner owns the scope's own buckets.
func (s *Set) Owner() string { return s.owner }

// Limits are those that hold at present. The slice does not change.
func (s *Set) Limits() []*Limit { return slices.Clip(s.limits) }

// Dirty reports whether something was learned that other processes should have soon,
// since the last call of Clean.
func (s *Set) Dirty() bool { return s.dirty }

// Urgent reports whether they should have it at once.
func (s *Set) Urgent() bool { return s.urgent }

// Clean says that the others have it.
func (s *Set) Clean() { s.dirty, s.urgent = false, false }

// Owners are the owners of the scope's limits and the scope's own.
func (s *Set) Owners() []string {
	owners := []string{s.owner}
	for _, l := range s.limits {
		if !slices.Contains(owners, l.Owner) {
			owners = append(owners, l.Owner)
		}
	}
	return owners
}

// Clear forgets what is known of the levels: the backend has filled the buckets, and lifted
// their pauses.
func (s *Set) Clear(now time.Time) {
	if s.start.PausedTo().After(now) {
		s.restart(now, now)
	}
	for _, l := range s.limits {
		l.clear(now)
	}
}

// belief is how long a learned limit is certain enough to reject a call for.
const belief = time.Minute

// exceeds reports whether the cost can never fit the limit. doubtful says that this is
// not certain: only one response has reported the limit, or none has confirmed it for a
// while, so that it may be wrong or have been raised.
func (l *Limit) exceeds(cost *backend.Amounts, now time.Time) (exceeded, doubtful bool) {
	if cost[l.Dimension] <= l.Amount() {
		return false, false
	}
	assumed := l.assumed()
	if l.whole != nil {
		assumed = l.whole.assumed()
	}
	certain := assumed > 0 && cost[l.Dimension] > assumed || l.confirmed && now.Sub(l.reportAt) < belief
	return true, !certain
}

// Exceeded returns the limit that the cost can never fit, or nil. Limits in doubt reject
// nothing: only a call that is sent finds out.
func (s *Set) Exceeded(cost *backend.Amounts, now time.Time) *Limit {
	for _, l := range s.limits {
		if exceeded, doubtful := l.exceeds(cost, now); exceeded && !doubtful {
			return l
		}
	}
	return nil
}

// Least is the smallest limit on the dimension, or Largest.
func (s *Set) Least(d backend.Dimension) int64 {
	least := int64(Largest)
	for _, l := range s.limits {
		if l.Dimension == d {
			least = min(least, l.Amount())
		}
	}
	return least
}

// Admissible returns the limits that a call of this cost would be charged to: all but
// those in doubt that it exceeds.
func (s *Set) Admissible(cost *backend.Amounts, now time.Time) []*Limit {
	for _, l := range s.limits {
		if _, doubtful := l.exceeds(cost, now); doubtful {
			return slices.DeleteFunc(slices.Clone(s.limits), func(l *Limit) bool {
				_, doubtful := l.exceeds(cost, now)
				return doubtful
			})
		}
	}
	return s.Limits()
}

// DropDoubtful forgets the limits in doubt that the cost exceeds, for its call is about
// to be sent.
func (s *Set) DropDoubtful(cost *backend.Amounts, now time.Time) {
	for _, l := range s.limits {
		if _, doubtful := l.exceeds(cost, now); doubtful {
			s.forget(l)
		}
	}
}

// forget drops what was learned of a limit.
func (s *Set) forget(l *Limit) {
	if l.configured > 0 {
		l.learned = calibration.LimitEstimate{}
		return
	}
	s.limits = slices.DeleteFunc(slices.Clone(s.limits), func(x *Limit) bool { return x == l || x.whole == l })
}

func (s *Set) add(l *Limit) { s.limits = append(slices.Clip(s.limits), l) }

// complete reports whether limits per minute of requests and tokens are known, so that
// nothing but them needs to hold calls back.
func (s *Set) complete() bool {
	var requests, tokens bool
	for _, l := range s.limits {
		requests = requests || l.Period == minute && l.Dimension == backend.Requests
		tokens = tokens || l.Period == minute && l.Dimension == backend.Tokens
	}
	return requests && tokens
}

// find returns the limit that the server means when it reports this amount for this
// model: the model's own, else its family's. An account's limit is meant only where the
// amount is its own: the server knows nothing of those that were configured here.
func (s *Set) find(d backend.Dimension, period time.Duration, amount int64) *Limit {
	for _, l := range s.limits {
		if l.Dimension == d && l.Period == period && l.whole == nil && !l.Project && (l.Owner != AccountOwner || l.is(amount)) {
			return l
		}
	}
	return nil
}

// findThrottling is find for a throttle, whose text tells a project's limit by its amount
// alone.
func (s *Set) findThrottling(d backend.Dimension, period time.Duration, amount int64) *Limit {
	found := s.find(d, period, amount)
	if found != nil && found.is(amount) {
		return found
	}
	for _, l := range s.limits {
		if l.Project && l.Dimension == d && l.Period == period && l.whole == nil && l.is(amount) {
			return l
		}
	}
	return found
}

// Refill is how long the limits take to refill the amounts.
func (s *Set) Refill(amounts *backend.Amounts) (longest time.Duration) {
	for _, l := range s.limits {
		longest = max(longest, time.Duration(float64(amounts[l.Dimension])*float64(l.Period)/float64(l.Amount())))
	}
	return longest
}

// Fit returns how many tokens of a guess the limits allow, but no less than is certain:
// a call is too large only by what is certain. By a guess that is too high it would be
// rejected for ever, and the guess never be corrected.
func (s *Set) Fit(tokens, certain int64) int64 {
	for _, l := range s.limits {
		if l.Dimension == backend.Tokens {
			tokens = min(tokens, max(certain, l.Amount()))
		}
	}
	return tokens
}

// A Sent is where a limit's bucket stood when a call started.
type Sent struct {
	limit *Limit
	calibration.Sent
}

// Input is the part of a call's tokens that is input: as it was charged, and as it was
// counted; 0 where the input can't be told from the rest, or the charge is not comparable
// with the server's, since part of it is a guess.
type Input struct {
	Charged, Counted int64
}

// A Grant is a cost that a backend has charged, of those that it was asked for.
type Grant struct {
	Cost    backend.Amounts
	Input   Input            // the part of Cost's tokens that is input
	Limits  []*Limit         // that the ask began with
	Buckets []backend.Bucket // of the ask
	Answer  *backend.Answer
	// Took is how long the backend took to answer.
	Took time.Duration
	// Later is what the answer has granted after this cost: its levels are those
	// after the whole grant.
	Later backend.Amounts
}

// Charged notes a grant whose call starts now, and appends to sent where its buckets stood.
func (s *Set) Charged(now time.Time, sent []Sent, g *Grant) []Sent {
	for k, l := range g.Limits[:min(len(g.Limits), len(g.Answer.Levels))] {
		b := &g.Buckets[k]
		later := float64(g.Later[b.Dimension])
		var input calibration.Input
		if l.Dimension == backend.Tokens {
			input = calibration.Input{Charged: float64(g.Input.Charged), Counted: float64(g.Input.Counted)}
		}
		sent = append(sent, Sent{limit: l})
		sent[len(sent)-1].Sent = l.tracker.Send(now, float64(g.Cost[b.Dimension]), input, calibration.Level{
			Used:      b.Capacity() - g.Answer.Levels[k] - later,
			Charged:   g.Answer.Charged[k] - later,
			Corrected: g.Answer.Corrected[k],
			Age:       g.Took,
		})
		l.drawn.See(now, g.Answer.Charged[k]-later, l.refill())
		l.used = 0 // the backend knows the bucket from now on
	}
	for d, n := range g.Cost {
		if n != 0 {
			s.sent[d] += float64(n)
			s.sends[d].Add(now, s.sent[d], float64(n))
		}
	}
	s.start.Sent(now)
	s.throughput.started(now)
	return sent
}

// Saw notes how the buckets of limits stand, by the answer to an ask that has charged nothing.
func (s *Set) Saw(now time.Time, limits []*Limit, buckets []backend.Bucket, answer *backend.Answer) {
	for k, l := range limits[:min(len(limits), len(answer.Levels))] {
		l.tracker.See(now, calibration.Level{
			Used: buckets[k].Capacity() - answer.Levels[k], Charged: answer.Charged[k], Corrected: answer.Corrected[k],
		})
		l.drawn.See(now, answer.Charged[k], l.refill())
	}
}

// Refundable returns the limits to whose buckets a call's refund goes: those that it was charged
// to, so none that was learned since. Subwindows are among them only if the call was cancelled:
// a call that was sent has passed them.
func Refundable(sent []Sent, cancelled bool) []*Limit {
	limits := make([]*Limit, 0, len(sent))
	for i := range sent {
		if l := sent[i].limit; l.whole == nil || cancelled {
			limits = append(limits, l)
		}
	}
	return limits
}

// A Request is a call that was sent, whose response says something of the limits.
type Request struct {
	SentAt  time.Time
	Cost    backend.Amounts
	Input   Input // the part of its tokens that is input
	Certain int64 // the part of its tokens that is no guess
	Sent    []Sent
}

// least is what the call draws from a dimension for certain.
func (r *Request) least(d backend.Dimension) int64 {
	if d == backend.Tokens {
		return r.Certain
	}
	return r.Cost[d]
}

// level returns where the limit's bucket stood when the request was sent. ok is false
// where its caller took time between the two, so that it stood elsewhere by then.
func (r *Request) level(l *Limit) (level calibration.Sent, ok bool) {
	const soon = time.Second
	for i := range r.Sent {
		if r.Sent[i].limit == l {
			return r.Sent[i].Sent, r.SentAt.Sub(r.Sent[i].At) < soon
		}
	}
	return calibration.Sent{}, false
}

// drew reports whether the call was charged to the limit's bucket.
func (r *Request) drew(l *Limit) bool {
	return slices.ContainsFunc(r.Sent, func(s Sent) bool { return s.limit == l })
}

// sentAfter is what calls in flight will have added to a bucket that is only now known,
// beside those that the server had counted for r. Calls that are done are left out: their
// share is small, and the next response reports it.
func (s *Set) sentAfter(r *Request, d backend.Dimension) float64 {
	return s.sends[d].After(r.SentAt, float64(r.Cost[d]))
}

// ChargedInput is what the server charges for an input of so many tokens by our count, as
// far as that has been learned.
func (s *Set) ChargedInput(tokens int64) int64 {
	for _, l := range s.limits {
		if l.Dimension == backend.Tokens && l.whole == nil {
			if ratio := l.tracker.InputRatio(); ratio != 1 {
				return min(Largest, int64(float64(tokens)*ratio+0.5))
			}
		}
	}
	return tokens
}

// A Correction is one of a limit's bucket.
type Correction struct {
	Limit *Limit
	backend.Correction
}

// Lowered is by how much a correction lowers what is used.
func (c *Correction) Lowered() float64 { return max(0, c.From-c.To) }

// Written takes in how long a request took from its start until it was written:
// connections must be made, and the machine may be busy.
func (s *Set) Written(r *Request, after time.Duration) {
	for i := range r.Sent {
		// All processes must hold back the same, or those that hold back more get less.
		s.dirty = r.Sent[i].limit.written(after) || s.dirty
	}
}
