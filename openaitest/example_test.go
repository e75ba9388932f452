package openaitest_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A server that allows two requests a minute throttles the third and says when it
// would fit. Tests use the same inside synctest.Test, where waiting takes no
// time.
func Example() {
	srv := openaitest.New(openaitest.WithLimits("gpt-4o", openaitest.Limits{RPM: 2, TPM: 30_000}))
	client := &http.Client{Transport: srv.Direct()} // or srv.Client(), or httptest.NewServer(srv)

	for range 3 {
		resp, err := client.Post("http://api.test/v1/chat/completions", "application/json", strings.NewReader(
			`{"model":"gpt-4o","max_completion_tokens":100,"messages":[{"role":"user","content":"Tell me a joke"}]}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(resp.Status, "remaining requests:", resp.Header.Get("x-ratelimit-remaining-requests"))
	}

	account := srv.Account("gpt-4o")
	fmt.Println("admitted", account.Admitted, "of", account.Seen)
	fmt.Println("tokens charged:", account.Bucket(openaitest.TPM).Charged)
	// Output:
	// 200 OK remaining requests: 1
	// 200 OK remaining requests: 0
	// 429 Too Many Requests remaining requests: 0
	// admitted 2 of 3
	// tokens charged: 210
}

// The next calls can be made to fail, answers be shaped, and every call be
// recorded.
func ExampleServer_Inject() {
	srv := openaitest.New(
		openaitest.WithAnswer(func(c *openaitest.Call) openaitest.Answer {
			return openaitest.Answer{OutputTokens: c.Declared / 2, Text: "Why did the chicken …"}
		}),
		openaitest.WithLog(func(r openaitest.Record) {
			fmt.Println(r.Seq, r.Status, r.Outcome, r.OutputTokens)
		}),
	)
	srv.Inject(1, openaitest.InsufficientQuota())
	srv.Inject(1, openaitest.Answer{Status: http.StatusServiceUnavailable, RetryAfter: 2 * time.Second})

	client := &http.Client{Transport: srv.Direct()}
	for range 3 {
		resp, err := client.Post("http://api.test/v1/responses", "application/json", strings.NewReader(
			`{"model":"gpt-5","max_output_tokens":100,"input":"Tell me a joke"}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
	}
	// Output:
	// 1 429 throttled 0
	// 2 503 failed 0
	// 3 200 completed 50
}
