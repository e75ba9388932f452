package backendtest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// What tickets may expect of each other.

func (s *suite) aside() {
	b := []backend.Bucket{perDay("m", backend.Tokens, 1000)}
	s.granted(s.ask("m", "x", b, tokens(500)), 1)
	s.granted(s.ask("m", "large", b, tokens(900)), 0)
	a := s.granted(s.ask("m", "small", b, tokens(10)), 0)
	if a.Tickets != 1 {
		s.Errorf("%d tickets ahead; want 1", a.Tickets)
	}
	if atLeast := 9 * time.Hour; a.Wait < atLeast {
		s.Errorf("waits %v; want over %v, until the one ahead has what it needs", a.Wait, atLeast)
	}
}

func (s *suite) roundRobin() {
	b := []backend.Bucket{perDay("m", backend.Requests, 12)}
	six := requests(6)
	first := s.granted(s.ask("m", "a", b, six, six, six, six), 2)
	more := func() { s.settles(backend.Settlement{Stamp: first.Stamp, Buckets: b, Refund: six}) }
	s.granted(s.ask("m", "b", b, six, six), 0)
	more()
	s.granted(s.ask("m", "b", b, six, six), 0)
	s.granted(s.ask("m", "a", b, six, six), 1) // and keeps its place for the last one
	more()
	s.granted(s.ask("m", "b", b, six, six), 0)
	s.granted(s.ask("m", "a", b, six), 1)
	s.granted(s.ask("m", "a", b, six), 0) // a new turn, behind b
	more()
	s.granted(s.ask("m", "a", b, six), 0)
	s.granted(s.ask("m", "b", b, six, six), 1)
	more()
	s.granted(s.ask("m", "a", b, six), 0)
	s.granted(s.ask("m", "b", b, six), 1)
	more()
	s.granted(s.ask("m", "a", b, six), 1)
}

func (s *suite) starvation() {
	b := []backend.Bucket{perMinute("m", backend.Tokens, 60_000)} // one a millisecond
	s.granted(s.ask("m", "x", b, tokens(60_000)), 1)
	s.take(s.ask("m", "large", b, tokens(2000)))
	for i := range 1000 {
		small := fmt.Sprint("small", i%5)
		if s.take(s.ask("m", small, b, tokens(10))).Granted > 0 && s.Advance != nil && s.added < time.Second {
			s.Fatal("a small call was granted what the large one needs")
		}
		if s.take(s.ask("m", "large", b, tokens(2000))).Granted > 0 {
			return
		}
		s.advance(50 * time.Millisecond)
	}
	s.Error("the large call was starved")
}

func (s *suite) twice() {
	b := []backend.Bucket{perDay("m", backend.Requests, 10)}
	ask := s.ask("m", "p", b, requests(4), requests(4), requests(4))
	first := s.granted(ask, 2) // and keeps its place for the third
	again := s.granted(ask, 2)
	if again.Stamp != first.Stamp {
		s.Errorf("the same ask was answered with stamp %d, then %d", first.Stamp, again.Stamp)
	}
	s.level(s.lookAt("m", b).Levels[0], 2, b[0])
	if !s.Shared {
		return // within a process no answer is lost
	}
	ask = s.ask("m", "p", b, requests(1)) // leaves nothing to wait for
	s.granted(ask, 1)
	s.granted(ask, 1)
	s.level(s.lookAt("m", b).Levels[0], 1, b[0])
}

func (s *suite) fresh() {
	b := []backend.Bucket{perDay("m", backend.Requests, 10)}
	first := s.granted(s.ask("m", "p", b, requests(8)), 1)
	s.granted(s.ask("m", "p", b, requests(8)), 0)
	s.settles(backend.Settlement{Stamp: first.Stamp, Buckets: b, Refund: requests(8)})
	ask := s.ask("m", "p", b, requests(1))
	ask.Fresh = true
	if a := s.take(ask); a.Granted != 0 || a.Tickets != 1 {
		s.Errorf("granted %d with %d ahead; want none behind the ticket itself", a.Granted, a.Tickets)
	}
	s.granted(s.ask("m", "p", b, requests(8)), 1)
	ask = s.ask("m", "p", b, requests(1))
	ask.Fresh = true
	s.granted(ask, 1)
}

