package costing

import (
	"strings"
)

// othersReason are models of others that put out reasoning without showing it. Those that
// show it, as DeepSeek's, are counted by what they show.
var othersReason = [...]string{"gemini-2.5", "gemini-3", "grok-4"}

// MayReason is [Reasons] for a name that a user or a gateway has made of a model's:
// "my-gpt-5-deployment", "openai.gpt-oss-120b-1:0", "azure:o3". What a fine-tuned model is
// called says nothing of what it is made from.
func MayReason(name string) bool {
	if hasPrefixFold([]byte(name), "ft:") {
		return Reasons(name)
	}
	name = strings.ToLower(name)
	if strings.Contains(name, ":ft-") {
		return Reasons(name)
	}
	for _, other := range othersReason {
		if strings.Contains(name, other) {
			return true
		}
	}
	for i := range len(name) {
		if (i == 0 || !alphanumeric(name[i-1])) && alphanumeric(name[i]) && (Reasons(name[i:]) || reasonsBare(name[i:])) {
			return true
		}
	}
	return false
}

// reasonsBare is Reasons for names without the hyphen behind gpt: "gpt5-mini", "gpt_5".
func reasonsBare(name string) bool {
	rest, ok := strings.CutPrefix(name, "gpt")
	return ok && Reasons("gpt-"+strings.TrimLeft(rest, "_."))
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
}
