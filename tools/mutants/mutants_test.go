package main

import (
	"bytes"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// Each operator, by what it makes of a function's body.
func TestOperators(t *testing.T) {
	for body, want := range map[string][]string{
		"_ = a < b":           {"_ = a <= b"},
		"_ = a >= b":          {"_ = a > b"},
		"_ = a == b":          {"_ = a != b"},
		"_ = a + b":           {"_ = a - b"},
		"_ = a / b":           {"_ = a * b"},
		"_ = a % b":           {"_ = a * b"},
		"_ = a & b":           {"_ = a | b"},
		"_ = c && d":          {"_ = c || d"},
		"_ = !c":              {"_ = c"},
		"_ = -a":              {"_ = a"},
		"_ = a + 0x0f":        {"_ = a - 0x0f", "_ = a + 30"},
		"_ = 0.5":             {"_ = 0.85"},
		"_ = a + 9":           {"_ = a - 9", "_ = a + 10"},
		"_ = min(a, b)":       {"_ = max(a, b)"},
		"_ = true":            {"_ = false"},
		"_ = e > 0":           {"_ = e >= 0", "_ = e > 1000000000"},
		"a += b":              {"a -= b", "_ = b"},
		"a, b = b, a":         {"_, _ = b, a"},
		"a++":                 {"a--", ""},
		"f()":                 {""},
		"defer f()":           {""},
		"x := a; _ = x":       nil,
		`_ = "text"`:          nil,
		"if c { return }":     {"if !(c) { return }", "if c {  }"},
		"if c { f(); return}": {"if !(c) { f(); return}", "if c { f(); }", "if c { ; return}"},
		"for c { break }":     {"for !(c) { break }"},
		"switch { case c: }":  {"switch { case !(c): }"},
		"switch a { case b:}": nil,
		"var m struct{ Inf func(int) int }; m.Inf(1)": {"var m struct{ Inf func(int) int };"},
		"max := f; max()": {"max := f;"},
	} {
		const head, tail = "package p\n\nimport \"time\"\n\nfunc f() {}\n\nfunc g(a, b int, c, d bool, e time.Duration) {\n", "\n}\n"
		content := []byte(head + body + tail)
		p := check(t, content)
		var got []string
		for _, m := range mutantsOf(p, p.Syntax[0], "p.go", content) {
			source := m.source()
			if !bytes.HasPrefix(source, []byte(head)) || m.function != "g" || m.line() != 8 {
				t.Errorf("%s: %q of %s in line %d", body, source, m.function, m.line())
			}
			blank := strings.TrimPrefix(strings.TrimSuffix(string(source), tail), head)
			// A left out assignment is one to nothing.
			if blank != body && !slices.Contains(got, strings.TrimSpace(blank)) {
				got = append(got, strings.TrimSpace(blank))
			}
		}
		got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(body, "_ = ") && s == body })
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// check is a package of one file.
func check(t *testing.T, content []byte) *packages.Package {
	t.Helper()
	p := &packages.Package{PkgPath: "p", Fset: token.NewFileSet(), CompiledGoFiles: []string{"p.go"}}
	f, err := parser.ParseFile(p.Fset, "p.go", content, 0)
	if err != nil {
		t.Fatal(err)
	}
	p.Syntax = []*ast.File{f}
	p.TypesInfo = &types.Info{Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
	if p.Types, err = (&types.Config{Importer: importer.Default()}).Check("p", p.Fset, p.Syntax, p.TypesInfo); err != nil {
		t.Fatal(err)
	}
	return p
}

// A mutant is known by its text, wherever its line stands, and one that does not compile is
// told from the others.
func TestMutant(t *testing.T) {
	content := []byte("package p\n\nfunc f(a string) bool {\n\treturn a  +\n\t\t\"b\" < \"c\"\n}\n")
	p := check(t, content)
	var texts []string
	var compile []bool
	for _, m := range mutantsOf(p, p.Syntax[0], "p.go", content) {
		texts = append(texts, m.text())
		compile = append(compile, m.compiles(parse(p)))
	}
	wantTexts := []string{`f: "b" < "c" → "b" <= "c"`, `f: return a + → return a -`}
	if !slices.Equal(texts, wantTexts) || !slices.Equal(compile, []bool{true, false}) {
		t.Errorf("%q compile: %v", texts, compile)
	}
}

// A whole run: one mutant is noticed by its package's tests, one by its importer's, and one
// by nobody, which is fewer than must be.
func TestRun(t *testing.T) {
	const module = "testdata/module"
	at := func(lines ...string) options { return options{packages: []string{"p"}, at: lines} }
	if err := run(module, at("p/p.go:5", "p/p.go:8")); err != nil {
		t.Error(err)
	}
	if err := run(module, at("p/p.go:14")); err == nil {
		t.Error("a mutant dies by a test of a package that is left out")
	}
	twins["p"] = twin{"adapters/twin", "^TestTwin$"}
	defer delete(twins, "p")
	if err := run(module, at("p/p.go:14")); err != nil {
		t.Errorf("its twin does not notice a mutant: %v", err)
	}
	if err := run(module, at("p/p.go:11")); err == nil || !strings.Contains(err.Error(), "fewer than 90 % die") {
		t.Errorf("mutants that nobody notices: %v", err)
	}
	if err := run(module, at("p/p.go:1")); err == nil {
		t.Error("a run without mutants passes")
	}
	known := at("p/p.go:11")
	known.equivalents = "testdata/equivalent.txt"
	if err := run(module, known); err == nil {
		t.Error("of two mutants one is known not to matter, the other one lives, and the run passes")
	}
	for file, stale := range map[string]bool{"p/p.go": true, "p/q/q.go": false} { // of the second nothing is known here
		known = at("p/p.go:5")
		known.equivalents = filepath.Join(t.TempDir(), "equivalent.txt")
		if err := os.WriteFile(known.equivalents, []byte(file+"\nf: a → b\n\twhy\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := run(module, known); (err != nil && strings.Contains(err.Error(), "no mutant any more")) != stale {
			t.Errorf("%s lists what is no mutant: %v", file, err)
		}
	}
	if _, _, err := measure(module, "./absent", "."); err == nil {
		t.Error("tests that don't run are measured")
	}
}

func TestEquivalents(t *testing.T) {
	write := func(content string) string {
		name := filepath.Join(t.TempDir(), "equivalent.txt")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, bad := range []string{"f.go\nf: a → b\n", "f.go\nf: a → b\nf: b → c\n\twhy\n", "\twhy\n"} {
		if _, err := readEquivalents(write(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	content := []byte("package p\n\nfunc f(a, b int) bool { return a < b }\n")
	p := check(t, content)
	m := mutantsOf(p, p.Syntax[0], "p.go", content)[0]
	e, err := readEquivalents(write("# a comment\n\np.go\n" + m.text() + "\n\twhy\ng: a → b\n\twhy\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !e.has("p.go", m) || e.has("q.go", m) {
		t.Error("a mutant is known by its file and text")
	}
	if got := e.stale(); !slices.Equal(got, []string{"p.go g: a → b"}) {
		t.Errorf("stale: %q", got)
	}
}

// What equivalent.txt lists are mutants of the code as it is: a change that moves one takes its
// line along.
func TestEquivalentsAreMutants(t *testing.T) {
	known, err := readEquivalents("equivalent.txt")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for file := range known {
		dirs = append(dirs, path.Dir(file))
	}
	slices.Sort(dirs)
	all, err := load(root, slices.Compact(dirs))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		file, err := filepath.Rel(root, m.file)
		if err != nil {
			t.Fatal(err)
		}
		known.has(filepath.ToSlash(file), m)
	}
	for _, line := range known.stale() {
		t.Errorf("%s is no mutant", line)
	}
}