func (s *suite) leave() {
	b := []backend.Bucket{perDay("m", backend.Tokens, 1000)}
	s.granted(s.ask("m", "x", b, tokens(500)), 1)
	s.granted(s.ask("m", "large", b, tokens(900)), 0)
	s.granted(s.ask("m", "small", b, tokens(10)), 0)
	gone := s.ask("m", "large", b)
	gone.Leave = true
	s.take(gone)
	s.granted(s.ask("m", "small", b, tokens(10)), 1)

	// Leaving may be said along with the costs.
	passing := s.ask("m", "large", b, tokens(900))
	passing.Leave = true
	s.granted(passing, 0)
	s.granted(s.ask("m", "small", b, tokens(10)), 1)
	if n := s.lookAt("m", b).Tickets; n != 0 {
		s.Errorf("%d tickets in line; want none", n)
	}
}

func (s *suite) look() {
	b := []backend.Bucket{perDay("m", backend.Tokens, 1000)}
	s.granted(s.ask("m", "x", b, tokens(500)), 1)
	look := s.ask("m", "y", b, tokens(500))
	for range 3 {
		a, err := s.Backend.Look(s.Context(), look)
		if err != nil || a.Granted != 0 || a.Wait != 0 || a.Tickets != 0 {
			s.Fatalf("look %+v, %v; want no wait and nothing granted", a, err)
		}
		s.level(a.Levels[0], 500, b[0])
	}
	s.granted(s.ask("m", "large", b, tokens(900)), 0)
	a, err := s.Backend.Look(s.Context(), look)
	if err != nil || a.Tickets != 1 || a.Wait < 20*time.Hour {
		s.Errorf("look %+v, %v; want a wait behind one ticket, for 1,400 of 1,000 a day with 500 there", a, err)
	}
}

func (s *suite) apart() {
	b := []backend.Bucket{perDay("m", backend.Tokens, 1000)}
	s.granted(s.ask("m", "p", b, tokens(900)), 1)
	s.granted(s.ask("m", "p", b, tokens(900)), 0)
	other := s.ask("m", "p", b, tokens(900))
	other.Account += "'"
	s.granted(other, 1)
	n := []backend.Bucket{perDay("n", backend.Tokens, 1000)}
	elsewhere := s.ask("n", "q", n, tokens(900))
	elsewhere.Line = "another line"
	if a := s.granted(elsewhere, 1); a.Tickets != 0 {
		s.Errorf("%d tickets ahead in a line of its own", a.Tickets)
	}
	if err := s.Backend.Clear(s.Context(), s.account+"'", []string{"m"}); err != nil {
		s.Fatal(err)
	}
	s.granted(s.ask("m", "p", b, tokens(900)), 0)
}

func (s *suite) silent() {
	if !s.Shared {
		s.Skip("only where processes can die")
	}
	b := []backend.Bucket{perDay("m", backend.Requests, 100)}
	s.granted(s.ask("m", "x", b, requests(50)), 1)
	s.granted(s.ask("m", "silent", b, requests(100)), 0)
	s.granted(s.ask("m", "p", b, requests(1)), 0)
	for range 2 {
		s.advance(400 * time.Millisecond)
		s.granted(s.ask("m", "p", b, requests(1)), 0)
	}
	s.advance(300 * time.Millisecond)
	s.granted(s.ask("m", "p", b, requests(1)), 1)
	// It was only slow, and has kept its place.
	if a := s.granted(s.ask("m", "silent", b, requests(100)), 0); a.Tickets != 0 {
		s.Errorf("the slow ticket stands behind %d", a.Tickets)
	}
	s.granted(s.ask("m", "p", b, requests(1)), 0)
	for range 24 {
		s.advance(500 * time.Millisecond)
		s.take(s.ask("m", "q", b, requests(100)))
	}
	// It is forgotten, and comes back at the end.
	if a := s.granted(s.ask("m", "silent", b, requests(100)), 0); a.Tickets == 0 {
		s.Error("an erased ticket has kept its place")
	}
}

