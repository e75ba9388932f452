package quota

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// changes draws what may happen to a set, as functions that do the same to several.
type changes struct {
	rt    *rapid.T
	clock time.Duration
	sent  int
	// unclaimed says that in no note anything is configured.
	unclaimed bool
}

func newChanges(rt *rapid.T) *changes { return &changes{rt: rt} }

var (
	// Amounts that limits are near, so that what is drawn meets them.
	someAmounts = rapid.OneOf(
		rapid.SampledFrom([]int64{-1, 0, 1, 50, 450, 500, 501, 10_000, 39_000, 40_000, 60_000, 90_000, 1 << 40, 1<<40 + 1, math.MaxInt64}),
		rapid.Int64Range(0, 100_000))
	someWaits = rapid.OneOf(
		rapid.SampledFrom([]time.Duration{0, time.Millisecond, 120 * time.Millisecond, time.Second, 8640 * time.Millisecond, 10 * time.Second, time.Minute, time.Hour, 24 * time.Hour}),
		rapid.Map(rapid.Int64Range(0, 60_000), func(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }))
	someCosts = rapid.Custom(func(t *rapid.T) backend.Amounts {
		n := rapid.OneOf(rapid.Int64Range(0, 50_000), rapid.Int64Range(0, 100))
		return backend.Amounts{1, n.Draw(t, "tokens"), rapid.Int64Range(0, 60).Draw(t, "images")}
	})
	someHeaders = rapid.Custom(func(t *rapid.T) string {
		var h string
		for _, d := range []string{"requests", "tokens", "images"} {
			switch rapid.IntRange(0, 3).Draw(t, d) {
			case 1: // as a server reports a minute or a day
				limit := rapid.SampledFrom([]int64{50, 300, 500, 10_000, 30_000, 40_000}).Draw(t, "limit")
				used := rapid.Int64Range(0, limit).Draw(t, "used")
				period := rapid.SampledFrom([]time.Duration{minute, day}).Draw(t, "period")
				h += fmt.Sprintf(" limit-%s=%d remaining-%s=%d reset-%s=%v", d, limit, d, limit-used, d, time.Duration(float64(period)*float64(used)/float64(limit)).Round(time.Millisecond))
			case 2:
				h += fmt.Sprintf(" limit-%s=%d remaining-%s=%d reset-%s=%v", d, someAmounts.Draw(t, "limit"), d, someAmounts.Draw(t, "remaining"), d, someWaits.Draw(t, "reset"))
			}
		}
		return h
	})
	someRefusals = rapid.Custom(func(t *rapid.T) *wire.Throttle {
		return &wire.Throttle{
			Kind:      rapid.SampledFrom([]wire.Kind{wire.RateLimit, wire.TooLarge, wire.SlowDown, wire.Other}).Draw(t, "kind"),
			Dimension: rapid.SampledFrom([]wire.Dimension{wire.Unknown, wire.Requests, wire.Tokens, wire.Images}).Draw(t, "dimension"),
			Period:    rapid.SampledFrom([]time.Duration{0, minute, day}).Draw(t, "period"),
			Limit:     min(someAmounts.Draw(t, "limit"), 1e15), Used: min(someAmounts.Draw(t, "used"), 1e15), Requested: min(someAmounts.Draw(t, "requested"), 1e15),
			RetryAfter: someWaits.Draw(t, "after"),
		}
	})
)

