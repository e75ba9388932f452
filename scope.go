package ratelimiter

import (
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/calibration"
)

// A scope is an account's model: the limits it draws from, and the queue of
// this process for them. It is guarded by its account's lock.
type scope struct {
	account *account
	model   string
	owner   string // of its own buckets
	line    string
	limits  []*limit

	queue
	opening  calibration.Opening
	inFlight int
	last     snapshot
	sends    [backend.Dimensions]calibration.Sends // of this scope in this process
	sent     [backend.Dimensions]float64           // in all
	headers  time.Duration                         // the shortest time to a response's headers
	output   output
	back     givenBack

	meeting  chan struct{} // closed when it has been done
	met      bool          // what others have learned is known
	exchange exchange
}

// limitKey identifies a limit within an account.
type limitKey struct {
	owner string
	name  string
}

// A limit is one that was configured, learned from the server, or both.
type limit struct {
	owner string
	window
	burst      time.Duration
	configured int64
	learned    int64
	header     string    // that told learned
	learnedAt  time.Time // when it arrived
	toldAt     time.Time // when the request was sent that it answers
	start      float64   // what was used when it was learned
	gauge      calibration.Gauge
	ramp       calibration.Ramp
	way        time.Duration // the longest that a request took to be sent
	whole      *limit        // of which this is a slice
}

func newLimit(owner string, w window) *limit {
	return &limit{owner: owner, window: w, gauge: calibration.Gauge{Exact: w.dimension != backend.Tokens, Period: w.period}}
}

// amount is the limit that holds: the lower of the two.
func (l *limit) amount() int64 {
	if l.whole != nil {
		return l.whole.amount()
	}
	if l.configured > 0 && (l.learned == 0 || l.configured <= l.learned) {
		return l.configured
	}
	return l.learned
}

// told takes in what the server has said the limit is, in answer to a request
// sent then.
func (l *limit) told(amount int64, by string, now, sent time.Time) {
	if l.learned != amount {
		l.gauge.Forget()
	}
	l.learned, l.header, l.learnedAt, l.toldAt = amount, by, now, sent
}

// source says where amount comes from, and how old it is.
func (l *limit) source(now time.Time) (string, time.Duration) {
	if l.configured > 0 && l.amount() == l.configured {
		return "configured", 0
	}
	return l.header, max(time.Millisecond, now.Sub(l.learnedAt))
}

// holdBack is the longest time that a request takes to reach the server before
// that is known: our bucket begins to refill when we charge it, the server's
// when the first request arrives. mostHoldBack is the longest that is believed.
const (
	holdBack     = 100 * time.Millisecond
	mostHoldBack = time.Second
)

// held is the time for which what refills is held back.
func (l *limit) held() time.Duration { return max(holdBack, l.way) }

// reached takes in how long a request took to be on its way.
func (l *limit) reached(after time.Duration) {
	l.way = max(l.way, min(after, mostHoldBack))
}

func (l *limit) bucket(now time.Time) backend.Bucket {
	margin := max(l.held().Seconds()/l.period.Seconds(), l.gauge.Margin(now, float64(l.amount())))
	if l.whole != nil {
		margin = sliceMargin.Seconds() / l.period.Seconds()
	}
	return backend.Bucket{
		Owner:     l.owner,
		Name:      l.name,
		Dimension: l.dimension,
		Limit:     l.amount(),
		Period:    l.period,
		Burst:     l.burst,
		Margin:    float64(l.amount()) * margin,
		Start:     max(0, l.start-float64(l.amount())*float64(now.Sub(l.learnedAt))/float64(l.period)),
	}
}

// Some limits are enforced in slices of their period: "60,000 requests/minute may
// be enforced as 1,000 requests/second" (OpenAI's help, article 6891753); Azure's
// are of one or ten seconds. No header tells, only refusals that come long before
// the limit is reached.
const (
	shortSlice = time.Second
	longSlice  = 10 * time.Second
	// sliceMargin is how far requests may crowd on their way.
	sliceMargin = 200 * time.Millisecond
	// sliceBelief is how long a slice is believed in after the last refusal.
	sliceBelief = time.Hour
)

// slice takes in that the server enforces a limit in slices, for it has refused
// a call for so long although the limit was not reached.
func (s *scope) slice(now time.Time, l *limit, refused time.Duration) {
	length := shortSlice
	if refused > shortSlice {
		length = longSlice
	}
	for _, known := range s.limits {
		if known.whole == l {
			known.burst, known.learnedAt = max(known.burst, length), now
			return
		}
	}
	part := newLimit(l.owner, l.window)
	part.burst, part.whole, part.header, part.learnedAt = length, l, "a refusal by the server", now
	part.name += "/slice"
	s.limits = append(s.limits, part)
}

// dropSlices forgets slices that have refused nothing for long.
func (s *scope) dropSlices(now time.Time) {
	s.limits = slices.DeleteFunc(s.limits, func(l *limit) bool {
		return l.whole != nil && now.Sub(l.learnedAt) > sliceBelief
	})
}

// The names of owners and lines. A model's and a family's names can't collide.
const (
	accountOwner = "account"
	modelPrefix  = "model:"
	familyPrefix = "family:"
)

