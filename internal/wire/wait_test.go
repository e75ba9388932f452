package wire

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// now is when the tests' responses come.
var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		seconds, ms string
		want        time.Duration
		ok          bool
	}{
		{"", "", 0, false},
		{"1", "534", 534 * time.Millisecond, true},
		{"1", "0", time.Second, true},
		{"", "0", 0, true},
		{"0", "", 0, true},
		{"1.5", "", 1500 * time.Millisecond, true},
		{"Tue, 24 Nov 2026 12:00:07 GMT", "", 7 * time.Second, true},
		{"Tue, 24 Nov 2026 11:00:07 GMT", "", 0, false},
		{"Tue, 24 Nov 2096 11:00:07 GMT", "", longestWait, true},
		{"Tue, 24 Nov 9999 11:00:07 GMT", "", longestWait, true},
		{"-1", "", 0, false},
		{"-1", "-1", 0, false},
		{"411480", "", 411480 * time.Second, true},
		{"", "411480000", 411480 * time.Second, true},
		{"1e9", "", longestWait, true},
		{"99999999999999999999", "", longestWait, true},
		{"", "1e99", longestWait, true},
		{"1e999", "", longestWait, true},
		{"NaN", "Inf", 0, false},
		{"12, 12", "", 12 * time.Second, true},
		{"12,12", "", 12 * time.Second, true},
		{"12, 30", "", 30 * time.Second, true},
		{"30, 12", "", 30 * time.Second, true},
		{"1, 500", "", 500 * time.Second, true},
		{"1,500", "", 1500 * time.Second, true},
		{"12, soon", "", 12 * time.Second, true},
		{"", "250, 500", 500 * time.Millisecond, true},
		{"12s", "", 12 * time.Second, true},
		{"1m30s", "", 90 * time.Second, true},
		{"2 minutes", "", 2 * time.Minute, true},
		{"2026-11-24T12:00:07Z", "", 7 * time.Second, true},
		{"2026-11-24 12:00:07", "", 7 * time.Second, true},
		{"Tue, 24 Nov 2026 12:00:07 UTC", "", 7 * time.Second, true},
		{"Tue, 24 Nov 2026 12:00:07 -0000", "", 7 * time.Second, true},
		{"Tue, 24 Nov 2026 13:00:07 +0100", "", 7 * time.Second, true},
		{"2", "soon", 2 * time.Second, true},
		{`"12"`, "", 12 * time.Second, true},
		{"PT12S", "", 12 * time.Second, true},
		{"P1DT2H0M3.5S", "", 26*time.Hour + 3500*time.Millisecond, true},
		{"PTO", "", 0, false},
		{"3 requests", "", 0, false},
		{"1 234 s", "", 0, false},
		{"1 034 s", "", 0, false},
		{"1::2", "", 0, false},
		{"2026-13-45 99:00:00", "", 0, false},
		{"later", "", 0, false},
		{"1795521620", "", 20 * time.Second, true},
		{"1795521620500", "", 20500 * time.Millisecond, true},
		{"1795521600", "", 0, true},
		{"1795521590", "", 0, false},
		{"1795521590500", "", 0, false},
		{"1795511590", "", 0, false},
		{"1763985601", "", 0, false},
		{"1763985600", "", longestWait, true}, // no time that may be meant
		{"1795521590", "250", 250 * time.Millisecond, true},
		{"9,816", "", 9816 * time.Second, true},
		{"9,816.5 seconds", "", 9816500 * time.Millisecond, true},
		{"", "1,500", 1500 * time.Millisecond, true},
		{"", "534ms", 534 * time.Millisecond, true},
		{"2", "2026-11-24T12:00:07Z", 2 * time.Second, true},
		{"1.02:03:04", "", 26*time.Hour + 3*time.Minute + 4*time.Second, true},
		{"Tue, 24 Nov 2026 12:00:07", "", 7 * time.Second, true},
		{"24 Nov 2026 12:00:07 GMT", "", 7 * time.Second, true},
		{"Tue, 24-Nov-26 12:00:07 GMT", "", 7 * time.Second, true},
		{"Tue, 24-Nov-2026 12:00:07 GMT", "", 7 * time.Second, true},
		{"2026-11-24T14:00:07+0200", "", 7 * time.Second, true},
		{"", "1795521620000", longestWait, true},
		{"1795521620000000", "", 20 * time.Second, true},
		{"1795521620.5", "", 20500 * time.Millisecond, true},
		{"'12'", "", 12 * time.Second, true},
		{"~12", "", 12 * time.Second, true},
		{"in 12 seconds", "", 12 * time.Second, true},
		{"-12 seconds", "", 0, false},
		{"00:00:12.5000000", "", 12500 * time.Millisecond, true},
		{"1:30pm", "", 0, false},
		{"tue, 24 nov 2026 12:00:07 gmt", "", 7 * time.Second, true},
	} {
		h := http.Header{}
		h.Set("retry-after", c.seconds)
		h.Set("retry-after-ms", c.ms)
		if d, ok := RetryAfter(h, now); d != c.want || ok != c.ok {
			t.Errorf("%q, %q: %v, %v", c.seconds, c.ms, d, ok)
		}
	}
	for _, c := range []struct {
		headers string
		want    time.Duration
	}{
		{"retry-after: 1\nx-ms-retry-after-ms: 250", 250 * time.Millisecond},
		{"llm_provider-retry-after: 1\nllm_provider-retry-after-ms: 250", 250 * time.Millisecond},
		{"x-retry-after: 30", 30 * time.Second},
		{"x-ratelimit-retry-after: 30", 30 * time.Second},
		{"x-ratelimit-timeremaining: 30\nx-ratelimit-type: UserByMinute", 30 * time.Second}, // GitHub's
		{"x-ratelimit-reset-after: 30", 30 * time.Second},
		{"x-ratelimit-reset-after-ms: 250", 250 * time.Millisecond},
		{"x-ratelimit-reset-after: 30\nx-ratelimit-remaining: 0", 30 * time.Second},
		{"retry-after: 30\nx-ratelimit-reset-after: 60", 30 * time.Second},
		{"x-ai-ratelimit-retry-after: 30", 30 * time.Second}, // Kong's
		{"llm_provider-retry-after: 30", 30 * time.Second},
		{"retry-after: 60\nllm_provider-retry-after: 30", 60 * time.Second},
		{"retry-after: \nx-retry-after: 30", 30 * time.Second},
		{"retry-after: soon\nx-retry-after: 30", 30 * time.Second},
		{"retry-after: 30\nllm_provider-retry-after: 60", 30 * time.Second},
		{"retry-after: 30\nretry-after: 60", 60 * time.Second},
		{"retry-after: 60\nretry-after: 30", 60 * time.Second},
		{"x-rate-limit-retry-after-seconds: 30", 30 * time.Second},
		{"retry_after: 30", 30 * time.Second},
		{"x-retry-after-ms: 250\nx-retry-after: 1", 250 * time.Millisecond},
		{"x-one-retry-after: 30\nx-two-retry-after: 60", 60 * time.Second},
		{"x-retry-after: 30\nx-retry-after-max: 60", 30 * time.Second},
		{"x-retry-after: 30\nx-retry-after-count: 60", 30 * time.Second},
		{"x-rate-limit-retry-after-milliseconds: 1800", 1800 * time.Millisecond},
	} {
		if d, ok := RetryAfter(headers(c.headers), now); d != c.want || !ok {
			t.Errorf("%s: %v, %v", c.headers, d, ok)
		}
	}
	if d, ok := RetryAfter(nil, now); d != 0 || ok {
		t.Errorf("nil: %v, %v", d, ok)
	}
}

