package docs

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/importer"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// isGo tells blocks of Go in comments from tables and the like.
var isGo = regexp.MustCompile(`:=|\bfunc |\.With`)

// Every block of Go in the comments of the packages that programs import compiles, as those of
// pages do.
func TestBlocksOfComments(t *testing.T) {
	exports := compiled(t)
	fset := token.NewFileSet()
	gc := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	preamble, err := parser.ParseFile(fset, "given", given, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, noModule := os.Stat(filepath.Join(path, "go.mod"))
			if path != root && (noModule == nil || slices.Contains([]string{"internal", "testdata", ".git"}, d.Name())) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, c := range f.Comments {
			for _, code := range codeIn(c) {
				if !isGo.MatchString(code) {
					continue
				}
				n++
				where := fmt.Sprintf("%s:%d", path, files.Position(c.Pos()).Line) // of the comment, more or less
				for _, err := range compile(fset, gc, preamble, where, code) {
					t.Errorf("%v in\n%s", err, code)
				}
			}
		}
		return nil
	})
	if err != nil || n < 5 {
		t.Errorf("%d blocks of Go were found: %v", n, err)
	}
}

// codeIn are the blocks of code in a comment.
func codeIn(c *ast.CommentGroup) (blocks []string) {
	for _, block := range new(comment.Parser).Parse(c.Text()).Content {
		if code, ok := block.(*comment.Code); ok {
			blocks = append(blocks, code.Text)
		}
	}
	return blocks
}
