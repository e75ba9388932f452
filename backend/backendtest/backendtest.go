// Package backendtest holds the tests that every [backend.Backend] must pass.
// A backend's own tests call [Run]:
//
//	func TestConformance(t *testing.T) {
//		backendtest.Run(t, func(t *testing.T) backendtest.Subject {
//			return backendtest.Subject{Backend: memory.New()} // or your own
//		})
//	}
package backendtest

import (
	"crypto/rand"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A Subject is a backend under test.
type Subject struct {
	Backend backend.Backend
	// Advance lets time pass for the backend; nil means time.Sleep, and then
	// the suite takes about three minutes, for it waits where callers would.
	Advance func(time.Duration)
	// Shared is set for backends that several processes use at once: there the
	// ticket of a process that no longer asks is stepped over after a second and
	// erased after ten, of which at most half a second counts between two asks.
	Shared bool
}

// Run runs the suite, each test with a Subject of its own. Subjects may share a
// store: the suite uses accounts that nobody else has.
func Run(t *testing.T, start func(t *testing.T) Subject) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(newSuite(t, start(t))) })
	}
}

// RunVirtual is Run in the virtual time of testing/synctest, for backends
// without I/O that take their time from package time.
func RunVirtual(t *testing.T, start func(t *testing.T) Subject) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(newSuite(t, start(t))) })
		})
	}
}

var cases = []struct {
	name string
	run  func(*suite)
}{
	{"charges every dimension or none", (*suite).allOrNone},
	{"rejects what can never fit", (*suite).tooLarge},
	{"starts what is above the capacity on a full bucket", (*suite).aboveCapacity},
	{"grants after the wait it has told", (*suite).wait},
	{"keeps a margin", (*suite).margin},
	{"begins an unknown bucket where it is told", (*suite).start},
	{"takes in what others know of a bucket that was lost", (*suite).raise},
	{"keeps what is used when a limit changes", (*suite).limits},
	{"sets aside what those ahead need", (*suite).aside},
	{"goes round between tickets", (*suite).roundRobin},
	{"lets no stream of small calls starve a large one", (*suite).starvation},
	{"shares between classes by weight", (*suite).weights},
	{"shares between the tenants of a class", (*suite).tenants},
	{"counts what a flow has used", (*suite).credit},
	{"lets a flow that was idle go first", (*suite).idleFlow},
	{"lets flows that were idle go first, whoever asks for them", (*suite).idleFlows},
	{"lets the costs of an ask start in the order of the line", (*suite).orderOfAnAsk},
	{"keeps a class to its ceiling", (*suite).ceiling},
	{"keeps order at a ceiling", (*suite).ceilingOrder},
	{"grants an ask that comes twice once", (*suite).twice},
	{"lets a fresh ask wait behind its own ticket", (*suite).fresh},
	{"lets a ticket leave", (*suite).leave},
	{"settles once and within bounds", (*suite).settle},
	{"applies a correction once", (*suite).correct},
	{"tells all that has been charged and corrected", (*suite).addsUp},
	{"pauses an owner", (*suite).pause},
	{"clears owners", (*suite).clear},
	{"looks and changes nothing", (*suite).look},
	{"keeps accounts and lines apart", (*suite).apart},
	{"steps over a silent ticket", (*suite).silent},
	{"keeps tickets that others speak for", (*suite).company},
	{"takes nobody for silent while it answers nobody", (*suite).stall},
	{"forgets who died behind one that waits", (*suite).dead},
	{"never grants more than there is", (*suite).concurrent},
	{"keeps a busy model from blocking another", (*suite).busyModel},
	{"gives calls of all sizes their turns", (*suite).mixed},
	{"keeps notes", (*suite).keep},
	{"shows what processes say of themselves", (*suite).fleet},
	{"lends slots", (*suite).lend},
	{"shares out what was lent at the same time", (*suite).lendAtOnce},
	{"keeps slots to spare while nobody needs them", (*suite).spare},
	{"gives each holder its turn", (*suite).goRound},
	{"hears a claim that comes twice once", (*suite).claimTwice},
	{"takes the slots of a silent holder", (*suite).silentHolder},
	{"keeps to the limit when two come back", (*suite).silentHolders},
	{"counts at once who comes back among many", (*suite).comeBack},
	{"never lends more slots than there are", (*suite).lendAtRandom},
}

// A suite is one running test.
type suite struct {
	*testing.T
	Subject
	account string
	begun   time.Time
	added   time.Duration
	numbers map[string]uint64
}

