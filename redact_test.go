package ratelimiter

import (
	"net/http"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/internal/identity"
)

// FuzzRedacted: of a message that repeats a credential, whole or cut within it, nothing but the
// rest is left.
func FuzzRedacted(f *testing.F) {
	f.Add("Incorrect key ", "sk-proj-one", ": try another", uint8(0), uint16(1000))
	f.Add("key=", "sk-proj-one", "", uint8(1), uint16(10))
	f.Add("key=", "sk-proj-one", "", uint8(1), uint16(8))
	f.Add("", "aaaaaaaa", "aaaaaaa", uint8(4), uint16(1000))
	f.Add("a", "key", "b", uint8(2), uint16(1000)) // too short to be one
	f.Fuzz(func(t *testing.T, before, secret, after string, header uint8, most uint16) {
		const telling = 4
		if secret = strings.TrimSpace(secret); strings.Contains(secret, " ") || len(secret) < telling || strings.Contains("[credential]", secret[:telling]) {
			return
		}
		asked := http.Header{}
		name := identity.Credentials[int(header)%len(identity.Credentials)]
		asked.Add(name, "Bearer other-"+secret+"-other")
		asked.Add(name, []string{"", "Bearer ", "Basic  "}[header%3]+secret)
		message := before + secret + after
		got := redacted(message[:min(len(message), int(most))], asked)
		if strings.Contains(got, secret) {
			t.Errorf("%q stands in %q", secret, got)
		}
		for n := telling; n <= len(secret); n++ {
			if strings.HasSuffix(got, secret[:n]) {
				t.Errorf("%q, of %q, ends %q", secret[:n], secret, got)
			}
		}
		if !strings.Contains(message, secret[:telling]) && got != message[:min(len(message), int(most))] {
			t.Errorf("%q has become %q", message, got)
		}
	})
}
