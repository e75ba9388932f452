package wire

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// stated is a window whose period the dialect states, with its reset, if any, rough.
func stated(period time.Duration, limit, remaining int64, reset time.Duration) Window {
	return Window{
		Limit: limit, Remaining: remaining, Reset: reset, Stated: period,
		HasLimit: true, HasRemaining: true, HasReset: reset != 0, rough: reset != 0,
	}
}

func exactly(w Window) Window {
	w.rough = false
	return w
}

func stepped(step int64, w Window) Window {
	w.Step = step
	return w
}

// captured are the headers of real responses, or those that a host documents.
var captured = []struct {
	name    string
	dialect string
	headers string
	want    Headers
}{
	{"Groq, github.com/drnic/groq-ruby/issues/9", "Groq", `
		x-groq-region: us-west-1
		x-ratelimit-limit-requests: 14400
		x-ratelimit-limit-tokens: 7000
		x-ratelimit-remaining-requests: 14399
		x-ratelimit-remaining-tokens: 6818
		x-ratelimit-reset-requests: 6s
		x-ratelimit-reset-tokens: 1.559999999s`,
		Headers{
			Requests: exactly(stated(day, 14400, 14399, 6*time.Second)),
			Tokens:   exactly(stated(minute, 7000, 6818, 1559999999)),
		}},
	{"Mistral, github.com/mistralai/client-ts/issues/169", "Mistral", `
		x-ratelimit-limit-tokens-minute: 5000000
		x-ratelimit-remaining-tokens-minute: 4999911
		x-ratelimit-tokens-query-cost: 52
		x-ratelimit-limit-req-minute: 720
		x-ratelimit-remaining-req-minute: 717`,
		Headers{
			Requests: stated(minute, 720, 717, 0), Tokens: stated(minute, 5_000_000, 4_999_911, 0), QueryCost: 52,
		}},
	{"Mistral, a model that is not on the plan", "Mistral", `
		x-ratelimit-limit-tokens-minute: 0
		x-ratelimit-remaining-tokens-minute: 0
		x-ratelimit-limit-req-minute: 0
		x-ratelimit-remaining-req-minute: 0`,
		Headers{
			Requests: Window{HasRemaining: true, Stated: minute}, Tokens: Window{HasRemaining: true, Stated: minute},
		}},
	{"Mistral, February 2025", "Mistral, before 2026", `
		ratelimitbysize-limit: 500000
		x-ratelimitbysize-remaining-minute: 468000
		x-ratelimitbysize-limit-month: 1000000000
		ratelimitbysize-remaining: 468000
		ratelimitbysize-reset: 3
		ratelimitbysize-query-cost: 32000
		x-ratelimitbysize-remaining-month: 997912692
		x-ratelimitbysize-limit-minute: 500000`,
		Headers{Tokens: stated(minute, 500_000, 468_000, 0), QueryCost: 32_000}},
	{"Cerebras, inference-docs.cerebras.ai/support/rate-limits", "Cerebras", `
		x-ratelimit-limit-requests-day: 1000000000
		x-ratelimit-limit-tokens-minute: 1000000000
		x-ratelimit-remaining-requests-day: 999997455
		x-ratelimit-remaining-tokens-minute: 999998298
		x-ratelimit-reset-requests-day: 33011.382867
		x-ratelimit-reset-tokens-minute: 11.382867`,
		Headers{
			DailyRequests: stated(day, 1e9, 999_997_455, 33011382867000), Tokens: stated(minute, 1e9, 999_998_298, 11382867000),
		}},
	{"Cerebras, captured 2026", "Cerebras", `
		x-ratelimit-limit-requests-minute: 5
		x-ratelimit-remaining-requests-minute: 4
		x-ratelimit-limit-requests-hour: 150
		x-ratelimit-remaining-requests-hour: 149
		x-ratelimit-limit-requests-day: 2400
		x-ratelimit-remaining-requests-day: 2399
		x-ratelimit-limit-tokens-minute: 30000
		x-ratelimit-remaining-tokens-minute: 29999
		x-ratelimit-limit-tokens-hour: 1000000
		x-ratelimit-remaining-tokens-hour: 999999
		x-ratelimit-limit-tokens-day: 1000000
		x-ratelimit-remaining-tokens-day: 999999`,
		Headers{
			Requests: stated(minute, 5, 4, 0), DailyRequests: stated(day, 2400, 2399, 0),
			Tokens: stated(minute, 30_000, 29_999, 0), DailyTokens: stated(day, 1_000_000, 999_999, 0),
		}},
	{"SambaNova", "Cerebras", `
		x-ratelimit-limit-requests: 60
		x-ratelimit-remaining-requests: 59
		x-ratelimit-limit-requests-day: 12000
		x-ratelimit-remaining-requests-day: 11990`,
		Headers{Requests: stated(minute, 60, 59, 0), DailyRequests: stated(day, 12_000, 11_990, 0)}},
	{"Nous, as its client hermes-agent has it", "Cerebras", `
		x-ratelimit-limit-requests: 800
		x-ratelimit-limit-requests-1h: 33600
		x-ratelimit-limit-tokens: 8000000
		x-ratelimit-limit-tokens-1h: 336000000
		x-ratelimit-remaining-requests: 795
		x-ratelimit-remaining-requests-1h: 33590
		x-ratelimit-remaining-tokens: 7999500
		x-ratelimit-remaining-tokens-1h: 335999000
		x-ratelimit-reset-requests: 45.5
		x-ratelimit-reset-requests-1h: 3500.0
		x-ratelimit-reset-tokens: 42.3
		x-ratelimit-reset-tokens-1h: 3490.0`,
		Headers{
			Requests: stated(minute, 800, 795, 45500*time.Millisecond), Tokens: stated(minute, 8_000_000, 7_999_500, 42300*time.Millisecond),
		}},
	{"Nous, requests alone", "Cerebras", `
		x-ratelimit-limit-requests: 800
		x-ratelimit-limit-requests-1h: 33600
		x-ratelimit-remaining-requests: 795`,
		Headers{Requests: stated(minute, 800, 795, 0)}},
	{"Nous, tokens alone", "Cerebras", `
		x-ratelimit-limit-tokens: 8000000
		x-ratelimit-limit-tokens-1h: 336000000
		x-ratelimit-remaining-tokens: 7999500`,
		Headers{Tokens: stated(minute, 8_000_000, 7_999_500, 0)}},
	{"Together", "Together", `
		x-ratelimit-limit: 10
		x-ratelimit-remaining: 9
		x-ratelimit-reset: 1
		x-tokenlimit-limit: 3000
		x-tokenlimit-remaining: 2890`,
		Headers{Requests: stated(time.Second, 10, 9, time.Second), Tokens: stated(time.Second, 3000, 2890, 0)}},
	{"Fireworks", "Fireworks", `
		x-ratelimit-limit-requests: 600
		x-ratelimit-remaining-requests: 599
		x-ratelimit-limit-tokens-prompt: 60000
		x-ratelimit-remaining-tokens-prompt: 59983
		x-ratelimit-limit-tokens-generated: 6000
		x-ratelimit-remaining-tokens-generated: 5900
		x-ratelimit-over-limit: no`,
		Headers{}},
	{"Fireworks, July 2026", "Fireworks", `
		x-ratelimit-limit-requests: 600
		x-ratelimit-remaining-requests: 599
		x-ratelimit-limit-tokens-uncached-prompt: 60000`,
		Headers{}},
	{"Cohere, a trial key", "Cohere", `
		x-endpoint-monthly-call-limit: 1000
		x-trial-endpoint-call-limit: 20
		x-trial-endpoint-call-remaining: 19`,
		Headers{Requests: stated(minute, 20, 19, 0)}},
	{"OpenRouter", "OpenRouter", `
		date: Thu, 06 Mar 2025 23:59:18 GMT
		x-ratelimit-limit: 20
		x-ratelimit-remaining: 0
		x-ratelimit-reset: 1741305600000`,
		Headers{Requests: Window{Reset: 42 * time.Second, HasReset: true, rough: true}}},
	{"DigitalOcean", "DigitalOcean", `
		date: Sat, 28 Nov 2026 12:00:00 GMT
		x-ratelimit-limit-requests: 120
		x-ratelimit-remaining-requests: 119
		x-ratelimit-reset-requests: 1795867200
		x-ratelimit-limit-tokens-per-minute: 100000
		x-ratelimit-remaining-tokens-per-minute: 98500
		x-ratelimit-reset-tokens-per-minute: 1795867201
		x-ratelimit-limit-tokens-per-day: 5000000
		x-ratelimit-remaining-tokens-per-day: 4998500
		x-ratelimit-reset-tokens-per-day: 1795867226`,
		Headers{
			Requests:    Window{Limit: 120, Remaining: 119, HasLimit: true, HasRemaining: true, HasReset: true, rough: true},
			Tokens:      stated(minute, 100_000, 98_500, time.Second),
			DailyTokens: stated(day, 5_000_000, 4_998_500, 26*time.Second),
		}},
	{"Anthropic", "Anthropic", `
		date: Sat, 28 Nov 2026 12:00:00 GMT
		anthropic-ratelimit-requests-limit: 50
		anthropic-ratelimit-requests-remaining: 49
		anthropic-ratelimit-requests-reset: 2026-11-28T12:00:01Z
		anthropic-ratelimit-tokens-limit: 40000
		anthropic-ratelimit-tokens-remaining: 39000
		anthropic-ratelimit-tokens-reset: 2026-11-28T12:00:02Z
		anthropic-ratelimit-input-tokens-limit: 30000
		anthropic-ratelimit-output-tokens-limit: 10000`,
		Headers{
			Requests: stated(minute, 50, 49, time.Second), Tokens: stepped(1000, stated(minute, 40_000, 39_000, 2*time.Second)),
		}},
	{"Azure, spilled over", "Azure, spilled over", `
		x-ms-spillover-from-deployment: ptu
		x-ms-deployment-name: standard
		x-ratelimit-limit-requests: 250
		x-ratelimit-remaining-requests: 249
		x-ratelimit-limit-tokens: 250000
		x-ratelimit-remaining-tokens: 249981`,
		Headers{}},
	{"Azure", "OpenAI", `
		x-ms-deployment-name: standard
		x-ratelimit-limit-requests: 250
		x-ratelimit-remaining-requests: 249
		x-ratelimit-reset-requests: 0`,
		Headers{Requests: Window{Limit: 250, Remaining: 249, HasLimit: true, HasRemaining: true, HasReset: true, coarse: true}}},
	{"a moment under OpenAI's names", "OpenAI", `
		date: Sat, 28 Nov 2026 12:00:00 GMT
		x-ratelimit-limit-requests: 50
		x-ratelimit-remaining-requests: 49
		x-ratelimit-reset-requests: 2026-11-28T12:00:02Z`,
		Headers{Requests: Window{Limit: 50, Remaining: 49, Reset: 2 * time.Second, HasLimit: true, HasRemaining: true, HasReset: true, rough: true}}},
	{"LiteLLM, limits of a key and of its model beside the host's", "OpenAI", `
		x-litellm-call-id: b980db26
		x-litellm-key-rpm-limit: 60
		x-litellm-key-tpm-limit: None
		x-ratelimit-api_key-limit-requests: 60
		x-ratelimit-api_key-remaining-requests: 59
		x-ratelimit-model_per_key-limit-tokens: 10000
		x-ratelimit-model_per_key-remaining-tokens: 9900
		x-ratelimit-team-limit-tokens: 40000
		x-ratelimit-team-remaining-tokens: 39960
		x-ratelimit-limit-requests: 30000
		x-ratelimit-remaining-requests: 29999
		x-ratelimit-limit-tokens: 150000000
		x-ratelimit-remaining-tokens: 149999979`,
		Headers{Requests: stated(minute, 60, 59, 0), Tokens: stated(minute, 10_000, 9900, 0)}},
	{"LiteLLM, the host's limits are tighter", "OpenAI", `
		x-litellm-version: 1.82.3
		x-ratelimit-api_key-limit-tokens: 100000
		x-ratelimit-api_key-remaining-tokens: 99900
		x-ratelimit-limit-tokens: 8000
		x-ratelimit-remaining-tokens: 7925
		llm_provider-x-ratelimit-limit-tokens: 8000`,
		Headers{Tokens: Window{Limit: 8000, Remaining: 7925, HasLimit: true, HasRemaining: true}}},
	{"LiteLLM, the key's limits alone", "", `
		x-litellm-model-id: cb41
		x-litellm-key-rpm-limit: 60
		x-litellm-key-tpm-limit: 10000`,
		Headers{Requests: Window{Limit: 60, HasLimit: true, Stated: minute}, Tokens: Window{Limit: 10_000, HasLimit: true, Stated: minute}}},
	{"names of LiteLLM's that are not LiteLLM's", "", "x-ratelimit-user-limit-requests: 60\nx-ratelimit-user-remaining-requests: 59", Headers{}},
	{"Kong", "", `
		x-ratelimit-limit-minute: 5
		x-ratelimit-remaining-minute: 3
		x-ratelimit-limit-day: 1000
		x-ratelimit-remaining-day: 980
		ratelimit-limit: 5
		ratelimit-remaining: 3
		ratelimit-reset: 43`,
		Headers{Requests: stated(minute, 5, 3, 0), DailyRequests: stated(day, 1000, 980, 0)}},
	{"a gateway's, which may mean anything", "OpenRouter", `
		x-ratelimit-limit: 100
		x-ratelimit-remaining: 99
		x-ratelimit-reset: 30`,
		Headers{Requests: Window{Reset: 30 * time.Second, HasReset: true, rough: true}}},
}

