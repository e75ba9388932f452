package backendtest

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// What one ticket alone may expect of the buckets.

func (s *suite) allOrNone() {
	b := []backend.Bucket{perDay("m", backend.Requests, 100), perDay("m", backend.Tokens, 1000), perDay("all", backend.Images, 10)}
	a := s.granted(s.ask("m", "p", b, backend.Amounts{1, 600, 0}, backend.Amounts{1, 600, 3}), 1)
	s.level(a.Levels[0], 99, b[0])
	s.level(a.Levels[1], 400, b[1])
	s.level(a.Levels[2], 10, b[2])
	a = s.granted(s.ask("m", "p", b, backend.Amounts{1, 300, 2}), 1)
	s.level(a.Levels[0], 98, b[0])
	s.level(a.Levels[1], 100, b[1])
	s.level(a.Levels[2], 8, b[2])
	if a.Wait != 0 || a.Paused != 0 {
		s.Errorf("all granted, and yet a wait of %v", a.Wait)
	}

	costs := make([]backend.Amounts, backend.MaxCosts)
	for i := range costs {
		costs[i] = requests(1)
	}
	a = s.granted(s.ask("m", "p", b, costs...), backend.MaxCosts)
	s.level(a.Levels[0], 98-backend.MaxCosts, b[0])
}

func (s *suite) tooLarge() {
	b := []backend.Bucket{perDay("m", backend.Tokens, 1000)}
	s.rejects(s.ask("m", "p", b, tokens(1001)))
	s.rejects(s.ask("m", "p", b, tokens(1), tokens(1001)))
	s.level(s.lookAt("m", b).Levels[0], 1000, b[0])
	s.granted(s.ask("m", "p", b, tokens(1000)), 1)
}

func (s *suite) aboveCapacity() {
	b := []backend.Bucket{perDay("m", backend.Tokens, 24_000)}
	b[0].Burst = time.Hour // holds 1,000
	a := s.granted(s.ask("m", "p", b, tokens(5000)), 1)
	s.level(a.Levels[0], -4000, b[0])
	a = s.granted(s.ask("m", "p", b, tokens(5000)), 0)
	if want := 5*time.Hour - s.elapsed() - time.Second; a.Wait < want || a.Wait > 5*time.Hour+time.Second {
		s.Errorf("waits %v; want about %v, until the bucket is full", a.Wait, want)
	}
}

func (s *suite) wait() {
	b := []backend.Bucket{perMinute("m", backend.Tokens, 60_000)} // one a millisecond
	s.granted(s.ask("m", "p", b, tokens(60_000)), 1)
	a := s.take(s.ask("m", "p", b, tokens(200)))
	if a.Wait > 200*time.Millisecond {
		s.Errorf("waits %v for what refills in 200ms", a.Wait)
	}
	for range 100 { // hints may be shorter than the wait
		if a.Granted == 1 {
			return
		}
		s.advance(a.Hint)
		a = s.take(s.ask("m", "p", b, tokens(200)))
	}
	s.Error("not granted in a hundred hints")
}

func (s *suite) margin() {
	b := []backend.Bucket{perDay("m", backend.Tokens, 1000)}
	b[0].Margin = 300
	s.granted(s.ask("m", "p", b, tokens(600)), 1)  // leaves 400
	s.granted(s.ask("m", "p", b, tokens(200)), 0)  // would leave 200
	s.granted(s.ask("m", "p", b, tokens(100)), 1)  // leaves 300
	s.granted(s.ask("m", "p", b, tokens(1000)), 0) // no margin, but not full
	b[0].Margin = 0
	s.granted(s.ask("m", "p", b, tokens(300)), 1)
}

func (s *suite) start() {
	b := []backend.Bucket{perDay("m", backend.Tokens, 1000)}
	b[0].Start = 900
	a := s.granted(s.ask("m", "p", b, tokens(200)), 0)
	s.level(a.Levels[0], 100, b[0])
	s.granted(s.ask("m", "p", b, tokens(100)), 1)
	b[0].Start = 0 // it is known by now
	s.granted(s.ask("m", "p", b, tokens(100)), 0)
}

func (s *suite) raise() {
	other := []backend.Bucket{perDay("other", backend.Tokens, 1000)}
	before := s.granted(s.ask("other", "q", other, tokens(1)), 1).Stamp
	s.advance(time.Millisecond)
	b := []backend.Bucket{perDay("m", backend.Tokens, 1000)}
	after := s.granted(s.ask("m", "p", b, tokens(100)), 1).Stamp
	for _, x := range []struct{ start, stamp, level int64 }{
		{0, before, 900},
		{500, 0, 900},      // it goes back to no answer
		{500, after, 900},  // to one that knew of the bucket as it is
		{300, before, 600}, // beside what was charged since
		{300, before, 600}, // once
		{200, before, 600}, // somebody else knows less
		{700, before, 200}, // or more
		{5000, before, -1000},
	} {
		b[0].Start, b[0].StartStamp = float64(x.start), x.stamp
		s.level(s.lookAt("m", b).Levels[0], float64(x.level), b[0])
	}
	b[0].Start, b[0].StartStamp = 0, 0
	s.settles(backend.Settlement{Stamp: after, Buckets: b, Refund: tokens(5000)})
	if s.Advance == nil {
		return
	}
	s.advance(time.Minute)
	b[0].Start, b[0].StartStamp = 9000, before // it is no longer young
	s.level(s.lookAt("m", b).Levels[0], 1000, b[0])
}

