package openaitest

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// exact is the same bucket in rational numbers, written as one would on paper.
type exact struct {
	rate, capacity, used *big.Rat
	at                   int64
}

func rat(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }

func (e *exact) advance(now int64) {
	if now <= e.at {
		return
	}
	e.used.Sub(e.used, new(big.Rat).Mul(e.rate, rat(now-e.at)))
	if e.used.Sign() < 0 {
		e.used.SetInt64(0)
	}
	e.at = now
}

func (m *meter) rational() *big.Rat {
	return new(big.Rat).Add(rat(m.used), big.NewRat(m.usedFrac, m.period))
}

func TestMeterIsExact(t *testing.T) {
	t.Chdir(t.TempDir()) // where rapid finds no fail file that another version has left
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.OneOf(
			rapid.Int64Range(1, 20_000_000_000), rapid.Int64Range(1e14, 1e15)).Draw(t, "limit")
		kind := rapid.SampledFrom([]Limit{TPM, TPD}).Draw(t, "kind")
		b := newBucket(kind, 0)
		b.set(limit, 0, false, nil)
		m := &b.meter
		e := &exact{rate: big.NewRat(limit, m.period), capacity: rat(limit), used: new(big.Rat)}
		now := int64(0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1: // up to four years, mostly short
				now += rapid.Int64Range(-5, 1<<rapid.IntRange(1, 57).Draw(t, "scale")).Draw(t, "dt")
				m.advance(now)
				e.advance(now)
			case 2:
				n := rapid.Int64Range(0, limit).Draw(t, "n")
				room := new(big.Rat).Sub(e.capacity, e.used)
				if fits := room.Cmp(rat(n)) >= 0; fits != (m.wait(n) == 0) {
					t.Fatalf("%d of %d with %v used: fits %v, wait %v", n, limit, e.used, fits, m.wait(n))
				} else if fits {
					m.charge(n)
					e.used.Add(e.used, rat(n))
				} else {
					checkWait(t, m, n)
				}
			case 3:
				n := rapid.Int64Range(0, limit).Draw(t, "back")
				m.refund(n)
				if e.used.Sub(e.used, rat(n)); e.used.Sign() < 0 {
					e.used.SetInt64(0)
				}
			}
			if m.rational().Cmp(e.used) != 0 {
				t.Fatalf("used %v, want %v", m.rational(), e.used)
			}
		}
	})
}

// checkWait: after the wait the units fit, a nanosecond earlier they do not.
func checkWait(t *rapid.T, m *meter, n int64) {
	wait := m.wait(n)
	for _, c := range []struct {
		after time.Duration
		fits  bool
	}{{wait, true}, {wait - 1, false}} {
		later := *m
		later.advance(m.at + int64(c.after))
		if (later.wait(n) == 0) != c.fits {
			t.Fatalf("%v of a wait of %v: fits %v", c.after, wait, !c.fits)
		}
	}
}

// A year of charges at odd moments against 150M TPM leaves exactly what integer
// arithmetic says, although floats would have drifted.
func TestMeterKeepsAYear(t *testing.T) {
	b := newBucket(TPM, 0)
	b.set(150_000_000, 0, false, nil)
	const step = 777_777_777 // 0.78 s refills 1,944,444.4425 units
	now := int64(0)
	for range 1_000_000 {
		now += step
		b.advance(now)
		b.charge(1_944_444)
	}
	for range 30 { // eleven months of silence, then one charge
		now += int64(11 * 24 * time.Hour)
		b.advance(now)
	}
	b.charge(150_000_000)
	if b.wait(1) == 0 || b.remaining() != 0 || b.reset() != time.Minute {
		t.Errorf("wait %v, remaining %d, reset %v", b.wait(1), b.remaining(), b.reset())
	}
}

func TestSubwindows(t *testing.T) {
	second := int64(time.Second)
	for _, c := range []struct {
		name       string
		subwindows Subwindows
		limit      int64
		charges    []int64 // at time zero
		next       int64
		at         int64
		wait       time.Duration
	}{
		{"fits", Subwindows{}, 600, []int64{9}, 1, 0, 0},
		{"full subwindow", Subwindows{}, 600, []int64{10}, 1, 0, 100 * time.Millisecond},
		{"refills", Subwindows{}, 600, []int64{10}, 1, second / 10, 0},
		{"fixed: full until its end", Subwindows{Fixed: true}, 600, []int64{10}, 1, second / 10, 900 * time.Millisecond},
		{"fixed: then whole", Subwindows{Fixed: true}, 600, []int64{10}, 10, second, 0},
		{"larger than a subwindow, unused", Subwindows{}, 600, nil, 25, 0, 0},
		{"larger than a subwindow, used", Subwindows{}, 600, []int64{5}, 25, 0, 500 * time.Millisecond},
		{"in debt", Subwindows{}, 600, []int64{25}, 1, 0, 1600 * time.Millisecond},
		{"less than one in a subwindow", Subwindows{}, 30, []int64{1}, 1, 0, 2 * time.Second},
		{"ten seconds", Subwindows{Length: 10 * time.Second}, 120, []int64{20}, 1, 0, 500 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.subwindows.Length == 0 {
				c.subwindows.Length = time.Second
			}
			c.subwindows.On = []Limit{RPM}
			b := newBucket(RPM, 0)
			b.set(c.limit, 0, false, &c.subwindows)
			for _, n := range c.charges {
				b.charge(n)
			}
			b.advance(c.at)
			if got := b.wait(c.next); got != c.wait {
				t.Errorf("wait %v, want %v", got, c.wait)
			}
		})
	}
}

func TestLimitChange(t *testing.T) {
	for _, c := range []struct {
		name      string
		keepRatio bool
		to        int64
		used      int64
	}{
		{"used survives a cut", false, 500, 800},
		{"ratio survives a cut", true, 500, 400},
		{"used survives a raise", false, 2000, 800},
		{"ratio survives a raise", true, 2000, 1600},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBucket(TPM, 0)
			b.set(1000, 0, false, nil)
			b.charge(800)
			b.set(c.to, 0, c.keepRatio, nil)
			if b.used != c.used || b.usedFrac != 0 {
				t.Errorf("used %d, want %d", b.used, c.used)
			}
		})
	}
}
