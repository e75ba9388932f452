package wire

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// A dialect is how a host reports its limits. Hosts that speak OpenAI's API spell its
// headers in their own ways, and mean other periods by the same names. A response's headers
// show its dialect; the host's name does not, since it says nothing behind a gateway.
// docs/DIALECTS.md has the source of each fact and its date.
type dialect struct {
	name string
	// signs are headers that this host alone sends: one of them is enough. Without signs
	// any header of its columns is one.
	signs   []string
	columns []column
	// cost is the header of what the server has charged for the call itself.
	cost string
	// wait is whether the resets say when a call of the size of this one fits.
	wait bool

	marks names // one of these shows the dialect
}

// A column is the headers of one limit.
type column struct {
	subject                 subject
	limit, remaining, reset string
	renewal                 string        // Azure's, of the period
	period                  time.Duration // 0: to be inferred from the figures, or not told
	// full is whether reset is the time until the bucket is full again. Where it is
	// something else, no figure follows from it.
	full bool
	step int64 // remaining is rounded to a multiple of it

	names names
}

// A subject is what a column is about.
type subject uint8

const (
	ofRequests subject = iota
	ofDailyRequests
	ofTokens
	ofDailyTokens
	ofProjectTokens
	ofImages
)

// window is where the headers of a subject go.
func (h *Headers) window(s subject) *Window {
	switch s {
	case ofRequests:
		return &h.Requests
	case ofDailyRequests:
		return &h.DailyRequests
	case ofTokens:
		return &h.Tokens
	case ofDailyTokens:
		return &h.DailyTokens
	case ofProjectTokens:
		return &h.ProjectTokens
	}
	return &h.Images
}

// Names stand in canonical form, as net/http stores them.
const (
	prefix          = "X-Ratelimit-"
	limitPrefix     = prefix + "Limit-"
	remainingPrefix = prefix + "Remaining-"
	resetPrefix     = prefix + "Reset-"
)

