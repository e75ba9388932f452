package engine

import (
	"context"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A lease is this process's share of slots, by the backend's last answer, and the goroutine that
// renews it as long as slots are used, needed or held. With a local backend claims are made in
// place, and the goroutine runs only while calls wait.
type lease struct {
	ceiling int64     // how many may be used
	until   time.Time // and until when; zero for ever
	counted int64     // how many the backend may take to be held here
	said    int64     // how many the last claim that was answered has said to be used
	lacking bool      // fewer than were needed have been lent
	scarce  bool      // or fewer than were needed and to spare

	claim backend.Claim // the last one
	sent  time.Time     // and when it was sent
	again time.Duration // how long after that to renew it
	wait  <-chan struct{}

	peak   int64 // the most that was needed of late
	peakAt time.Time

	failures int       // in a row
	since    time.Time // the first of them; zero if all who waited have been rejected since
	cause    error

	running bool
	held    bool // its end is waited for by Shutdown
	planned time.Time
	kick    chan struct{}
	replied chan struct{} // closed at the next answer, or when a slot comes free, if somebody waits
}

const (
	// giveBackEvery is how often slots are given back that are not needed any more, where
	// others may need them.
	giveBackEvery = 100 * time.Millisecond
	// leaseRetry is how long after a claim that has failed twice it is made again.
	leaseRetry = 250 * time.Millisecond
	// peakTime is for how long slots that were needed are kept to spare.
	peakTime = time.Second
)

// ceilingLocked is how many slots may be used, as far as is certain: after a lease has run
// out, no more than are.
func (o *slots) ceilingLocked(now time.Time) int64 {
	if !o.until.IsZero() && !now.Before(o.until) {
		return min(o.ceiling, o.used)
	}
	return o.ceiling
}

// spareLocked is how many slots are kept ready beside those needed: as many as were needed
// of late, for calls that start then need no answer before.
func (o *slots) spareLocked() int64 {
	if e := o.account.engine; e.local || e.closed.Load() {
		return 0
	}
	return o.peak
}

// leastLocked is how many slots a claim would say that are held, if so many more are needed
// than are noted: the others are given back. Where slots are scarce none are kept to spare.
func (o *slots) leastLocked(now time.Time, extra int64) int64 {
	least := o.needLocked() + extra
	if !o.scarce {
		least += o.spareLocked()
	}
	return max(o.used, min(o.ceilingLocked(now), least))
}

// claimLocked is the next claim. Until its answer comes no more slots are used than it says.
func (o *slots) claimLocked(now time.Time, extra int64) backend.Claim {
	e := o.account.engine
	need := o.needLocked() + extra
	switch {
	case need >= o.peak:
		o.peak, o.peakAt = need, now
	case now.Sub(o.peakAt) >= peakTime:
		o.peak, o.peakAt = max(need, o.peak/2), now
	}
	o.ceiling = o.leastLocked(now, extra)
	o.claim = backend.Claim{
		Account: o.account.ledger(), Owner: o.owner, Holder: e.id, Number: uint64(e.claims.Add(1)),
		Limit: o.limit, Used: o.used, Held: o.ceiling, Need: need, Spare: o.spareLocked(),
	}
	o.sent = now
	return o.claim
}

// lentLocked takes in the answer to the last claim.
func (o *slots) lentLocked(l *backend.Lease) {
	c := &o.claim
	o.ceiling, o.counted, o.said = l.Slots, max(c.Held, l.Slots), c.Used
	o.lacking, o.scarce = l.Slots < c.Need, l.Slots < c.Need+c.Spare
	o.again, o.wait = l.Again, l.Changed
	o.until = time.Time{}
	if l.For > 0 {
		o.until = o.sent.Add(l.For)
	}
	o.failures, o.cause = 0, nil
}

// claimHereLocked claims from a local backend, which answers at once, if there is anything
// new to say. extra is how many more are needed than are noted.
func (o *slots) claimHereLocked(extra int64, now time.Time) {
	if o.limit == o.claim.Limit && o.used == o.claim.Used && o.needLocked()+extra == o.claim.Need && o.leastLocked(now, extra) == o.counted {
		return
	}
	o.renewHereLocked(extra, now)
}

func (o *slots) renewHereLocked(extra int64, now time.Time) {
	c := o.claimLocked(now, extra)
	l, err := o.account.engine.lessor.Lease(context.Background(), c)
	if err != nil {
		l = backend.Lease{Slots: c.Held, Again: leaseRetry}
	}
	o.lentLocked(&l)
}

// keepLocked sees to it that the lease is kept.
func (o *slots) keepLocked(now time.Time) {
	e := o.account.engine
	if !o.running && o.keptLocked() {
		o.running, o.kick, o.planned = true, make(chan struct{}, 1), now
		go o.keep(o.kick)
	}
	// Shutdown waits for those who wait, and for what is given back, but not for calls
	// in flight.
	if held := o.running && (o.used == 0 || e.local); held != o.held {
		if o.held = held; held {
			e.tasks.begin()
		} else {
			e.tasks.end()
		}
	}
	if o.running && (!o.keptLocked() || o.dueLocked(now).Before(o.planned)) {
		select {
		case o.kick <- struct{}{}:
		default:
		}
	}
}

// keptLocked reports whether there is a lease to keep, or to wait for.
func (o *slots) keptLocked() bool {
	if o.account.engine.local {
		return o.needLocked() > o.ceiling
	}
	return o.counted > 0 || o.needLocked() > 0
}

// dueLocked is when the next claim is due.
func (o *slots) dueLocked(now time.Time) time.Time {
	need := o.needLocked()
	switch {
	case o.failures == 1:
		return now
	case o.failures > 1:
		return o.sent.Add(leaseRetry)
	case o.account.engine.local:
	case o.sent.IsZero(), o.limit != o.claim.Limit, need > o.ceilingLocked(now) && !o.lacking:
		return now
	case o.scarce && o.counted > o.leastLocked(now, 0), need == 0 && o.account.engine.closed.Load():
		return o.sent.Add(min(o.again, giveBackEvery))
	}
	return o.sent.Add(o.again)
}

// keep renews the lease until there is nothing to keep.
func (o *slots) keep(kick <-chan struct{}) {
	e := o.account.engine
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	done := e.done
	for {
		claim, changed, wait, ok := o.next(time.Now())
		switch {
		case !ok:
			return
		case wait > 0:
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-kick:
				continue
			case <-changed:
			case <-done:
				done = nil // it goes on until calls in flight have ended
				continue
			}
			if e.local {
				o.renewHere(time.Now())
			}
		default:
			l, err := e.lessor.Lease(context.Background(), claim)
			o.answered(time.Now(), &l, err)
		}
	}
}

