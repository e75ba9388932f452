// Package digest names something without revealing it.
package digest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// Of returns the SHA-256 of a fixed prefix and s, cut to 128 bits, in hexadecimal.
func Of(s string) string { return Keyed(nil, s) }

const prefix = "openai-ratelimiter/v1\x00"

// Keyed returns an HMAC under the key instead, or Of where that is empty. Who does not
// have the key can neither match two deployments' digests nor test a list of guesses.
func Keyed(key []byte, s string) string {
	if len(key) == 0 {
		sum := sha256.Sum256([]byte(prefix + s))
		return hex.EncodeToString(sum[:16])
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(prefix + s))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
