package costing

import (
	"slices"
	"strings"
)

// secretive are other makers' families whose models reason without showing it, and the
// generations before that did not reason yet. A generation that is not listed does, and so does a
// name without one. Families that show their reasoning, as DeepSeek's, are counted by what they
// show.
var secretive = [...]struct {
	family string
	before []string
}{
	{"gemini", []string{"1", "2.0"}},
	{"grok", []string{"1", "2", "3", "beta", "code"}},
}

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
	if strings.Contains(name, "non-reasoning") { // grok-4-fast-non-reasoning
		return false
	}
	for _, s := range secretive {
		if _, rest, ok := strings.Cut(name, s.family); ok {
			rest = strings.TrimLeft(rest, "-_")
			return !slices.ContainsFunc(s.before, func(g string) bool { return strings.HasPrefix(rest, g) })
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
