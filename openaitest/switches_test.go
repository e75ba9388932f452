package openaitest

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What is charged, given back and debited for one call of the model m.
func TestSettlement(t *testing.T) {
	const undeclared = `{"model":"m","messages":[{"role":"user","content":"x"}]}`
	output := func(n int64) Option {
		return WithAnswer(func(*Call) Answer { return Answer{OutputTokens: n} })
	}
	failing := WithAnswer(func(*Call) Answer { return Answer{Status: 500} })
	for _, c := range []struct {
		name    string
		options []Option
		body    string
		charged, refunded,
		debited int64
	}{
		{"kept by default", []Option{output(10)}, chat("m", "x", 100), 102, 0, 0},
		{"refunded", []Option{output(10), WithRefunds(true)}, chat("m", "x", 100), 102, 90, 0},
		{"n is charged", []Option{output(10), WithRefunds(true)}, `{"model":"m","n":3,"max_tokens":100,"messages":[{"role":"user","content":"x"}]}`, 302, 270, 0},
		{"output is cut to what was declared", []Option{output(1000), WithRefunds(true), WithUndeclared(DebitWhole)}, chat("m", "x", 100), 102, 0, 0},
		{"undeclared: flat", []Option{output(50)}, undeclared, 18, 0, 0},
		{"undeclared: flat, less used", []Option{output(6), WithRefunds(true)}, undeclared, 18, 10, 0},
		{"undeclared: flat, then debited", []Option{output(50), WithUndeclared(Flat16ThenDebit)}, undeclared, 18, 0, 34},
		{"undeclared: flat, none to debit", []Option{output(6), WithUndeclared(Flat16ThenDebit)}, undeclared, 18, 0, 0},
		{"undeclared: whole", []Option{output(50), WithUndeclared(DebitWhole)}, undeclared, 2, 0, 50},
		{"failed: kept", []Option{failing, WithRefunds(true)}, chat("m", "x", 100), 102, 0, 0},
		{"failed: tokens back", []Option{failing, WithFailureRefunds(true)}, chat("m", "x", 100), 102, 102, 0},
		{"estimate scaled", []Option{WithPromptEstimate(func(c *Call) int64 { return 5 * c.PromptEstimate })}, chat("m", "x", 100), 110, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got Record
				srv := New(append(c.options, WithLimits("m", Limits{RPM: 100, TPM: 10_000}), WithLog(func(r Record) { got = r }))...)
				post(t, srv.Direct(), chatPath, c.body)
				b := srv.Account("m").Bucket(TPM)
				if b.Charged != c.charged || b.Refunded != c.refunded || b.Debited != c.debited {
					t.Errorf("charged %d, refunded %d, debited %d; want %d, %d, %d", b.Charged, b.Refunded, b.Debited, c.charged, c.refunded, c.debited)
				}
				if b.Used != float64(b.Net()) {
					t.Errorf("used %v of %d", b.Used, b.Net())
				}
				if got.Cost.Tokens != c.charged || got.Refunded.Tokens != c.refunded || got.Debited != c.debited {
					t.Errorf("record %+v", got)
				}
				if r := srv.Account("m").Bucket(RPM); r.Used != 1 {
					t.Errorf("%v requests", r.Used)
				}
			})
		})
	}
}

// Used may exceed the limit after a debit, and nothing is admitted until it has
// refilled.
func TestDebitBeyondTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := New(WithLimits("m", Limits{TPM: 600}), WithUndeclared(DebitWhole),
			WithAnswer(func(*Call) Answer { return Answer{OutputTokens: 1198} }))
		post(t, srv.Direct(), chatPath, `{"model":"m","messages":[{"role":"user","content":"x"}]}`)
		if used := srv.Account("m").Bucket(TPM).Used; used != 1200 {
			t.Errorf("used %v", used)
		}
		resp, body := post(t, srv.Direct(), chatPath, chatOf("m", 100))
		contains(t, body, "Limit 600, Used 1200, Requested 100. Please try again in 1m10s.")
		wantHeaders(t, resp.Header, map[string]string{"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "2m0s"})
	})
}

