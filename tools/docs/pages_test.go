// Package docs holds what the repository's pages say to what is there: links lead somewhere,
// blocks of Go compile, and commands exist.
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A page is a file of Markdown.
type page struct {
	path    string // below the repository's root
	text    string // with blocks of code blanked, line by line
	anchors map[string]bool
	blocks  []block
}

// A block is fenced code.
type block struct {
	line     int // of its first line, from 1
	language string
	code     string
}

var (
	fence   = regexp.MustCompile("^ {0,3}```+(\\w*)")
	heading = regexp.MustCompile(`^#{1,6} +(.+?)(?: +#+)?$`)
	link    = regexp.MustCompile(`!?\[([^\]]*)\]\(([^)\s]+)\)`)
	image   = regexp.MustCompile(`<(?:img|source)[^>]*\bsrc(?:set)?="([^"]+)"`)
	punct   = regexp.MustCompile(`[^\p{L}\p{M}\p{N}\p{Pc}\- ]`)
)

// pages reads all of them below root.
func pages(root string) (map[string]*page, error) {
	found := map[string]*page{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		found[name] = parse(name, string(text))
		return nil
	})
	return found, err
}

func parse(path, text string) *page {
	p := &page{path: path, anchors: map[string]bool{}}
	var prose []string
	in := false
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && !in:
			in = true
			p.blocks = append(p.blocks, block{line: i + 2, language: m[1]})
			line = ""
		case m != nil:
			in, line = false, ""
		case in:
			p.blocks[len(p.blocks)-1].code += line + "\n"
			line = ""
		default:
			if h := heading.FindStringSubmatch(line); h != nil {
				p.anchor(h[1])
			}
		}
		prose = append(prose, line)
	}
	p.text = strings.Join(prose, "\n")
	return p
}

// anchor adds the name that GitHub gives a heading.
func (p *page) anchor(title string) {
	title = link.ReplaceAllString(title, "$1")
	name := strings.ReplaceAll(punct.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
	for i, unique := 1, name; ; i++ {
		if !p.anchors[unique] {
			p.anchors[unique] = true
			return
		}
		unique = fmt.Sprintf("%s-%d", name, i)
	}
}

// links are where the page's links lead, images included.
func (p *page) links() (targets []string) {
	for _, m := range link.FindAllStringSubmatch(p.text, -1) {
		targets = append(targets, m[2])
	}
	for _, m := range image.FindAllStringSubmatch(p.text, -1) {
		targets = append(targets, m[1])
	}
	return targets
}

// dead says why a relative link of the page leads nowhere, or returns "".
func (p *page) dead(target, root string, all map[string]*page) string {
	file, anchor, _ := strings.Cut(target, "#")
	to := p.path
	if file != "" {
		to = filepath.Join(filepath.Dir(p.path), file)
		if _, err := os.Stat(filepath.Join(root, to)); err != nil {
			return "there is no " + to
		}
	}
	if anchor == "" {
		return ""
	}
	if there := all[to]; there == nil || !there.anchors[anchor] {
		return fmt.Sprintf("%s has no heading #%s", to, anchor)
	}
	return ""
}
