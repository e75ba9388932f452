package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/go/packages"
)

// A mutant is one small change of a file.
type mutant struct {
	pkg      *packages.Package
	file     string // its path
	content  []byte // of the file, unchanged
	from, to int    // what is replaced
	by       string
	function string // or variable, or constant, that it is in
}

// source is the file's content with the change.
func (m *mutant) source() []byte {
	return bytes.Join([][]byte{m.content[:m.from], m.content[m.to:]}, []byte(m.by))
}

// line is where the change begins.
func (m *mutant) line() int { return 1 + bytes.Count(m.content[:m.from], []byte("\n")) }

// lines returns the lines that the change is in, before and after.
func (m *mutant) lines() (before, after string) {
	first := bytes.LastIndexByte(m.content[:m.from], '\n') + 1
	last := len(m.content)
	if n := bytes.IndexByte(m.content[m.to:], '\n'); n >= 0 {
		last = m.to + n
	}
	return string(m.content[first:last]), string(m.content[first:m.from]) + m.by + string(m.content[m.to:last])
}

// text is what a mutant is known by, wherever in the file its line stands.
func (m *mutant) text() string {
	before, after := m.lines()
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	return m.function + ": " + squeeze(before) + " → " + squeeze(after)
}

// compiles reports whether the package type-checks with the change.
func (m *mutant) compiles(parse func(name string, content []byte) (*ast.File, error)) bool {
	files := make([]*ast.File, len(m.pkg.Syntax))
	for i, f := range m.pkg.Syntax {
		files[i] = f
		if m.pkg.CompiledGoFiles[i] == m.file {
			changed, err := parse(m.file, m.source())
			if err != nil {
				return false
			}
			files[i] = changed
		}
	}
	config := types.Config{
		Importer: imported(m.pkg.Imports),
		Sizes:    m.pkg.TypesSizes,
		Error:    func(error) {},
	}
	_, err := config.Check(m.pkg.PkgPath, m.pkg.Fset, files, nil)
	return err == nil
}

// imported is what a package imports, by path.
type imported map[string]*packages.Package

func (i imported) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	if p := i[path]; p != nil {
		return p.Types, nil
	}
	return nil, fmt.Errorf("%s is not imported", path)
}

// swaps are the operators, and what each is taken for.
var swaps = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL, token.REM: token.MUL,
	token.AND: token.OR, token.OR: token.AND, token.SHL: token.SHR, token.SHR: token.SHL,
	token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD_ASSIGN: token.SUB_ASSIGN, token.SUB_ASSIGN: token.ADD_ASSIGN,
	token.MUL_ASSIGN: token.QUO_ASSIGN, token.QUO_ASSIGN: token.MUL_ASSIGN,
	token.AND_ASSIGN: token.OR_ASSIGN, token.OR_ASSIGN: token.AND_ASSIGN,
	token.INC: token.DEC, token.DEC: token.INC,
}

// mutantsOf returns every change of a file that the operators know, in order.
func mutantsOf(p *packages.Package, syntax *ast.File, file string, content []byte) []*mutant {
	var all []*mutant
	function := ""
	offset := func(at token.Pos) int { return p.Fset.Position(at).Offset }
	add := func(from, to token.Pos, by string) {
		if string(content[offset(from):offset(to)]) == by {
			return // a blank for a blank
		}
		all = append(all, &mutant{p, file, content, offset(from), offset(to), by, function})
	}
	code := func(n ast.Node) string { return string(content[offset(n.Pos()):offset(n.End())]) }
	swap := func(at token.Pos, op token.Token) {
		if other, ok := swaps[op]; ok {
			add(at, at+token.Pos(len(op.String())), other.String())
		}
	}
	negate := func(condition ast.Expr) {
		if condition != nil {
			add(condition.Pos(), condition.End(), "!("+code(condition)+")")
		}
	}
	remove := func(s ast.Node) { add(s.Pos(), s.End(), "") }
	visit := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			swap(n.OpPos, n.Op)
		case *ast.UnaryExpr:
			if n.Op == token.NOT || n.Op == token.SUB {
				add(n.OpPos, n.X.Pos(), "")
			}
		case *ast.CallExpr:
			if signOfInf(n) {
				return false
			}
		case *ast.BasicLit:
			if by := otherLiteral(n, p.TypesInfo.TypeOf(n)); by != "" {
				add(n.Pos(), n.End(), by)
			}
		case *ast.Ident:
			if o := p.TypesInfo.Uses[n]; o != nil && o.Parent() == types.Universe {
				if other := map[string]string{"true": "false", "false": "true", "min": "max", "max": "min"}[n.Name]; other != "" {
					add(n.Pos(), n.End(), other)
				}
			}
		case *ast.IfStmt:
			negate(n.Cond)
			if last := len(n.Body.List) - 1; last >= 0 && n.Else == nil {
				switch n.Body.List[last].(type) {
				case *ast.ReturnStmt, *ast.BranchStmt:
					remove(n.Body.List[last])
				}
			}
		case *ast.ForStmt:
			negate(n.Cond)
		case *ast.CaseClause:
			if len(n.List) > 0 && isBool(p, n.List[0]) {
				for _, condition := range n.List {
					negate(condition)
				}
			}
		case *ast.ExprStmt:
			remove(n)
		case *ast.DeferStmt:
			remove(n)
		case *ast.IncDecStmt:
			swap(n.TokPos, n.Tok)
			remove(n)
		case *ast.AssignStmt:
			swap(n.TokPos, n.Tok)
			if n.Tok != token.DEFINE {
				blanks := strings.TrimSuffix(strings.Repeat("_, ", len(n.Lhs)), ", ")
				add(n.Pos(), n.Rhs[0].Pos(), blanks+" = ")
			}
		}
		return true
	}
	for _, d := range syntax.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			function = functionName(d)
			ast.Inspect(d, visit)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					function = v.Names[0].Name
					ast.Inspect(v, visit)
				}
			}
		}
	}
	return all
}

func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	return strings.TrimPrefix(types.ExprString(f.Recv.List[0].Type), "*") + "." + f.Name.Name
}

// signOfInf reports whether a call is math.Inf of a number, of which only the sign counts.
func signOfInf(n *ast.CallExpr) bool {
	f, ok := n.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Inf" || len(n.Args) != 1 {
		return false
	}
	_, ok = n.Args[0].(*ast.BasicLit)
	return ok
}

func isBool(p *packages.Package, e ast.Expr) bool {
	t := p.TypesInfo.TypeOf(e)
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsBoolean != 0
}

// otherLiteral is a number other than a literal: the next one to a small one, and twice a
// large one, since nobody promises that 1,024 entries are not 1,025. In place of no time it is a
// second: nobody can tell a nanosecond from none.
func otherLiteral(l *ast.BasicLit, of types.Type) string {
	switch l.Kind {
	case token.INT:
		if l.Value == "0" && of != nil && of.String() == "time.Duration" {
			return strconv.FormatInt(int64(time.Second), 10)
		}
		if n, err := strconv.ParseInt(l.Value, 0, 64); err == nil && n < 1<<40 {
			if n < 10 {
				return strconv.FormatInt(n+1, 10)
			}
			return strconv.FormatInt(2*n, 10)
		}
	case token.FLOAT:
		if f, err := strconv.ParseFloat(l.Value, 64); err == nil {
			return strconv.FormatFloat(f*1.5+0.1, 'g', 12, 64)
		}
	}
	return ""
}
