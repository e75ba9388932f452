package costing

import (
	"strings"
)

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
