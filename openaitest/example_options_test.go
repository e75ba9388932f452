package openaitest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// call makes a call that declares 100 tokens of output, and returns its response.
func call(client *http.Client) *http.Response {
	resp, err := client.Post("http://api.test/v1/chat/completions", "application/json", strings.NewReader(
		`{"model":"gpt-4o","max_completion_tokens":100,"messages":[{"role":"user","content":"Tell me a joke"}]}`))
	if err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp
}

// The headers and 429s of another host.
func ExampleWithDialect() {
	srv := openaitest.New(openaitest.WithDialect(openaitest.Mistral),
		openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 60, TPM: 30_000}))
	resp := call(&http.Client{Transport: srv.Direct()})
	fmt.Println(resp.Header.Get("x-ratelimit-limit-req-minute"), resp.Header.Get("x-ratelimit-remaining-req-minute"))
	// Output: 60 59
}

// A limit of 60 requests a minute that is enforced as one a second.
func ExampleWithSubwindows() {
	srv := openaitest.New(openaitest.WithSubwindows(openaitest.Subwindows{On: []openaitest.Limit{openaitest.RPM}}),
		openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 60}))
	client := &http.Client{Transport: srv.Direct()}
	fmt.Println(call(client).StatusCode, call(client).StatusCode)
	// Output: 200 429
}

// What OpenAI does not document is a switch. Here a prompt counts for 50 tokens, and what a call
// declared and did not use comes back when it ends.
func ExampleWithRefunds() {
	srv := openaitest.New(
		openaitest.WithRefunds(true),
		openaitest.WithFailureRefunds(true),                   // the tokens of a call that fails
		openaitest.WithUndeclared(openaitest.Flat16ThenDebit), // of a call that declares no output
		openaitest.WithPromptEstimate(func(*openaitest.Call) int64 { return 50 }),
		openaitest.WithAnswer(func(*openaitest.Call) openaitest.Answer { return openaitest.Answer{OutputTokens: 20} }),
		openaitest.WithLimits("gpt-4o", openaitest.Limits{TPM: 30_000}))
	call(&http.Client{Transport: srv.Direct()})
	tokens := srv.Account("gpt-4o").Bucket(openaitest.TPM)
	fmt.Println("charged", tokens.Charged, "refunded", tokens.Refunded, "net", tokens.Net())
	// Output: charged 150 refunded 80 net 70
}

// A server that counts what it throttles: a client that hammers shuts itself out.
func ExampleWithThrottlesCounted() {
	srv := openaitest.New(openaitest.WithThrottlesCounted(true),
		openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 2}))
	client := &http.Client{Transport: srv.Direct()}
	for range 5 {
		call(client)
	}
	requests := srv.Account("gpt-4o").Bucket(openaitest.RPM)
	fmt.Printf("%.0f of %d are used\n", requests.Used, requests.Capacity)
	// Output: 5 of 2 are used
}

// Somebody else spends from the same account.
func ExampleServer_Spend() {
	srv := openaitest.New(openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 500, TPM: 30_000}))
	fmt.Println(srv.Spend("gpt-4o", openaitest.Cost{Requests: 400, Tokens: 10_000}))
	fmt.Println(call(&http.Client{Transport: srv.Direct()}).Header.Get("x-ratelimit-remaining-requests"))
	// Output:
	// true
	// 99
}

// Limits fall while the server runs, those of a model and those of the account.
func ExampleServer_SetLimits() {
	srv := openaitest.New(openaitest.WithRatioKept(true),
		openaitest.WithAccountLimits(openaitest.Limits{RPM: 1_000}),
		openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 500}))
	client := &http.Client{Transport: srv.Direct()}
	call(client)
	srv.SetLimits("gpt-4o", openaitest.Limits{RPM: 50})
	srv.SetAccountLimits(openaitest.Limits{RPM: 100})
	fmt.Println(call(client).Header.Get("x-ratelimit-limit-requests"))
	// Output: 50
}

