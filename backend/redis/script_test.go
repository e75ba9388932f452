package redis

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Lua allows a function 200 locals, and the body of a script is one. All scripts stay
// well below that, at their deepest point too.
func TestScriptsHaveFewLocals(t *testing.T) {
	const allowed, most = 200, 90
	c := admin(t, shared)
	compiles := func(s *script, more int) bool {
		err := c.ScriptLoad(t.Context(), strings.Repeat("local x\n", more)+s.source).Err()
		if err != nil && !strings.Contains(err.Error(), "local variables") {
			t.Fatal(err)
		}
		return err == nil
	}
	for _, s := range []*script{takeScript, lookScript, settleScript, clearScript, mendScript, recallScript} {
		locals := allowed
		for more := 1; compiles(s, more); more++ {
			locals--
		}
		t.Logf("%s: %d locals", s.name, locals)
		if locals > most {
			t.Errorf("%s has %d locals; want at most %d", s.name, locals, most)
		}
	}
}

// Every constant is used, and scripts say nothing in capitals that is not one, but for
// commands.
func TestConstantsOfTheScripts(t *testing.T) {
	used := map[string]bool{}
	sources, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	comment, quoted := regexp.MustCompile(`--.*`), regexp.MustCompile(`'[^']*'`)
	loose := regexp.MustCompile(`\b[A-Z][A-Z_]+\b`)
	for _, f := range sources {
		if !strings.HasSuffix(f.Name(), ".lua") {
			continue
		}
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		code := quoted.ReplaceAllString(comment.ReplaceAllString(string(b), ""), "")
		for _, name := range constant.FindAllString(code, -1) {
			used[name[2:]] = true
		}
		for _, name := range loose.FindAllString(constant.ReplaceAllString(code, ""), -1) {
			if name != "KEYS" && name != "ARGV" {
				t.Errorf("%s: %s is no constant", f.Name(), name)
			}
		}
	}
	for name := range constants {
		if !used[name] {
			t.Errorf("nothing uses %s", name)
		}
	}
}
