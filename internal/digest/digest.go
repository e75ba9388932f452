// Package digest names something without revealing it.
package digest

import (
	"crypto/sha256"
	"encoding/hex"
)

// Of returns the SHA-256 of a fixed prefix and s, cut to 128 bits, in hexadecimal.
func Of(s string) string {
	sum := sha256.Sum256([]byte("openai-ratelimiter/v1\x00" + s))
	return hex.EncodeToString(sum[:16])
}