func TestDialects(t *testing.T) {
	spoken := map[string]bool{}
	for _, c := range captured {
		h := headers(c.headers)
		has := namesIn(h)
		d := dialectOf(&has)
		if d == nil && c.dialect == "" {
			d = &dialect{}
		}
		if d == nil || d.name != c.dialect {
			t.Errorf("%s: taken for %+v", c.name, d)
			continue
		}
		spoken[d.name] = true
		for i := range gateways {
			spoken[gateways[i].name] = spoken[gateways[i].name] || gateways[i].spokenIn(&has)
		}
		if got := ParseHeaders(h); got != c.want {
			t.Errorf("%s:\n%+v, want\n%+v", c.name, got, c.want)
		}
		if n := testing.AllocsPerRun(100, func() { ParseHeaders(h) }); n != 0 && h.Get("Date") == "" {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
	for _, d := range slices.Concat(dialects, gateways) {
		if !spoken[d.name] {
			t.Errorf("%s is not among the captures", d.name)
		}
	}
	if d := dialectOf(new(names)); d != nil {
		t.Errorf("no headers are taken for %s's", d.name)
	}
}

// What is stated counts; what is rough leads to nothing.
func TestPeriodsOfDialects(t *testing.T) {
	for _, c := range captured {
		h := ParseHeaders(headers(c.headers))
		for _, w := range []Window{h.Requests, h.DailyRequests, h.Tokens, h.DailyTokens} {
			want := w.Stated
			if got := w.Period(); got != want {
				t.Errorf("%s: %+v has a period of %v, want %v", c.name, w, got, want)
			}
			if w.rough && w.HasRemaining && w.Step == 0 && w.Used(w.Period()) != max(0, float64(w.Limit-w.Remaining-1)) {
				t.Errorf("%s: %+v has used %v", c.name, w, w.Used(w.Period()))
			}
		}
	}
}

func TestUsedBetween(t *testing.T) {
	for _, c := range []struct {
		limit, remaining, step int64
		least, most            float64
	}{
		{40_000, 39_000, 1000, 500, 1500},
		{40_000, 40_000, 1000, 0, 500},
		{40_000, 0, 1000, 39_500, 40_000},
		{40_000, 39_000, 0, 999, 999},
	} {
		w := stepped(c.step, stated(minute, c.limit, c.remaining, 0))
		if least, most := w.UsedBetween(minute); least != c.least || most != c.most {
			t.Errorf("%+v: between %v and %v, want %v and %v", w, least, most, c.least, c.most)
		}
	}
}

func TestParseReset(t *testing.T) {
	h := http.Header{"Date": {"Sat, 28 Nov 2026 12:00:00 GMT"}}
	for s, want := range map[string]struct {
		d    time.Duration
		form timeForm
	}{
		"6m0s":                          {6 * time.Minute, duration},
		"1.559999999s":                  {1559999999, duration},
		"12":                            {12 * time.Second, bareSeconds},
		"11.5":                          {11500 * time.Millisecond, bareSeconds},
		"2026-11-28T12:00:30Z":          {30 * time.Second, moment},
		"2026-11-28T13:00:30+01:00":     {30 * time.Second, moment},
		"Sat, 28 Nov 2026 12:00:30 GMT": {30 * time.Second, moment},
		"2026-11-28T11:59:59Z":          {0, moment}, // it has just passed
		"2026-11-28T11:59:00Z":          {0, moment},
		"2026-11-28T11:58:59Z":          {},
		"2026-11-30T12:00:00Z":          {48 * time.Hour, moment},
		"2026-12-03T12:00:00Z":          {5 * day, moment},
		"2096-11-28T12:00:00Z":          {longestWait, moment},
		"172801":                        {172_801 * time.Second, bareSeconds},
		"99999999":                      {99_999_999 * time.Second, bareSeconds},
		"100000000":                     {},
		"114h18m0s":                     {411_480 * time.Second, duration},
		"99999h":                        {longestWait, duration},
		"1795867230":                    {30 * time.Second, moment},
		"1795867230500":                 {30500 * time.Millisecond, moment},
		// None of them says anything.
		"": {}, "-5": {}, "soon": {}, "2026-11-28": {}, "2026-11-01T12:00:00Z": {}, "999999999": {}, "9e14": {}, "1e99": {},
	} {
		if d, form := parseReset(s, h, time.Time{}); d != want.d || form != want.form {
			t.Errorf("%q: %v, %v", s, d, form)
		}
	}
	if _, form := parseReset("1795867230", http.Header{}, time.Time{}); form != noTime {
		t.Error("a moment without a date is taken for a time")
	}
	if d, form := parseReset("1795867230", http.Header{}, time.Unix(1795867200, 0)); d != 30*time.Second || form != moment {
		t.Errorf("by our own clock: %v, %v", d, form)
	}
}

// A reset is a wait where the dialect says so, and only for want of another.
func TestWaitByReset(t *testing.T) {
	const date = "date: Sat, 28 Nov 2026 12:00:00 GMT\n"
	for _, c := range []struct {
		headers string
		want    time.Duration
	}{
		{date + "x-ratelimit-reset: 1795867230000", 30 * time.Second},
		{date + "x-ratelimit-reset: 1795867230000\nretry-after: 5", 5 * time.Second},
		{date + "x-ratelimit-reset: 30", 0},
		{"x-ratelimit-reset: 1795521630", 30 * time.Second}, // by our own clock
		{"x-ratelimit-limit: 100\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 30", 30 * time.Second},
		{"x-ratelimit-limit: 100\nx-ratelimit-remaining: 5\nx-ratelimit-reset: 30", 0},
		{"x-rate-limit-remaining: 0\nx-rate-limit-reset: 30", 30 * time.Second},
		{"x-ai-ratelimit-remaining-one: 0\nx-ai-ratelimit-reset-one: 30\nx-ai-ratelimit-remaining-two: 0\nx-ai-ratelimit-reset-two: 20", 30 * time.Second},
		{"x-ai-ratelimit-remaining-one: 0\nx-ai-ratelimit-reset-two: 30", 0},
		{"x-ai-ratelimit-remaining-one: 0\nx-ai-ratelimit-reset-one: soon", 0},
		{"x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 30s", 0},
		{"x-ratelimit-remaining: 0\nx-ratelimit-reset: 30\nretry-after: 5", 5 * time.Second},
		{"ratelimit-limit: 100\nratelimit-remaining: 0\nratelimit-reset: 30", 30 * time.Second},
		{"ratelimit-limit: 100\nratelimit-remaining: 5\nratelimit-reset: 30", 0},
		{"ratelimit-remaining: 0\nratelimit-reset: 411480", 411_480 * time.Second},
		{"ratelimit: \"default\";r=0;t=411480", 411_480 * time.Second},
		{"ratelimit: limit=60, remaining=0, reset=411480", 411_480 * time.Second},
		{"x-ratelimit-remaining: 0\nx-ratelimit-reset: 411480", 411_480 * time.Second},
		{"x-ratelimit-remaining: 0\nx-ratelimit-reset: 114h18m", 411_480 * time.Second},
		{"x-ratelimit-remaining: 0\nx-ratelimit-reset: 99999h", longestWait},
		{date + "x-ratelimit-remaining: 0\nx-ratelimit-reset: 1796299200", 5 * day},
		{date + "x-ratelimit-remaining: 0\nx-ratelimit-reset: 1796299200000", 5 * day},
		{date + "x-ratelimit-remaining: 0\nx-ratelimit-reset: 2026-12-03T12:00:00Z", 5 * day},
		{date + "x-ratelimit-reset: 1796299200", 5 * day},
		{date + "x-ratelimit-remaining: 5\nx-ratelimit-reset: 1796299200", 0},
		{date + "x-ratelimit-remaining: 5\nx-ratelimit-reset: 1795867230", 30 * time.Second},
		{date + "x-ratelimit-limit-tokens-per-day: 10\nx-ratelimit-remaining: 5\nx-ratelimit-reset-tokens-per-day: 1796299200", 5 * day},
		{date + "x-ratelimit-remaining: 0\nx-ratelimit-reset: 999999999", 0}, // in 2001
		{"ratelimit: \"day\";r=3;t=4000", 0},
		{"ratelimit: \"default\";r=0;t=55, \"day\";r=3;t=4000\nratelimit-policy: \"default\";q=500;w=300", 55 * time.Second},
		{"ratelimit: \"default\";r=0;t=55\nretry-after: 5", 5 * time.Second},
		{"ratelimit: \"default\";r=0;t=soon", 0},
		{"ratelimit: limit=60, remaining=0, reset=30", 30 * time.Second},
		{"ratelimit: limit=60, Remaining=0;Reset=30", 30 * time.Second},
		{"ratelimit: limit=60, remaining=5, reset=30", 0},
		{"ratelimit: \"default\";r=0, \"day\";t=4000", 0},
		{"ratelimit-reset: 31", 31 * time.Second}, // nothing says that something is left
		{date + "x-ratelimit-reset-tokens-per-minute: 1795867203\nx-ratelimit-limit-tokens-per-minute: 10\n" +
			"x-ratelimit-reset-requests: 1795867200\nx-ratelimit-reset-tokens-per-day: 1795867209", 9 * time.Second},
		{date + "x-ratelimit-limit-tokens-per-day: 10\nx-ratelimit-reset-tokens-per-day: 1796299200", 5 * day},
		{date + "x-ratelimit-reset-requests: 1795867203\nx-ratelimit-limit-requests: 10", 0}, // OpenAI's: until it is full
		{date + "anthropic-ratelimit-requests-limit: 5\nanthropic-ratelimit-requests-reset: 2026-11-28T12:00:30Z", 0},
		// The ends of windows: Venice's, Cerebras's, Nous's. Azure's and Groq's are until it is full.
		{date + "x-ratelimit-limit-requests: 20\nx-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 1795867230", 30 * time.Second},
		{date + "x-ratelimit-limit-requests: 20\nx-ratelimit-remaining-requests: 5\nx-ratelimit-reset-requests: 1795867230", 0},
		{"x-ratelimit-limit-tokens-minute: 60000\nx-ratelimit-remaining-tokens-minute: 0\nx-ratelimit-reset-tokens-minute: 11.5", 11500 * time.Millisecond},
		{"x-ratelimit-limit-requests-1h: 60\nx-ratelimit-remaining-requests-1h: 0\nx-ratelimit-reset-requests-1h: 3500.0", 3500 * time.Second},
		{"x-ratelimit-limit-requests: 20\nx-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 12", 0},
		{"x-groq-region: fra\nx-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 30s", 0},
	} {
		if got := ParseThrottle(http.StatusTooManyRequests, headers(c.headers), nil, now).RetryAfter; got != c.want {
			t.Errorf("%s: %v, want %v", c.headers, got, c.want)
		}
	}
}

// FuzzDialects: headers of any dialect, with any values, lead to sane figures.
func FuzzDialects(f *testing.F) {
	for i := range dialects {
		f.Add(uint8(i), "10000", "9481", "3.114s", "60")
		f.Add(uint8(i), "50", "49", "2026-11-28T12:00:01Z", "-1")
		f.Add(uint8(i), "0", "-1", "1795867226", "1e30")
		f.Add(uint8(i), "20", "0", "1795867226000", "52")
		f.Add(uint8(i), "1e15", "NaN", "33011.382867", "0")
	}
	f.Fuzz(func(t *testing.T, which uint8, limit, remaining, reset, cost string) {
		all := slices.Concat(dialects, gateways)
		d := &all[int(which)%len(all)]
		h := http.Header{"Date": {"Sat, 28 Nov 2026 12:00:00 GMT"}}
		for _, sign := range d.signs {
			h[sign] = []string{limit}
		}
		for _, c := range d.columns {
			h[c.limit], h[c.remaining], h[c.reset] = []string{limit}, []string{remaining}, []string{reset}
		}
		h[d.cost] = []string{cost}
		delete(h, "")
		o := ParseHeaders(h)
		if o.QueryCost < 0 || o.QueryCost > maxCount || len(d.columns) == 0 && o != (Headers{}) {
			t.Errorf("%s: %+v", d.name, o)
		}
		for _, w := range []Window{o.Requests, o.DailyRequests, o.Tokens, o.DailyTokens, o.ProjectTokens, o.Images} {
			switch {
			case w.HasLimit && (w.Limit <= 0 || w.Limit > maxCount),
				w.HasRemaining && (w.Remaining < 0 || w.Remaining > maxCount || w.HasLimit && w.Remaining > w.Limit),
				w.Reset < 0 || w.Reset > maxWait, !w.HasReset && w.Reset != 0:
				t.Errorf("%s: %+v", d.name, w)
			}
			least, most := w.UsedBetween(w.Period())
			if !(0 <= least && least <= most && most <= 2*float64(w.Limit)) {
				t.Errorf("%s: %+v: used between %v and %v", d.name, w, least, most)
			}
		}
		if wait := resetWait(h, now); wait < 0 || wait > longestWait {
			t.Errorf("%s: retry after %v", d.name, wait)
		}
	})
}

func TestMomentOf(t *testing.T) {
	for n, want := range map[float64]int64{0: 0, 99_999_999: 0, 100_000_000: 100_000_000_000, 99_999_999_999: 99_999_999_999_000, 100_000_000_000: 100_000_000_000,
		99_999_999_999_999: 99_999_999_999_999, 100_000_000_000_000: 100_000_000_000, 1795521620000000: 1795521620000, 1e17: 0} {
		at, ok := momentOf(n)
		if ok != (want != 0) || ok && at.UnixMilli() != want {
			t.Errorf("%v: %v, %v", n, at, ok)
		}
	}
}