// dialects are tried in order; the first whose sign is there counts. A dialect without
// columns is one in which nothing is certain enough to be learned.
var dialects = numbered([]dialect{
	{
		// The figures are another deployment's than the one that was asked.
		name:  "Azure, spilled over",
		signs: []string{"X-Ms-Spillover-From-Deployment"},
	},
	{
		name:  "Anthropic",
		signs: []string{"Anthropic-Ratelimit-Requests-Limit", "Anthropic-Ratelimit-Tokens-Limit"},
		columns: []column{
			{
				subject: ofRequests, period: minute, full: true,
				limit: "Anthropic-Ratelimit-Requests-Limit", remaining: "Anthropic-Ratelimit-Requests-Remaining",
				reset: "Anthropic-Ratelimit-Requests-Reset",
			},
			{
				subject: ofTokens, period: minute, full: true, step: 1000,
				limit: "Anthropic-Ratelimit-Tokens-Limit", remaining: "Anthropic-Ratelimit-Tokens-Remaining",
				reset: "Anthropic-Ratelimit-Tokens-Reset",
			},
		},
	},
	{
		// Whether its limits are of a minute or a second is not known.
		name:  "Fireworks",
		signs: []string{prefix + "Over-Limit", limitPrefix + "Tokens-Prompt", limitPrefix + "Tokens-Uncached-Prompt", limitPrefix + "Tokens-Generated"},
	},
	{
		name:  "Mistral",
		signs: []string{prefix + "Tokens-Query-Cost", limitPrefix + "Req-Minute"},
		columns: []column{
			{subject: ofRequests, period: minute, limit: limitPrefix + "Req-Minute", remaining: remainingPrefix + "Req-Minute"},
			{subject: ofTokens, period: minute, limit: limitPrefix + "Tokens-Minute", remaining: remainingPrefix + "Tokens-Minute"},
		},
		cost: prefix + "Tokens-Query-Cost",
	},
	{
		name: "Mistral, before 2026",
		columns: []column{
			{subject: ofTokens, period: minute, limit: "X-Ratelimitbysize-Limit-Minute", remaining: "X-Ratelimitbysize-Remaining-Minute"},
		},
		cost: "Ratelimitbysize-Query-Cost",
	},
	{
		// Names that say the period. Those of an hour stand beside them. SambaNova says it of
		// the day alone, and Nous of the hour: what they say nothing of is of a minute.
		name: "Cerebras",
		signs: []string{
			limitPrefix + "Requests-Minute", limitPrefix + "Requests-Day", limitPrefix + "Tokens-Minute", limitPrefix + "Tokens-Day",
			limitPrefix + "Requests-1h", limitPrefix + "Tokens-1h",
		},
		columns: []column{
			{
				subject: ofRequests, period: minute, limit: limitPrefix + "Requests-Minute",
				remaining: remainingPrefix + "Requests-Minute", reset: resetPrefix + "Requests-Minute",
			},
			{
				subject: ofRequests, period: minute, limit: limitPrefix + "Requests",
				remaining: remainingPrefix + "Requests", reset: resetPrefix + "Requests",
			},
			{
				subject: ofDailyRequests, period: day, limit: limitPrefix + "Requests-Day",
				remaining: remainingPrefix + "Requests-Day", reset: resetPrefix + "Requests-Day",
			},
			{
				subject: ofTokens, period: minute, limit: limitPrefix + "Tokens-Minute",
				remaining: remainingPrefix + "Tokens-Minute", reset: resetPrefix + "Tokens-Minute",
			},
			{
				subject: ofTokens, period: minute, limit: limitPrefix + "Tokens",
				remaining: remainingPrefix + "Tokens", reset: resetPrefix + "Tokens",
			},
			{
				subject: ofDailyTokens, period: day, limit: limitPrefix + "Tokens-Day",
				remaining: remainingPrefix + "Tokens-Day", reset: resetPrefix + "Tokens-Day",
			},
		},
	},
	{
		name:  "Together",
		signs: []string{"X-Tokenlimit-Limit"},
		columns: []column{
			{subject: ofRequests, period: time.Second, limit: "X-Ratelimit-Limit", remaining: "X-Ratelimit-Remaining", reset: "X-Ratelimit-Reset"},
			{subject: ofTokens, period: time.Second, limit: "X-Tokenlimit-Limit", remaining: "X-Tokenlimit-Remaining"},
		},
	},
	{
		name:  "DigitalOcean",
		signs: []string{limitPrefix + "Tokens-Per-Minute", limitPrefix + "Tokens-Per-Day"},
		columns: []column{
			// Of which period is not told.
			{subject: ofRequests, limit: limitPrefix + "Requests", remaining: remainingPrefix + "Requests", reset: resetPrefix + "Requests"},
			{
				subject: ofTokens, period: minute, limit: limitPrefix + "Tokens-Per-Minute",
				remaining: remainingPrefix + "Tokens-Per-Minute", reset: resetPrefix + "Tokens-Per-Minute",
			},
			{
				subject: ofDailyTokens, period: day, limit: limitPrefix + "Tokens-Per-Day",
				remaining: remainingPrefix + "Tokens-Per-Day", reset: resetPrefix + "Tokens-Per-Day",
			},
		},
		wait: true,
	},
	{
		name:  "Groq",
		signs: []string{"X-Groq-Region"},
		columns: []column{
			{
				subject: ofRequests, period: day, full: true, limit: limitPrefix + "Requests",
				remaining: remainingPrefix + "Requests", reset: resetPrefix + "Requests",
			},
			{
				subject: ofTokens, period: minute, full: true, limit: limitPrefix + "Tokens",
				remaining: remainingPrefix + "Tokens", reset: resetPrefix + "Tokens",
			},
		},
	},
	{
		// And Azure's, whose resets are whole seconds without a unit.
		name: "OpenAI",
		columns: []column{
			{
				subject: ofRequests, full: true, limit: limitPrefix + "Requests", remaining: remainingPrefix + "Requests",
				reset: resetPrefix + "Requests", renewal: prefix + "Renewalperiod-Requests",
			},
			{
				subject: ofTokens, full: true, limit: limitPrefix + "Tokens", remaining: remainingPrefix + "Tokens",
				reset: resetPrefix + "Tokens", renewal: prefix + "Renewalperiod-Tokens",
			},
			{
				subject: ofProjectTokens, full: true, limit: limitPrefix + "Project-Tokens",
				remaining: remainingPrefix + "Project-Tokens", reset: resetPrefix + "Project-Tokens",
			},
			{
				subject: ofImages, full: true, limit: limitPrefix + "Images",
				remaining: remainingPrefix + "Images", reset: resetPrefix + "Images",
			},
			{ // a copy of the tokens', sent in 2023 and 2024
				subject: ofTokens, full: true, limit: limitPrefix + "Tokens_usage_based",
				remaining: remainingPrefix + "Tokens_usage_based", reset: resetPrefix + "Tokens_usage_based",
			},
		},
	},
	{
		// Of trial keys alone, and on no 429. Those of a month stand beside them.
		name: "Cohere",
		columns: []column{{
			subject: ofRequests, period: minute, limit: "X-Trial-Endpoint-Call-Limit", remaining: "X-Trial-Endpoint-Call-Remaining",
		}},
	},
	{
		// Only on its own 429s, and of a minute or a day: the wait is all that they tell.
		// Gateways of all kinds send these names too.
		name:    "OpenRouter",
		columns: []column{{subject: ofRequests, reset: "X-Ratelimit-Reset"}},
		wait:    true,
	},
})