func newSuite(t *testing.T, s Subject) *suite {
	return &suite{T: t, Subject: s, account: rand.Text(), begun: time.Now(), numbers: map[string]uint64{}}
}

// advance lets time pass.
func (s *suite) advance(d time.Duration) {
	if s.Advance == nil {
		time.Sleep(d)
		return
	}
	s.Advance(d)
	s.added += d
}

// elapsed is the most that may have passed for the backend.
func (s *suite) elapsed() time.Duration { return time.Since(s.begun) + s.added }

// perDay is a bucket that refills slowly: tests hold its level against a bound,
// for nobody knows how fast the machine is.
func perDay(owner string, d backend.Dimension, limit int64) backend.Bucket {
	names := [...]string{"rpd", "tpd", "ipd"}
	return backend.Bucket{Owner: owner, Name: names[d], Dimension: d, Limit: limit, Period: 24 * time.Hour}
}

func perMinute(owner string, d backend.Dimension, limit int64) backend.Bucket {
	names := [...]string{"rpm", "tpm", "ipm"}
	return backend.Bucket{Owner: owner, Name: names[d], Dimension: d, Limit: limit, Period: time.Minute}
}

func tokens(n int64) backend.Amounts   { return backend.Amounts{backend.Tokens: n} }
func requests(n int64) backend.Amounts { return backend.Amounts{backend.Requests: n} }

// ask is a new ask of the ticket in the suite's only line.
func (s *suite) ask(scope, ticket string, buckets []backend.Bucket, costs ...backend.Amounts) backend.Ask {
	s.numbers[ticket]++
	return backend.Ask{Account: s.account, Line: "line", Scope: scope, Ticket: ticket,
		Number: s.numbers[ticket], Buckets: buckets, Costs: costs}
}

func (s *suite) take(ask backend.Ask) backend.Answer {
	s.Helper()
	a, err := s.Backend.Take(s.Context(), ask)
	if err != nil {
		s.Fatal(err)
	}
	if n := len(ask.Buckets); len(a.Levels) != n || len(a.Charged) != n || len(a.Corrected) != n {
		s.Fatalf("levels %v, charged %v, corrected %v for %d buckets", a.Levels, a.Charged, a.Corrected, n)
	}
	return a
}

// granted takes and wants so many grants.
func (s *suite) granted(ask backend.Ask, want int) backend.Answer {
	s.Helper()
	a := s.take(ask)
	if a.Granted != want {
		s.Fatalf("granted %d of %v at levels %v; want %d", a.Granted, ask.Costs, a.Levels, want)
	}
	if want < len(ask.Costs) && (a.Wait <= 0 || a.Hint <= 0) {
		s.Fatalf("not all granted, but a wait of %v and a hint of %v", a.Wait, a.Hint)
	}
	return a
}

// level wants a bucket to stand at a level, or higher by what has refilled.
func (s *suite) level(got float64, want float64, b backend.Bucket) {
	s.Helper()
	if more := s.refilled(b); got < want-1e-6 || got > want+more+1e-6 {
		s.Errorf("%s of %s stands at %v; want %v or at most %v more", b.Name, b.Owner, got, want, more)
	}
}

// refilled is the most that may have come into a bucket since the test began.
func (s *suite) refilled(b backend.Bucket) float64 {
	return float64(b.Limit) * float64(s.elapsed()) / float64(b.Period)
}

func (s *suite) lookAt(scope string, buckets []backend.Bucket) backend.Answer {
	s.Helper()
	a, err := s.Backend.Look(s.Context(), backend.Ask{Account: s.account, Line: "line", Scope: scope, Buckets: buckets})
	if err != nil {
		s.Fatal(err)
	}
	return a
}

func (s *suite) settles(x backend.Settlement) {
	s.Helper()
	x.Account, x.Line = s.account, "line"
	if err := s.Backend.Settle(s.Context(), x); err != nil {
		s.Fatal(err)
	}
}

func (s *suite) rejects(ask backend.Ask) {
	s.Helper()
	if _, err := s.Backend.Take(s.Context(), ask); !errors.Is(err, backend.ErrTooLarge) {
		s.Errorf("take: %v; want ErrTooLarge", err)
	}
	if _, err := s.Backend.Look(s.Context(), ask); !errors.Is(err, backend.ErrTooLarge) {
		s.Errorf("look: %v; want ErrTooLarge", err)
	}
}
