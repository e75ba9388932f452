package openaitest

import (
	"net/http"
	"strconv"
	"time"
)

// A figure is what one group of x-ratelimit headers reports.
type figure struct {
	on               bool
	limit, remaining int64
	reset            time.Duration
	fits             time.Duration // until a call of the size of this one does
}

// A snapshot is where a model's buckets stood right after a decision.
type snapshot struct {
	requests, tokens, images, projectTokens, inputImages figure
	limits                                               [limitCount]figure // the tightest of each
	project                                              bool               // projectTokens are those of a project's own limit
	at                                                   time.Time
	cost                                                 Cost
	tpm                                                  throttle // where TPM stands, for injected 429s
}

// snapshot collects what the headers of an answer report. l.mu must be held and
// the scope's buckets be advanced.
func (l *ledger) snapshot(s *scope, c *Call, cost Cost, now int64) snapshot {
	var snap snapshot
	snap.requests = s.figure(l.config, l.config.headerLimits[requests], RPM, RPD)
	snap.tokens = s.figure(l.config, l.config.headerLimits[tokens], TPM, TPD)
	snap.images = s.figure(l.config, IPM)
	snap.at, snap.cost = l.epoch.Add(time.Duration(now)), cost
	if l.config.dialect != OpenAI {
		for limit := range Limit(limitCount) {
			snap.limits[limit] = s.figure(l.config, limit)
			snap.limits[limit].fits = s.fits(limit, cost)
		}
	}
	project := l.whole
	if s.project != nil {
		project, snap.project = s.project, true
	}
	if b := project.buckets[TPM]; b != nil && b.on() {
		snap.projectTokens = b.figure(false)
	}
	if c.inputImages > 0 {
		l.inputs.advance(now)
		snap.inputImages = l.inputs.meter.figure()
	}
	for _, p := range s.pools {
		if b := p.buckets[TPM]; b != nil && b.on() {
			snap.tpm = throttle{pool: p.name, limit: TPM, capacity: b.capacity, used: b.usedUp()}
			break
		}
	}
	return snap
}

// figure returns the tightest bucket of the first limit that is set: the one
// with the least remaining.
func (s *scope) figure(c *config, limits ...Limit) figure {
	var tightest figure
	for _, limit := range limits {
		for _, p := range s.pools {
			if b := p.buckets[limit]; b != nil && b.on() && p != s.project {
				f := b.figure(c.subwindows != nil && c.subwindows.Reported)
				if !tightest.on || f.remaining < tightest.remaining {
					tightest = f
				}
			}
		}
		if tightest.on {
			break
		}
	}
	return tightest
}

func (b *bucket) figure(subwindow bool) figure {
	if subwindow && b.subwindow != nil {
		return b.subwindow.figure()
	}
	return b.meter.figure()
}

func (m *meter) figure() figure {
	return figure{on: true, limit: m.capacity, remaining: m.remaining(), reset: m.reset()}
}

// setRateLimits writes the x-ratelimit headers of a snapshot.
func (s *Server) setRateLimits(h http.Header, c *Call, snap snapshot) {
	if !s.config.headers {
		return
	}
	if write := writers[s.config.dialect]; write != nil {
		write(h, &snap)
		return
	}
	azure := s.azure(c)
	group := func(kind string, f figure) {
		if !f.on {
			return
		}
		reset := f.reset.Truncate(time.Millisecond).String()
		if azure {
			reset = strconv.FormatInt(int64(f.reset/time.Second), 10)
		}
		h["X-Ratelimit-Limit-"+kind] = []string{strconv.FormatInt(f.limit, 10)}
		h["X-Ratelimit-Remaining-"+kind] = []string{strconv.FormatInt(f.remaining, 10)}
		h["X-Ratelimit-Reset-"+kind] = []string{reset}
	}
	group("Requests", snap.requests)
	group("Tokens", snap.tokens)
	if s.config.extraHeaders || snap.project {
		group("Project-Tokens", snap.projectTokens)
	}
	if s.config.extraHeaders {
		group("Tokens_usage_based", snap.tokens)
		group("Input-Images", snap.inputImages)
		group("Images", snap.images)
	}
}

// azure reports whether a call is answered as Azure does.
func (s *Server) azure(c *Call) bool { return s.config.azure || c.azure && s.config.dialect == OpenAI }

// fits returns how long until the cost of a call fits every bucket of a limit. They must
// have been advanced.
func (s *scope) fits(limit Limit, cost Cost) (longest time.Duration) {
	n := cost.of(limit.dimension())
	for _, p := range s.pools {
		if b := p.buckets[limit]; b != nil && b.on() && n > 0 && !b.never(n) {
			longest = max(longest, b.wait(n))
		}
	}
	return longest
}