// company: whoever speaks for others keeps them in line, and brings those back who were silent.
func (s *suite) company() {
	if !s.Shared {
		s.Skip("only where processes can die")
	}
	b := []backend.Bucket{perDay("m", backend.Requests, 100)}
	s.granted(s.ask("m", "x", b, requests(50)), 1)
	s.granted(s.ask("m", "silent", b, requests(100)), 0)
	s.granted(s.ask("m", "far", b, requests(1)), 0)
	ahead := func(companions ...string) int {
		ask := s.ask("m", "speaker", b, requests(100))
		ask.Companions = companions
		return s.granted(ask, 0).Tickets
	}
	for range 5 {
		if n := ahead("far", "unknown"); n > 2 {
			s.Errorf("%d tickets ahead", n)
		}
		s.advance(400 * time.Millisecond)
	}
	if n := ahead("far"); n != 1 {
		s.Errorf("%d tickets ahead; want the one that is spoken for", n)
	}
	others := make([]string, backend.MaxCompanions)
	for i := range others {
		others[i] = fmt.Sprint("unknown", i)
	}
	if n := ahead(append(others, "silent")...); n != 1 {
		s.Errorf("%d tickets ahead, one of them beyond those that it may speak for", n)
	}
	if n := ahead(append(others[1:], "silent")...); n != 2 {
		s.Errorf("%d tickets ahead, once it speaks for the silent one; want 2", n)
	}
}

// stall: those who wait have asked as often as they are told to, and nobody was
// answered for a while.
func (s *suite) stall() {
	if !s.Shared {
		s.Skip("only where processes can die")
	}
	b := []backend.Bucket{perDay("m", backend.Requests, 100)}
	s.granted(s.ask("m", "x", b, requests(50)), 1)
	s.granted(s.ask("m", "large", b, requests(100)), 0)
	for range 3 {
		for i := range 50 {
			s.granted(s.ask("m", fmt.Sprint("small", i), b, requests(1)), 0)
		}
		s.advance(100 * time.Millisecond)
		s.granted(s.ask("m", "large", b, requests(100)), 0)
		s.advance(3 * time.Second)
	}
}

func (s *suite) dead() {
	if !s.Shared {
		s.Skip("only where processes can die")
	}
	b := []backend.Bucket{perDay("m", backend.Requests, 100)}
	s.granted(s.ask("m", "x", b, requests(50)), 1)
	s.granted(s.ask("m", "waits", b, requests(100)), 0)
	for i := range 100 {
		s.granted(s.ask("m", fmt.Sprint("dead", i), b, requests(1)), 0)
	}
	for range 24 {
		s.advance(500 * time.Millisecond)
		s.granted(s.ask("m", "waits", b, requests(100)), 0)
	}
	if a := s.granted(s.ask("m", "new", b, requests(1)), 0); a.Tickets != 1 {
		s.Errorf("%d tickets ahead; want one, for the others have died", a.Tickets)
	}
	if n := s.lookAt("m", b).Tickets; n != 2 {
		s.Errorf("%d tickets in line; want 2", n)
	}
	// They are forgotten, and come back at the end.
	if a := s.granted(s.ask("m", "dead0", b, requests(1)), 0); a.Tickets != 2 {
		s.Errorf("an erased ticket stands behind %d; want 2", a.Tickets)
	}
}

func (s *suite) concurrent() {
	b := []backend.Bucket{perDay("m", backend.Requests, 200), perDay("all", backend.Requests, 100)}
	var granted atomic.Int64
	var work sync.WaitGroup
	for i := range 16 {
		work.Go(func() {
			for n := range 20 {
				a, err := s.Backend.Take(s.Context(), backend.Ask{Account: s.account, Line: "line", Scope: "m",
					Ticket: fmt.Sprint(i), Number: uint64(n + 1), Fresh: n%2 == 0, Leave: true,
					Buckets: b, Costs: []backend.Amounts{requests(1), requests(1)}})
				if err != nil {
					s.Error(err)
					return
				}
				granted.Add(int64(a.Granted))
				if a.Granted == 2 && n%4 == 0 {
					if err := s.Backend.Settle(s.Context(), backend.Settlement{Account: s.account, Line: "line",
						Stamp: a.Stamp, Buckets: b, Refund: requests(1)}); err != nil {
						s.Error(err)
					}
					granted.Add(-1)
				}
			}
		})
	}
	work.Wait()
	most := 100 + int64(100*s.elapsed()/(24*time.Hour))
	if n := granted.Load(); n < 100 || n > most {
		s.Errorf("%d of 100 were granted", n)
	}
}

