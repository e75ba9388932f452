// Command api lists the exported API of a module's public packages, a line for each name, so
// that a change of it is seen as one.
//
//	api [-w] directory
//
// It compares what it finds with the file api.txt in the module's directory, and fails if they
// differ. With -w it writes the file.
package main

import (
	"flag"
	"fmt"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	write := flag.Bool("w", false, "write the file")
	flag.Parse()
	if err := run(flag.Arg(0), *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string, write bool) error {
	lines, err := list(dir)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "api.txt")
	if write {
		return os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	written := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	changes := difference(written, lines)
	if len(changes) == 0 {
		return nil
	}
	return fmt.Errorf("%s\napi.txt differs from the exported API, as above. If that is meant, run make api-write and say so in CHANGELOG.md",
		strings.Join(changes, "\n"))
}

// difference returns what is gone, with a minus, and what is new, with a plus.
func difference(before, after []string) (changes []string) {
	for _, l := range before {
		if !slices.Contains(after, l) {
			changes = append(changes, "- "+l)
		}
	}
	for _, l := range after {
		if !slices.Contains(before, l) {
			changes = append(changes, "+ "+l)
		}
	}
	return changes
}

// list returns the API of the module in dir, in order.
func list(dir string) ([]string, error) {
	all, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedTypes | packages.NeedImports | packages.NeedDeps |
			packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedModule,
		Dir: dir,
	}, "./...")
	if err != nil {
		return nil, err
	}
	if packages.PrintErrors(all) > 0 {
		return nil, fmt.Errorf("%s does not compile", dir)
	}
	var lines []string
	for _, p := range all {
		if p.Name == "main" || strings.Contains(p.PkgPath+"/", "/internal/") {
			continue
		}
		l := lister{pkg: p.Types, module: p.Module.Path, path: p.Name}
		if below := strings.TrimPrefix(p.PkgPath, p.Module.Path+"/"); below != p.PkgPath {
			l.path = below
		}
		for _, name := range p.Types.Scope().Names() {
			if o := p.Types.Scope().Lookup(name); o.Exported() {
				l.object(o)
			}
		}
		lines = append(lines, l.lines...)
	}
	slices.Sort(lines)
	return lines, nil
}

// A lister lists a package.
type lister struct {
	pkg    *types.Package
	module string
	path   string // below the module's
	lines  []string
}

func (l *lister) add(format string, args ...any) {
	l.lines = append(l.lines, l.path+": "+fmt.Sprintf(format, args...))
}

// qualifier is what stands before a name: nothing for the package's own, and a package's name
// for the module's and Go's. Of others the path tells their versions apart.
func (l *lister) qualifier(p *types.Package) string {
	host, _, _ := strings.Cut(p.Path(), "/")
	switch {
	case p == l.pkg:
		return ""
	case strings.Contains(host, ".") && !strings.HasPrefix(p.Path()+"/", l.module+"/"):
		return p.Path()
	}
	return p.Name()
}

func (l *lister) typeString(t types.Type) string { return types.TypeString(t, l.qualifier) }

func (l *lister) object(o types.Object) {
	switch o := o.(type) {
	case *types.Const:
		l.add("const %s %s = %s", o.Name(), l.typeString(o.Type()), o.Val().ExactString())
	case *types.TypeName:
		l.typeName(o)
	default: // variables and functions
		l.add("%s", types.ObjectString(o, l.qualifier))
	}
}

func (l *lister) typeName(o *types.TypeName) {
	if o.IsAlias() {
		l.add("%s", types.ObjectString(o, l.qualifier))
		return
	}
	named := o.Type().(*types.Named)
	name := o.Name()
	if p := named.TypeParams(); p != nil {
		name = l.typeString(named)
	}
	switch u := named.Underlying().(type) {
	case *types.Struct:
		kind := "struct"
		if types.Comparable(named) {
			kind = "comparable struct"
		}
		l.add("type %s %s", name, kind)
		l.fields(name, u)
	case *types.Interface:
		l.iface(name, u)
		return
	default:
		l.add("type %s %s", name, l.typeString(u))
	}
	values := types.NewMethodSet(named)
	pointers := types.NewMethodSet(types.NewPointer(named))
	for m := range pointers.Methods() {
		f := m.Obj().(*types.Func)
		if !f.Exported() {
			continue
		}
		receiver := "*" + name
		if values.Lookup(f.Pkg(), f.Name()) != nil {
			receiver = name
		}
		l.add("method (%s) %s%s", receiver, f.Name(), strings.TrimPrefix(l.typeString(f.Signature()), "func"))
	}
}

func (l *lister) fields(name string, s *types.Struct) {
	for i := range s.NumFields() {
		f := s.Field(i)
		if !f.Exported() {
			continue
		}
		kind := "field"
		if f.Embedded() {
			kind = "embedded"
		}
		tag := ""
		if v, ok := reflect.StructTag(s.Tag(i)).Lookup("json"); ok {
			tag = " json:" + v
		}
		l.add("%s %s.%s %s%s", kind, name, f.Name(), l.typeString(f.Type()), tag)
	}
}

// iface lists an interface. One that has an unexported method can't be implemented elsewhere.
func (l *lister) iface(name string, t *types.Interface) {
	kind := "interface"
	for m := range t.Methods() {
		if !m.Exported() {
			kind = "sealed interface"
			continue
		}
		l.add("method (%s) %s%s", name, m.Name(), strings.TrimPrefix(l.typeString(m.Signature()), "func"))
	}
	l.add("type %s %s", name, kind)
}
