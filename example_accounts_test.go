package ratelimiter_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Two keys of one account share its budget once the account has a name. Otherwise each key
// would have a budget of its own.
func ExampleWithAccount() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPD: 1_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := limiter.Client(openaitest.New().Direct())
	for _, key := range []string{"sk-one", "sk-two"} {
		if err := ask(client, key); err != nil {
			fmt.Println(err)
			return
		}
	}
	state, err := limiter.State(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(state.Account, state.Scopes[0].Limits[0].Remaining)
	// Output: team 998
}

// ask makes a call with a key.
func ask(client *http.Client, key string) error {
	req, err := http.NewRequest(http.MethodPost, "https://api.openai.com/v1/responses",
		strings.NewReader(`{"model": "gpt-5.4-mini", "max_output_tokens": 100, "input": "Hello"}`))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Without WithAccount, accounts are found in the requests. Their names are what State, Delay and
// Clear take, by ContextWithAccount.
func ExampleLimiter_Accounts() {
	limiter, err := ratelimiter.New(ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPD: 1_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := limiter.Client(openaitest.New().Direct())
	for _, key := range []string{"sk-one", "sk-two"} {
		if err := ask(client, key); err != nil {
			fmt.Println(err)
			return
		}
	}
	for _, account := range limiter.Accounts() {
		state, err := limiter.State(ratelimiter.ContextWithAccount(context.Background(), account))
		fmt.Println(len(state.Scopes), "model,", state.Scopes[0].Limits[0].Remaining, "requests remain,", err)
	}
	// Output:
	// 1 model, 999 requests remain, <nil>
	// 1 model, 999 requests remain, <nil>
}

// An account without a name is called by its host and a digest of its key, also in Redis. A
// secret of the program's own keeps others from testing guessed keys against that.
func ExampleWithDigestKey() {
	limiter, err := ratelimiter.New(ratelimiter.WithDigestKey([]byte("from where secrets are kept")))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := ask(limiter.Client(openaitest.New().Direct()), "sk-one"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(limiter.Accounts())
	// Output: [api.openai.com/3ce7e16eed54c11ccc9df4ca47454e41]
}
