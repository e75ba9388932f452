package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// A rule is something that the calibration does, the edit that takes it out, and the
// scenarios that are played without it: a regular expression.
type rule struct {
	name      string
	scenarios string
	file      string
	old, new  string
	batches   string // what is played instead of scenarios, if not empty
}

const (
	gauge      = "internal/calibration/tracker.go"
	margins    = "internal/calibration/margin.go"
	surplus    = "internal/calibration/surplus.go"
	opening    = "internal/calibration/slowstart.go"
	trusts     = "internal/calibration/trust.go"
	unused     = "internal/calibration/unused.go"
	figures    = "internal/calibration/estimate.go"
	headers    = "internal/quota/headers.go"
	throttle   = "internal/quota/throttle.go"
	sets       = "internal/quota/set.go"
	subwindows = "internal/quota/subwindow.go"
	charges    = "internal/calibration/charge.go"
	drivers    = "internal/engine/driver.go"
	anything   = "^[^0-9]" // but what is about the store
)

var rules = []rule{
	{"a margin for what was seen to go wrong", "noise|too low|large calls|bursts$|heavy", margins, "seenMargin  = 1.25", "seenMargin  = 0.0", ""},
	{"a least margin of 0.5 %", "small tier|deadlines, load of 90", margins, "leastMargin = 0.005", "leastMargin = 0.0", ""},
	{"margins are learned only where the bucket could have been known", "restart|cold|nothing configured", gauge,
		"return !t.syncedAt.IsZero() && !sent.At.Before(t.syncedAt)", "return true", ""},
	{"requests may overtake each other", "deadlines", gauge, "return max(0, t.sends.Between(sent.At.Add(-sent.Age), sent.Age+Overtaking)-sent.Cost)", "return 0", ""},
	{"the first response counts whole", "restart|cold", gauge, "		return t.begin(now, sent, diff)", "		t.first = now", ""},
	{"what the first response may have overtaken is not a surplus", "a cold start$", gauge, "diff = min(0, diff+sent.passed)", "diff = min(0, diff)", ""},
	{"a deficit is not undone by what a request has overtaken", "20th|random", gauge, "diff+sent.passed < -undo/2", "diff < -undo/2", ""},
	{"a surplus must last 10 s", "deadlines", surplus, "return amount, s.reports >= evidence && now.Sub(s.since) >= patience", "return amount, true", ""},
	{"of requests only what was put on is taken off", "always full|random|deadlines", gauge, "	if t.Exact {\n		diff", "	if false {\n		diff", ""},
	{"a figure that is repeated exactly is ignored", "empty", gauge, "if repeated || t.trust.lost(now) {", "if repeated && false || t.trust.lost(now) {", ""},
	{"a large deficit that stands alone is undone by a later response", "20th|random", gauge, "diff > large && t.suspect.amount == 0", "diff > large && false", ""},
	{"figures that make no sense are ignored", "random", trusts, "	if t.swings < manySwings {", "	if true {", ""},
	{"an opening is paced", "restart|cold", opening, "	if s.over {\n		return 0\n	}\n	f := max", "	if true {\n		return 0\n	}\n	f := max", ""},
	{"an opening begins anew after a long pause", "limit halved|restart|subwindows", opening, "	*s = SlowStart{base: 1, from: at.Add(quiet - doubling), pausedTo: at, probe: true}", "	_ = at", ""},
	{"a limit counts when several responses report it", "limit wrong", figures, "unanimous := e.n > 1 && e.count(amount) == e.n", "unanimous := true", ""},
	{"a known figure with another period is a mistake", "period wrong", headers, "if l.is(rep.Limit) {", "if false {", ""},
	{"whether unused output is kept is learned", "kept|large calls", unused, "case -0.25 < back && back < 0.25:", "case false:", ""},
	{"subwindows are learned from early 429s", "subwindows of 1 s$", throttle, "float64(reached) < 0.99*float64(t.Limit)", "reached < 0", ""},
	{"subwindows are learned from Azure's 429s", "Azure", throttle, "sent.Used < 0.9*float64(l.Amount())", "sent.Used < 0", ""},
	{"limits follow the response to the latest request", "limit", headers, "	if r.SentAt.Before(l.reportSentAt) {", "	if false {", ""},
	{"the margin grows with how fast the bucket is emptied", "", margins, "t.CalmMargin(now)*t.rush(now)", "t.CalmMargin(now)", "^unused kept|foreign"},
	{"whether unused output is kept is learned from small calls together", "", gauge, "if t.unused.observeAll(now, r, limit, t.flow.rate) || large {", "if large {", "^unused kept|20 × declared, kept"},
	{"a subwindow is refunded nothing of admitted calls", "", sets, "l.whole == nil || cancelled", "true", "subwindows of 1 s"},
	{"a subwindow begins where its throttle says", "", subwindows, "if fresh { // the call", "if fresh && false { // the call", "subwindows of 1"},
	{"a subwindow is corrected with its limit", "subwindows of 1 s on tokens$", headers, "if p, changed := s.correctSubwindow(r, &c); changed {", "if p, changed := s.correctSubwindow(r, &c); changed && false {", ""},
	{"what may be kept refunds does not correct a subwindow", "", gauge, "if t.unused.decided() {", "if true {", "^subwindows of 1 s"},
	{"a new subwindow pauses the fleet until all can know it", "", throttle, "const spread = 300 * time.Millisecond", "const spread = 0", "subwindows of 1"},
	{"what the server charges for input is learned from drifts", "", charges, "changed = c.adopt(now, c.Ratio()*(1+(is.slope+was.slope)/2))", "changed = false", "estimates"},
	{"late reports confirm that the server charges more", "", charges, "if c.found.slope <= 0 {", "if true {", "estimates"},
	{"others use no less than nothing, and no more than the limit", "", charges, "h, part, sure := d.bounded(0, 0, rate).either(2, 1)", "h, part, sure := d.either(2, 1)", "estimates"},
	{"what an empty bucket did not take is not a charge for input", "", charges, "c.drift.split()", "_ = r", "estimates"},
	{"what is kept is told from what input is charged", "", charges, "h, part, sure := d.bounded(0, 0, rate).either(2, 1)", "h, part, sure := d.bounded(0, 0, rate), 0., false", "estimates"},
	{"calls that wait are charged by what is known when they start", "", drivers, "input != c.input {", "false {", "estimates"},
	{"a margin is forgotten only for what explains it", "foreign bursts", gauge, "large || t.unused.part >= noticeable", "true", ""},
	{"no margin is learned while what was found spreads", "", gauge, "t.Doubt(now.Add(spreading))", "t.Doubt(now)", "estimates"},
	{"what the server charges for input is learned from throttles", "", charges, "return c.samples.n > 1 && math.Abs(mean-c.Ratio()) > noticeable*c.Ratio()+2*off && c.adopt(now, mean)", "return mean+off < 0", "estimates"},
	{"refunds of which no report has told are held back", "", margins, "+t.unproven(now))", ")", "20 ×|slow"},
	{"what seemed to become of unused output is forgotten once the input's charge is found", "", unused, "u.votes, u.trend = 0, trend{}", "u.trend = trend{}", "estimates 50 % too high$"},
	{"what a server has been found to keep is owed at once", "", gauge, "max(0, diff-after, min(diff, t.unused.owed(&r, t.corrected)))", "max(0, diff-after)", "20 × declared, kept"},
	{"what others have corrected is not held back", "", margins, "min(unused, refunded-corrected)", "min(unused, refunded+0*corrected)", "20 × declared, kept"},
	{"a throttle after a slow answer of the backend is no deficit", "", gauge, "	if sent.Age <= slow {", "	if true {", "20 × declared, kept"},
	{"a deficit that report after report shows is held back", "", margins, "max(t.CalmMargin(now)*t.rush(now), seenMargin*t.hidden())", "t.CalmMargin(now)*t.rush(now)", "foreign|slow|500"},
	{"two drifts must agree, and not be the refunds' own", "", charges, "least, refundsOff*refunds)", "least, refundsOff*refunds*0)", "20 ×"},
	{"a server that reports nothing is taken for one with subwindows", "", headers, "if !failed && !informed && s.suspect() {", "if false {", "no headers"},
	{"the ends of fixed windows are learned", "fixed windows", subwindows, "known { // it fits", "known && false { // it fits", ""},
	{"corrections leave fixed windows their rhythm", "fixed windows", subwindows, " || l.windows.Known()", "", ""},
	{"requests in a row are no samples of an input's charge", "", charges, "r.Used-r.Cost+r.passed+others > hardly*r.Cost", "r.Used-r.Cost+others > hardly*r.Cost", "50 % too high, subwindows"},
	{"where limits are not told, calls go at the rate that throttles show", "nothing told", throttle, "t.Kind == wire.RateLimit && !names(t)", "false", ""},
	{"a slow start opens as far as a subwindow would have throttled", "", opening, "{{1.2, 4, 4}, {11, 16, 5}}", "{{1.2, 64, 64}, {11, 64, 64}}", "subwindows of 1"},
}