func (s *suite) limits() {
	b := []backend.Bucket{perDay("m", backend.Tokens, 1000)}
	s.granted(s.ask("m", "p", b, tokens(600)), 1)
	b[0].Limit = 2000
	s.level(s.lookAt("m", b).Levels[0], 1400, b[0])
	s.granted(s.ask("m", "p", b, tokens(1400)), 1)
	// Who knows of a lower limit, or of another one, takes nothing from what is used. It
	// refills by the highest limit that is known.
	highest := b[0]
	for range 3 {
		b[0].Limit = 500
		s.granted(s.ask("m", "low", b, tokens(1)), 0)
		s.level(s.lookAt("m", b).Levels[0], -1500, highest)
		b[0].Limit = 2000
		s.granted(s.ask("m", "high", b, tokens(1)), 0)
		s.level(s.lookAt("m", b).Levels[0], 0, b[0])
	}
	if s.Advance == nil {
		return
	}
	// Where nobody knows of the higher one any more, a debt ends a period later.
	b[0].Limit = 500
	s.granted(s.ask("m", "low", b, tokens(500)), 0)
	s.advance(24 * time.Hour)
	if got := s.lookAt("m", b).Levels[0]; got < -501 || got > -499 {
		s.Errorf("a limit lowered a day ago leaves %v; want a debt of one limit at most", got)
	}
}

func (s *suite) settle() {
	b := []backend.Bucket{perDay("m", backend.Requests, 10), perDay("m", backend.Tokens, 1000)}
	a := s.granted(s.ask("m", "p", b, backend.Amounts{1, 800, 0}), 1)
	s.settles(backend.Settlement{Stamp: a.Stamp, Buckets: b, Refund: tokens(700)})
	s.level(s.lookAt("m", b).Levels[1], 900, b[1])
	s.level(s.lookAt("m", b).Levels[0], 9, b[0])

	// A bucket never rises above its capacity, nor falls below minus its limit.
	s.settles(backend.Settlement{Stamp: a.Stamp, Buckets: b, Refund: tokens(700)})
	s.level(s.lookAt("m", b).Levels[1], 1000, b[1])
	s.settles(backend.Settlement{Stamp: a.Stamp, Buckets: b, Refund: tokens(-1500)})
	s.level(s.lookAt("m", b).Levels[1], -500, b[1])
	s.settles(backend.Settlement{Stamp: a.Stamp, Buckets: b, Refund: tokens(-1500)})
	s.level(s.lookAt("m", b).Levels[1], -1000, b[1])
}

func (s *suite) correct() {
	b := []backend.Bucket{perDay("m", backend.Requests, 10), perDay("m", backend.Tokens, 1000)}
	a := s.granted(s.ask("m", "p", b, backend.Amounts{1, 100, 0}), 1)
	correct := func(from, to float64) {
		s.settles(backend.Settlement{Stamp: a.Stamp, Buckets: b, Corrections: []backend.Correction{{}, {From: from, To: to}}})
	}
	for _, x := range []struct {
		from, to  float64
		level     float64
		corrected float64
	}{
		{0, 200, 700, 200},
		{0, 200, 700, 200},        // somebody else has seen the same
		{0, 150, 700, 200},        // or less
		{0, 250, 650, 250},        // or more
		{200, 100, 650, 250},      // what was seen before that is void
		{250, 50, 850, 50},        // down from where it is
		{250, 50, 850, 50},        // once
		{50, -500, 1000, -100},    // not beyond full
		{-100, 5000, -1000, 1900}, // nor below minus the limit
	} {
		correct(x.from, x.to)
		l := s.lookAt("m", b)
		s.level(l.Levels[0], 9, b[0])
		s.level(l.Levels[1], x.level, b[1])
		if got := l.Corrected[1]; got < x.corrected-1e-6 || got > x.corrected+s.refilled(b[1])+1e-6 {
			s.Errorf("from %v to %v: corrected %v; want %v", x.from, x.to, got, x.corrected)
		}
	}
	// With its refund comes what a response told; after a Clear neither counts.
	s.settles(backend.Settlement{Stamp: a.Stamp, Buckets: b, Refund: tokens(500), Corrections: []backend.Correction{{To: 2}, {}}})
	l := s.lookAt("m", b)
	s.level(l.Levels[0], 7, b[0])
	s.level(l.Levels[1], -500, b[1])
	if err := s.Backend.Clear(s.Context(), s.account, []string{"m"}); err != nil {
		s.Fatal(err)
	}
	correct(0, 1e6)
	s.level(s.lookAt("m", b).Levels[1], 1000, b[1])
}

