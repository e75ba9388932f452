package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// An upstream answers at once: it reads the request, as any transport does, and
// returns the same response to each.
type upstream struct {
	header http.Header
	body   string
}

var jsonUpstream = upstream{
	header: http.Header{"Content-Type": {"application/json"}},
	body: `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-5.4-mini","choices":[` +
		`{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("and so on ", 30) + `"},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":20,"completion_tokens":90,"total_tokens":110}}`,
}

var streamUpstream = upstream{
	header: http.Header{"Content-Type": {"text/event-stream"}},
	body: strings.Repeat(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5.4-mini",`+
		`"choices":[{"index":0,"delta":{"content":" and"},"finish_reason":null}]}`+"\n\n", 100) + "data: [DONE]\n\n",
}

func (u upstream) RoundTrip(req *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, req.Body)
	req.Body.Close()
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: u.header, Body: io.NopCloser(strings.NewReader(u.body)), ContentLength: int64(len(u.body)),
		Request: req,
	}, nil
}

// post returns what makes a request and reads the whole answer.
func post(t http.RoundTripper, path, body string) func() error {
	return func() error {
		req, err := http.NewRequest(http.MethodPost, "https://api.openai.com/v1/"+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := t.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if err == nil && n != resp.ContentLength {
			err = fmt.Errorf("%d bytes of %d", n, resp.ContentLength)
		}
		return err
	}
}