func (c *changes) next() func(w *world) {
	rt := c.rt
	c.clock += someWaits.Draw(rt, "later")
	now := c.clock
	request := 0
	if c.sent > 0 {
		request = rapid.IntRange(0, c.sent-1).Draw(rt, "request")
	}
	kinds := []string{"send", "send", "begin", "drop", "settled", "paused", "note", "clear", "clean"}
	if c.sent > 0 {
		kinds = append(kinds, "respond", "respond", "respond", "refuse", "throttled", "throttled", "too large", "written", "unused")
	}
	switch rapid.SampledFrom(kinds).Draw(rt, "change") {
	case "send":
		c.sent++
		cost := someCosts.Draw(rt, "cost")
		return func(w *world) { w.requests = append(w.requests, w.sendCost(now, cost)) }
	case "respond":
		headers, failed := someHeaders.Draw(rt, "headers"), rapid.Bool().Draw(rt, "failed")
		return func(w *world) {
			got := w.apply(w.Headers(at(now), w.requests[request], parse(headers), false, failed))
			fmt.Fprintln(&w.results, got)
		}
	case "refuse":
		headers := someHeaders.Draw(rt, "headers")
		return func(w *world) { fmt.Fprintln(&w.results, w.refuse(now, w.requests[request], headers)) }
	case "throttled":
		t, pause := someRefusals.Draw(rt, "throttle"), someWaits.Draw(rt, "pause")
		return func(w *world) {
			corrections, owner := w.Throttled(at(now), w.requests[request], t, pause)
			fmt.Fprintln(&w.results, w.apply(corrections), owner)
		}
	case "too large":
		t := someRefusals.Draw(rt, "throttle")
		return func(w *world) { w.TooLarge(at(now), w.requests[request], t) }
	case "written":
		d := someWaits.Draw(rt, "written")
		return func(w *world) { w.Written(w.requests[request], d) }
	case "unused":
		n := someAmounts.Draw(rt, "unused")
		return func(w *world) { fmt.Fprintln(&w.results, w.requests[request].Unused(at(now), min(n, Largest))) }
	case "drop":
		cost := someCosts.Draw(rt, "cost")
		return func(w *world) { w.DropDoubtful(&cost, at(now)) }
	case "settled":
		n, back := rapid.Int64Range(0, 1000).Draw(rt, "charged"), rapid.Int64Range(-10, 1000).Draw(rt, "back")
		return func(w *world) { w.Settled(n, back) }
	case "paused":
		d := someWaits.Draw(rt, "paused")
		return func(w *world) { w.PausedByOthers(at(now), d) }
	case "note":
		limits := rapid.SampledFrom([]string{"rpm=300", "rpm=300 tpm=30000", "rpd=1", "rpm=1099511627776 tpd=100"}).Draw(rt, "note")
		age := someWaits.Draw(rt, "age")
		return func(w *world) {
			other := newWorld(w.T, limits)
			for _, l := range other.limits {
				l.learned.Amount, l.reportAt = l.configured, at(now-age)
				l.ramp.Begin(at(now), 1, 1)
				if c.unclaimed {
					l.configured = 0
				}
			}
			data, err := other.Note(at(now))
			if err == nil {
				_, err = w.TakeNote(at(now), data, age)
			}
			if err != nil {
				w.Error(err)
			}
		}
	case "clear":
		return func(w *world) { w.Clear(at(now)) }
	case "clean":
		return func(w *world) { w.Clean() }
	}
	return func(w *world) { w.Begin(at(now)) }
}

// ask asks everything there is to ask of a set.
func (w *world) ask(now time.Time, cost backend.Amounts) {
	w.Exceeded(&cost, now)
	w.Admissible(&cost, now)
	limits := w.Limits()
	w.Buckets(nil, now, limits)
	Unpaced(now, limits)
	w.Slots(now, 3, 1)
	w.Paced(now)
	w.NextPace(now)
	_, _ = w.Note(now)
	w.Refill(&cost)
	w.Fit(cost[backend.Tokens], cost[backend.Tokens]/2)
	w.RefundsNothing()
	w.Owners()
	w.Owner()
	w.Dirty()
	for _, l := range limits {
		l.Amount()
		l.Source(now)
		l.Ramp(now)
		l.Ignored(now)
		l.KeepsUnused()
		l.CalmMargin(now)
	}
	for _, r := range w.requests {
		r.IsLittle(cost[backend.Tokens])
		Refundable(r.Sent, true)
	}
}

// Of two sets that the same happens to, one is asked everything between: both know the
// same afterwards, and both always describe buckets that a backend accepts.
func TestQuestionsChangeNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limits := rapid.SampledFrom([]string{"", "rpm=500", "rpm=500 tpm=40000 account/tpm=90000", "family:f/rpm=500 tpm=40000"}).Draw(rt, "limits")
		asked, left := newWorld(t, limits), newWorld(t, limits)
		asked.loose, left.loose = true, true
		c := newChanges(rt)
		for range rapid.IntRange(1, 60).Draw(rt, "changes") {
			change := c.next()
			change(asked)
			change(left)
			now := at(c.clock + someWaits.Draw(rt, "asked"))
			asked.ask(now, someCosts.Draw(rt, "question"))
			if asked.dump() != left.dump() {
				rt.Fatalf("asked:\n%s\nleft alone:\n%s", asked.dump(), left.dump())
			}
			for _, b := range asked.Buckets(nil, now, asked.Limits()) {
				if b.Limit <= 0 || b.Period <= 0 || b.Burst < 0 || !(b.Margin >= 0) || !(b.Start >= 0) || b.Owner == "" || b.Name == "" || b.Capacity() < 1 {
					rt.Fatalf("no bucket: %+v", b)
				}
			}
		}
		if asked.results.String() != left.results.String() {
			rt.Fatalf("asked:\n%s\nleft alone:\n%s", &asked.results, &left.results)
		}
	})
}
