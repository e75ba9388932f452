package docs

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// withoutExamples are packages for those who write a backend. backend/backendtest shows how one
// is tested, and the two backends how one is made.
var withoutExamples = []string{"/backend", "/backend/backendtest"}

// forInterfaces are methods that are there so that their types are of some interface. Nobody
// calls them by name.
var forInterfaces = []string{"Error", "Is", "Unwrap", "String", "LogValue", "Request", "RoundTrip", "ServeHTTP", "CloseIdleConnections", "WebSocketHTTPClient"}

// Every exported function, method and type that a program names or calls is used in an example of
// its package.
func TestExamplesShowEverything(t *testing.T) {
	all, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedForTest | packages.NeedFiles | packages.NeedImports |
			packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo,
		Dir: root, Tests: true,
	}, "./...")
	if err != nil {
		t.Fatal(err)
	}
	if packages.PrintErrors(all) > 0 {
		t.Fatal("the library does not compile")
	}
	shown := map[string]map[string]bool{} // by the package's path
	for _, p := range all {
		if path, ok := strings.CutSuffix(p.PkgPath, "_test"); ok {
			shown[path] = shownIn(p, path)
		}
	}
	n := 0
	for _, p := range all {
		below, ours := strings.CutPrefix(p.PkgPath, module)
		if !ours || p.ForTest != "" || p.Name == "main" || strings.Contains(below+"/", "/internal/") || slices.Contains(withoutExamples, below) {
			continue
		}
		for _, name := range entries(p.Types) {
			if n++; !shown[p.PkgPath][name] {
				t.Errorf("no example of %s shows %s", p.PkgPath, name)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d exported names were found", n)
	}
}

// Every example says what it prints, so that go test runs it.
func TestExamplesRun(t *testing.T) {
	n := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, e := range doc.Examples(f) {
			if n++; e.Output == "" && !e.EmptyOutput {
				t.Errorf("%s: Example%s only compiles", path, e.Name)
			}
		}
		return nil
	})
	if err != nil || n < 40 {
		t.Errorf("%d examples: %v", n, err)
	}
}

// entries are the exported functions and types of a package, and methods such as Limiter.Do.
func entries(p *types.Package) (names []string) {
	for _, name := range p.Scope().Names() {
		o := p.Scope().Lookup(name)
		if !o.Exported() {
			continue
		}
		switch o := o.(type) {
		case *types.Func:
			names = append(names, name)
		case *types.TypeName:
			if types.IsInterface(o.Type()) || name == "Backend" { // which the engine calls
				continue
			}
			names = append(names, name)
			for m := range types.NewMethodSet(types.NewPointer(o.Type())).Methods() {
				if f := m.Obj(); f.Exported() && len(m.Index()) == 1 && !slices.Contains(forInterfaces, f.Name()) {
					names = append(names, name+"."+f.Name())
				}
			}
		}
	}
	return names
}

// shownIn are the names of a package that the examples of its tests use, and those of the types
// of what they use.
func shownIn(tests *packages.Package, path string) map[string]bool {
	shown := map[string]bool{}
	add := func(o types.Object) {
		if o == nil || o.Pkg() == nil || o.Pkg().Path() != path {
			return
		}
		if f, ok := o.(*types.Func); ok && f.Signature().Recv() != nil {
			if of := named(f.Signature().Recv().Type()); of != nil {
				shown[of.Obj().Name()+"."+f.Name()] = true
			}
			return
		}
		if o.Parent() == o.Pkg().Scope() {
			shown[o.Name()] = true
		}
	}
	for _, f := range tests.Syntax {
		for _, d := range f.Decls {
			example, ok := d.(*ast.FuncDecl)
			if !ok || example.Recv == nil && !strings.HasPrefix(example.Name.Name, "Example") {
				continue
			}
			ast.Inspect(example, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok {
					if of := named(tests.TypesInfo.TypeOf(e)); of != nil {
						add(of.Obj())
					}
				}
				if id, ok := n.(*ast.Ident); ok {
					add(tests.TypesInfo.Uses[id])
				}
				return true
			})
		}
	}
	return shown
}

// named is the named type that t is, or points to, or is a slice or a map of.
func named(t types.Type) *types.Named {
	for {
		switch u := t.(type) {
		case *types.Pointer:
			t = u.Elem()
		case *types.Slice:
			t = u.Elem()
		case *types.Map:
			t = u.Elem()
		case *types.Named:
			return u
		default:
			return nil
		}
	}
}