// gateways report limits of their own, of whoever calls them, beside those of the host behind
// them. The tighter of both counts.
var gateways = numbered([]dialect{
	{
		name:    "LiteLLM",
		signs:   []string{"X-Litellm-Call-Id", "X-Litellm-Version", "X-Litellm-Model-Id"},
		columns: liteLLM(),
	},
	{
		name: "Kong",
		columns: []column{
			{subject: ofRequests, period: minute, limit: limitPrefix + "Minute", remaining: remainingPrefix + "Minute"},
			{subject: ofDailyRequests, period: day, limit: limitPrefix + "Day", remaining: remainingPrefix + "Day"},
		},
	},
})

// liteLLM returns the columns of LiteLLM's proxy: for each scope that has a limit, what is
// left of its minute, as x-ratelimit-model_per_key-remaining-tokens; and of the key its limits
// alone.
func liteLLM() (columns []column) {
	for _, scope := range [...]string{
		"Model_per_key", "Api_key", "Model_per_team", "Team_member", "Team", "User", "End_user",
		"Model_per_organization", "Organization", "Model_per_project", "Project",
	} {
		of := prefix + scope
		columns = append(columns,
			column{subject: ofRequests, period: minute, limit: of + "-Limit-Requests", remaining: of + "-Remaining-Requests"},
			column{subject: ofTokens, period: minute, limit: of + "-Limit-Tokens", remaining: of + "-Remaining-Tokens"})
	}
	return append(columns,
		column{subject: ofRequests, period: minute, limit: "X-Litellm-Key-Rpm-Limit"},
		column{subject: ofTokens, period: minute, limit: "X-Litellm-Key-Tpm-Limit"})
}

// names are some of the headers that dialects know, by their numbers. A response has few of them,
// and one look at each tells which.
type names [3]uint64

var (
	numbers  = map[string]int{}
	initials [256]bool // what the names of those headers begin with
)

// numbered gives numbers to the headers of dialects.
func numbered(all []dialect) []dialect {
	for i := range all {
		d := &all[i]
		for j := range d.columns {
			c := &d.columns[j]
			c.names = namesOf(c.limit, c.remaining, c.reset)
			if d.signs == nil {
				d.marks.add(&c.names)
			}
		}
		if signs := namesOf(d.signs...); d.signs != nil {
			d.marks = signs
		}
	}
	return all
}

