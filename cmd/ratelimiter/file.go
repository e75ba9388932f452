package main

import (
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readFile reads the settings of a YAML file. What is wrong in it is told with its line; an
// error is of a file that can't be read at all.
func readFile(path string) ([]setting, []fault, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	f := &file{path: path}
	if len(document.Content) > 0 { // else it is empty
		f.read(document.Content[0])
	}
	return f.settings, f.faults, nil
}

// A file is one that is being read.
type file struct {
	path     string
	settings []setting
	faults   []fault
}

func (f *file) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", f.path, n.Line) }

func (f *file) fault(n *yaml.Node, format string, args ...any) {
	f.faults = append(f.faults, fault{f.at(n), fmt.Sprintf(format, args...)})
}

// read takes in the whole file.
func (f *file) read(root *yaml.Node) {
	f.each("the file", root, func(name, value *yaml.Node) {
		k := keyNamed(name.Value)
		if k == nil {
			f.fault(name, "%s: there is no such setting: ratelimiter -help lists them", name.Value)
			return
		}
		s := setting{key: k.name, at: f.at(name)}
		switch k.form {
		case scalar:
			if value.Kind != yaml.ScalarNode || value.Tag == "!!null" {
				f.fault(value, "%s: it takes one value", k.name)
				return
			}
			s.text = value.Value
			f.settings = append(f.settings, s)
		case figures:
			f.compose(s, k.name, value)
		default:
			f.each(k.name, value, func(name, value *yaml.Node) {
				s := setting{key: k.name, name: name.Value, at: f.at(name)}
				f.compose(s, k.name+": "+name.Value, value)
			})
		}
	})
}

// compose takes in a setting of several figures.
func (f *file) compose(s setting, what string, value *yaml.Node) {
	ok := f.each(what, value, func(name, value *yaml.Node) {
		switch {
		case name.Value == "models" && s.key == "shared":
			s.models = f.list(what+": models", value)
		case value.Kind != yaml.ScalarNode:
			f.fault(value, "%s: %s: it takes one value", what, name.Value)
		default:
			s.fields = append(s.fields, field{name.Value, value.Value, f.at(name) + ": " + what})
		}
	})
	if ok {
		f.settings = append(f.settings, s)
	}
}

// each goes through a mapping, and reports whether it is one.
func (f *file) each(what string, n *yaml.Node, do func(name, value *yaml.Node)) bool {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		f.fault(n, "%s: it takes keys and values", what)
		return false
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		switch {
		case name.Kind != yaml.ScalarNode:
			f.fault(name, "%s: a key must be a name", what)
		case seen[name.Value]:
			f.fault(name, "%s: %s is set twice", what, name.Value)
		default:
			seen[name.Value] = true
			do(name, value)
		}
	}
	return true
}

// list reads a list of names.
func (f *file) list(what string, n *yaml.Node) []string {
	if n.Kind != yaml.SequenceNode {
		f.fault(n, "%s: it takes a list", what)
		return nil
	}
	var names []string
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || strings.TrimSpace(item.Value) == "" {
			f.fault(item, "%s: it takes names", what)
			continue
		}
		names = append(names, item.Value)
	}
	return names
}
