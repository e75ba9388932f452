package statuspage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/statuspage"
)

// The page is an option of the limiter that it shows, and a handler for any path.
func Example() {
	page := statuspage.New()
	limiter, err := ratelimiter.New(page,
		ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 500, TPM: 30_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux() // of a server for operators, such as the one of net/http/pprof
	mux.Handle("/debug/ratelimiter", page)
	server := httptest.NewServer(mux)
	defer server.Close()

	r, err := limiter.Acquire(context.Background(), ratelimiter.Cost{Model: "gpt-5.4-mini", Tokens: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Cancel()

	resp, err := http.Get(server.URL + "/debug/ratelimiter?format=json") // without ?format=json: the page
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	var status struct {
		Accounts []ratelimiter.State `json:"accounts"`
	}
	err = json.NewDecoder(resp.Body).Decode(&status)
	fmt.Println(status.Accounts[0].Scopes[0].InFlight, "in flight", err)
	// Output: 1 in flight <nil>
}

// With a button that fills a model's buckets. Whoever can open the page can press it.
func ExampleWithClear() {
	page := statuspage.New(statuspage.WithClear())
	limiter, err := ratelimiter.New(page,
		ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPD: 1_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(page) // behind what keeps strangers out
	defer server.Close()

	ctx := context.Background()
	r, err := limiter.Acquire(ctx, ratelimiter.Cost{Model: "gpt-5.4-mini"})
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Settle(ratelimiter.Usage{})
	// What the button sends.
	resp, err := http.PostForm(server.URL, url.Values{"account": {"team"}, "model": {"gpt-5.4-mini"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	state, err := limiter.State(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Status, state.Scopes[0].Limits[0].Remaining, "requests remain")
	// Output: 204 No Content 1000 requests remain
}
