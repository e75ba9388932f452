package ratelimiter

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// Accounting is how the requests to an endpoint are charged.
type Accounting uint8

// Each of these charges as the API charges the endpoint beside it. EmbeddingAccounting counts the
// request's "input"; where its texts have other names, as those of many rerankers do, the response's
// usage settles them. RequestAccounting charges one request, and tokens only once the response's
// usage reports them.
const (
	ChatAccounting      Accounting = iota + 1 // chat/completions
	ResponsesAccounting                       // responses
	EmbeddingAccounting                       // embeddings, and whatever else is charged by its input
	ImageAccounting                           // images/generations
	RequestAccounting
)

var accountings = map[Accounting]wire.Endpoint{
	ChatAccounting:      wire.Chat,
	ResponsesAccounting: wire.Responses,
	EmbeddingAccounting: wire.Embeddings,
	ImageAccounting:     wire.ImageGenerations,
	RequestAccounting:   wire.PerRequest,
}

// WithEndpoint limits POSTs to a path that the limiter does not know, or charges them in
// another way than it would. The path is that below the API's base, such as "rerank"; a
// "*" stands for any one segment of it. With RequestAccounting the requests draw on limits
// of their own, which are set as those of a model that is named like the path. For searches of
// a vector store, of which OpenAI lets 300 a minute through:
//
//	limiter, err := ratelimiter.New(
//		ratelimiter.WithEndpoint("vector_stores/*/search", ratelimiter.RequestAccounting),
//		ratelimiter.WithLimits("vector_stores/*/search", ratelimiter.Limits{RPM: 300}))
//
// All paths that a pattern matches share its limits. Where each has its own, as each store does,
// give each an endpoint: "vector_stores/vs_1/search".
//
// The limiter knows chat completions, completions, responses, embeddings, images, audio,
// moderations and decisions. It charges agents' sessions, events and invocations a request
// each, since nobody knows what their turns will use. The request is of the model that they
// name, or else of one called "agents".
func WithEndpoint(path string, accounting Accounting) Option {
	return optionFunc(func(c *config) {
		e, ok := accountings[accounting]
		pattern := strings.Trim(path, "/")
		switch {
		case !ok:
			c.fault(fmt.Errorf("WithEndpoint(%q): %d is not an Accounting", path, accounting))
		case pattern == "" || strings.ContainsAny(pattern, "?#"):
			c.fault(fmt.Errorf("WithEndpoint: %q is not a path such as rerank", path))
		}
		for _, known := range c.endpoints {
			if strings.EqualFold(known.pattern, pattern) && known.endpoint != e {
				c.fault(fmt.Errorf("WithEndpoint: %q is given two accountings", path))
			}
		}
		c.endpoints = append(c.endpoints, namedEndpoint{pattern, e})
	})
}

// A namedEndpoint is one that a user has named.
type namedEndpoint struct {
	pattern  string
	endpoint wire.Endpoint
}

// matches reports whether the last segments of a path are those of the pattern. As with the paths
// that the limiter knows, neither their case nor a second slash matters.
func (n *namedEndpoint) matches(path string) bool {
	pattern := n.pattern
	for {
		of, want := lastSegment(pattern)
		before, got := lastSegment(strings.TrimRight(path, "/"))
		if got == "" || want != "*" && !strings.EqualFold(want, got) {
			return false
		}
		if of == "" {
			return true
		}
		pattern, path = of, before
	}
}

func lastSegment(path string) (before, last string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(0, i)], path[i+1:]
}

// named finds what a user has named a path, in its decoded form.
func (c *config) named(path string) (e wire.Endpoint, scope string) {
	for i := range c.endpoints {
		if n := &c.endpoints[i]; n.matches(path) {
			if n.endpoint == wire.PerRequest {
				scope = n.pattern
			}
			return n.endpoint, scope
		}
	}
	return wire.None, ""
}

// classify returns the accounting that a request falls under, and the deployment or the
// scope that its path names.
func (c *config) classify(r *http.Request) (e wire.Endpoint, scope string) {
	if len(c.endpoints) > 0 && r.Method == http.MethodPost && r.URL != nil {
		if e, scope := c.named(r.URL.Path); e != wire.None {
			return e, scope
		}
	}
	return wire.Classify(r)
}

// classifyPath is classify for calls without HTTP.
func (c *config) classifyPath(path string) (e wire.Endpoint, scope string) {
	if len(c.endpoints) > 0 {
		decoded, _, _ := strings.Cut(path, "?")
		if plain, err := url.PathUnescape(decoded); err == nil {
			decoded = plain
		}
		if e, scope := c.named(decoded); e != wire.None {
			return e, scope
		}
	}
	return wire.ClassifyPath(path)
}
