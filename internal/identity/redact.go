package identity

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Secrets are the credentials of a request. They are searched for only once a server's message
// may repeat them, so the request's headers must not change until then.
type Secrets struct {
	header http.Header
	query  string
}

// SecretsOf returns those of a request.
func SecretsOf(r *http.Request) Secrets { return Secrets{r.Header, r.URL.RawQuery} }

// Redact returns a server's message to the request without its credentials: some servers repeat
// what they were given.
func (s Secrets) Redact(message string) string {
	for _, secret := range s.written() {
		message = without(message, secret)
	}
	return message
}

// written returns the credentials in each form in which a server may repeat them, the longest
// first: a shorter one that begins it would leave the rest of it.
func (s Secrets) written() (secrets []string) {
	for name, values := range s.header {
		if !namesCredential(name) {
			continue
		}
		for _, credential := range values {
			if _, token, ok := strings.Cut(credential, " "); ok {
				credential = token // without its scheme
			}
			secrets = append(secrets, strings.TrimSpace(credential))
		}
	}
	for _, written := range inQuery(s.query) {
		secrets = append(secrets, written)
		for _, decode := range [...]func(string) (string, error){url.QueryUnescape, url.PathUnescape} { // a plus is a space, or itself
			plain, _ := decode(written) // nothing where it can't be
			plain = strings.TrimSpace(plain)
			secrets = append(secrets, plain)
			if scheme, token, ok := strings.Cut(plain, " "); ok && strings.EqualFold(scheme, "bearer") {
				secrets = append(secrets, strings.TrimSpace(token)) // which may stand alone
			}
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return secrets
}

// without takes a secret out of a message, also where that was cut within it.
func without(message, secret string) string {
	const instead, telling = "[credential]", 4
	if len(secret) < telling {
		return message
	}
	message = strings.ReplaceAll(message, secret, instead)
	for n := len(secret) - 1; n >= telling; n-- {
		if cut, ok := strings.CutSuffix(message, secret[:n]); ok {
			return cut + instead
		}
	}
	return message
}
