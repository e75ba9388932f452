package ratelimiter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ShadowReport says what a limiter with [WithShadow] would have done since New made it.
type ShadowReport struct {
	Since  time.Time      `json:"since"`
	Total  ShadowCounts   `json:"total"`
	Models []ShadowCounts `json:"models"` // sorted by account and model; beyond 256 the rest are one, without a name
}

// ShadowCounts are the calls of a model of an account, or of all. Each of an SDK's attempts is
// a call.
type ShadowCounts struct {
	Account string `json:"account,omitempty"`
	Model   string `json:"model,omitempty"`
	// Calls is how many have come, and the sum of the six that follow. AtOnce would have
	// started at once, and Waited after a wait. Undecided would still be waiting, or it is not
	// known yet. Cancelled are those whose callers gave up while they would have waited.
	Calls     int64 `json:"calls"`
	AtOnce    int64 `json:"at_once"`
	Waited    int64 `json:"waited"`
	Undecided int64 `json:"undecided"`
	Cancelled int64 `json:"cancelled"`
	// NotFollowed is how many came while 10,000 calls would have waited, or met a hook or a
	// backend that panicked.
	NotFollowed int64 `json:"not_followed"`
	// Rejected is how many would have been rejected, by [Error.Code], or "other" for a call
	// that Acquire would have failed for without asking.
	Rejected map[string]int64 `json:"rejected"`
	// Wait is how long the calls counted in Waited would have waited.
	Wait ShadowWait `json:"wait"`
	// Throttled is how many calls the server has throttled for their rate or their size, and
	// Avoided how many of those the limiter would have prevented, by holding back that call or
	// earlier ones.
	Throttled int64 `json:"throttled"`
	Avoided   int64 `json:"avoided"`
}

