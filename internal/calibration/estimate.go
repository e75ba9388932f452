package calibration

import "time"

// A LimitEstimate is a limit as the server's responses report it. Some report another
// one: they are wrong, or about a second bucket behind the same name. Even where three of
// ten are wrong at random, hardly any wrong amount is adopted; a limit that really has
// changed is adopted after a few seconds, or half a minute where reports are few.
//
// A lower amount is adopted when the last 12 reports agree on it, or the last 6 for half
// a minute, or 23 of the last 32, or nearly half of the last few hundred, or when it
// alternates with the present one. A higher one is adopted when the last 8 agree on it, or
// 21 of the last 32, and fewer than 12 of the last 32 confirm the present one. Among the
// first 32 reports, 8 in a row are enough, or twice as many as confirm the present one, or
// three more of a higher one. The zero value has no report.
type LimitEstimate struct {
	Amount int64 // adopted; 0 for none

	last      [32]int64
	n         int
	run       int       // the latest reports that agree with each other
	since     time.Time // when the first of them came
	turns     int       // the latest reports that alternate between two amounts
	confirmed time.Time // when a report last agreed with Amount
	rival     int64     // a lower amount that some report
	share     float64   // of late, the part of the reports that do
}

const (
	// At random, if three in ten are wrong, 12 wrong ones come in a row once in two million
	// reports, 23 of 32 are wrong once in a million, and 20 alternate once in six million.
	// Six in half a minute come in a row only where reports are few.
	longRun, shortRun, nearlyAll, manyTurns = 12, 6, 23, 20
	lasting                                 = 30 * time.Second
	// What half of the reports say is about a second bucket. Of three in ten that are wrong,
	// the average over some 128 reports strays so far once in ten million.
	secondBucket = 0.45
	shareOver    = 128
	// A lie must not hold a limit down for long: each call then takes long as well.
	few, most, someOfMany = 8, 21, 12
	// Among the first reports of all, one that was wrong is outvoted, and sooner where it
	// was too low: the next reports are long in coming.
	outvoted, majority = 4, 3
	// Where reports are few, an amount is given up that none has confirmed for silence,
	// when agreed reports in a row contradict it.
	silence, agreed = time.Minute, 3
	// throttleVotes is how many reports the figure of a throttle counts for: it is not only
	// said, it has happened. Two in a row are believed, before a call that an SDK sends three
	// times is lost.
	throttleVotes = 6
)

// Report takes in the amount that a response reports, and reports whether Amount has
// changed. The first report is adopted, unless it is below what is assumed (0 for
// nothing).
func (e *LimitEstimate) Report(now time.Time, amount, assumed int64) (changed bool) {
	return e.report(now, amount, assumed, 1)
}

// Throttle takes in the amount for which the server has throttled a call.
func (e *LimitEstimate) Throttle(now time.Time, amount, assumed int64) (changed bool) {
	return e.report(now, amount, assumed, throttleVotes)
}

// report takes in an amount that counts in a row for so many reports.
func (e *LimitEstimate) report(now time.Time, amount, assumed int64, votes int) (changed bool) {
	if e.n == 0 || amount != e.last[(e.n-1)%len(e.last)] {
		e.run, e.since = 0, now
	}
	e.turns++
	if e.run > 0 || e.n < 2 || amount != e.last[(e.n-2)%len(e.last)] {
		e.turns = 0
	}
	e.run += votes
	e.last[e.n%len(e.last)] = amount
	e.n++
	present := e.Amount
	if present == 0 {
		present = assumed
	}
	e.challenge(amount, present)
	if amount == e.Amount {
		e.confirmed = now
		return false
	}
	first := e.Amount == 0 && amount >= assumed
	if !first && (amount >= present || !e.lower(now, amount, present)) && (amount <= present || !e.higher(now, amount, present)) {
		return false
	}
	e.Amount, e.confirmed = amount, now
	e.rival, e.share = 0, 0
	return true
}

// challenge keeps how many reports of late agree on an amount below the present one.
func (e *LimitEstimate) challenge(amount, present int64) {
	e.share -= e.share / shareOver
	if amount >= present {
		return
	}
	if amount != e.rival && e.share < 1./shareOver {
		e.rival, e.share = amount, 0
	}
	if amount == e.rival {
		e.share += 1. / shareOver
	}
}

// lower reports whether enough reports agree on an amount below the present one.
func (e *LimitEstimate) lower(now time.Time, amount, present int64) bool {
	unanimous := e.n > 1 && e.count(amount) == e.n
	return unanimous || e.young(amount, 2*e.count(present)) || e.run >= longRun || e.run >= shortRun && now.Sub(e.since) >= lasting ||
		e.count(amount) >= nearlyAll || e.turns >= manyTurns || amount == e.rival && e.share >= secondBucket
}

// higher reports whether enough reports agree on an amount above the present one.
func (e *LimitEstimate) higher(now time.Time, amount, present int64) bool {
	if e.run >= agreed && now.Sub(e.confirmed) >= silence {
		return true
	}
	return e.young(amount, e.count(present)+majority) ||
		e.count(present) < someOfMany && (e.run >= few || e.count(amount) >= most)
}

// young reports whether enough of the first reports of all agree on an amount.
func (e *LimitEstimate) young(amount int64, enough int) bool {
	return e.Amount > 0 && e.n <= len(e.last) && (e.run >= few || e.count(amount) >= max(outvoted, enough))
}

// count is how many of the last reports agree on an amount.
func (e *LimitEstimate) count(amount int64) (n int) {
	for _, x := range e.last[:min(e.n, len(e.last))] {
		if x == amount {
			n++
		}
	}
	return n
}
