package identity

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzRedact: of a message that repeats a credential, whole or cut within it, nothing but the
// rest is left.
func FuzzRedact(f *testing.F) {
	f.Add("Incorrect key ", "sk-proj-one", ": try another", uint8(0), uint16(1000))
	f.Add("Incorrect key ", "sk-proj-one", ": try another", uint8(0), uint16(1001))
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
		names := append(credentialHeaders[:], "X-Openai-Api-Key")
		name := names[int(header)%len(names)]
		if most%2 == 1 { // as a program may have written it
			name = strings.ToLower(name)
		}
		asked[name] = []string{"Bearer other-" + secret + "-other", []string{"", "Bearer ", "Basic  "}[header%3] + secret}
		message := before + secret + after
		got := Secrets{header: asked}.Redact(message[:min(len(message), int(most))])
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

// Of a credential in a URL, in whichever form a server repeats it, nothing is left.
func TestRedactURL(t *testing.T) {
	for _, x := range []struct{ name, query, message, want string }{
		{"no query", "", "the key sk-one", "the key sk-one"},
		{"no credential", "alt=json&api-version=sk-one", "the key sk-one", "the key sk-one"},
		{"the second", "key=sk-one&api-key=sk-two", "neither sk-one nor sk-two", "neither [credential] nor [credential]"},
		{"the same parameter again", "key=sk-one&key=sk-two", "neither sk-one nor sk-two", "neither [credential] nor [credential]"},
		{"as it was written", "key=sk%2Fone%3D", "in ?key=sk%2Fone%3D", "in ?key=[credential]"},
		{"decoded", "key=sk%2Fone%3D", "the key sk/one=", "the key [credential]"},
		{"what cannot be decoded", "key=sk%zzone", "the key sk%zzone", "the key [credential]"},
		{"a plus as it is", "key=first+second", "the key first+second", "the key [credential]"},
		{"a plus as a space", "key=first+second", "the key first second", "the key [credential]"},
		{"a plus as it is, the rest decoded", "key=first+second%3D", "the key first+second=", "the key [credential]"},
		{"a space", "key=first%20second", "the key first second", "the key [credential]"},
		{"a plus that was encoded", "key=first%2Bsecond", "the key first+second", "the key [credential]"},
		{"a scheme", "access_token=Bearer+sk-one", "neither Bearer sk-one nor sk-one", "neither [credential] nor [credential]"},
		{"an encoded name", "%6Bey=sk-one&api%5Fkey=sk-two", "neither sk-one nor sk-two", "neither [credential] nor [credential]"},
		{"a name in any case", "API-Key=sk-one", "the key sk-one", "the key [credential]"},
		{"one that begins another", "key=sk-one&api-key=sk-one-two", "neither sk-one-two nor sk-one", "neither [credential] nor [credential]"},
		{"too short to be one", "key=sk&api-key=one", "the key sk, or one", "the key sk, or one"},
		{"cut within it", "key=first+second", "the key first sec", "the key [credential]"},
		{"the second, cut within it", "key=sk-one&api-key=other%2Ftwo", "the key other%2", "the key [credential]"},
	} {
		req, err := http.NewRequest(http.MethodPost, "https://api.example/v1/responses?"+x.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer ") // which is in every message
		if got := SecretsOf(req).Redact(x.message); got != x.want {
			t.Errorf("%s: %q, not %q", x.name, got, x.want)
		}
	}
}
