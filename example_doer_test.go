package ratelimiter_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A Doer is for client libraries that take anything with a Do method. A rejection stays a
// *ratelimiter.Error there.
func ExampleLimiter_Doer() {
	limiter, err := ratelimiter.New(
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{TPM: 1_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	doer := limiter.Doer(nil)
	var _ interface { // what such a library asks for
		Do(*http.Request) (*http.Response, error)
	} = doer

	req, err := http.NewRequest(http.MethodPost, "https://api.openai.com/v1/chat/completions",
		strings.NewReader(`{"model": "gpt-5.4-mini", "max_completion_tokens": 2000, "messages": [{"role": "user", "content": "Hi"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = doer.Do(req)
	rejection, ok := err.(*ratelimiter.Error)
	fmt.Println(ok && errors.Is(err, ratelimiter.ErrTooLarge), rejection.Code())
	// Output: true too_large
}
