package ratelimiter

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/digest"
	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
	"github.com/openai-ratelimiter/ratelimiter/internal/identity"
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

// accountOf returns the account that pays for a request.
func (l *Limiter) accountOf(r *http.Request) string {
	if name, ok := value[string](r.Context(), accountKey); ok && name != "" {
		return name
	}
	if l.config.account != "" {
		return l.config.account
	}
	id := identity.Of(r, *l.config.digestKey)
	now := time.Now()
	if l.watch.See(now, &id) {
		l.traceCredentials(r.Context(), CredentialsInfo{Host: id.Host, Credentials: identity.Many})
	}
	if l.watch.SeeNameless(now, &id) {
		l.traceCredentials(r.Context(), CredentialsInfo{Host: id.Host, Nameless: true})
	}
	return id.Account
}

// accountFor names the account of a call without HTTP, or of a question.
func (l *Limiter) accountFor(ctx context.Context) (string, error) {
	if name, ok := value[string](ctx, accountKey); ok && name != "" {
		return name, nil
	}
	if l.config.account != "" {
		return l.config.account, nil
	}
	switch known := l.engine.Accounts(); len(known) {
	case 0:
		return engine.Unnamed, nil
	case 1:
		return known[0], nil
	}
	return "", &Error{Reason: ErrNoAccount}
}

// Accounts returns the names of the accounts that are known, sorted: the one of [WithAccount]
// and those that calls have come for. To ask about one of them, give its name to
// [ContextWithAccount]. Calls without HTTP that name no account belong to "unnamed" until an
// account is known, which then takes over what they have used.
func (l *Limiter) Accounts() []string {
	if l.check() != nil {
		return nil
	}
	names := l.engine.Accounts()
	if name := l.config.account; name != "" && !slices.Contains(names, name) {
		names = append(names, name)
		slices.Sort(names)
	}
	return names
}
