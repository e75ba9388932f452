package ratelimiter

import (
	"net/http"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter/internal/identity"
)

// redacted is a server's message without the credentials of the request that it answers:
// some servers repeat what they were given.
func redacted(message string, asked http.Header) string {
	for _, name := range identity.Credentials {
		for _, credential := range asked[name] {
			if _, token, ok := strings.Cut(credential, " "); ok {
				credential = token // without its scheme
			}
			message = without(message, strings.TrimSpace(credential))
		}
	}
	return message
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
