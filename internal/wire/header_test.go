package wire

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

// headers reads "name: value" lines.
func headers(lines string) http.Header {
	h := http.Header{}
	for line := range strings.Lines(lines) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			h.Add(name, strings.TrimSpace(value))
		}
	}
	return h
}

func TestParseHeaders(t *testing.T) {
	full := func(limit, remaining int64, reset time.Duration) Window {
		return Window{Limit: limit, Remaining: remaining, Reset: reset, HasLimit: true, HasRemaining: true, HasReset: true}
	}
	for _, c := range []struct {
		name, headers string
		want          Headers
	}{
		{"none", "", Headers{}},
		{"openai", `x-ratelimit-limit-requests: 10000
			x-ratelimit-remaining-requests: 9999
			x-ratelimit-reset-requests: 8.64s
			x-ratelimit-limit-tokens: 10000
			x-ratelimit-remaining-tokens: 9481
			x-ratelimit-reset-tokens: 3.114s
			x-ratelimit-limit-project-tokens: 30,000
			x-ratelimit-remaining-project-tokens: 29,999
			x-ratelimit-reset-project-tokens: 2ms
			x-ratelimit-limit-input-images: 50000
			x-ratelimit-remaining-input-images: 49999
			x-ratelimit-reset-input-images: 1ms
			x-ratelimit-limit-images: 5
			x-ratelimit-remaining-images: 4
			x-ratelimit-reset-images: 12s`,
			Headers{
				Requests: full(10000, 9999, 8640*time.Millisecond), Tokens: full(10000, 9481, 3114*time.Millisecond),
				ProjectTokens: full(30000, 29999, 2*time.Millisecond),
				Images:        full(5, 4, 12*time.Second),
			}},
		{"usage based", `x-ratelimit-limit-tokens_usage_based: 300000
			x-ratelimit-remaining-tokens_usage_based: 299978
			x-ratelimit-reset-tokens_usage_based: 4ms`,
			Headers{Tokens: full(300000, 299978, 4*time.Millisecond)}},
		{"azure 429", `x-ratelimit-reset-requests: 12
			x-ratelimit-reset-tokens: 0
			x-ratelimit-renewalperiod-requests: 60
			x-ratelimit-renewalperiod-tokens: 60`,
			Headers{
				Requests: Window{Reset: 12 * time.Second, HasReset: true, coarse: true, Renewal: time.Minute},
				Tokens:   Window{HasReset: true, coarse: true, Renewal: time.Minute},
			}},
		{"azure, remaining alone", "x-ratelimit-remaining-tokens: 119", Headers{Tokens: Window{Remaining: 119, HasRemaining: true}}},
		{"azure responses", `x-ratelimit-limit-tokens: -1
			x-ratelimit-remaining-tokens: -1
			x-ratelimit-reset-tokens: 0`,
			Headers{Tokens: Window{HasReset: true, coarse: true}}},
		{"azure, periods without end", `x-ratelimit-reset-tokens: 172801
			x-ratelimit-renewalperiod-requests: 172801`, Headers{}},
		{"nonsense", `x-ratelimit-limit-requests: 0
			x-ratelimit-remaining-requests: NaN
			x-ratelimit-reset-requests: -5s
			x-ratelimit-limit-tokens: 99999999999999999999
			x-ratelimit-remaining-tokens: 0x10
			x-ratelimit-reset-tokens: 9999h
			x-ratelimit-limit-images: 300, 300
			x-ratelimit-remaining-images: 1e999
			x-ratelimit-reset-images: soon`, Headers{}},
		{"a number that would overflow", "x-ratelimit-limit-tokens: 18,446,744,073,709,551,621", Headers{}}, // 5, in 64 bits
		{"more left than there is", `x-ratelimit-limit-tokens: 100
			x-ratelimit-remaining-tokens: 101`, Headers{Tokens: Window{Limit: 100, HasLimit: true}}},
	} {
		if got := ParseHeaders(headers(c.headers)); got != c.want {
			t.Errorf("%s:\n%+v, want\n%+v", c.name, got, c.want)
		}
	}
	h := headers("x-ratelimit-limit-tokens: 30,000\nx-ratelimit-remaining-tokens: 554\nx-ratelimit-reset-tokens: 58.891s")
	if n := testing.AllocsPerRun(100, func() { ParseHeaders(h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestParseWait(t *testing.T) {
	for s, want := range map[string]string{
		"6m0s": "6m0s", "1s": "1s", "120ms": "120ms", "8.64s": "8.64s", "16m17.764s": "16m17.764s",
		"4m12.172s": "4m12.172s", "23h18m29.144s": "23h18m29.144s", "1m30.5s": "1m30.5s", "0s": "0s",
		"12": "12s", "0": "0s", "0.5": "500ms", " 7m12s ": "7m12s",
		"": "", "-1s": "", "+1s": "", "-1": "", "1d": "", "Inf": "", "1e300": "", "s": "",
		"114h18m": "114h18m0s", "99999h": longestWait.String(), "1e8": "",
	} {
		d, bare, ok := parseWait(s)
		if ok != (want != "") || ok && d.String() != want || !ok && d != 0 || bare != (s == "12" || s == "0" || s == "0.5" || s == "1e8") {
			t.Errorf("%q: %v, %v, %v", s, d, bare, ok)
		}
	}
}

func TestWindowPeriod(t *testing.T) {
	for _, c := range []struct {
		limit, remaining int64
		reset            string
		want             time.Duration
	}{
		// Captures.
		{10000, 9481, "3.114s", time.Minute},
		{30000, 554, "58.891s", time.Minute},
		{1500000, 1495621, "4m12.172s", day},
		{10000, 9999, "8.64s", day},
		{200, 197, "16m17.764s", day},
		{50000, 49999, "1ms", time.Minute},
		// Made from the formula.
		{500, 499, "120ms", time.Minute},
		{500, 498, "125ms", time.Minute},
		{3, 2, "20s", time.Minute},
		{200, 199, "7m12s", day},
		{3, 0, "1m0s", time.Minute},
		{200, 0, "24h0m0s", day},
		// Ambiguous or contradictory.
		{150_000_000, 149_999_979, "0s", 0},
		{500, 500, "0s", 0},
		{500, 500, "1s", 0},
		{500, 0, "1m20s", 0}, // overdrawn
		{500, 250, "12s", 0},
		// Azure's whole seconds: of its evaluation period, or of a minute.
		{500, 250, "30", time.Minute},
		{500, 250, "5", 10 * time.Second},
		{500, 250, "4", 10 * time.Second},
		{500, 490, "0", 0},
		{500, 499, "0", 0}, // a single one
		{10, 9, "6", time.Minute},
		{100, 90, "1", 10 * time.Second},
		{60, 59, "1", time.Minute},
		{1000, 719, "17", 0}, // 16.86 s
		{1000, 718, "17", time.Minute},
		{1000, 716, "16", time.Minute}, // 17.04 s
		{1000, 713, "16", 0},           // 17.22 s
	} {
		h := http.Header{}
		h.Set("x-ratelimit-reset-tokens", c.reset)
		w := ParseHeaders(h).Tokens
		w.Limit, w.Remaining, w.HasLimit, w.HasRemaining = c.limit, c.remaining, true, true
		if got := w.Period(); got != c.want {
			t.Errorf("%d of %d, %s: %v, want %v", c.remaining, c.limit, c.reset, got, c.want)
		}
	}
	// All three figures are needed.
	for _, reset := range []string{"1m0s", "60"} {
		for _, absent := range []string{"", "limit", "remaining", "reset"} {
			h := http.Header{}
			for name, value := range map[string]string{"limit": "500", "remaining": "0", "reset": reset} {
				if name != absent {
					h.Set("x-ratelimit-"+name+"-tokens", value)
				}
			}
			want := time.Duration(0)
			if absent == "" {
				want = minute
			}
			if got := ParseHeaders(h).Tokens.Period(); got != want {
				t.Errorf("reset %s, without %q: %v, want %v", reset, absent, got, want)
			}
		}
	}
	if got := (Window{Renewal: 10 * time.Second}).Period(); got != 10*time.Second {
		t.Errorf("renewal period: %v", got)
	}
	if got := (Window{}).Period(); got != 0 {
		t.Errorf("nothing: %v", got)
	}
}

func TestWindowUsed(t *testing.T) {
	w := func(limit, remaining int64, reset time.Duration) Window {
		return Window{Limit: limit, Remaining: remaining, Reset: reset,
			HasLimit: limit >= 0, HasRemaining: remaining >= 0, HasReset: reset >= 0}
	}
	for _, c := range []struct {
		name   string
		w      Window
		period time.Duration
		want   float64
	}{
		{"by reset", w(200, 197, 977764*time.Millisecond), day, 2.2633},
		{"of a nanosecond, absurdly", w(200, 197, 977764*time.Millisecond), 1, 3},
		{"no period", w(200, 197, 977764*time.Millisecond), 0, 2},
		{"reset cut to nothing", w(150e6, 149999979, 0), time.Minute, 20},
		{"no reset", w(200, 150, -1), time.Minute, 49},
		{"no remaining", w(200, -1, 30*time.Second), time.Minute, 100},
		{"full", w(200, 200, 0), time.Minute, 0},
		{"overdrawn", w(200, 0, 75*time.Second), time.Minute, 250},
		{"absurdly overdrawn", w(200, 0, 40*time.Hour), time.Minute, 400},
		{"wrong period", w(200, 150, 40*time.Hour), time.Minute, 50},
		{"no limit", w(-1, 150, 40*time.Hour), time.Minute, 0},
	} {
		if got := c.w.Used(c.period); math.Abs(got-c.want) > 1e-3 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// FuzzHeaders: whatever is sent, figures that are there are sane.
func FuzzHeaders(f *testing.F) {
	f.Add("10000", "9481", "3.114s", "60", "1", "534")
	f.Add("1", "0", "0", "", "0", "0") // Azure's, of an evaluation period of a second
	f.Add("-1", "-1", "0", "", "Tue, 24 Nov 2026 12:00:07 GMT", "0")
	f.Add("30,000", "NaN", "23h18m29.144s", "1e99", "9999999999", "1e17")
	f.Fuzz(func(t *testing.T, limit, remaining, reset, renewal, seconds, ms string) {
		h := http.Header{
			"X-Ratelimit-Limit-Tokens":         {limit},
			"X-Ratelimit-Remaining-Tokens":     {remaining},
			"X-Ratelimit-Reset-Tokens":         {reset},
			"X-Ratelimit-Renewalperiod-Tokens": {renewal},
			"Retry-After":                      {seconds},
			"Retry-After-Ms":                   {ms},
		}
		w := ParseHeaders(h).Tokens
		switch {
		case w.HasLimit && (w.Limit <= 0 || w.Limit > maxCount),
			w.HasRemaining && (w.Remaining < 0 || w.Remaining > maxCount || w.HasLimit && w.Remaining > w.Limit),
			w.Reset < 0 || w.Reset > maxWait, w.Renewal < 0 || w.Renewal > maxWait,
			!w.HasLimit && w.Limit != 0, !w.HasRemaining && w.Remaining != 0, !w.HasReset && w.Reset != 0:
			t.Errorf("%+v", w)
		}
		if p := w.Period(); p != 0 && p != minute && p != day && p != w.Renewal && (!w.Coarse() || p != time.Second && p != 10*time.Second) {
			t.Errorf("%+v: period %v", w, p)
		}
		for _, p := range []time.Duration{0, minute, day, w.Period()} {
			if u := w.Used(p); !(u >= 0 && u <= 2*float64(w.Limit)) {
				t.Errorf("%+v: used %v in %v", w, u, p)
			}
		}
		if d, ok := RetryAfter(h, time.Unix(1.8e9, 0)); d < 0 || d > longestWait || !ok && d != 0 {
			t.Errorf("retry after %v, %v", d, ok)
		}
	})
}
