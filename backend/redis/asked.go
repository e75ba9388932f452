package redis

import "sync"

// asked keeps count of a ticket's asks, by their numbers. An ask that changes nothing need not
// be noted in Redis, unless an earlier one without a reply may still arrive. Redis would take
// that one for new, and nobody would know of what it was granted.
type asked struct {
	mu       sync.Mutex
	known    bool   // one has been answered
	latest   uint64 // that was sent
	answered uint64 // up to which none can come any more that would count
}

// quiet says that an ask is sent, and reports whether it need not be noted.
func (a *asked) quiet(number uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	quiet := a.known && a.answered == a.latest && number == a.latest+1 // one between may still be sent
	a.latest = max(a.latest, number)
	return quiet
}

// answer says that an ask was answered: either all before it had been, or it was noted.
func (a *asked) answer(number uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known, a.answered = true, max(a.answered, number)
}