// newScope sets a scope up from the configuration. a.mu must be held.
func (a *account) newScope(model string) *scope {
	s := &scope{account: a, model: model, owner: modelPrefix + model}
	s.line = s.owner
	c := a.limiter.config
	if limits, ok := c.models[model]; ok {
		s.limits = append(s.limits, configured(s.owner, limits)...)
	}
	for name, f := range c.families {
		for _, m := range f.models {
			if m == model {
				s.line = familyPrefix + name
				s.limits = append(s.limits, a.share(s.line, f.limits)...)
			}
		}
	}
	if c.limits != nil {
		s.line = accountOwner
		s.limits = append(s.limits, a.share(accountOwner, *c.limits)...)
	}
	s.queue.ticket = a.limiter.id + "/" + s.owner
	return s
}

// configured turns limits into a limit for each that is set.
func configured(owner string, limits Limits) []*limit {
	var out []*limit
	for i, n := range limits.each() {
		if n > 0 {
			l := newLimit(owner, windows[i])
			l.configured = n
			if l.period == minute {
				l.burst = limits.Burst
			}
			out = append(out, l)
		}
	}
	return out
}

// share is configured for an owner that several scopes draw from: they get the
// same limits.
func (a *account) share(owner string, limits Limits) []*limit {
	out := configured(owner, limits)
	for i, l := range out {
		key := limitKey{owner, l.name}
		if known := a.shared[key]; known != nil {
			out[i] = known
		} else {
			a.shared[key] = l
		}
	}
	return out
}

// An ask is what the backend is asked, and the limits whose buckets it begins
// with; those of an opening's pace follow.
type ask struct {
	backend.Ask
	limits []*limit
}

// ask describes what the scope draws from at present. s.account.mu must be held.
func (s *scope) ask(now time.Time) ask {
	return ask{backend.Ask{
		Account: s.account.name,
		Line:    s.line,
		Scope:   s.owner,
		Ticket:  s.ticket,
		Buckets: s.buckets(now, s.limits, true),
	}, slices.Clip(s.limits)}
}

// buckets describes limits of the scope, and after them what else holds calls
// back if that is wanted: the pace of an opening, and ramps. s.account.mu must be
// held.
func (s *scope) buckets(now time.Time, limits []*limit, paced bool) []backend.Bucket {
	out := make([]backend.Bucket, len(limits), 2*len(limits))
	for i, l := range limits {
		out[i] = l.bucket(now)
	}
	if !paced {
		return out
	}
	factor := s.opening.Factor(now)
	for _, l := range limits {
		if l.period != minute || l.whole != nil {
			continue
		}
		if factor > 0 {
			out = append(out, s.pace(l, factor))
		}
		if rate := l.ramp.Rate(now, float64(l.amount())); rate > 0 {
			out = append(out, s.slope(l, rate))
		}
	}
	return out
}

// slope is the bucket that holds back traffic which may only grow slowly. Its
// limit is that of the limit, lest a large cost seem impossible.
func (s *scope) slope(l *limit, rate float64) backend.Bucket {
	return backend.Bucket{
		Owner:     l.owner,
		Name:      "ramp/" + l.name,
		Dimension: l.dimension,
		Limit:     l.amount(),
		Period:    time.Duration(float64(l.period) * float64(l.amount()) / rate),
		Burst:     time.Second,
	}
}

// pace is the bucket that holds back an opening: a multiple of the limit,
// which may be used for a moment's worth at once.
func (s *scope) pace(l *limit, factor float64) backend.Bucket {
	return backend.Bucket{
		Owner:     s.owner,
		Name:      "pace/" + l.owner + "/" + l.name,
		Dimension: l.dimension,
		Limit:     int64(min(largest, float64(l.amount())*factor)),
		Period:    l.period,
		Burst:     calibration.PaceBurst,
	}
}

// tooLarge returns the limit that the cost can never fit.
func (s *scope) tooLarge(cost backend.Amounts) *limit {
	for _, l := range s.limits {
		if cost[l.dimension] > l.amount() {
			return l
		}
	}
	return nil
}

// slots is how many more calls the opening lets into flight: −1 for any number.
func (s *scope) slots(now time.Time) int {
	if s.complete() {
		return -1
	}
	calls := s.opening.Calls(now)
	if calls == 0 {
		return -1
	}
	return max(0, calls-s.inFlight-s.asking)
}

// complete reports whether limits per minute of requests and tokens are known,
// so that nothing but them needs to hold the calls back.
func (s *scope) complete() bool {
	var requests, tokens bool
	for _, l := range s.limits {
		requests = requests || l.period == minute && l.dimension == backend.Requests
		tokens = tokens || l.period == minute && l.dimension == backend.Tokens
	}
	return requests && tokens
}

// find returns the limit that the server means when it speaks of this amount to
// this model: the model's own, else its family's. Of an account's limits it
// speaks only where the amount is theirs: it knows nothing of those that we
// have set for ourselves.
func (s *scope) find(d backend.Dimension, period time.Duration, amount int64) *limit {
	for _, l := range s.limits {
		if l.dimension == d && l.period == period && l.whole == nil && (l.owner != accountOwner || l.is(amount)) {
			return l
		}
	}
	return nil
}

// is reports whether the limit has been configured or learned to be the amount.
func (l *limit) is(amount int64) bool { return l.configured == amount || l.learned == amount }
