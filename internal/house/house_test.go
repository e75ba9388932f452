// Package house holds the repository to its own picture of itself.
package house

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/openai-ratelimiter/ratelimiter"

// short is the name of a package in the picture.
func short(path string) string {
	if path == module {
		return "root"
	}
	path = strings.TrimPrefix(path, module+"/")
	if strings.HasPrefix(path, "adapters/") {
		return "adapters"
	}
	return path[strings.LastIndexByte(path, '/')+1:]
}

// The arrows of docs/ARCHITECTURE.md are the imports of the library's packages.
func TestPictureOfThePackages(t *testing.T) {
	doc, err := os.ReadFile("../../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^  (\w+)(?:\[.*?\])? --> (\w+)`).FindAllStringSubmatch(string(doc), -1) {
		drawn[m[1]+" → "+m[2]] = true
	}
	// Tests' packages and generators are not part of the library.
	apart := regexp.MustCompile(`/(openaitest|backend/backendtest|internal/\w*test|internal/\w+/(gen|layout|reference)|internal/house|internal/cputime)(/|$)`)

	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	real := map[string]bool{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if apart.MatchString(p.ImportPath) {
			continue
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, module) && !apart.MatchString(i) {
				real[short(p.ImportPath)+" → "+short(i)] = true
			}
		}
	}
	for arrow := range real {
		if !drawn[arrow] {
			t.Errorf("docs/ARCHITECTURE.md lacks %s", arrow)
		}
	}
	for arrow := range drawn {
		if !real[arrow] {
			t.Errorf("docs/ARCHITECTURE.md draws %s, which is no import", arrow)
		}
	}
}
