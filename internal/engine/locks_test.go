package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// No function returns with a lock held, nor gives one up half way: each Lock is followed by
// its deferred Unlock. Functions whose names end in Locked lock no account, and are called
// only by each other and by functions that have locked something.
func TestLocks(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files, functions := token.NewFileSet(), 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				functions++
				checkLocks(t, files, f)
			}
		}
	}
	if functions < 50 {
		t.Errorf("only %d functions are found", functions)
	}
}

func checkLocks(t *testing.T, files *token.FileSet, f *ast.FuncDecl) {
	name := f.Name.Name
	locked := strings.HasSuffix(name, "Locked")
	fault := func(n ast.Node, what string) { t.Errorf("%s: %s %s", files.Position(n.Pos()), name, what) }
	locks, needs, deferred := 0, false, 0
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if block, ok := n.(*ast.BlockStmt); ok {
			for i, s := range block.List {
				e, ok := s.(*ast.ExprStmt)
				if !ok || method(e.X) != "Lock" {
					continue
				}
				if i+1 < len(block.List) {
					if next, ok := block.List[i+1].(*ast.DeferStmt); ok && method(next.Call) == "Unlock" && receiver(next.Call) == receiver(e.X) {
						deferred++
						continue
					}
				}
				fault(s, "locks without a deferred unlock right behind")
			}
		}
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch m := method(call); {
		case m == "Lock":
			if locks++; locked {
				fault(call, "locks, although its name says that its caller has")
			}
		case strings.HasSuffix(m, "Locked"):
			needs = true
		}
		return true
	})
	if locks != deferred {
		fault(f, "locks in the middle of something else")
	}
	if needs && !locked && locks == 0 {
		fault(f, "calls what needs the lock, and has not locked")
	}
}

// method is the name of the method or function that is called.
func method(e ast.Expr) string {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return ""
	}
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return ""
}

// receiver is what a method is called of, as its source.
func receiver(e ast.Expr) string {
	var path []string
	ast.Inspect(e.(*ast.CallExpr).Fun.(*ast.SelectorExpr).X, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			path = append(path, id.Name)
		}
		return true
	})
	return strings.Join(path, ".")
}