// next is the claim that is due, or how long to wait for it. ok is false where there is
// nothing to keep any more.
func (o *slots) next(now time.Time) (claim backend.Claim, changed <-chan struct{}, wait time.Duration, ok bool) {
	o.account.mu.Lock()
	defer o.account.mu.Unlock()
	if !o.keptLocked() {
		o.running = false
		o.keepLocked(now)
		return claim, nil, 0, false
	}
	o.planned = o.dueLocked(now)
	if wait = o.planned.Sub(now); wait > 0 || o.account.engine.local {
		return claim, o.wait, max(wait, time.Millisecond), true
	}
	return o.claimLocked(now, 0), nil, 0, true
}

// renewHere claims again from a local backend.
func (o *slots) renewHere(now time.Time) {
	o.account.mu.Lock()
	defer o.account.mu.Unlock()
	o.renewHereLocked(0, now)
	o.wakeLocked(now)
}

// answered takes in the backend's answer. After two failures, and with no lease, those who
// wait are rejected: nobody knows when there will be a slot.
func (o *slots) answered(now time.Time, l *backend.Lease, err error) {
	o.account.mu.Lock()
	defer o.account.mu.Unlock()
	if err == nil {
		o.lentLocked(l)
	} else {
		if o.failures++; o.failures == 1 {
			o.since = now
		}
		o.cause = err
		o.counted = max(o.counted, o.claim.Need+o.claim.Spare) // the claim may have arrived
		if o.needLocked() == 0 {
			o.counted = 0 // the lease runs out by itself
			if !o.since.IsZero() {
				o.failures = 0 // it kept nobody waiting
			}
		}
		if o.failures > 1 && o.goneLocked(now) && !hopeful(err, o.since, now) {
			o.since = time.Time{}
			for _, s := range o.short {
				s.rejectAllLocked(err)
				s.wakeLocked()
			}
		}
	}
	o.lookAgainLocked()
	o.wakeLocked(now)
}

// goneLocked reports whether there is no lease.
func (o *slots) goneLocked(now time.Time) bool {
	return o.until.IsZero() || !now.Before(o.until)
}

// unsaid is how many more of an owner's slots this process uses than it has said.
func (a *account) unsaid(owner string, now time.Time) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.slots[owner]
	if o == nil || o.goneLocked(now) {
		return 0
	}
	return o.used - o.said
}
