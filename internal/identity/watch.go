package identity

import (
	"slices"
	"sync"
	"time"
)

const (
	// Many is how many credentials of one host within an hour are more than payers are
	// likely to be.
	Many = 8
	hour = time.Hour
	// mostHosts bounds what is watched.
	mostHosts = 256
)

// A Watch counts the credentials that each host is called with. It is safe for concurrent
// use; the zero value is ready.
type Watch struct {
	mu    sync.Mutex
	hosts map[string]*seen
}

// seen is what was seen of a host since a time.
type seen struct {
	since    time.Time
	accounts map[string]bool // at most Many
	reported bool
	nameless bool // it has been reported that its credentials are
}

// See takes in a request's identity, and reports once for each host that it has been called
// with Many credentials within an hour.
func (w *Watch) See(now time.Time, id *Identity) (many bool) {
	if !id.Credential {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hostLocked(now, id.Host)
	if h == nil {
		return false
	}
	if !h.reported && now.Sub(h.since) > hour {
		h.since = now
		clear(h.accounts)
	}
	if h.reported || h.accounts[id.Account] {
		return false
	}
	h.accounts[id.Account] = true
	h.reported = len(h.accounts) >= Many
	return h.reported
}

// SeeNameless reports once for each host that it has been called with a credential that names
// nobody.
func (w *Watch) SeeNameless(now time.Time, id *Identity) bool {
	if !id.Nameless {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hostLocked(now, id.Host)
	if h == nil || h.nameless {
		return false
	}
	h.nameless = true
	return true
}

// hostLocked is what was seen of a host; nil where too many are watched already.
func (w *Watch) hostLocked(now time.Time, name string) *seen {
	h := w.hosts[name]
	if h == nil && len(w.hosts) < mostHosts {
		if w.hosts == nil {
			w.hosts = map[string]*seen{}
		}
		h = &seen{since: now, accounts: map[string]bool{}}
		w.hosts[name] = h
	}
	return h
}

// Hosts returns those that See has reported.
func (w *Watch) Hosts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var hosts []string
	for name, h := range w.hosts {
		if h.reported {
			hosts = append(hosts, name)
		}
	}
	slices.Sort(hosts)
	return hosts
}