// ShadowWait are quantiles of waits, to within 5 %.
type ShadowWait struct {
	P50 time.Duration `json:"p50_ns"`
	P90 time.Duration `json:"p90_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}

// ShadowReport says what the limiter would have done, had it not been in shadow. Without
// [WithShadow] it has counted nothing.
func (l *Limiter) ShadowReport() ShadowReport {
	if l.check() != nil {
		return ShadowReport{}
	}
	return l.shadow.report()
}

// String says it in a few lines.
func (r ShadowReport) String() string {
	var b strings.Builder
	t := &r.Total
	fmt.Fprintf(&b, "%s: %s at once", amount(t.Calls, "calls"), thousands(t.AtOnce))
	fmt.Fprintf(&b, "\n%s would have waited", thousands(t.Waited))
	switch {
	case t.Waited == 1:
		fmt.Fprintf(&b, " for %s", seconds(t.Wait.Max))
	case t.Waited > 1:
		fmt.Fprintf(&b, ": half of them for %s, one in ten for %s, one in a hundred for %s, the longest for %s",
			seconds(t.Wait.P50), seconds(t.Wait.P90), seconds(t.Wait.P99), seconds(t.Wait.Max))
	}
	rejected := int64(0)
	var kinds []string
	for _, code := range slices.Sorted(maps.Keys(t.Rejected)) {
		rejected += t.Rejected[code]
		kinds = append(kinds, fmt.Sprintf("%s %s", thousands(t.Rejected[code]), code))
	}
	fmt.Fprintf(&b, "\n%s would have been rejected", thousands(rejected))
	if rejected > 0 {
		fmt.Fprintf(&b, ": %s", strings.Join(kinds, ", "))
	}
	var rest []string
	for _, n := range [...]struct {
		n    int64
		what string
	}{{t.Undecided, "not decided yet"}, {t.Cancelled, "cancelled by their callers"}, {t.NotFollowed, "not followed"}} {
		if n.n > 0 {
			rest = append(rest, thousands(n.n)+" "+n.what)
		}
	}
	if len(rest) > 0 {
		fmt.Fprintf(&b, "\n%s", strings.Join(rest, ", "))
	}
	fmt.Fprintf(&b, "\n%s throttled by the server, of which the limiter would have prevented %s", thousands(t.Throttled), thousands(t.Avoided))
	return b.String()
}

// LogValue implements slog.LogValuer, with the total alone.
func (r ShadowReport) LogValue() slog.Value {
	t := &r.Total
	rejected := []slog.Attr{}
	for _, code := range slices.Sorted(maps.Keys(t.Rejected)) {
		rejected = append(rejected, slog.Int64(code, t.Rejected[code]))
	}
	return slog.GroupValue(
		slog.Time("since", r.Since), slog.Int64("calls", t.Calls), slog.Int64("at_once", t.AtOnce), slog.Int64("waited", t.Waited),
		slog.Int64("undecided", t.Undecided), slog.Int64("cancelled", t.Cancelled), slog.Int64("not_followed", t.NotFollowed),
		slog.GroupAttrs("wait", slog.Duration("p50", t.Wait.P50), slog.Duration("p90", t.Wait.P90),
			slog.Duration("p99", t.Wait.P99), slog.Duration("max", t.Wait.Max)),
		slog.GroupAttrs("rejected", rejected...),
		slog.Int64("throttled", t.Throttled), slog.Int64("avoided", t.Avoided))
}

// shadow counts what would have been.
type shadow struct {
	since  time.Time
	asking atomic.Int64 // calls whose fate is not known

	mu     sync.Mutex
	scopes map[shadowKey]*shadowScope
}

type shadowKey struct{ account, model string }

// mostShadowScopes is how many models are counted by themselves: names may come from
// anywhere. The rest are counted together, without a name.
const mostShadowScopes = 256

func (s *shadow) scope(account, model string) *shadowScope {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := shadowKey{account, model}
	if c := s.scopes[key]; c != nil {
		return c
	}
	if len(s.scopes) >= mostShadowScopes {
		if key = (shadowKey{}); s.scopes[key] != nil {
			return s.scopes[key]
		}
	}
	if s.scopes == nil {
		s.scopes = map[shadowKey]*shadowScope{}
	}
	c := &shadowScope{counts: ShadowCounts{Account: key.account, Model: key.model}}
	s.scopes[key] = c
	return c
}

func (s *shadow) report() ShadowReport {
	s.mu.Lock()
	scopes := slices.Collect(maps.Values(s.scopes))
	s.mu.Unlock()
	r := ShadowReport{Since: s.since, Models: []ShadowCounts{}}
	all := &shadowScope{counts: ShadowCounts{Rejected: map[string]int64{}}}
	for _, c := range scopes {
		r.Models = append(r.Models, c.addTo(all))
	}
	slices.SortFunc(r.Models, func(a, b ShadowCounts) int {
		return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.Model, b.Model))
	})
	r.Total = all.counts
	r.Total.Wait = all.waited.quantiles()
	return r
}

// shadowScope counts the calls of an account's model.
type shadowScope struct {
	mu     sync.Mutex
	counts ShadowCounts // but for Wait
	waited waits
	queued int       // calls that would wait
	since  time.Time // when the last one was sent that would not have been
}

// blurred is for how long the server's buckets show calls that would not have been sent: what
// a minute holds has refilled then.
const blurred = time.Minute

// apart reports whether the server knows calls that the ledger of the shadow does not.
func (c *shadowScope) apart() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued > 0 || !c.since.IsZero() && time.Since(c.since) < blurred
}

// undecided reports whether it is not known of some calls whether they would have been sent.
func (c *shadowScope) undecided() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts.Undecided > 0
}

func (c *shadowScope) missed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Calls++
	c.counts.NotFollowed++
	c.since = time.Now()
}

func (c *shadowScope) asks() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Calls++
	c.counts.Undecided++
}

func (c *shadowScope) waits() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued++
}

// decided counts what would have become of a call that asked.
func (c *shadowScope) decided(queued bool, wait time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Undecided--
	if queued {
		c.queued--
	}
	if queued || err != nil {
		c.since = time.Now()
	}
	switch code, isRejected := codeOf(err); {
	case err == errPanicked:
		c.counts.NotFollowed++
	case queued && errors.Is(err, ErrShutdown): // nobody will know
		c.counts.Undecided++
	case err == nil && queued:
		c.counts.Waited++
		c.waited.add(wait)
	case err == nil:
		c.counts.AtOnce++
	case isRejected:
		c.rejected(code)
	default:
		c.counts.Cancelled++
	}
}

// notAsked counts a call that Acquire would have failed for without asking.
func (c *shadowScope) notAsked(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Calls++
	code, _ := codeOf(err)
	c.rejected(cmp.Or(code, "other"))
}

// codeOf is the code of a rejection. A deadline that passes in line is one too.
func codeOf(err error) (code string, isRejected bool) {
	var e *Error
	switch {
	case errors.As(err, &e):
		return cmp.Or(e.Code(), "other"), true
	case errors.Is(err, context.DeadlineExceeded):
		return codes[ErrDeadline], true
	}
	return "", false
}

func (c *shadowScope) rejected(code string) {
	if c.counts.Rejected == nil {
		c.counts.Rejected = map[string]int64{}
	}
	c.counts.Rejected[code]++
}

func (c *shadowScope) throttled(avoided bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Throttled++
	if avoided {
		c.counts.Avoided++
	}
}

// addTo adds the counts to those of all, and returns them.
func (c *shadowScope) addTo(all *shadowScope) ShadowCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	own, sum := c.counts, &all.counts
	own.Wait = c.waited.quantiles()
	own.Rejected = map[string]int64{}
	maps.Copy(own.Rejected, c.counts.Rejected)
	for _, n := range [...]struct {
		to *int64
		n  int64
	}{
		{&sum.Calls, own.Calls}, {&sum.AtOnce, own.AtOnce}, {&sum.Waited, own.Waited}, {&sum.Undecided, own.Undecided},
		{&sum.Cancelled, own.Cancelled}, {&sum.NotFollowed, own.NotFollowed}, {&sum.Throttled, own.Throttled}, {&sum.Avoided, own.Avoided},
	} {
		*n.to += n.n
	}
	for code, n := range own.Rejected {
		sum.Rejected[code] += n
	}
	all.waited.merge(&c.waited)
	return own
}

// waits is a histogram of waits, whose classes grow by a tenth from a millisecond on.
type waits struct {
	counts map[int]int64
	n      int64
	max    time.Duration
}

const classGrowth = 1.1

func (w *waits) add(d time.Duration) {
	if w.counts == nil {
		w.counts = map[int]int64{}
	}
	class := 0
	if d > time.Millisecond {
		class = 1 + int(math.Log(float64(d)/float64(time.Millisecond))/math.Log(classGrowth))
	}
	w.counts[class]++
	w.n++
	w.max = max(w.max, d)
}

func (w *waits) merge(o *waits) {
	if w.counts == nil {
		w.counts = map[int]int64{}
	}
	for class, n := range o.counts {
		w.counts[class] += n
	}
	w.n += o.n
	w.max = max(w.max, o.max)
}

// quantiles returns the middles of the classes in which they are.
func (w *waits) quantiles() ShadowWait {
	at := func(q float64) time.Duration {
		rank := int64(math.Ceil(q * float64(w.n)))
		for _, class := range slices.Sorted(maps.Keys(w.counts)) {
			if rank -= w.counts[class]; rank <= 0 {
				middle := float64(time.Millisecond) * math.Pow(classGrowth, float64(class)-.5)
				return min(w.max, time.Duration(middle))
			}
		}
		return 0
	}
	return ShadowWait{P50: at(.5), P90: at(.9), P99: at(.99), Max: w.max}
}
