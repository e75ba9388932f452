package ratelimiter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// NormalizeModel is how names of models are compared: without surrounding
// space, and in lower case. Nothing else is taken off, so that a dated or a
// fine-tuned model has a budget of its own unless [WithShared] says otherwise.
// A name of more than 128 bytes is replaced by a digest.
func NormalizeModel(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if len(name) > 128 {
		return "sha256:" + digest(name)
	}
	return name
}

// digest names something without telling it: SHA-256 with a fixed prefix, cut
// to 128 bits.
func digest(secret string) string {
	sum := sha256.Sum256([]byte("openai-ratelimiter/v1\x00" + secret))
	return hex.EncodeToString(sum[:16])
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
		return host + "/" + NormalizeModel(org) + "/" + NormalizeModel(project)
	}
	key := r.Header.Get("Authorization")
	if key == "" {
		key = r.Header.Get("Api-Key")
	}
	if key == "" {
		return host
	}
	return host + "/" + digest(key)
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
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.accounts) == 1 {
		for name := range l.accounts {
			return name, nil
		}
	}
	return "", &Error{Reason: ErrNoAccount}
}

// An account is what this process knows about one payer. Its lock guards
// everything below it: scopes, queues, and what was learned.
type account struct {
	limiter *Limiter
	name    string

	mu       sync.Mutex
	reserved int64                       // tokens of the calls in flight
	given    [backend.Dimensions]float64 // back to buckets, in all
	scopes   map[string]*scope
	shared   map[limitKey]*limit // by families and by the account as a whole
	history  history
}

// manyScopes is how many scopes an account keeps before it forgets idle ones.
const manyScopes = 1024

// account returns the account of that name.
func (l *Limiter) account(name string) *account {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[name]
	if a == nil {
		if len(l.accounts) >= manyScopes {
			l.forgetAccounts()
		}
		a = l.newAccount(name)
		l.accounts[name] = a
	}
	return a
}

func (l *Limiter) newAccount(name string) *account {
	return &account{limiter: l, name: name, scopes: map[string]*scope{}, shared: map[limitKey]*limit{}}
}

// known returns the account of that name for a question about it, which must
// not make it one that calls could mean.
func (l *Limiter) known(name string) *account {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.accounts[name]; a != nil {
		return a
	}
	return l.newAccount(name)
}

// forgetAccounts drops accounts in which nothing happens. l.mu must be held.
func (l *Limiter) forgetAccounts() {
	for name, a := range l.accounts {
		a.mu.Lock()
		a.forgetScopes()
		if len(a.scopes) == 0 {
			delete(l.accounts, name)
		}
		a.mu.Unlock()
	}
}

// scope returns the model's scope. a.mu must be held.
func (a *account) scope(model string) *scope {
	s := a.scopes[model]
	if s == nil {
		if len(a.scopes) >= manyScopes {
			a.forgetScopes()
		}
		s = a.newScope(model)
		a.scopes[model] = s
	}
	return s
}

// forgetScopes drops scopes in which nothing happens. What is charged stays in
// the backend. a.mu must be held.
func (a *account) forgetScopes() {
	for model, s := range a.scopes {
		if s.inFlight == 0 && s.asking == 0 && len(s.waiting) == 0 && !s.running && (s.met || s.meeting == nil) {
			delete(a.scopes, model)
		}
	}
}

// models returns the names of the scopes, sorted. a.mu must be held.
func (a *account) models() []string {
	names := make([]string, 0, len(a.scopes))
	for m := range a.scopes {
		names = append(names, m)
	}
	slices.Sort(names)
	return names
}
