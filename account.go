package ratelimiter

import (
	"context"
	"net/http"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter/internal/digest"
)

// normalizeModel is how names of models are compared: without surrounding
// space, and in lower case. Nothing else is taken off, so that a dated or a
// fine-tuned model has a budget of its own unless [WithShared] says otherwise.
// A name of more than 128 bytes is replaced by a digest.
func normalizeModel(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if len(name) > 128 {
		return "sha256:" + digest.Of(name)
	}
	return name
}

// accountOf tells who pays for a request. Azure's quota belongs to a resource,
// whichever key or token speaks for it.
func (l *Limiter) accountOf(r *http.Request) string {
	if name, ok := value[string](r.Context(), accountKey); ok && name != "" {
		return name
	}
	if l.config.account != "" {
		return l.config.account
	}
	host := strings.ToLower(r.URL.Host)
	if isAzure(host, r.URL.Path) {
		return host
	}
	org, project := r.Header.Get("OpenAI-Organization"), r.Header.Get("OpenAI-Project")
	if org != "" || project != "" {
		return host + "/" + normalizeModel(org) + "/" + normalizeModel(project)
	}
	key := r.Header.Get("Authorization")
	if key == "" {
		key = r.Header.Get("Api-Key")
	}
	if key == "" {
		return host
	}
	return host + "/" + digest.Of(key)
}

func isAzure(host, path string) bool {
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	return strings.HasSuffix(host, ".azure.com") || strings.Contains(path, "/openai/deployments/")
}

// accountFor names the account of a call without HTTP.
func (l *Limiter) accountFor(ctx context.Context) (string, error) {
	if name, ok := value[string](ctx, accountKey); ok && name != "" {
		return name, nil
	}
	if l.config.account != "" {
		return l.config.account, nil
	}
	if name, ok := l.engine.OnlyAccount(); ok {
		return name, nil
	}
	return "", &Error{Reason: ErrNoAccount}
}