func namesOf(all ...string) (n names) {
	for _, name := range all {
		if name == "" {
			continue
		}
		i, ok := numbers[name]
		if !ok {
			i = len(numbers)
			numbers[name], initials[name[0]] = i, true
		}
		n.set(i)
	}
	return n
}

// namesIn are those of the headers that a response has.
func namesIn(h http.Header) (n names) {
	for name, values := range h {
		if len(values) == 0 || name == "" || !initials[name[0]] {
			continue
		}
		if i, ok := numbers[name]; ok {
			n.set(i)
		}
	}
	return n
}

func (n *names) set(i int) { n[i/64] |= 1 << (i % 64) }

func (n *names) add(others *names) {
	for i := range n {
		n[i] |= others[i]
	}
}

func (n *names) meet(others *names) bool {
	return n[0]&others[0]|n[1]&others[1]|n[2]&others[2] != 0
}

// dialectOf returns the dialect of a response that has these headers, or nil.
func dialectOf(n *names) *dialect {
	for i := range dialects {
		if dialects[i].spokenIn(n) {
			return &dialects[i]
		}
	}
	return nil
}

func (d *dialect) spokenIn(n *names) bool { return d.marks.meet(n) }

// ParseHeaders reads what a response's headers report of limits, in whichever dialect, and
// through whichever gateway.
func ParseHeaders(h http.Header) (o Headers) {
	has := namesIn(h)
	if d := dialectOf(&has); d != nil {
		for i := range d.columns {
			c := &d.columns[i]
			if !c.names.meet(&has) {
				continue
			}
			if w := o.window(c.subject); *w == (Window{}) {
				c.read(h, w)
			}
		}
		if n, ok := parseCount(first(h, d.cost)); ok {
			o.QueryCost = n
		}
	}
	for i := range gateways {
		if g := &gateways[i]; g.spokenIn(&has) {
			g.tighten(h, &o)
		}
	}
	return o
}

// tighten reads a gateway's limits where they are below those of o.
func (d *dialect) tighten(h http.Header, o *Headers) {
	for i := range d.columns {
		var w Window
		c := &d.columns[i]
		c.read(h, &w)
		if have := o.window(c.subject); w.HasLimit && (!have.HasLimit || w.Limit < have.Limit) {
			*have = w
		}
	}
}

func (c *column) read(h http.Header, w *Window) {
	if n, ok := parseCount(first(h, c.limit)); ok && n > 0 {
		w.Limit, w.HasLimit = n, true
	}
	// More left than the limit is a contradiction: the limit, the smaller promise, counts.
	if n, ok := parseCount(first(h, c.remaining)); ok && (!w.HasLimit || n <= w.Limit) {
		w.Remaining, w.HasRemaining = n, true
	}
	if d, form := parseReset(first(h, c.reset), h, time.Time{}); form != noTime && d <= maxWait {
		w.Reset, w.HasReset = d, true
		w.coarse = form == bareSeconds && c.full
		w.rough = form == moment || !c.full
	}
	if d, _, ok := parseWait(first(h, c.renewal)); ok && d <= maxWait {
		w.Renewal = d
	}
	if w.HasLimit || w.HasRemaining || w.HasReset {
		w.Stated, w.Step = c.period, c.step
	}
}

// A timeForm is how a reset is written.
type timeForm uint8

const (
	noTime      timeForm = iota
	duration             // 6m0s
	bareSeconds          // 12
	moment               // RFC 3339, or seconds or milliseconds since 1970: exact to a second
)

// parseReset reads a reset in any form. A moment counts from the response's Date, which
// is by the same clock, or else from now, if that is given. What is longer than longestWait is
// cut to that: a month's quota may well take weeks.
func parseReset(s string, h http.Header, now time.Time) (time.Duration, timeForm) {
	if s == "" {
		return 0, noTime
	}
	if d, bare, ok := parseWait(s); ok && bare {
		return d, bareSeconds
	} else if ok {
		return d, duration
	}
	at, ok := parseMoment(strings.TrimSpace(s))
	if !ok {
		return 0, noTime
	}
	date := serverTime(h, now)
	if date.IsZero() {
		return 0, noTime
	}
	if date.Sub(at) > time.Minute { // dates are whole seconds: what has just passed may lie before
		return 0, noTime
	}
	return min(max(0, at.Sub(date)), longestWait), moment
}

