package ledger

import "github.com/openai-ratelimiter/ratelimiter/backend"

// restore returns what undoes all that a look does to the account, down to the last bit,
// so that no store has to be told of it. Where the look has corrected a bucket that was
// lost, that stays, and all else with it, the account's clock too.
func (a *Account) restore(ask *backend.Ask, time clock) (undo func()) {
	type kept struct {
		owner   *owner
		was     owner
		buckets []bucket
	}
	var owners []kept
	for o := range a.touched(ask) {
		k := kept{owner: o, was: *o, buckets: make([]bucket, len(o.buckets))}
		for i, b := range o.buckets {
			k.buckets[i] = *b
		}
		owners = append(owners, k)
	}
	round, changed := a.round.Len(), a.changed
	return func() {
		for _, k := range owners {
			for i := range k.buckets {
				if k.owner.buckets[i].raised != k.buckets[i].raised {
					a.clock = time
					return
				}
			}
		}
		a.changed = changed
		for _, o := range a.round.Cut(round) { // they came with the look
			delete(a.owners, o.name)
		}
		for _, k := range owners {
			*k.owner = k.was
			for i, b := range k.was.buckets {
				*b = k.buckets[i]
			}
		}
	}
}

// touched is the owners of the ask's buckets.
func (a *Account) touched(ask *backend.Ask) map[*owner]bool {
	owners := map[*owner]bool{}
	add := func(name string) {
		if o := a.owners[name]; o != nil {
			owners[o] = true
		}
	}
	add(ask.Scope)
	for i := range ask.Buckets {
		add(ask.Buckets[i].Owner)
	}
	return owners
}