func TestWaitIn(t *testing.T) {
	const ms = time.Millisecond
	for message, want := range map[string]time.Duration{
		"Rate limit reached. Please try again in 534ms. Visit …":                  534 * ms,
		"Please try again in 9.816s.":                                             9816 * ms,
		"Please try again in 7m12s. Visit":                                        432 * time.Second,
		"Please try again after 51.84 seconds.":                                   51840 * ms,
		"Please try again in 7 minutes and 12 seconds.":                           432 * time.Second,
		"try again in 1 hour, 2 minutes, and 3 seconds":                           time.Hour + 2*time.Minute + 3*time.Second,
		"Try again in 1m 30s":                                                     90 * time.Second,
		"Try again in 2 days 3h":                                                  51 * time.Hour,
		"Please wait 42 seconds":                                                  42 * time.Second,
		"Please wait 42 seconds before retrying.":                                 42 * time.Second,
		"Please wait for at least 1.5 minutes before sending another request":     90 * time.Second,
		"You must wait another 20 sec.":                                           20 * time.Second,
		"Retry in 27s":                                                            27 * time.Second,
		"Retrying in 27s":                                                         27 * time.Second,
		"RETRY IN 27 S":                                                           27 * time.Second,
		"Please retry after 37 seconds. Please go here":                           37 * time.Second,
		"retry after 2 minutes.":                                                  2 * time.Minute,
		"You can retry your request in 3 mins":                                    3 * time.Minute,
		"Please retry in 46.305192s.":                                             46305192 * time.Microsecond,
		"Please try again in 114h18m0s.":                                          114*time.Hour + 18*time.Minute,
		"Please retry after 411480 seconds.":                                      411480 * time.Second,
		"Please retry after 86,400 seconds.":                                      day,
		"Please retry after 99999 hours.":                                         longestWait,
		"Please retry after 99999999999999999999999999999999999 years":            longestWait,
		"Please retry after 99999999999999999999999999999999999999999999 seconds": longestWait,
		"Try again in 1e17 days":                                                  0,
		"retry_after_ms: 250":                                                     250 * ms,
		"(retry-after: 12)":                                                       12 * time.Second,
		"retryAfter=3":                                                            3 * time.Second,
		"Please try again in 20":                                                  20 * time.Second,
		"try again in a minute":                                                   minute,
		"Please try again in about an hour":                                       time.Hour,
		"Please try again in 00:01:30.":                                           90 * time.Second,
		"Please try again at 2026-11-24T12:00:07Z.":                               7 * time.Second,
		"Your limit resets at 2026-11-24T13:00:00+00:00":                          time.Hour,
		"Your limit resets in 3h":                                                 3 * time.Hour,
		"Limit resets at: 2026-11-24 12:00:56 UTC":                                56 * time.Second,                // LiteLLM's proxy
		"Your limit will reset at 2026-11-24 12:34:56":                            34*time.Minute + 56*time.Second, // Z.AI
		"Your limit will reset at 2026-11-24 13:00:00+01:00.":                     0,
		"resets on 2026-11-24T12:00:30.5Z":                                        30500 * ms,
		"Please try again at Tue, 24 Nov 2026 12:00:30 GMT.":                      30 * time.Second,
		"Quota will be replenished in 00:12:34.":                                  12*time.Minute + 34*time.Second, // API Management
		"Please wait 30-second intervals":                                         30 * time.Second,
		"Back-off for 20s":                                                        20 * time.Second,
		"back-off 20, of 30":                                                      0,
		"Please try again in 0s, or retry after 20 seconds":                       20 * time.Second,
		"backoff: 20s":                                                            20 * time.Second,
		"retryAfterMs=250":                                                        250 * ms,
		"retryAfterSeconds: 20":                                                   20 * time.Second,
		"retry_delay {\n  seconds: 46\n}":                                         46 * time.Second, // Google's protobuf, as text
		"Please try again on Monday 5":                                            0,
		"Please try again in 500 milliseconds":                                    500 * ms,
		"Please try again in 1800ms":                                              1800 * ms,
		"Please try again in 12 seconds, your limit of 60 requests per minute is spent": 12 * time.Second,
		"Wait 1 minute. 30 seconds is the least":                                        minute,
		"Please reduce your message size and try again. 3 requests left":                0,
		"Please try again later.":                                                       0,
		"Please try again in a few seconds":                                             0,
		"Please wait. Limit 30000":                                                      0,
		"Retry 3 requests at most":                                                      0,
		"Please wait for 42 second(s)":                                                  42 * time.Second,
		"Please retry after 1 minute(s) and 5 second(s).":                               65 * time.Second,
		"Try again in two minutes.":                                                     2 * time.Minute,
		"Please try again in less than a minute":                                        time.Minute,
		"Please try again after some time (20 seconds)":                                 20 * time.Second,
		"Wait time is 42 seconds":                                                       42 * time.Second,
		"Please wait at least 42 seconds.":                                              42 * time.Second,
		"Retry your requests no earlier than 3 minutes":                                 3 * time.Minute,
		"Retry the operation after 00h12m3s":                                            12*time.Minute + 3*time.Second,
		"Rate limit resets in 1 hour 5 minutes":                                         65 * time.Minute,
		"Try again at 18:03 UTC":                                                        0,
		"Please wait 12,12":                                                             12 * time.Second,
		"Please wait .5s":                                                               0,
		"reset: 1795000000":                                                             0,
		"available 3 of 5":                                                              0,
		"Please try again after 2020-01-01T00:00:00Z":                                   0,
		"Please retry after 20-30 seconds.":                                             20 * time.Second,
		"Please retry in 20 to 30 seconds.":                                             20 * time.Second,
		"Please retry in 1 – 2 minutes":                                                 minute,
		"Try again in 1 or 2 hours":                                                     time.Hour,
		"Please wait between 20 and 30 seconds":                                         20 * time.Second,
		"Please retry after 20-30":                                                      0,
		"Please try again in 1,5 seconds":                                               1500 * ms,
		"Please try again in 1,25 minutes":                                              75 * time.Second,
		"Please try again in 1,255 seconds":                                             1255 * time.Second,
		"Please try again in half a minute":                                             30 * time.Second,
		"Please try again in about half an hour.":                                       30 * time.Minute,
		"Please try again in one and a half minutes":                                    90 * time.Second,
		"Please try again in a couple of minutes.":                                      2 * time.Minute,
		"Please try again in half":                                                      0,
		"Please try again in PT1M12S.":                                                  72 * time.Second,
		"Retry after: P2D":                                                              48 * time.Hour,
		"Please wait a moment (20000ms)":                                                20 * time.Second,
		"Please try again in a few moments.":                                            0,
		"The quota will reset at 11-24 12:00:20 UTC.":                                   20 * time.Second,
		"The quota will reset at 11-23 12:00:20 UTC.":                                   0,
		"Rate limit resets at 1795521620":                                               20 * time.Second,
		"retry_after_ms: 411480000":                                                     411480 * time.Second,
		"Please try again at 1795511590":                                                0,
		"Please retry after 1795511590":                                                 0,
		"Rate limit resets at 1795521620000":                                            20 * time.Second,
		"Rate limit resets at 6 pm":                                                     0,
		"The block will be lifted in 5 minutes":                                         5 * time.Minute,
		"You can make another request in 20s":                                           20 * time.Second,
		"Next request in 20 seconds":                                                    20 * time.Second,
		"Service resumes in 20s":                                                        20 * time.Second,
		"The limit expires in 20s":                                                      20 * time.Second,
		"The block will expire in 20s":                                                  20 * time.Second,
		"Limit expired: 60":                                                             0,
		"Service was resumed: 60":                                                       0,
		"Your trial expires in 12 days":                                                 0,
		"Your API key will expire on 2026-12-06T12:00:00Z":                              0,
		"Please try again in 9,816s":                                                    9816 * time.Second,
		"Please try again in 9,816 seconds.":                                            9816 * time.Second,
		"Please try again in 1,234,567 ms":                                              1234567 * ms,
		"Please try again in 1 234 s":                                                   0,
		"Please try again in 1/2 hour":                                                  0,
		"Quota will be replenished in 1.02:03:04.":                                      26*time.Hour + 3*time.Minute + 4*time.Second, // API Management
		"Please try again in 1 day, 2:03:04":                                            26*time.Hour + 3*time.Minute + 4*time.Second, // Python
		"Please try again in 3 hours & 20 minutes":                                      200 * time.Minute,
		"Please try again in 5~10 minutes":                                              5 * time.Minute,
		"Please try again in eleven minutes":                                            11 * time.Minute,
		"Please try again in twenty-four hours":                                         24 * time.Hour,
		"Please try again in under a minute":                                            minute,
		"Please try again in <1s":                                                       time.Second,
		"Please wait [10s]":                                                             10 * time.Second,
		"Try again in “30s”":                                                            30 * time.Second,
		"Retry-After header: 37":                                                        37 * time.Second,
		"cooling down for 30s":                                                          30 * time.Second,
		"You are temporarily blocked for 10 minutes":                                    10 * time.Minute,
		"Banned until 2026-11-24T12:10:00Z":                                             10 * time.Minute,
		"Throttled to 60":                                                               0,
		`retry_delay {\n  seconds: 46\n}`:                                               46 * time.Second, // Google's, quoted
		`b'{\n \"retryDelay\": \"37s\"}'`:                                               37 * time.Second,
		"请在 30 秒后重试":                                                                    30 * time.Second,
		"请求过于频繁,请1分30秒后重试":                                                              90 * time.Second,
		"请等待 30 秒钟后再试":                                                                  30 * time.Second,
		"请于2个小时后重试":                                                                     2 * time.Hour,
		"请于 3 小时后重试":                                                                    3 * time.Hour,
		"请在500毫秒后重试":                                                                    500 * ms,
		"请 2 天后再试":                                                                      48 * time.Hour,
		"您的限额将在 2026-11-24 12:30:00 重置。":                                                30 * time.Minute,
		"限额将于5分钟后重置":                                                                    5 * time.Minute,
		"请稍后重试":                                                                         0,
		"请等待 2 个请求完成":                                                                   0,
		"Request timed out after waiting 60s":                                           0,
		"Timed out waiting 60s for a slot":                                              0,
		"Your request has been waiting for 30s, and was dropped":                        0,
		"Gave up after retrying for 30s":                                                0,
		"Exceeded the maximum wait of 60 seconds":                                       0,
		"The max wait is 60 seconds":                                                    0,
		"Timed out after waiting 60s, please retry in 20s":                              20 * time.Second,
		"Please retry after waiting 20 seconds":                                         20 * time.Second,
		"We recommend waiting 20 seconds":                                               20 * time.Second,
		"We suggest waiting 20 seconds":                                                 20 * time.Second,
		"Consider waiting 20 seconds":                                                   20 * time.Second,
		"This may be retried. It has been waiting 20 seconds":                           0,
		"It may be tried again, and had been waiting 20 seconds":                        0,
		"The free plan is available for 30 days":                                        0,
		"Tokens will be available in 20 seconds":                                        20 * time.Second,
		"Quota refreshes in 20s":                                                        20 * time.Second,
		"Retry after date: Tue, 24 Nov 2026 12:00:20 GMT":                               20 * time.Second,
		"20 seconds until the next request":                                             20 * time.Second,
		"Please allow 1 minute, 5 seconds before retrying":                              65 * time.Second,
		"In 20 seconds you can go on":                                                   20 * time.Second,
		"60 requests, 20 seconds from now":                                              20 * time.Second,
		"60 tokens until you stop":                                                      0,
		"0 seconds before retrying, or 20s before retrying":                             20 * time.Second,
		"60 requests per 60 seconds":                                                    0,
		"30秒後に再試行してください":                                                                30 * time.Second,
		"制限に達しました。1 分 30 秒後にもう一度お試しください。": 90 * time.Second,
		"2時間後に再度お試しください":                  2 * time.Hour,
		"30秒ほどお待ちください":                    30 * time.Second,
		"リクエストは60秒後にタイムアウトしました":           0,
		"60秒後にタイムアウトしました。再試行してください":       0,
		"30초 후에 다시 시도하세요":                 30 * time.Second,
		"약 1분 30초 후 다시 시도해 주세요.":          90 * time.Second,
		"2시간 뒤에 재시도하십시오":                  2 * time.Hour,
		"30초 동안 기다려 주세요":                  30 * time.Second,
		"1일 후에 다시 시도하세요":                  24 * time.Hour,
		"요청이 60초 후 시간 초과되었습니다":            0,
		"30 秒后重试": 30 * time.Second,
		"1分钟内请求次数过多，30s后再试":                                              30 * time.Second,
		"请求在60秒后超时":                                                      0,
		"等待 60 秒后超时":                                                     0,
		"請在 1 分鐘後重試":                                                     time.Minute,
		"請等待 2 個小時":                                                      2 * time.Hour,
		"請於 3 小時後再試":                                                     3 * time.Hour,
		"请稍后重试（30秒）":                                                     30 * time.Second,
		"剩余等待时间：约 30 秒":                                                  30 * time.Second,
		"It will reset at 2026-11-24 20:30:00 +0800 CST. Request id: 02": 30 * time.Minute, // Volcengine
		"It will reset at 2026-11-24 07:00:00 -05:30":                    30 * time.Minute,
		"It will reset at 2026-11-24 20:30:00 (UTC+8)":                   30 * time.Minute,
		"It will reset at 2026-11-24 12:30:00 GMT":                       30 * time.Minute,
		"It will reset at 2026-11-24 12:30 UTC":                          30 * time.Minute,
		"It will reset at 2026-11-24T12:30Z":                             30 * time.Minute,
		"It will reset at 2026/11/24 12:30:00":                           30 * time.Minute,
		"Wait":                                                           0,
		"Please try again in -3s":                                        3 * time.Second,
		"Please wait 20 -3 calls are left":                               20 * time.Second,
		"":                                                               0,
		"Please retry and then try again 20 seconds later":               20 * time.Second,
		"retryAfterNanoseconds=250":                                      250,
		"Please wait 1.2.3 seconds":                                      0,
		"Please wait 20 seconds 30 seconds":                              20 * time.Second,
		"Please wait 20 seconds 3 requests":                              20 * time.Second,
		"Please wait 20-30 ns":                                           20,
		"Please wait ,123 seconds":                                       0,
		"Please wait 1,5 3":                                              time.Second,
		"Please try again in 00:09:59.":                                  9*time.Minute + 59*time.Second,
		"Please try again in 00:01:30 or later":                          90 * time.Second,
		"It will reset at 2026-11-24 20:30:00 +800":                      30 * time.Minute,
		"It will reset at 2026-11-24 20:30:00 +08":                       30 * time.Minute,

		"You've hit your limit · resets 1:30pm (Europe/Rome)":        0,
		"You've hit your limit · resets 11:50 a.m.":                  0,
		"Retry after 12:30 UTC":                                      0,
		"Quota reset time: 10:30 PST":                                0,
		"请在24小时内完成支付":                                                0,
		"請於30秒鐘以內付款":                                                 0,
		"请于 3 天之内续费":                                                 0,
		"间隔30秒钟内请求过多":                                                0,
		"Retry after 00:12:30. At 13:00 UTC all is well":             12*time.Minute + 30*time.Second,
		"Retry after 0:00:30.5":                                      30500 * ms,
		"Please try again later (429)":                               0,
		"Please try again 20 seconds later (429)":                    20 * time.Second,
		"Please wait for 5 other requests":                           0,
		"Please wait [429 Too Many Requests]":                        0,
		"Please wait 20 before you retry":                            20 * time.Second,
		"Rate limit resets at 1795521620 UTC":                        20 * time.Second,
		"retry_delay { seconds: 15 nanos: 500 }":                     15 * time.Second,
		"retry attempt 2":                                            0,
		"The model was throttled 20 seconds ago":                     0,
		"已等待60秒":                                                     0,
		"Please wait 2 more minutes":                                 2 * time.Minute,
		"Request dropped after exceeding maxWaitMs (15000ms) for m":  0,
		"Your request waited 60s for a slot":                         0,
		"Please try again shortly (in 30 seconds)":                   30 * time.Second,
		"Please try again in approx. 30s":                            30 * time.Second,
		"Please try again in\u00a030\u202fms":                        30 * ms,
		"Retry-After (seconds): 30":                                  30 * time.Second,
		"Retry after (ms): 1500":                                     1500 * ms,
		"Access will be restored in 5 minutes":                       5 * time.Minute,
		"Next allowed request: in 20s":                               20 * time.Second,
		"All credentials for model m are cooling down (216s)":        216 * time.Second,
		"Your quota will be refreshed in 30 minutes":                 30 * time.Minute,
		"You are rate limited until 2026-11-24T12:00:30Z":            30 * time.Second,
		"Rate limit: limited to 30 seconds of audio":                 0,
		"请在一分钟后重试":                                                   time.Minute,
		"请两分钟后再试":                                                    2 * time.Minute,
		"請在半小時後再試":                                                   30 * time.Minute,
		"请半小时后再试":                                                    30 * time.Minute,
		"请在二〇秒后重试":                                                   20 * time.Second,
		"请在一二〇〇秒后重试":                                                 1200 * time.Second,
		"retry_after: 20s elapsed: 3s":                               20 * time.Second,
		"retry_after=20s elapsed_ms=3":                               20 * time.Second,
		"retry in 20s agora":                                         20 * time.Second,
		"retry in 20s, elapsed":                                      20 * time.Second,
		"请两三秒后重试":                                                    3 * time.Second,
		"请三五分钟后再试":                                                   5 * time.Minute,
		"请三十五六秒后再试":                                                  36 * time.Second,
		"请在一点五秒后重试":                                                  1500 * time.Millisecond,
		"请在零点五秒后重试":                                                  500 * time.Millisecond,
		"请在三点二十分后重试":                                                 20 * time.Minute,
		"1千秒后重试":                                                     0,
		"请在5百毫秒后重试":                                                  0,
		"请在万秒后重试":                                                    10_000 * time.Second,
		"请在两万秒后重试":                                                   20_000 * time.Second,
		"delayed twenty seconds already":                             0,
		"The model was throttled twenty seconds ago":                 0,
		"throttled a minute ago":                                     0,
		"Please wait twenty seconds":                                 20 * time.Second,
		"You are already blocked for 30 seconds":                     30 * time.Second,
		"Your key is already banned for another 30s":                 30 * time.Second,
		"Calls are already throttled for another 30s":                30 * time.Second,
		"already suspended for 300 seconds":                          300 * time.Second,
		"Please wait 20 seconds, already 3 calls are queued":         20 * time.Second,
		"retry_after=20s, elapsed=3s":                                20 * time.Second,
		"retry_after=20s elapsed=3s":                                 20 * time.Second,
		"retry in 20s, ago":                                          20 * time.Second,
		"Request blocked by the 5-hour limit":                        0,
		"throttled by the 1 minute limit":                            0,
		"Your request is delayed by 20s":                             20 * time.Second,
		"请在十秒后重试":                                                    10 * time.Second,
		"请在十一秒后重试":                                                   11 * time.Second,
		"十一秒后重试":                                                     11 * time.Second,
		"请在二十秒后重试":                                                   20 * time.Second,
		"请在二十五秒后重试":                                                  25 * time.Second,
		"请在一百秒后重试":                                                   100 * time.Second,
		"请在一百零五秒后重试":                                                 105 * time.Second,
		"请在一百二十秒后重试":                                                 120 * time.Second,
		"请在一二〇秒后重试":                                                  120 * time.Second,
		"请在两百秒后重试":                                                   200 * time.Second,
		"请在三千六百秒后重试":                                                 3600 * time.Second,
		"请在一万秒后重试":                                                   10_000 * time.Second,
		"請在兩萬零五秒後重試":                                                 20_005 * time.Second,
		"请在十分钟后重试":                                                   10 * minute,
		"请在十分后重试":                                                    10 * minute,
		"请在十分之后重试":                                                   10 * minute,
		"请在十分三十秒后重试":                                                 10*minute + 30*time.Second,
		"请在三 分钟后重试":                                                  3 * minute,
		"请在一分三十秒后重试":                                                 90 * time.Second,
		"请在一个小时后重试":                                                  time.Hour,
		"请在一个半小时后重试":                                                 90 * minute,
		"請在兩個半小時後重試":                                                 150 * minute,
		"请在一小时半后重试":                                                  90 * minute,
		"请在半个小时后重试":                                                  30 * minute,
		"请在半分钟后重试":                                                   30 * time.Second,
		"请在一分半钟后重试":                                                  90 * time.Second,
		"请在半天后重试":                                                    12 * time.Hour,
		"请在一刻钟后重试":                                                   15 * minute,
		"请于 1 周后重试":                                                  7 * day,
		"您的限额将于一个月后重置":                                               30 * day,
		"三十秒後に再試行してください":                                             30 * time.Second,
		"十一分後にもう一度お試しください":                                           11 * minute,
		"1時間半後に再試行してください":                                            90 * minute,
		"３０秒後に再試行してください":                                             30 * time.Second,
		"请在３０秒后重试":                                                   30 * time.Second,
		"1시간 반 후에 다시 시도하세요":                                          90 * minute,
		"2주 후에 다시 시도하세요":                                             14 * day,
		"请在三十万秒后重试":                                                  300_000 * time.Second,
		"请在十分30秒后重试":                                                 10*minute + 30*time.Second,
		"请在十分十秒后重试":                                                  10*minute + 10*time.Second,
		"请等待三分之一的请求完成":                                               0,
		"请十分注意频率":                                                    0,
		"请万分注意频率":                                                    0,
		"請萬分注意頻率":                                                    0,
		"请百分百确认":                                                     0,
		"Please wait one hundred hundred seconds":                    0,
		"Please wait hundred twenty seconds":                         0,
		"Please wait twenty half hours":                              0,
		"十分抱歉，请稍后重试":                                                 0,
		"万分抱歉，请稍后重试":                                                 0,
		"已使用百分之九十，请稍后重试":                                             0,
		"请稍等，已使用十分之一":                                                0,
		"请一定不要重试":                                                    0,
		"请一次只发送十个请求":                                                 0,
		"十分抱歉，请在十一秒后重试":                                              11 * time.Second,
		"您已用完一百次请求，请在二十秒后重试":                                         20 * time.Second,
		"已经等待六十秒":                                                    0,
		"已經等待 60 秒":                                                  0,
		"已冷却30秒":                                                     0,
		"它已等待60秒，请在十秒后重试":                                            10 * time.Second,
		"delayed 20 seconds already":                                 0,
		"Your request was throttled, and delayed 20 seconds already": 0,
		"You have been throttled for 20 seconds so far":              0,
		"Retried for 20 seconds already":                             0,
		"Throttled: 20 seconds have passed":                          0,
		"The request was already delayed 20 seconds":                 0,
		"It has already been throttled for 20 seconds":               0,
		"Your request was delayed by 20 seconds":                     0,
		"Your requests were delayed by 20 seconds":                   0,
		"Your request has been delayed by 20 seconds":                0,
		"Your request will be delayed by 20 seconds":                 20 * time.Second,
		"Delay: 20 seconds":                                          20 * time.Second,
		"delayed 20 seconds already, try again in 5s":                5 * time.Second,
		"You have been blocked for 20 seconds":                       20 * time.Second,
		"You are already rate limited, retry in 20s":                 20 * time.Second,
		"Already throttled. Wait 20s":                                20 * time.Second,
		"Please wait twenty five seconds":                            25 * time.Second,
		"Please wait one hundred and twenty seconds":                 120 * time.Second,
		"Please wait a hundred seconds":                              100 * time.Second,
		"Please wait two hundred five seconds":                       205 * time.Second,
		"Please wait one hundred seconds and more":                   100 * time.Second,
		"Please try again in a half hour":                            30 * minute,
		"Please wait twenty twenty seconds":                          0,
		"Please wait ten five seconds":                               0,
		"Please wait ninety-nine hundred years":                      longestWait,
		"Please wait hundred seconds":                                0,
		"Please wait one minute and thirty seconds":                  90 * time.Second,
		"Please wait an hour, five minutes and 3 seconds":            time.Hour + 5*minute + 3*time.Second,
		"Please wait 1 hour and thirty minutes":                      90 * minute,
		"Please wait a minute and a half":                            90 * time.Second,
		"Please wait a minute and a halfway one":                     minute,
		"Please wait five minutes, two hours are the least":          5 * minute,
		"Please wait two minutes, three minutes are too many":        2 * minute,
		"Throttled a minute and ten seconds ago":                     0,
		"Please wait a couple minutes":                               2 * minute,
		"Please wait 5 min. 30 sec. before you retry":                5*minute + 30*time.Second,
		"Please wait 2 hrs. 5 mins. 30 secs. in all":                 2*time.Hour + 5*minute + 30*time.Second,
		"Please wait 1 hr. 5 mins.":                                  65 * minute,
		"Please wait 5 min. 3 calls are left":                        5 * minute,
		"Limit is 10 requests per 60 sec. You can request more at":   0,
		"Retry in 30 secs. So far you have used 60":                  30 * time.Second,
		"Wait 5 min. Already queued requests are not affected":       5 * minute,
		"Too many requests. Try after 27 seconds.":                   27 * time.Second,
		"Try in 27 seconds":                                          27 * time.Second,
		"Please slow down and try in 27 seconds":                     27 * time.Second,
		"An entry in 30 days":                                        0,
		"Please try again, after 20 seconds":                         20 * time.Second,
		"Please try again, in about 20 seconds":                      20 * time.Second,
		"Please try again, 20 seconds have been used":                0,
		"Rate limit exceeded, 27 seconds remaining":                  27 * time.Second,
		"Rate limit exceeded: 27s left.":                             27 * time.Second,
		"27s left.":                                                  27 * time.Second,
		"Too many requests (1 minute 5 seconds left)":                65 * time.Second,
		"limit: 60 requests remaining 27 seconds":                    0,
		"Limit: 10 per 60 seconds remaining: 3":                      0,
		"Limit per key, 60 seconds left":                             0,
		"Limit of 10 requests per 60 seconds, remaining 0":           0,
		"Limits, 60 seconds remaining 3":                             0,
		"You have 3 days left.":                                      0,
		"Your trial: 3 days left":                                    0,
		"Free plan, 12 days remaining":                               0,
		"Audio: 30 seconds remaining":                                0,
		"Rate limit exceeded, 27 seconds used":                       0,
		"Please hold off for 27 seconds":                             27 * time.Second,
		"A threshold on 60s windows":                                 0,
		"Please allow 27 seconds between requests":                   0,
		"Your limit resets on 2026-11-26.":                           36 * time.Hour,
		"Your limit resets on 2026/11/26":                            36 * time.Hour,
		"Your limit resets on 2026-11-26 at midnight":                36 * time.Hour,
		"Your limit resets on 2026-11-26 (the next day)":             36 * time.Hour,
		"Your limit resets on 2026-11-24, as ever":                   0,
		"Please retry after 12-20":                                   0,
		"Please retry after 12-20.":                                  0,
		"Please try again in 1y":                                     365 * day,
		"Please try again in 1m:30s":                                 90 * time.Second,
		"Please try again in 1h:5m:30s":                              65*minute + 30*time.Second,
		"Please try again in 1m: 30 seconds are too few":             minute,
		"Please try again in 20s:already 3 calls are queued":         20 * time.Second,
		"Please try again in 1m: 30 calls are left":                  minute,
		"Please try again in 1m:30 calls are left":                   minute,
		"Remaining time: 30s":                                        30 * time.Second,
	} {
		if d, ok := waitIn(message, now); d != want || ok != (want > 0) {
			t.Errorf("%q: %v, %v, want %v", message, d, ok, want)
		}
	}
}