// An alias and its dated model share limits, and the project has one of its own on tokens.
func ExampleWithShared() {
	srv := openaitest.New(
		openaitest.WithShared("the gpt-4o family", openaitest.Limits{RPM: 1, TPM: 30_000}, "gpt-4o", "gpt-4o-2024-08-06"),
		openaitest.WithProjectLimits("gpt-4o", openaitest.Limits{TPM: 10_000}))
	client := &http.Client{Transport: srv.Direct()}
	fmt.Println(call(client).Header.Get("x-ratelimit-limit-project-tokens"))
	fmt.Println(srv.Spend("gpt-4o-2024-08-06", openaitest.Cost{Requests: 1}))
	// Output:
	// 10000
	// false
}

// Headers that are wrong, or of other limits, or in Azure's form: what a client must survive.
func ExampleWithHeader() {
	for _, options := range [][]openaitest.Option{
		{openaitest.WithHeader(func(_ *openaitest.Call, _ int, h http.Header) { h.Set("x-ratelimit-limit-requests", "many") })},
		{openaitest.WithHeaderLimits(openaitest.RPD)},
		{openaitest.WithAzure(true), openaitest.WithExtraHeaders(true)},
		{openaitest.WithHeaders(false)},
	} {
		srv := openaitest.New(append(options, openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 60, RPD: 10_000}))...)
		h := call(&http.Client{Transport: srv.Direct()}).Header
		fmt.Printf("%q\n", []string{h.Get("x-ratelimit-limit-requests"), h.Get("x-ratelimit-reset-requests")})
	}
	// Output:
	// ["many" "1s"]
	// ["10000" "8.64s"]
	// ["60" "1"]
	// ["" ""]
}

// Times of a server: each call is admitted a millisecond after it came, and answered after two.
// In a testing/synctest bubble they are exact, and nobody waits for them.
func ExampleWithTiming() {
	srv := openaitest.New(
		openaitest.WithTiming(func(*openaitest.Call) openaitest.Timing {
			return openaitest.Timing{Admission: time.Millisecond, Total: 2 * time.Millisecond}
		}), // or WithLatency, where a call is admitted as it comes
		openaitest.WithLog(func(r openaitest.Record) {
			fmt.Println(r.Admitted.Sub(r.Arrived) >= time.Millisecond, r.Ended.Sub(r.Arrived) >= 2*time.Millisecond)
		}))
	call(&http.Client{Transport: srv.Direct()})
	// Output: true true
}

// Real connections of net/http, without a port: also within a testing/synctest bubble.
func ExampleServer_Client() {
	srv := openaitest.New(openaitest.WithLatency(0, time.Millisecond))
	defer srv.Close()
	fmt.Println(call(srv.Client()).Proto)
	transport := srv.Transport() // the same, for a client of your own
	transport.DisableCompression = true
	fmt.Println(call(&http.Client{Transport: transport}).Proto)
	// Output:
	// HTTP/1.1
	// HTTP/1.1
}

// Traffic that grew too fast is throttled within all limits.
func ExampleSlowDown() {
	srv := openaitest.New()
	srv.Inject(1, openaitest.SlowDown(15*time.Second))
	resp := call(&http.Client{Transport: srv.Direct()})
	fmt.Println(resp.StatusCode, resp.Header.Get("Retry-After"))
	// Output: 429 15
}

// What has become of a model's calls, and what is left of its limits.
func ExampleServer_Account() {
	srv := openaitest.New(openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 2, TPM: 600}))
	srv.Inject(1, openaitest.Answer{Status: http.StatusInternalServerError,
		Error: openaitest.Error{Type: "server_error", Message: "The server had an error"}})
	client := &http.Client{Transport: srv.Direct()}
	call(client)
	call(client)
	a := srv.Account("gpt-4o")
	calls := a.Calls
	fmt.Println("completed", calls.Completed, "failed", calls.Failed, "in flight", calls.InFlight())
	tokens := a.Bucket(openaitest.TPM)
	fmt.Printf("%s: %.0f a second over %v, %.0f of %d are used\n", tokens.Limit, tokens.Rate(), tokens.Limit.Period(), tokens.Used, tokens.Capacity)
	fmt.Println("at best this took", a.IdealMakespan()) // as much as full buckets held
	// Output:
	// completed 1 failed 1 in flight 0
	// TPM: 10 a second over 1m0s, 210 of 600 are used
	// at best this took 0s
}
