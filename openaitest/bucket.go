package openaitest

import (
	"math"
	"math/big"
	"math/bits"
	"time"
)

// A meter counts what is used of a continuously refilling capacity. Quantities
// are exact: whole units plus a fraction counted in period-ths of a unit, which
// is what refills in one nanosecond divided by the rate. Times are nanoseconds
// since the server's epoch.
type meter struct {
	rate, period  int64 // rate units refill every period nanoseconds
	capacity      int64
	capacityFrac  int64 // in [0, period)
	used          int64
	usedFrac      int64 // in [0, period)
	at            int64 // the time up to which refill has been applied
	window        int64 // if not zero, used returns to zero at every multiple of it instead of refilling
	largeIfUnused bool  // a charge above the capacity fits while nothing is used
}

// advance applies the refill up to now. A clock that stands or steps back
// refills nothing.
func (m *meter) advance(now int64) {
	dt := now - m.at
	if dt <= 0 {
		return
	}
	before := m.at
	m.at = now
	if m.window > 0 {
		if now/m.window != before/m.window {
			m.used, m.usedFrac = 0, 0
		}
		return
	}
	hi, lo := bits.Mul64(uint64(m.rate), uint64(dt))
	if hi >= uint64(m.period) { // more than 2^64 units
		m.used, m.usedFrac = 0, 0
		return
	}
	whole, frac := bits.Div64(hi, lo, uint64(m.period))
	if whole > math.MaxInt64 {
		m.used, m.usedFrac = 0, 0
		return
	}
	m.used -= int64(whole)
	m.usedFrac -= int64(frac)
	if m.usedFrac < 0 {
		m.usedFrac += m.period
		m.used--
	}
	if m.used < 0 {
		m.used, m.usedFrac = 0, 0
	}
}

func (m *meter) charge(n int64) { m.used += n }

// refund returns n units; what a full bucket cannot hold is lost.
func (m *meter) refund(n int64) {
	m.used -= n
	if m.used < 0 {
		m.used, m.usedFrac = 0, 0
	}
}

// wait returns how long until n units fit, rounded up to the nanosecond: zero
// when they fit now.
func (m *meter) wait(n int64) time.Duration {
	whole, frac := m.used+n-m.capacity, m.usedFrac-m.capacityFrac
	if m.largeIfUnused && n > m.capacity {
		whole, frac = m.used, m.usedFrac
	}
	if frac < 0 {
		frac += m.period
		whole--
	}
	if whole < 0 || whole == 0 && frac == 0 {
		return 0
	}
	if m.window > 0 {
		return time.Duration(m.window - m.at%m.window)
	}
	return m.refillTime(whole, frac, m.rate-1)
}

// reset returns how long until nothing is used, rounded down to the nanosecond
// (the headers truncate further).
func (m *meter) reset() time.Duration {
	if m.window > 0 {
		return time.Duration(m.window - m.at%m.window)
	}
	return m.refillTime(m.used, m.usedFrac, 0)
}

// refillTime returns (whole·period + frac + carry) / rate.
func (m *meter) refillTime(whole, frac, carry int64) time.Duration {
	hi, lo := bits.Mul64(uint64(whole), uint64(m.period))
	lo, c := bits.Add64(lo, uint64(frac), 0)
	hi += c
	lo, c = bits.Add64(lo, uint64(carry), 0)
	hi += c
	if hi >= uint64(m.rate) {
		return math.MaxInt64
	}
	ns, _ := bits.Div64(hi, lo, uint64(m.rate))
	return time.Duration(min(ns, math.MaxInt64))
}

// remaining returns floor(capacity − used), never negative.
func (m *meter) remaining() int64 {
	n := m.capacity - m.used
	if m.capacityFrac < m.usedFrac {
		n--
	}
	return max(n, 0)
}

// usedUp returns used rounded up, as a 429 states it.
func (m *meter) usedUp() int64 {
	if m.usedFrac > 0 {
		return m.used + 1
	}
	return m.used
}

// A bucket is the live state of one limit, with its subwindow if limits are
// enforced in subwindows too, and its accounts.
type bucket struct {
	meter
	limit     Limit
	subwindow *meter
	totals    totals
}

// totals are the accounts of one bucket, in units of its dimension.
type totals struct {
	charged, throttledCharge, debited, refunded, foreign int64
	throttles                                            int64
}

func newBucket(limit Limit, now int64) *bucket {
	return &bucket{limit: limit, meter: meter{period: int64(limit.Period()), at: now}}
}

// on reports whether the bucket limits anything at present.
func (b *bucket) on() bool { return b.rate > 0 }

// set changes the limit at time now, keeping what is used, or its ratio to the
// limit. A bucket that is switched on starts full.
func (b *bucket) set(limit int64, now int64, keepRatio bool, subwindows *Subwindows) {
	old := b.rate
	if old > 0 {
		b.advance(now)
	}
	b.at = now
	b.rate, b.capacity = limit, limit
	switch {
	case limit == 0 || old == 0:
		b.used, b.usedFrac = 0, 0
	case keepRatio:
		b.scale(limit, old)
	}
	var next *meter
	if limit > 0 && subwindows.cover(b.limit) {
		next = subwindows.meter(&b.meter)
		if b.subwindow != nil {
			next.used, next.usedFrac = b.subwindow.used, b.subwindow.usedFrac
		}
	}
	b.subwindow = next
}

// scale multiplies what is used by num/den.
func (b *bucket) scale(num, den int64) {
	period := big.NewInt(b.period)
	x := new(big.Int).Mul(big.NewInt(b.used), period)
	x.Add(x, big.NewInt(b.usedFrac))
	x.Mul(x, big.NewInt(num)).Quo(x, big.NewInt(den))
	whole, frac := x.QuoRem(x, period, new(big.Int))
	b.used, b.usedFrac = whole.Int64(), frac.Int64()
}

func (b *bucket) advance(now int64) {
	b.meter.advance(now)
	if b.subwindow != nil {
		b.subwindow.advance(now)
	}
}

// wait returns how long until n units fit both the bucket and its subwindow.
func (b *bucket) wait(n int64) time.Duration {
	wait := b.meter.wait(n)
	if b.subwindow != nil {
		wait = max(wait, b.subwindow.wait(n))
	}
	return wait
}

// never reports whether n units can never fit.
func (b *bucket) never(n int64) bool {
	return n > b.capacity || b.subwindow != nil && !b.subwindow.largeIfUnused &&
		n > b.subwindow.capacity
}

func (b *bucket) charge(n int64) {
	b.meter.charge(n)
	if b.subwindow != nil {
		b.subwindow.charge(n)
	}
}

// meter returns the subwindow's meter for a bucket: what the bucket refills in
// Length is its capacity, and it refills at the bucket's rate.
func (s *Subwindows) meter(b *meter) *meter {
	hi, lo := bits.Mul64(uint64(b.rate), uint64(s.Length))
	whole, frac := bits.Div64(hi, lo, uint64(b.period))
	m := &meter{
		rate: b.rate, period: b.period, at: b.at,
		capacity: int64(whole), capacityFrac: int64(frac),
		largeIfUnused: !s.Strict,
	}
	if s.Fixed {
		m.window = int64(s.Length)
	}
	return m
}
