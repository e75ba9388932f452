package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

func read(t *testing.T) map[string]*page {
	t.Helper()
	all, err := pages(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d pages were found", len(all))
	}
	return all
}

var external = regexp.MustCompile(`^(https?|mailto):`)

// Every relative link leads to a file that is there, and every #anchor to a heading.
func TestLinks(t *testing.T) {
	all := read(t)
	for name, p := range all {
		for _, target := range p.links() {
			if external.MatchString(target) {
				continue
			}
			if why := p.dead(target, root, all); why != "" {
				t.Errorf("%s: link to %s: %s", name, target, why)
			}
		}
	}
}

// Pages that code names are there.
func TestPagesThatCodeNames(t *testing.T) {
	all := read(t)
	named := regexp.MustCompile(`\b(docs/[\w/]+\.md)(?:#([\w-]+))?`)
	n := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if ext := filepath.Ext(path); d.IsDir() || ext != ".go" && ext != ".sh" && d.Name() != "Makefile" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			n++
			if p := all[m[1]]; p == nil || m[2] != "" && !p.anchors[m[2]] {
				t.Errorf("%s names %s", path, m[0])
			}
		}
		return nil
	})
	if err != nil || n == 0 {
		t.Errorf("%d pages are named: %v", n, err)
	}
}

// The README is short, and links lead from it to every page.
func TestReadme(t *testing.T) {
	all := read(t)
	info, err := os.Stat(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(9000); info.Size() > most {
		t.Errorf("README.md has %d bytes, at most %d are wanted: move something to docs/", info.Size(), most)
	}
	reached := map[string]bool{"README.md": true}
	for queue := []string{"README.md"}; len(queue) > 0; queue = queue[1:] {
		for _, target := range all[queue[0]].links() {
			file, _, _ := strings.Cut(target, "#")
			if to := filepath.Join(filepath.Dir(queue[0]), file); all[to] != nil && !reached[to] {
				reached[to] = true
				queue = append(queue, to)
			}
		}
	}
	for name := range all {
		if filepath.Dir(name) == "docs" && !reached[name] {
			t.Errorf("no links lead from README.md to %s", name)
		}
	}
}

// What pages tell to run exists: targets of make, and the packages of go run and go test.
func TestCommands(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):`).FindAllStringSubmatch(string(makefile), -1) {
		targets[m[1]] = true
	}
	var (
		code   = regexp.MustCompile("`[^`\n]+`")
		target = regexp.MustCompile(`\bmake ([a-z][a-z-]*)`)
		local  = regexp.MustCompile(`(?:\bcd ([\w./-]+) && )?\bgo (?:run|test)((?: [^\s&|;]+)+)`)
		folder = regexp.MustCompile(`^\.(?:\.?/[\w./-]*[\w-]|\.)?$`)
	)
	n := 0
	for name, p := range read(t) {
		commands := code.FindAllString(p.text, -1)
		for _, b := range p.blocks {
			if b.language == "" || b.language == "sh" {
				commands = append(commands, strings.Split(b.code, "\n")...)
			}
		}
		for _, c := range commands {
			c = strings.Trim(c, "`")
			for _, m := range target.FindAllStringSubmatch(c, -1) {
				n++
				if !targets[m[1]] {
					t.Errorf("%s: %s: the Makefile has no such target", name, c)
				}
			}
			for _, m := range local.FindAllStringSubmatch(c, -1) {
				for _, word := range strings.Fields(m[2]) {
					if !folder.MatchString(word) {
						continue
					}
					n++
					if _, err := os.Stat(filepath.Join(root, m[1], word)); err != nil {
						t.Errorf("%s: %s: there is no %s", name, c, filepath.Join(m[1], word))
					}
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d commands were found", n)
	}
}

// Files and tests that pages name are there. A file may be named by the end of its path.
func TestFilesAndTestsThatPagesName(t *testing.T) {
	files, tests := map[string]bool{}, map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for end := filepath.ToSlash(path); end != ""; _, end, _ = strings.Cut(end, "/") {
			files[end] = true
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		code, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(code), -1) {
			tests[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var (
		file = regexp.MustCompile("`([\\w./-]+\\.(?:go|lua|sh|txt|json|yaml))`")
		test = regexp.MustCompile("`[^`\n]*\\b((?:Test|Fuzz)[A-Z]\\w+)\\b[^`\n]*`")
	)
	n := 0
	for name, p := range read(t) {
		for _, m := range file.FindAllStringSubmatch(p.text, -1) {
			n++
			if !files[m[1]] {
				t.Errorf("%s: there is no file %s", name, m[1])
			}
		}
		for _, m := range test.FindAllStringSubmatch(p.text, -1) {
			n++
			if !tests[m[1]] {
				t.Errorf("%s: there is no test %s", name, m[1])
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d names were found", n)
	}
}

// Whoever copies a client of Redis from a page or an example gets one that ends its commands by
// itself, as backend/redis recommends.
func TestClientsOfRedis(t *testing.T) {
	texts := map[string]string{}
	for name, p := range read(t) {
		for _, b := range p.blocks {
			texts[name] += b.code
		}
		texts[name] += p.text
	}
	err := filepath.WalkDir(filepath.Join(root, "examples"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		code, err := os.ReadFile(path)
		texts[path] = string(code)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, text := range texts {
		for _, options := range regexp.MustCompile(`goredis\.\w*Options\{[^}]+\}`).FindAllString(text, -1) {
			if n++; !strings.Contains(options, "ContextTimeoutEnabled: true") {
				t.Errorf("%s: %s lacks ContextTimeoutEnabled", name, options)
			}
		}
	}
	if n < 4 {
		t.Errorf("only %d clients of Redis were found", n)
	}
}

// The rules by which pages are read find what is wrong with this one.
func TestParse(t *testing.T) {
	p := parse("P.md", "# A `b` & [c](#d), e.f\n\n## Twice\n## Twice\n```go\n# no heading\n[x](none)\n```\n"+
		"[a](#a-b--c-ef) [b](#twice-1) [c](#thrice) ![d](none.svg) <img src=\"gone.png\" width=\"1\"> [e](https://x.org)\n")
	all := map[string]*page{p.path: p}
	var dead []string
	for _, target := range p.links() {
		if !external.MatchString(target) && p.dead(target, t.TempDir(), all) != "" {
			dead = append(dead, target)
		}
	}
	if got, want := strings.Join(dead, " "), "#d #thrice none.svg gone.png"; got != want {
		t.Errorf("dead: %s; want %s", got, want)
	}
	if len(p.blocks) != 1 || p.blocks[0].line != 6 || p.blocks[0].language != "go" {
		t.Errorf("%+v", p.blocks)
	}
}
