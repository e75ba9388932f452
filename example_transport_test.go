package ratelimiter_test

import (
	"bytes"
	"compress/lzw"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A client that the program already has keeps its settings. Only its transport changes.
func ExampleLimiter_Transport() {
	limiter, err := ratelimiter.New(
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 500, TPM: 200_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{ // what the program has; openaitest stands in for the API
		Transport:     openaitest.New().Direct(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	client.Transport = limiter.Transport(client.Transport)

	resp, err := client.Post("https://api.openai.com/v1/responses", "application/json",
		strings.NewReader(`{"model": "gpt-5.4-mini", "max_output_tokens": 100, "input": "Hello"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	fmt.Println(resp.StatusCode)
	// Output: 200
}

// A rejection is found in whatever error a client or an SDK returns around it. Its figures say
// what stands in the way.
func ExampleError() {
	limiter, err := ratelimiter.New(ratelimiter.WithMaxWait(0),
		ratelimiter.WithLimits("gpt-5.4-mini", ratelimiter.Limits{RPM: 1, TPM: 1_000}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := limiter.Client(openaitest.New().Direct())
	for _, maximum := range []int{2_000, 100, 100} {
		resp, err := client.Post("https://api.openai.com/v1/responses", "application/json", strings.NewReader(
			fmt.Sprintf(`{"model": "gpt-5.4-mini", "max_output_tokens": %d, "input": "Hello"}`, maximum)))
		if err == nil {
			resp.Body.Close()
		}
		var rejection *ratelimiter.Error
		switch {
		case err == nil:
			fmt.Println("sent")
		case errors.Is(err, ratelimiter.ErrTooLarge) && errors.As(err, &rejection):
			fmt.Println("never:", rejection.Need-rejection.Limit, rejection.Unit, "too many")
		case errors.Is(err, ratelimiter.ErrMaxWait) && errors.As(err, &rejection):
			fmt.Printf("later: the limit of %s is %d per %v, retry later: %t\n", rejection.Unit, rejection.Limit, rejection.Period, rejection.RetryAfter() > 0)
		default:
			fmt.Println(err)
		}
	}
	// Output:
	// never: 1008 tokens too many
	// sent
	// later: the limit of requests is 1 per 1m0s, retry later: true
}

// A stream of chat completions says what it has used only if it is asked to.
func ExampleWithStreamUsage() {
	limiter, err := ratelimiter.New(ratelimiter.WithStreamUsage(),
		ratelimiter.WithTrace(&ratelimiter.Trace{Settled: func(_ context.Context, i ratelimiter.SettledInfo) {
			fmt.Println("usage known:", i.HasUsage)
		}}))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := limiter.Client(openaitest.New().Direct()).Post("https://api.openai.com/v1/chat/completions", "application/json", strings.NewReader(
		`{"model": "gpt-5.4-mini", "stream": true, "max_completion_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	stream, err := io.ReadAll(resp.Body)
	fmt.Println("the caller sees a chunk with it:", bytes.Contains(stream, []byte(`"choices":[],"usage":{`)), err)
	// Output:
	// usage known: true
	// the caller sees a chunk with it: true <nil>
}

// An encoding that Go's standard library doesn't know needs a decoder, such as brotli.NewReader
// for "br". Here that is LZW, so that the example needs no other module.
func ExampleWithDecoder() {
	limiter, err := ratelimiter.New(
		ratelimiter.WithDecoder("lzw", func(r io.Reader) (io.Reader, error) { return lzw.NewReader(r, lzw.LSB, 8), nil }),
		ratelimiter.WithTrace(&ratelimiter.Trace{Settled: func(_ context.Context, i ratelimiter.SettledInfo) {
			fmt.Println("usage known:", i.HasUsage)
		}}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := limiter.Client(compressing{openaitest.New().Direct()})
	resp, err := client.Post("https://api.openai.com/v1/responses", "application/json",
		strings.NewReader(`{"model": "gpt-5.4-mini", "max_output_tokens": 100, "input": "Hello"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	fmt.Println("the caller gets", resp.Header.Get("Content-Encoding"))
	// Output:
	// usage known: true
	// the caller gets lzw
}

// compressing compresses what base returns.
type compressing struct{ base http.RoundTripper }

func (c compressing) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	w := lzw.NewWriter(&b, lzw.LSB, 8)
	if _, err := io.Copy(w, resp.Body); err != nil {
		return nil, err
	}
	w.Close()
	resp.Header.Set("Content-Encoding", "lzw")
	resp.Header.Del("Content-Length")
	resp.ContentLength, resp.Body = int64(b.Len()), io.NopCloser(&b)
	return resp, nil
}

// A host has endpoints that OpenAI has not. One is charged by its input, as embeddings are. The
// searches of a store have a limit of their own on requests.
func ExampleWithEndpoint() {
	limiter, err := ratelimiter.New(ratelimiter.WithAccount("team"),
		ratelimiter.WithLimits("rerank-2", ratelimiter.Limits{TPM: 500_000}),
		ratelimiter.WithEndpoint("rerank", ratelimiter.EmbeddingAccounting),
		ratelimiter.WithEndpoint("vector_stores/*/search", ratelimiter.RequestAccounting),
		ratelimiter.WithLimits("vector_stores/*/search", ratelimiter.Limits{RPM: 300}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, call := range []ratelimiter.Call{
		ratelimiter.JSON("rerank", []byte(`{"model": "rerank-2", "input": ["first passage", "second passage"]}`)),
		ratelimiter.JSON("vector_stores/vs_123/search", []byte(`{"query": "refunds"}`)),
	} {
		r, err := limiter.Acquire(context.Background(), call)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer r.Cancel()
		fmt.Printf("%+v\n", r.Cost())
	}
	// Output:
	// {Model:rerank-2 Requests:1 Tokens:4 Images:0}
	// {Model:vector_stores/*/search Requests:1 Tokens:0 Images:0}
}

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