func parseMoment(s string) (time.Time, bool) {
	if n, ok := parseNumber(s); ok {
		return momentOf(n)
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, true
	}
	return httpDate(s)
}

// firstMoment is in 1973: fewer seconds since 1970 are no moment.
const firstMoment = 100_000_000

// momentOf returns the time that is so many seconds, milliseconds or microseconds after 1970.
func momentOf(n float64) (time.Time, bool) {
	const millis = 1000 * firstMoment
	if n < millis {
		return time.UnixMilli(int64(1000 * n)), n >= firstMoment
	}
	if n >= 1000*millis {
		n /= 1000
	}
	return time.UnixMilli(int64(n)), n < 1000*millis
}

// resetWait returns how long to wait for a call of the size of the one that this response
// rejects, where the resets of its dialect say that, or those of the IETF's drafts, which
// gateways send.
func resetWait(h http.Header, now time.Time) (longest time.Duration) {
	has := namesIn(h)
	if d := dialectOf(&has); d != nil && d.wait {
		for i := range d.columns {
			c := &d.columns[i]
			wait, form := parseReset(first(h, c.reset), h, now)
			// Seconds that are no moment may be anything, and so may the far end of a month in
			// which something is left, by a name that gateways of all kinds send.
			left := first(h, "X-Ratelimit-Remaining")
			if form != moment || wait > maxWait && c.remaining == "" && left != "" && left != "0" {
				continue
			}
			longest = max(longest, wait)
		}
	}
	return max(longest, draftWait(h, now))
}

// spentWait returns the longest reset of what is used up, whatever it is: that of
// X-RateLimit-Reset: 30 beside X-RateLimit-Remaining: 0, or of X-AI-RateLimit-Reset-NAME beside
// X-AI-RateLimit-Remaining-NAME: 0. One that says when a bucket is full says no wait; a moment
// is the end of a window, by whichever name.
func spentWait(h http.Header, now time.Time) (longest time.Duration) {
	has := namesIn(h)
	d := dialectOf(&has)
	for name := range h {
		before, after, ok := strings.Cut(name, "imit-Reset")
		if !ok || first(h, before+"imit-Remaining"+after) != "0" {
			continue
		}
		if wait, form := parseReset(first(h, name), h, now); form == moment || form != noTime && !d.fills(name) {
			longest = max(longest, wait)
		}
	}
	return longest
}

// fills reports whether a header says when a bucket is full.
func (d *dialect) fills(reset string) bool {
	return d != nil && slices.ContainsFunc(d.columns, func(c column) bool { return c.full && c.reset == reset })
}

// draftWait returns the longest reset of what is used up: of RateLimit-Reset: 30, of
// RateLimit: "default";r=0;t=30, and of RateLimit: limit=60, remaining=0, reset=30.
func draftWait(h http.Header, now time.Time) (longest time.Duration) {
	if left := first(h, "Ratelimit-Remaining"); left == "" || left == "0" {
		if wait, form := parseReset(first(h, "Ratelimit-Reset"), h, now); form != noTime {
			longest = wait
		}
	}
	left, reset := "", ""
	for policy := range strings.SplitSeq(first(h, "Ratelimit"), ",") {
		if strings.Contains(policy, ";") {
			left, reset = "", ""
		}
		for part := range strings.SplitSeq(policy, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch strings.ToLower(name) {
			case "r", "remaining":
				left = value
			case "t", "reset":
				reset = value
			}
		}
		if wait, form := parseReset(reset, h, now); form != noTime && left == "0" {
			longest = max(longest, wait)
		}
	}
	return longest
}