// tests are for rules that no scenario's bar is about: where they stand, and their
// names, by those of the rules.
var tests = map[string][2]string{
	"a new subwindow pauses the fleet until all can know it":                               {"internal/quota", "TestLeastPause"},
	"whether unused output is kept is learned from small calls together":                   {"internal/calibration", "TestUnusedOfSmallCalls"},
	"margins are learned only where the bucket could have been known":                      {"internal/calibration", "TestFirstAnswersLeaveNoMargin"},
	"the first response counts whole":                                                      {"internal/calibration", "TestFirstAnswerCountsWhole"},
	"what the first response may have overtaken is not a surplus":                          {"internal/calibration", "TestFirstReportMayHaveOvertaken"},
	"a deficit is not undone by what a request has overtaken":                              {"internal/calibration", "TestSuspectDeficitSurvivesWhatIsOvertaken"},
	"others use no less than nothing, and no more than the limit":                          {"internal/calibration", "TestInputChargeFromDrift"},
	"what an empty bucket did not take is not a charge for input":                          {"internal/calibration", "TestEmptyBucketIsNoRatio"},
	"what seemed to become of unused output is forgotten once the input's charge is found": {"internal/calibration", "TestVotesBeginAnewWithTheRatio"},
	"what is kept is told from what input is charged":                                      {"internal/calibration", "TestDriftsShowWhatIsKept"},
	"calls that wait are charged by what is known when they start":                         {"internal/engine", "TestWaitersAreChargedByWhatIsKnown"},
	"no margin is learned while what was found spreads":                                    {"internal/calibration", "TestNoMarginUntilOthersKnow"},
	"refunds of which no report has told are held back":                                    {"internal/calibration", "TestUnprovenRefundsAreHeldBack"},
	"what a server has been found to keep is owed at once":                                 {"internal/calibration", "TestOwedIsCorrected"},
	"what others have corrected is not held back":                                          {"internal/calibration", "TestUnprovenRefundsAreHeldBack"},
	"a throttle after a slow answer of the backend is no deficit":                          {"internal/calibration", "TestThrottleAfterASlowAnswer"},
	"a deficit that report after report shows is held back":                                {"internal/calibration", "TestHiddenDeficitIsHeldBack"},
	"two drifts must agree, and not be the refunds' own":                                   {"internal/calibration", "TestDriftsMustAgree"},
	"corrections leave fixed windows their rhythm":                                         {"internal/quota", "TestFixedWindows"},
	"requests in a row are no samples of an input's charge":                                {"internal/calibration", "TestRequestsInARowAreNotAlone"},
	"what may be kept refunds does not correct a subwindow":                                {"internal/calibration", "TestChargesOfACorrection"},
	"limits follow the response to the latest request":                                     {"bench/simulate", "TestShort"},
	"of requests only what was put on is taken off":                                        {".", "TestConfiguredTokensBelowTheServers"},
}

// remove takes the rule out of a copy of the module. restore puts it back.
func (r *rule) remove(root string) (restore func() error, err error) {
	path := filepath.Join(root, r.file)
	was, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if bytes.Count(was, []byte(r.old)) != 1 {
		return nil, fmt.Errorf("%q: the code has changed, so must this program: %s has no single %q", r.name, r.file, r.old)
	}
	is := bytes.Replace(was, []byte(r.old), []byte(r.new), 1)
	return func() error { return os.WriteFile(path, was, 0o644) }, os.WriteFile(path, is, 0o644)
}