// adds up: what is used is what was charged, less what came back and what has
// refilled, and what was corrected.
func (s *suite) addsUp() {
	b := []backend.Bucket{perDay("m", backend.Requests, 10), perDay("m", backend.Tokens, 1000)}
	b[1].Start = 200
	used := func(a backend.Answer, charged, refunded float64) {
		s.Helper()
		if a.Charged[1] != charged {
			s.Errorf("charged %v; want %v", a.Charged[1], charged)
		}
		if c := a.Charged[0] > 3 || a.Corrected[0] > s.refilled(b[0])+1e-6; c {
			s.Errorf("requests: charged %v, corrected %v", a.Charged[0], a.Corrected[0])
		}
		most := a.Charged[1] - refunded + a.Corrected[1]
		if got := b[1].Capacity() - a.Levels[1]; got > most+1e-6 || got < most-s.refilled(b[1])-1e-6 {
			s.Errorf("%v are used; want %v − %v + %v", got, a.Charged[1], refunded, a.Corrected[1])
		}
	}
	used(s.lookAt("m", b), 0, 0)
	first := s.granted(s.ask("m", "p", b, backend.Amounts{1, 300, 0}), 1)
	used(first, 300, 0)
	fresh := s.ask("m", "p", b, backend.Amounts{1, 100, 0})
	fresh.Fresh = true
	used(s.granted(fresh, 1), 400, 0)
	s.settles(backend.Settlement{Stamp: first.Stamp, Buckets: b, Refund: tokens(250)})
	used(s.lookAt("m", b), 400, 250)
	s.settles(backend.Settlement{Stamp: first.Stamp, Buckets: b, Refund: tokens(-50), Corrections: []backend.Correction{{}, {From: 0, To: 300}}})
	used(s.lookAt("m", b), 400, 200)
	s.settles(backend.Settlement{Stamp: first.Stamp, Buckets: b, Refund: tokens(5000)}) // more than is used
	used(s.lookAt("m", b), 400, 5200)
	used(s.granted(s.ask("m", "p", b, backend.Amounts{1, 900, 0}), 1), 1300, 5200)
	if err := s.Backend.Clear(s.Context(), s.account, []string{"m"}); err != nil {
		s.Fatal(err)
	}
	used(s.lookAt("m", b), 1300, 5200)
}

func (s *suite) pause() {
	b := []backend.Bucket{perDay("all", backend.Tokens, 1000)}
	s.granted(s.ask("m", "p", b, tokens(1)), 1)
	s.settles(backend.Settlement{PauseOwner: "m", Pause: time.Hour})
	s.settles(backend.Settlement{PauseOwner: "m", Pause: time.Minute}) // the longer one stays
	a := s.granted(s.ask("m", "p", b, tokens(1)), 0)
	if a.Paused > time.Hour || a.Paused < time.Hour-s.elapsed()-time.Second || a.Wait < a.Paused {
		s.Errorf("paused for %v, waits %v; want an hour", a.Paused, a.Wait)
	}
	s.granted(s.ask("n", "q", b, tokens(1)), 1) // the pause is m's alone
	s.settles(backend.Settlement{PauseOwner: "all", Pause: time.Hour})
	s.granted(s.ask("n", "q", b, tokens(1)), 0)
}

func (s *suite) clear() {
	b := []backend.Bucket{perDay("m", backend.Tokens, 1000), perDay("all", backend.Tokens, 2000)}
	old := s.granted(s.ask("m", "p", b, tokens(900)), 1)
	s.settles(backend.Settlement{PauseOwner: "m", Pause: time.Hour})
	s.granted(s.ask("m", "p", b, tokens(900)), 0)
	if err := s.Backend.Clear(s.Context(), s.account, []string{"m"}); err != nil {
		s.Fatal(err)
	}
	a := s.granted(s.ask("m", "p", b, tokens(900)), 1)
	s.level(a.Levels[0], 100, b[0])
	s.level(a.Levels[1], 200, b[1])
	// What was charged before the clear is settled only where nothing was cleared.
	s.settles(backend.Settlement{Stamp: old.Stamp, Buckets: b, Refund: tokens(900)})
	l := s.lookAt("m", b).Levels
	s.level(l[0], 100, b[0])
	s.level(l[1], 1100, b[1])
	s.settles(backend.Settlement{Stamp: a.Stamp, Buckets: b, Refund: tokens(900)})
	s.level(s.lookAt("m", b).Levels[0], 1000, b[0])
}
