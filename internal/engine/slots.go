package engine

import (
	"context"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// slots are the calls in flight of an owner that limits them, and how many of them the
// backend lets this process have. Its account's lock guards them.
type slots struct {
	account *account
	owner   string
	limit   int64

	used  int64    // by calls in flight, and by those that are being asked for
	alone int64    // calls that wait for an answer before they ask by themselves
	short []*scope // whose queues wait for a slot

	lease
}

// slotsLocked returns the slots of the owners that limit a scope's calls in flight.
func (a *account) slotsLocked(key scopeKey, keep bool) (all []*slots) {
	c := a.engine.rules.Load()
	add := func(owner string, rule *quota.Rule) {
		if rule.Concurrent <= 0 {
			return
		}
		o := a.slots[owner]
		if o == nil {
			o = &slots{account: a, owner: owner}
			if keep {
				a.slots[owner] = o
			}
		}
		o.limit = rule.Concurrent
		all = append(all, o)
	}
	model := key.model
	if rule, ok := c.Classes[key.class]; ok && key.class != "" {
		add(quota.ClassOwner(key.class), &rule)
	}
	if rule, ok := c.Models[model]; ok {
		add(quota.ModelOwner(model), &rule)
	}
	for i := range c.Families {
		if f := &c.Families[i]; slices.Contains(f.Models, model) {
			add(quota.FamilyOwner(f.Name), &f.Rule)
		}
	}
	if c.Account != nil {
		add(quota.AccountOwner, c.Account)
	}
	return all
}

// configureSlotsLocked brings the scope to the engine's rules. Calls in flight keep the slots
// that they have; those that hold none do not count.
func (s *scope) configureSlotsLocked(now time.Time) {
	s.shortLocked(0, now)
	s.slots = s.account.slotsLocked(s.key, true)
	for _, o := range s.slots {
		o.changedLocked(now)
	}
}

// roomLocked is how many of n more calls the limits on calls in flight let the scope ask
// for at present.
func (s *scope) roomLocked(n int64, now time.Time) int64 {
	room := n
	for _, o := range s.slots {
		room = min(room, o.roomLocked(s, n, now))
	}
	return room
}

func (o *slots) roomLocked(s *scope, n int64, now time.Time) int64 {
	if first := o.firstLocked(); first != nil && first != s {
		return 0 // it comes first
	}
	if o.account.engine.local {
		o.claimHereLocked(n, now)
	}
	return max(0, min(n, o.ceilingLocked(now)-o.used))
}

// firstLocked is the scope whose turn it is to get a slot: by the classes of its calls, and of
// equals the one that has waited longest, by the call at its head. For all owners the order
// is the same: otherwise two scopes could wait for each other.
func (o *slots) firstLocked() (first *scope) {
	var tag float64
	for _, s := range o.short {
		w := s.queue.head()
		if w == nil {
			continue
		}
		at := o.account.turns.next(&s.queue)
		if first == nil || at < tag || at == tag && w.arrived.Before(first.queue.head().arrived) {
			first, tag = s, at
		}
	}
	return first
}

// takeSlotsLocked takes a slot of each owner, and returns whose.
func (s *scope) takeSlotsLocked(now time.Time) []*slots {
	for _, o := range s.slots {
		o.used++
		o.changedLocked(now)
	}
	return s.slots
}

// giveBackLocked gives back n slots of each owner.
func giveBackLocked(all []*slots, n int64, now time.Time) {
	if n == 0 {
		return
	}
	for _, o := range all {
		o.used -= n
		o.changedLocked(now)
	}
}

// shortLocked notes that the scope's queue would ask for so many more calls, if there were
// slots for them. It waits only for owners that have none left: it must not stand in others'
// way where it could go on. Claims that this makes say all that is needed: holders that seem
// to need less for a moment lose their place among those who wait.
func (s *scope) shortLocked(lacks int64, now time.Time) {
	s.lacks = 0
	for _, o := range s.slots {
		i := slices.Index(o.short, s)
		switch is := lacks > 0 && o.roomLocked(s, lacks, now) == 0; {
		case is && i < 0:
			o.short = append(o.short, s)
		case !is && i >= 0:
			o.short = slices.Delete(o.short, i, i+1)
		}
	}
	s.lacks = lacks
	for _, o := range s.slots {
		o.changedLocked(now)
	}
}

// needLocked is how many slots there is a use for.
func (o *slots) needLocked() int64 {
	need := o.used + o.alone
	for _, s := range o.short {
		need += s.lacks
	}
	return need
}

// changedLocked is called when fewer or more slots are used or needed.
func (o *slots) changedLocked(now time.Time) {
	if o.account.engine.local {
		o.claimHereLocked(0, now)
	}
	o.keepLocked(now)
	o.wakeLocked(now)
}

// wakeLocked lets the scope look again whose turn it is, if there is a slot, and a call that
// waits by itself.
func (o *slots) wakeLocked(now time.Time) {
	if o.ceilingLocked(now) > o.used {
		o.lookAgainLocked()
		if s := o.firstLocked(); s != nil {
			s.wakeLocked()
		}
	}
}

// lookAgainLocked lets those look again who wait before they ask by themselves.
func (o *slots) lookAgainLocked() {
	if o.replied != nil {
		close(o.replied)
		o.replied = nil
	}
}

// Release gives back the slots of a call whose response has ended. What comes later does
// nothing.
func (r *Reservation) Release() {
	if r.slots != nil && r.released.CompareAndSwap(false, true) {
		r.release(time.Now())
	}
}

func (r *Reservation) release(now time.Time) {
	r.scope.account.mu.Lock()
	defer r.scope.account.mu.Unlock()
	r.scope.holding--
	giveBackLocked(r.slots, 1, now)
}

// mayGetLocked reports whether a call that nobody waits before may get the slots it lacks
// if it asks for them.
func (s *scope) mayGetLocked(now time.Time) bool {
	for _, o := range s.slots {
		if o.roomLocked(s, 1, now) == 0 && !o.mayGetLocked(now) {
			return false
		}
	}
	return true
}

func (o *slots) mayGetLocked(now time.Time) bool {
	return !o.account.engine.local && o.firstLocked() == nil && (!o.lacking || o.goneLocked(now))
}

// lacksSlotLocked reports whether one more call waits for a slot, as far as is known: as others of
// the scope do, or because there is none that the backend could lend.
func (s *scope) lacksSlotLocked(now time.Time) bool {
	return slices.ContainsFunc(s.slots, func(o *slots) bool {
		return slices.Contains(o.short, s) || o.roomLocked(s, 1, now) == 0 && !o.mayGetLocked(now)
	})
}

// aloneLocked notes that a call waits for slots before it asks by itself, or does no more.
func (s *scope) aloneLocked(all []*slots, waits bool, now time.Time) {
	s.alone = waits
	for _, o := range all {
		if waits {
			o.alone++
		} else {
			o.alone--
		}
		o.changedLocked(now)
	}
}

// awaitSlots waits for the slots of a call that nobody waits before. ok is false if it does
// not get them: then it is rejected, or has a place in the queue.
func (r *Reservation) awaitSlots(ctx context.Context, en *entry) (ok bool, err error) {
	for {
		replied, ok, err := r.getSlots(ctx, en, time.Now())
		if replied == nil {
			return ok, err
		}
		<-replied
	}
}

// getSlots takes the slots of a call, or returns what is closed at the next answer.
func (r *Reservation) getSlots(ctx context.Context, en *entry, now time.Time) (replied <-chan struct{}, ok bool, err error) {
	s := r.scope
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	var lacking *slots
	for _, o := range s.slots {
		if lacking == nil && o.roomLocked(s, 1, now) == 0 {
			lacking = o
		}
	}
	if lacking != nil && !en.left && en.waits < 2*len(s.slots) && lacking.mayGetLocked(now) && (en.waits == 0 || lacking.failures == 0) {
		en.waits++
		if lacking.replied == nil {
			lacking.replied = make(chan struct{})
		}
		return lacking.replied, false, nil
	}
	s.aloneLocked(en.ask.slots, false, now)
	if lacking == nil && !en.left {
		en.lacks = false
		en.ask = s.askForOneLocked(r, new(scratch), now)
		return nil, true, nil
	}
	s.asking--
	s.account.asking--
	en.answered, en.ask.slots = true, nil
	switch {
	case en.left:
		err = ctx.Err()
	case r.Call.MaxWait != 0:
		err = s.joinLocked(ctx, r, en)
	case lacking.failures > 0:
		err = backendFailed(&r.charge, lacking.cause)
	default:
		err = s.namingLocked(tooLate(MaxWait, &r.charge, bound{}, 0, 0), now)
	}
	s.driveLocked()
	return nil, false, err
}

// unlentLocked is an owner whose slots can't be asked for at present, or nil.
func (s *scope) unlentLocked(now time.Time) *slots {
	for _, o := range s.slots {
		if o.failures > 0 && o.goneLocked(now) {
			return o
		}
	}
	return nil
}

// namingLocked lets a rejection name the limit on calls in flight, if that holds the
// scope's calls back.
func (s *scope) namingLocked(r *Rejection, now time.Time) *Rejection {
	if o := s.lackedLocked(now); o != nil {
		r.Kind, r.Owner, r.Amount, r.Source, r.Wait = quota.Concurrent, o.owner, o.limit, quota.Configured, 0
	}
	for _, o := range s.slots {
		o.changedLocked(now) // the call needs none any more
	}
	return r
}

// lackedLocked is an owner whose slots the scope's calls wait for, or nil.
func (s *scope) lackedLocked(now time.Time) (lacked *slots) {
	for _, o := range s.slots {
		if slices.Contains(o.short, s) || s.queue.len() == 0 && o.roomLocked(s, 1, now) == 0 {
			lacked = o
		}
	}
	return lacked
}

// naming is namingLocked for a call that has waited.
func (s *scope) naming(r *Rejection) *Rejection {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	return s.namingLocked(r, time.Now())
}
