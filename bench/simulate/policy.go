package simulate

import (
	"net/http"
	"time"
)

// A policy decides when calls are sent.
type policy struct {
	name string
	new  func(*world) fleet
	// plays reports whether it takes part in a scenario; nil means in all.
	plays func(*scenario) bool
	// A policy that takes long to simulate where callers always want more is judged
	// for brief there, and after settled if it learns nothing; one with a zero brief
	// when the scenario says, and to the end.
	settled, brief time.Duration
}

// judged is the part of a scenario in which the policy is judged.
func (p *policy) judged(s *scenario) (from, until time.Duration) {
	if p.brief == 0 || s.load.workers == 0 {
		return s.warmUp, s.duration
	}
	from = s.warmUp
	if p.settled > 0 && s.change == 0 {
		from = min(from, p.settled)
	}
	// Where little happens it has to be longer.
	return from, min(s.duration, max(from, s.change)+max(p.brief, (s.duration-s.warmUp)/20))
}

// A fleet is a policy's processes in one run, and what they share.
type fleet interface {
	// start returns the transport of a process, which begins with nothing in its
	// memory.
	start(process int) http.RoundTripper
	// kill ends a process as a crash would.
	kill(process int)
	// forget empties what the processes share. All of them are dead.
	forget()
	// stop ends what start has begun, after the last call.
	stop()
}

// alone is a fleet that shares nothing and leaves nothing behind.
type alone func(process int) http.RoundTripper

func (f alone) start(process int) http.RoundTripper { return f(process) }
func (alone) kill(int)                              {}
func (alone) forget()                               {}
func (alone) stop()                                 {}

// policies are all of them, the oracle first.
var policies = []*policy{
	&oracle, &ours, &oursOnRedis, &retries, &split, &redisRate, &fixedWindow, &aimd,
}

// retries leaves all to the retries of the SDK.
var retries = policy{
	name:    "SDK retries alone",
	plays:   notTooMany,
	settled: 2 * time.Minute,
	brief:   time.Minute,
	new: func(w *world) fleet {
		return alone(func(int) http.RoundTripper { return w.base() })
	},
}

// notTooMany keeps a policy whose callers poll from the scenarios in which there
// are thousands of them, and every second of virtual time would take several.
func notTooMany(s *scenario) bool { return s.processes*s.load.workers <= 1000 }

// roundTripFunc is an http.RoundTripper.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