// busyModel: an account has 600 requests a minute. Models A and a stand at the limit
// of 500 that they share, with 200 processes, 16 calls each, and C at its own of 36
// with 20. B makes one call a second, and never waits longer than a trip.
func (s *suite) busyModel() {
	// Nothing saved up hides a wait.
	account := perMinute("account", backend.Requests, 600)
	account.Burst = time.Second
	forB := []backend.Bucket{perMinute("B", backend.Requests, 600), account}

	costs := make([]backend.Amounts, backend.MaxCosts)
	for i := range costs {
		costs[i] = requests(1)
	}
	type process struct {
		model   string
		owner   string // of its limit
		buckets []backend.Bucket
		left    int
		next    time.Duration
		changed <-chan struct{}
	}
	limits := map[string]int64{"family": 500, "C": 36}
	bursts := map[string]time.Duration{"family": time.Second, "C": 2 * time.Second}
	line := make([]process, 220)
	for i := range line {
		p := &line[i]
		switch {
		case i%11 == 0:
			p.model, p.owner = "C", "C"
		case i%2 == 0:
			p.model, p.owner = "A", "family"
		default:
			p.model, p.owner = "a", "family"
		}
		limited := perMinute(p.owner, backend.Requests, limits[p.owner])
		limited.Burst = bursts[p.owner]
		p.buckets = []backend.Bucket{limited, account}
	}
	got, asked := map[string]int{}, 0
	end := 20 * time.Second
	if s.Advance == nil {
		end = 5 * time.Second
	}
	for now, b := time.Duration(0), time.Second; now < end; {
		next := b
		for i := range line {
			p := &line[i]
			select {
			case <-p.changed:
				p.next = now
			default:
			}
			if p.next <= now {
				a := s.take(s.ask(p.model, fmt.Sprint(p.model, i), p.buckets, costs[p.left:]...))
				asked++
				got[p.owner] += a.Granted
				if p.left += a.Granted; p.left >= len(costs) {
					p.left = 0 // and there are 16 more
				}
				p.next, p.changed = now+max(a.Hint, time.Millisecond), a.Changed
			}
			next = min(next, p.next)
		}
		if b <= now {
			if a := s.take(s.ask("B", "b", forB, requests(1))); a.Granted != 1 {
				s.Fatalf("after %v B waits %v at levels %v", now, a.Wait, a.Levels)
			}
			b += time.Second
			next = min(next, b)
		}
		s.advance(max(0, next-now))
		now = max(now, next)
	}
	for owner, limit := range limits {
		if want := int(limit) * int(end/time.Second) / 60; got[owner] < want*98/100 {
			s.Errorf("%s got %d; want %d", owner, got[owner], want)
		}
	}
	s.Logf("%v with %d asks", got, asked)
}

// mixed: calls of all sizes want more than there is. The line goes round, so that
// each gets its turn in every round, and none waits for longer than what all others
// need in one.
func (s *suite) mixed() {
	const rate, round = 1000, 14*10 + 5*100 + 1900 // tokens a second, and in all sizes
	b := []backend.Bucket{perMinute("m", backend.Tokens, 60*rate)}
	b[0].Burst = 2 * time.Second
	type process struct {
		size         int64
		turns        int
		since, worst time.Duration // when it began to wait, and how long it did at most
		next         time.Duration
		changed      <-chan struct{}
	}
	line := make([]process, 20)
	for i := range line {
		line[i].size = 10
		switch {
		case i == 7:
			line[i].size = 1900
		case i%4 == 0:
			line[i].size = 100
		}
	}
	end := 60 * time.Second
	if s.Advance == nil {
		end = 8 * time.Second
	}
	for now := time.Duration(0); now < end; {
		next := end
		for i := range line {
			p := &line[i]
			select {
			case <-p.changed:
				p.next = now
			default:
			}
			if p.next <= now {
				a := s.take(s.ask("m", fmt.Sprint("p", i), b, tokens(p.size)))
				if a.Granted > 0 {
					p.worst = max(p.worst, now-p.since)
					p.since = now
					p.turns++
				}
				p.next, p.changed = now+max(a.Hint, time.Millisecond), a.Changed
			}
			next = min(next, p.next)
		}
		s.advance(max(0, next-now))
		now = max(now, next)
	}
	least, most, worst := line[0].turns, line[0].turns, time.Duration(0)
	for _, p := range line {
		least, most, worst = min(least, p.turns), max(most, p.turns), max(worst, p.worst, end-p.since)
	}
	s.Logf("%d to %d turns, the longest wait was %v", least, most, worst)
	low, high := int(end.Seconds()*rate/round)-2, int(max(end, s.elapsed()).Seconds()*rate/round)+4
	if least < low || most > high {
		s.Errorf("%d to %d turns; want %d to %d for each", least, most, low, high)
	}
	if most := round * time.Second / rate; worst > most*5/4 {
		s.Errorf("one waited for %v; a round takes %v", worst, most)
	}
}
