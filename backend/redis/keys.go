package redis

import (
	"crypto/sha256"
	"encoding/base64"
	"hash/fnv"
	"math"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// digest shortens a name that users chose, or that was derived from a secret,
// to twelve bytes that tell nothing about it.
func digest(kind, name string) string {
	sum := sha256.Sum256([]byte("openai-ratelimiter\x00" + kind + "\x00" + name))
	return string(sum[:12])
}

func ownerField(name string) string { return digest("owner", name) }
func lineField(name string) string  { return "l" + digest("line", name) }
func ticketField(id string) string  { return digest("ticket", id) }

// flowField is that of a flow. A name that is empty is 12 zeros.
func flowField(f *backend.Flow) string {
	return flowName("class", f.Class) + flowName("tenant", f.Tenant)
}

func flowName(kind, name string) string {
	if name == "" {
		return string(make([]byte, 12))
	}
	return digest(kind, name)
}

// accountKey is the key of an account's hash. All other keys of the account
// begin with it, so that they share its hash tag and thereby its slot.
func (b *Backend) accountKey(account string) string {
	return b.prefix + "{" + printable(digest("account", account)) + "}"
}

// lineKeys are those of a line and of one of its tickets.
func lineKeys(account, line, ticket string) []string {
	l := account + printable(line[1:])
	return []string{account, l + ":line", l + ":tickets", account + printable(ticket) + ":reply", l + ":asked"}
}

// noteKey is that of the note about a scope.
func (b *Backend) noteKey(account, scope string) string {
	return b.accountKey(account) + printable(digest("scope", scope)) + ":note"
}

func printable(digest string) string { return base64.RawURLEncoding.EncodeToString([]byte(digest)) }

// short is a digest that a double can hold.
func short(s string) float64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return float64(h.Sum64() >> 12)
}

// numbers are packed as the scripts unpack them.
type numbers []byte

func (n *numbers) add(values ...float64) {
	for _, v := range values {
		bits := math.Float64bits(v)
		*n = append(*n, byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24),
			byte(bits>>32), byte(bits>>40), byte(bits>>48), byte(bits>>56))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
