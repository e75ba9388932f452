package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// equivalents are the mutants that can't matter, by their file and text.
//
// In the file that lists them a line names a file, the next ones its mutants, each followed
// by an indented reason:
//
//	internal/engine/queue.go
//	queue.pop: if n < 0 { → if n <= 0 {
//		why nobody can tell the difference
type equivalents map[string]map[string]bool // false: not found yet

func readEquivalents(name string) (equivalents, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all := equivalents{}
	file, pending := "", ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, "\t"):
			if pending == "" && all[file] == nil {
				return nil, fmt.Errorf("%s: %q is the reason of nothing", name, line)
			}
			pending = ""
			continue
		case pending != "":
			return nil, fmt.Errorf("%s: no reason is given for %q", name, pending)
		case strings.Contains(line, " → ") || strings.HasSuffix(line, " →"):
			if all[file] == nil {
				all[file] = map[string]bool{}
			}
			all[file][line] = false
			pending = line
		default:
			file = line
		}
	}
	if pending != "" {
		return nil, fmt.Errorf("%s: no reason is given for %q", name, pending)
	}
	return all, lines.Err()
}

// has reports whether a mutant is among them.
func (e equivalents) has(file string, m *mutant) bool {
	text := strings.TrimSpace(m.text())
	if _, ok := e[file][text]; !ok {
		return false
	}
	e[file][text] = true
	return true
}

// stale returns those that are no mutants of the code any more.
func (e equivalents) stale() (lines []string) {
	for file, texts := range e {
		for text, found := range texts {
			if !found {
				lines = append(lines, file+" "+text)
			}
		}
	}
	return lines
}