// Each word does what its table is for.
func TestWordsOfWaits(t *testing.T) {
	expect := func(message string, want time.Duration) {
		t.Helper()
		if d, _ := waitIn(message, now); d != want {
			t.Errorf("%q: %v, want %v", message, d, want)
		}
	}
	for word := range fillers {
		wait := " 20 seconds"
		if word == "at" || word == "on" || word == "until" {
			wait = " 2026-11-24T12:00:20Z"
		}
		expect("Please wait "+word+wait, 20*time.Second)
	}
	for zone := range strings.FieldsSeq("a am p pm z utc gmt pt pst pdt et est edt cet cest jst kst cst ist") {
		expect("Retry after 12:30 "+zone, 0)
	}
	for word := range counted {
		expect("Please wait 20 "+word, 0)
	}
	for i, words := range []string{"", "a an one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"} {
		for word := range strings.FieldsSeq(words) {
			expect("Please wait "+word+" minutes", time.Duration(i)*minute)
		}
	}
	for word, n := range map[string]time.Duration{"thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
		"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90} {
		expect("Please wait "+word+" seconds", n*time.Second)
	}
	for unit, words := range map[time.Duration]string{
		time.Nanosecond: "ns nanosecond nanoseconds", time.Microsecond: "us µs μs microsecond microseconds",
		time.Millisecond: "ms msec msecs millis millisecond milliseconds", time.Second: "s sec secs second seconds",
		minute: "m min mins minute minutes", time.Hour: "h hr hrs hour hours", day: "d day days",
		7 * day: "w week weeks", 30 * day: "month months", 365 * day: "y yr yrs year years",
	} {
		for word := range strings.FieldsSeq(words) {
			expect("Please wait 3 "+word, min(3*unit, longestWait))
		}
	}
	for c, n := range hanDigits {
		expect("二十"+string(c)+"秒后再", time.Duration(20+n)*time.Second)
	}
	for c, n := range hanPowers {
		expect("三"+string(c)+"秒后再", time.Duration(3*n)*time.Second)
	}
	for _, u := range hanUnits {
		expect("3"+u.name+"后再", 3*u.unit)
		expect("三"+u.name+"后再", 3*u.unit)
	}
	for _, over := range overEnds {
		expect("Please wait 20s "+over, 0)
	}
	for i, w := range waitWords {
		expect(w.word+" in 20s", 20*time.Second)
		bare := time.Duration(0)
		if i < 3 { // again, retry, wait
			bare = 20 * time.Second
		}
		expect(w.word+" in 20", bare)
	}
	for _, end := range waitEnds {
		expect("20s "+end, 20*time.Second)
	}
	for _, after := range hanAfter {
		expect("20秒"+after+"再", 20*time.Second)
		expect("20秒"+after, 0)
	}
	for _, again := range hanAgain {
		expect("20秒后"+again, 20*time.Second)
	}
}

func FuzzWaitIn(f *testing.F) {
	f.Add("try again in 7 minutes and 12 seconds")
	f.Add("wait 1:2:3:4:5:6:7:8:9:9:9:9:9:9:9:99")
	f.Add("retry after 2026-11-24T12:00:07Z")
	f.Fuzz(func(t *testing.T, message string) {
		if d, _ := waitIn("wait "+message, time.Unix(1.8e9, 0)); d < 0 || d > longestWait {
			t.Errorf("%v", d)
		}
	})
}
