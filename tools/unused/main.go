// Command unused lists the exported methods and fields of internal packages that nothing
// uses but the tests of their own package, and fails if there are any. Neither staticcheck,
// which takes what is exported for an API, nor deadcode, which knows functions only, does.
//
//	unused module…
//
// Each argument is a module's directory; what the packages of one use of another's counts.
// Files are named from the first. Methods are exempt that may be called through an
// interface, and so are fields that are embedded or have a tag for JSON.
package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	found, err := unused(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for _, f := range found {
		fmt.Println(f)
	}
	if len(found) > 0 {
		os.Exit(1)
	}
}

// A finding is a method or field that is declared, and where.
type finding struct {
	token.Position
	name string // with its type's
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %s is not used", f.Filename, f.Line, f.name)
}

// unused returns what nothing uses in the modules' directories, in order.
func unused(dirs []string) ([]string, error) {
	if len(dirs) == 0 {
		return nil, errors.New("usage: unused module…")
	}
	c := census{used: map[token.Position]bool{}}
	for _, dir := range dirs {
		if err := c.count(dir); err != nil {
			return nil, err
		}
	}
	c.declared = slices.DeleteFunc(c.declared, func(f finding) bool { return c.used[place(f.Position)] })
	root, err := filepath.Abs(dirs[0])
	if err != nil {
		return nil, err
	}
	var found []string
	for _, f := range c.declared {
		if relative, err := filepath.Rel(root, f.Filename); err == nil {
			f.Filename = relative
		}
		found = append(found, f.String())
	}
	slices.Sort(found)
	return found, nil
}

// A census is what is declared, and what is used. A package is loaded several times over,
// for its tests and for other modules, so that only the place of a declaration identifies it.
type census struct {
	declared []finding
	used     map[token.Position]bool
}

// place is a position without what depends on how it was loaded.
func place(p token.Position) token.Position {
	p.Offset = 0
	return p
}

// count takes in a module's packages and their tests.
func (c *census) count(dir string) error {
	all, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedExportFile |
			packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedForTest,
		Dir: dir, Tests: true,
	}, "./...")
	if err != nil {
		return err
	}
	if packages.PrintErrors(all) > 0 {
		return fmt.Errorf("%s does not compile", dir)
	}
	interfaces := interfacesOf(all)
	for _, p := range all {
		if strings.Contains(p.PkgPath+"/", "/internal/") && p.ForTest == "" {
			c.declare(p, interfaces)
		}
		c.use(p)
	}
	return nil
}

// interfacesOf returns the interfaces of all packages, those of their imports, and those
// that have no name.
func interfacesOf(all []*packages.Package) (interfaces []*types.Interface) {
	add := func(t types.Type) {
		if i, ok := t.Underlying().(*types.Interface); ok && i.NumMethods() > 0 {
			interfaces = append(interfaces, i)
		}
	}
	add(types.Universe.Lookup("error").Type())
	scopes := map[*types.Scope]bool{}
	for _, p := range all {
		for _, q := range append(p.Types.Imports(), p.Types) {
			scopes[q.Scope()] = true
		}
	}
	for scope := range scopes {
		for _, name := range scope.Names() {
			if t, ok := scope.Lookup(name).(*types.TypeName); ok {
				add(t.Type())
			}
		}
	}
	for _, p := range all {
		for e, t := range p.TypesInfo.Types {
			if _, ok := e.(*ast.InterfaceType); ok {
				add(t.Type)
			}
		}
	}
	return interfaces
}

// declare takes in the exported methods and fields that a package declares.
func (c *census) declare(p *packages.Package, interfaces []*types.Interface) {
	add := func(owner string, o types.Object) {
		if o.Exported() {
			c.declared = append(c.declared, finding{p.Fset.Position(o.Pos()), p.Types.Name() + "." + owner + "." + o.Name()})
		}
	}
	for _, name := range p.Types.Scope().Names() {
		t, ok := p.Types.Scope().Lookup(name).(*types.TypeName)
		if !ok || t.IsAlias() {
			continue
		}
		named := t.Type().(*types.Named)
		for m := range named.Methods() {
			if !satisfies(named, m, interfaces) {
				add(name, m)
			}
		}
	}
	for _, file := range p.Syntax {
		owner := ""
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				owner = n.Name.Name
			case *ast.StructType:
				for _, f := range n.Fields.List {
					if tagged(f) {
						continue
					}
					for _, name := range f.Names {
						add(owner, p.TypesInfo.Defs[name])
					}
				}
			}
			return true
		})
	}
}

// satisfies reports whether a method may be called through one of the interfaces.
func satisfies(t *types.Named, m *types.Func, interfaces []*types.Interface) bool {
	return slices.ContainsFunc(interfaces, func(i *types.Interface) bool {
		for wanted := range i.Methods() {
			if wanted.Name() == m.Name() {
				return types.Implements(types.NewPointer(t), i)
			}
		}
		return false
	})
}

// tagged reports whether encoding/json is told of a field.
func tagged(f *ast.Field) bool {
	if f.Tag == nil {
		return false
	}
	_, ok := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Lookup("json")
	return ok
}

// use takes in what a package uses: of what it declares itself, only outside its tests.
func (c *census) use(p *packages.Package) {
	own := strings.TrimSuffix(p.PkgPath, "_test")
	use := func(at token.Pos, o types.Object) {
		test := strings.HasSuffix(p.Fset.Position(at).Filename, "_test.go")
		if o.Pkg() != nil && !(test && o.Pkg().Path() == own) {
			c.used[place(p.Fset.Position(o.Pos()))] = true
		}
	}
	for name, o := range p.TypesInfo.Uses {
		switch o := o.(type) {
		case *types.Var:
			use(name.Pos(), o.Origin())
		case *types.Func:
			use(name.Pos(), o.Origin())
		}
	}
	for e, t := range p.TypesInfo.Types { // literals that don't name their fields
		l, ok := e.(*ast.CompositeLit)
		if !ok || len(l.Elts) == 0 {
			continue
		}
		if _, named := l.Elts[0].(*ast.KeyValueExpr); named {
			continue
		}
		literal := t.Type.Underlying()
		if pointer, ok := literal.(*types.Pointer); ok {
			literal = pointer.Elem().Underlying()
		}
		if s, ok := literal.(*types.Struct); ok {
			for f := range s.Fields() {
				use(l.Pos(), f.Origin())
			}
		}
	}
}