func TestThrottledRequestsCount(t *testing.T) {
	for _, c := range []struct {
		name   string
		always bool
		used   float64
	}{
		{"while there is room", false, 4},
		{"always", true, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := New(WithLimits("m", Limits{RPM: 4, TPM: 100}), WithThrottlesCounted(c.always))
				for range 8 {
					post(t, srv.Direct(), chatPath, chatOf("m", 60))
				}
				a := srv.Account("m")
				if got := a.Bucket(RPM).Used; got != c.used {
					t.Errorf("%v requests used, want %v", got, c.used)
				}
				if a.Admitted != 1 || a.Throttled != 7 || a.Seen != 8 || a.Bucket(TPM).Charged != 60 {
					t.Errorf("%+v", a)
				}
			})
		})
	}
}

func TestSetLimits(t *testing.T) {
	for _, c := range []struct {
		ratio     bool
		remaining string
	}{{false, "90"}, {true, "290"}} { // 400 of 1000 used, then halved, then a call of 10
		synctest.Test(t, func(t *testing.T) {
			srv := New(WithLimits("m", Limits{TPM: 1000}), WithShared("s", Limits{}, "n"), WithRatioKept(c.ratio))
			srv.Spend("m", Cost{Tokens: 400})
			srv.SetLimits("m", Limits{TPM: 500})
			resp, _ := post(t, srv.Direct(), chatPath, chatOf("m", 10))
			wantHeaders(t, resp.Header, map[string]string{"x-ratelimit-limit-tokens": "500", "x-ratelimit-remaining-tokens": c.remaining})

			srv.SetLimits("m", Limits{}) // none at all
			resp, _ = post(t, srv.Direct(), chatPath, chatOf("m", 100_000))
			wantHeaders(t, resp.Header, map[string]string{"x-ratelimit-limit-tokens": ""})

			srv.SetLimits("s", Limits{RPM: 5})
			srv.SetAccountLimits(Limits{RPM: 3})
			resp, _ = post(t, srv.Direct(), chatPath, chatOf("n", 10))
			wantHeaders(t, resp.Header, map[string]string{"x-ratelimit-limit-requests": "3", "x-ratelimit-remaining-requests": "2"})
		})
	}
}

func TestForeignTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := New(WithLimits("m", Limits{RPM: 10, TPM: 600}))
		if !srv.Spend("m", Cost{Requests: 1, Tokens: 600}) {
			t.Error("a full bucket has room")
		}
		if srv.Spend("m", Cost{Requests: 1, Tokens: 1}) {
			t.Error("an empty bucket has none")
		}
		time.Sleep(time.Second)
		if !srv.Spend("m", Cost{Tokens: 10}) {
			t.Error("a second has refilled ten tokens")
		}
		if b := srv.Account("m").Bucket(RPM); b.Foreign != 1 {
			t.Errorf("%d requests, although the second did not fit", b.Foreign)
		}
		if a := srv.Account("m"); a.Seen != 0 || a.Bucket(TPM).Foreign != 610 {
			t.Errorf("%+v", a)
		}
	})
}

func TestInject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := New(WithLimits("m", Limits{RPM: 100, TPM: 1000}))
		srv.Inject(1, Answer{Status: 429, RetryAfter: 2 * time.Second})
		srv.Inject(1, InsufficientQuota())
		srv.Inject(1, SlowDown(90*time.Second))
		srv.Inject(1, Answer{Status: 500})
		srv.Inject(1, Answer{Status: 503, RetryAfter: time.Second})
		for _, c := range []struct {
			status, retry string
			parts         []string
		}{
			{"429", "2000", []string{"Rate limit reached for m", "(TPM): Limit 1000, Used 0, Requested 10. Please try again in 2s."}},
			{"429", "", []string{`"code":"insufficient_quota"`, `"type":"insufficient_quota"`, "You exceeded your current quota"}},
			{"429", "90000", []string{`"code":"slow_down"`, `"type":"rate_limit_error"`}},
			{"500", "", []string{`"type":"server_error"`}},
			{"503", "1000", []string{"overloaded"}},
			{"200", "", []string{`"object":"chat.completion"`}},
		} {
			resp, body := post(t, srv.Direct(), chatPath, chatOf("m", 10))
			if resp.Status[:3] != c.status {
				t.Errorf("status %s, want %s", resp.Status, c.status)
			}
			wantHeaders(t, resp.Header, map[string]string{"retry-after-ms": c.retry})
			contains(t, body, c.parts...)
		}
		a := srv.Account("m")
		if a.Seen != 6 || a.Throttled != 3 || a.Admitted != 3 || a.Failed != 2 || a.Completed != 1 || a.InFlight() != 0 {
			t.Errorf("%+v", a)
		}
		if b := a.Bucket(TPM); b.Charged != 30 || b.Throttles != 0 {
			t.Errorf("%+v", b)
		}
		if b := a.Bucket(RPM); b.Used != 6 {
			t.Errorf("%+v", b)
		}
	})
}

func TestTiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got Record
		srv := New(WithLimits("m", Limits{RPM: 1}), WithLog(func(r Record) { got = r }),
			WithTiming(func(*Call) Timing {
				return Timing{Admission: time.Second, Throttle: 2 * time.Second, Headers: 3 * time.Second, Total: 9 * time.Second}
			}))
		for _, c := range []struct {
			outcome Outcome
			total   time.Duration
		}{{Completed, 9 * time.Second}, {Throttled, 2 * time.Second}} {
			start := time.Now()
			post(t, srv.Direct(), chatPath, chatOf("m", 10))
			if took := time.Since(start); took != c.total || got.Outcome != c.outcome || got.Admitted.Sub(got.Arrived) != time.Second {
				t.Errorf("%v after %v: %+v", c.outcome, took, got)
			}
		}
	})
}

func TestIdealMakespan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := New(WithLimits("m", Limits{RPM: 60, TPM: 600}))
		start := time.Now()
		for range 20 {
			for {
				resp, _ := post(t, srv.Direct(), chatPath, chatOf("m", 100))
				if resp.StatusCode == 200 {
					break
				}
				d, _ := time.ParseDuration(resp.Header.Get("retry-after-ms") + "ms")
				time.Sleep(d)
			}
		}
		a := srv.Account("m")
		ideal := 140 * time.Second // 2000 tokens, 600 of them at once, the rest at 10 a second
		if a.IdealMakespan() != ideal || a.LastAdmission.Sub(a.FirstAdmission) != ideal || time.Since(start) != ideal {
			t.Errorf("ideal %v, admissions over %v", a.IdealMakespan(), a.LastAdmission.Sub(a.FirstAdmission))
		}
	})
}

func TestNewRefusesNonsense(t *testing.T) {
	for name, options := range map[string][]Option{
		"negative limit":          {WithLimits("m", Limits{TPM: -1})},
		"shared name taken":       {WithLimits("m", Limits{TPM: 1}), WithShared("m", Limits{}, "a")},
		"shared name twice":       {WithShared("s", Limits{}, "a"), WithShared("s", Limits{}, "b")},
		"subwindow of two minute": {WithSubwindows(Subwindows{Length: 2 * time.Minute})},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			New(options...)
		})
	}
}

func TestNoUsage(t *testing.T) {
	srv := New(WithAnswer(func(*Call) Answer { return Answer{NoUsage: true} }))
	for _, c := range []struct{ path, body string }{
		{"/v1/chat/completions", `{"model":"m"}`},
		{"/v1/chat/completions", `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`},
		{"/v1/completions", `{"model":"m","prompt":"x","stream":true}`},
		{"/v1/responses", `{"model":"m","input":"x"}`},
		{"/v1/responses", `{"model":"m","input":"x","stream":true}`},
		{"/v1/embeddings", `{"model":"m","input":"x"}`},
		{"/v1/decisions", `{"model":"m","input":"x"}`},
		{"/v1/images/generations", `{"model":"m","prompt":"x"}`},
		{"/v1/images/generations", `{"model":"m","prompt":"x","stream":true}`},
		{"/v1/audio/transcriptions", `{"model":"m","stream":true}`},
		{"/v1/audio/speech", `{"model":"m","input":"x","stream_format":"sse"}`},
	} {
		resp, body := post(t, srv.Direct(), c.path, c.body)
		if resp.StatusCode != 200 || strings.Contains(body, `_tokens"`) {
			t.Errorf("%s %s: %d %s", c.path, c.body, resp.StatusCode, body)
		}
	}
}

// An answer may say what its prompt counted.
func TestPromptTokens(t *testing.T) {
	for want, answer := range map[string]Answer{`"prompt_tokens":12,`: {}, `"prompt_tokens":777,`: {PromptTokens: 777}} {
		srv := New(WithAnswer(func(*Call) Answer { return answer }))
		if _, body := post(t, srv.Direct(), chatPath, chat("m", "Who is Joseph Conrad?", 10)); !strings.Contains(body, want) {
			t.Errorf("want %s in %s", want, body)
		}
	}
}
