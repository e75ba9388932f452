// Command mutants changes the library in small ways, one at a time, and reports which changes
// no test notices: a comparison that takes in its bound, a plus for a minus, a condition
// negated, a number moved, a statement or an early return left out.
//
//	mutants [-n 300] [-seed 1] [-packages internal/engine,…] [-at file.go,other.go:12,…] module
//
// A mutant is first put to the fast tests of its package, then, if it lives, to those of the
// packages that import it, to the slow ones of its own, and last to the test that compares it
// with what says the same in another language, if there is one. The module's files are not
// touched: a mutant is an overlay of the build. Which mutants are tried depends on the seed
// alone. Those that can't matter are listed, with the reason, in equivalent.txt, and are not
// tried.
//
// It fails if less than nine of ten die.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/go/packages"
)

// bar is the share of the mutants that must die.
const bar = 0.9

// leftOut are the packages whose tests take long, or see what others see.
var leftOut = regexp.MustCompile(`/(adapters|openaitest|backend/(redis|backendtest)|internal/(\w*test|house))(/|$)`)

// twins are tests among those of packages that are left out which compare another package with
// what says the same in another language.
var twins = map[string]twin{
	"internal/ledger": {"backend/redis", "^TestScriptIsTheLedger$"},
}

// A twin is a test, by its package and a pattern of its name.
type twin struct{ pkg, test string }

func main() {
	var o options
	flag.IntVar(&o.n, "n", 300, "how many mutants to try, 0 for all")
	flag.Uint64Var(&o.seed, "seed", 1, "which ones")
	names := flag.String("packages", "", "directories of the packages, with commas")
	at := flag.String("at", "", "only those at these places, as file or file:line, with commas")
	flag.StringVar(&o.equivalents, "equivalents", "", "the file that lists mutants that can't matter")
	flag.Parse()
	o.packages, o.at = split(*names), split(*at)
	if err := run(flag.Arg(0), o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

type options struct {
	n            int
	seed         uint64
	packages, at []string
	equivalents  string
}

func run(dir string, o options) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	all, err := load(dir, o.packages)
	if err != nil {
		return err
	}
	relative := func(m *mutant) string {
		name, _ := filepath.Rel(dir, m.file)
		return filepath.ToSlash(name)
	}
	total := len(all)
	if o.equivalents != "" {
		known, err := readEquivalents(o.equivalents)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(m *mutant) bool { return known.has(relative(m), m) })
		for _, line := range known.stale() {
			if file, _, _ := strings.Cut(line, " "); slices.Contains(o.packages, path.Dir(file)) {
				return fmt.Errorf("%s lists what is no mutant any more: %s", o.equivalents, line)
			}
		}
	}
	if len(o.at) > 0 {
		all = slices.DeleteFunc(all, func(m *mutant) bool {
			file := relative(m)
			return !slices.Contains(o.at, file) && !slices.Contains(o.at, fmt.Sprintf("%s:%d", file, m.line()))
		})
	}
	rand.New(rand.NewPCG(o.seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if o.n == 0 || o.n > len(all) {
		o.n = len(all)
	}
	fmt.Printf("%d mutants of %s, of which at most %d are tried (seed %d)\n", total, strings.Join(o.packages, ", "), o.n, o.seed)

	t, err := newTrial(dir)
	if err != nil {
		return err
	}
	var alive []*mutant
	tried := 0
	begin := time.Now()
	for _, m := range all {
		if tried == o.n {
			break
		}
		if !m.compiles(parse(m.pkg)) {
			continue
		}
		killer, err := t.try(m)
		if err != nil {
			return err
		}
		tried++
		place := fmt.Sprintf("%s:%d", relative(m), m.line())
		if killer != "" {
			fmt.Printf("%d dies by %s: %s\n", tried, killer, place)
			continue
		}
		alive = append(alive, m)
		before, after := m.lines()
		fmt.Printf("%d LIVES: %s %s\n  %s\n- %s\n+ %s\n", tried, place, m.function, strings.TrimSpace(m.text()), before, after)
	}
	if tried == 0 {
		return errors.New("no mutant was tried")
	}
	died := tried - len(alive)
	fmt.Printf("%d of %d die (%.1f %%), in %v\n", died, tried, 100*float64(died)/float64(tried), time.Since(begin).Round(time.Second))
	if float64(died) < bar*float64(tried) {
		return fmt.Errorf("fewer than %.0f %% die", 100*bar)
	}
	return nil
}

// parse parses a file for a package.
func parse(p *packages.Package) func(string, []byte) (*ast.File, error) {
	return func(name string, content []byte) (*ast.File, error) {
		return parser.ParseFile(p.Fset, name, content, parser.SkipObjectResolution)
	}
}

// load returns all mutants of the packages, in order.
func load(dir string, names []string) ([]*mutant, error) {
	patterns := make([]string, len(names))
	for i, name := range names {
		patterns[i] = "./" + name
	}
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedDeps | packages.NeedExportFile | packages.NeedTypes | packages.NeedSyntax |
			packages.NeedTypesInfo | packages.NeedTypesSizes,
		Dir: dir,
	}, patterns...)
	if err != nil {
		return nil, err
	}
	if packages.PrintErrors(loaded) > 0 {
		return nil, fmt.Errorf("%s does not compile", dir)
	}
	var all []*mutant
	for _, p := range loaded {
		for i, file := range p.CompiledGoFiles {
			content, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			all = append(all, mutantsOf(p, p.Syntax[i], file, content)...)
		}
	}
	return all, nil
}

// A trial puts mutants to suites, which it measures when they are first needed.
type trial struct {
	dir    string
	users  map[string][]string
	suites map[string][2]suite // the fast tests of a package, and the others
}

func newTrial(dir string) (*trial, error) {
	users, err := importers(dir, leftOut)
	return &trial{dir, users, map[string][2]suite{}}, err
}

// try returns the package whose tests notice a mutant, or nothing.
func (t *trial) try(m *mutant) (killer string, err error) {
	own := m.pkg.PkgPath
	for _, pkg := range append([]string{own}, t.users[own]...) {
		if killed, err := t.kills(pkg, "", 0, m); err != nil || killed {
			return pkg[strings.LastIndexByte(pkg, '/')+1:], err
		}
	}
	if killed, err := t.kills(own, "", 1, m); err != nil || killed {
		return "slow tests", err
	}
	for name, twin := range twins {
		if base, ok := strings.CutSuffix(own, "/"+name); ok {
			for which := range 2 {
				if killed, err := t.kills(base+"/"+twin.pkg, twin.test, which, m); err != nil || killed {
					return "its twin", err
				}
			}
		}
	}
	return "", nil
}

// kills puts a mutant to the fast or the slow ones of a package's tests whose names match.
func (t *trial) kills(pkg, names string, which int, m *mutant) (bool, error) {
	s, ok := t.suites[pkg]
	if !ok {
		var err error
		if s[0], s[1], err = measure(t.dir, pkg, cmp.Or(names, ".")); err != nil {
			return false, err
		}
		t.suites[pkg] = s
	}
	return s[which].kills(t.dir, m)
}
