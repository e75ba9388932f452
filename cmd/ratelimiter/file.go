package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	f := &file{path: path}
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for i := 0; ; i++ {
		var document yaml.Node
		switch err := documents.Decode(&document); {
		case errors.Is(err, io.EOF):
			return f.settings, f.faults, nil
		case err != nil:
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		case i > 0:
			f.fault(&document, "", "a second document begins here, and only one is read")
			return f.settings, f.faults, nil
		}
		f.read(document.Content[0])
	}
}

// A file is one that is being read.
type file struct {
	path     string
	settings []setting
	faults   []fault
}

func (f *file) at(n *yaml.Node, of string) place { return place{f.path, n.Line, of} }

func (f *file) fault(n *yaml.Node, of, text string) {
	f.faults = append(f.faults, fault{f.at(n, of), text})
}

// read takes in the whole file.
func (f *file) read(root *yaml.Node) {
	f.each("", "", root, func(name, value *yaml.Node) {
		k := keyNamed(name.Value)
		if k == nil {
			f.fault(name, name.Value, "there is no such setting: ratelimiter -help lists them")
			return
		}
		s := setting{key: k.name, at: f.at(name, k.name)}
		switch k.form {
		case scalar:
			if value.Kind != yaml.ScalarNode || value.Tag == "!!null" {
				f.fault(value, k.name, "it takes one value")
				return
			}
			s.text = value.Value
			f.settings = append(f.settings, s)
		case figures:
			f.compose(s, value)
		default:
			f.each(k.name, "NAME: "+k.inFile, value, func(name, value *yaml.Node) {
				f.compose(setting{key: k.name, name: name.Value, at: f.at(name, k.name+": "+name.Value)}, value)
			})
		}
	})
}

// compose takes in a setting of several figures, unless one of them is written wrongly.
func (f *file) compose(s setting, value *yaml.Node) {
	before := len(f.faults)
	f.each(s.at.of, keyNamed(s.key).inFile, value, func(name, value *yaml.Node) {
		of := s.at.of + ": " + name.Value
		switch {
		case name.Value == "models" && s.key == "shared":
			s.models = f.list(of, value)
		case value.Kind != yaml.ScalarNode:
			f.fault(value, of, "it takes one value")
		default:
			s.fields = append(s.fields, field{name.Value, value.Value, f.at(name, s.at.of)})
		}
	})
	if len(f.faults) == before {
		f.settings = append(f.settings, s)
	}
}

// each goes through a mapping, of which there is an example unless it is the whole file.
func (f *file) each(of, example string, n *yaml.Node, do func(name, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		text := "it takes keys and values"
		if example != "" {
			text += ", such as " + example
		}
		f.fault(n, of, text)
		return
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], resolved(n.Content[i+1])
		switch {
		case name.Kind != yaml.ScalarNode:
			f.fault(name, of, "a key must be a name")
		case seen[name.Value]:
			f.fault(name, f.at(n, of).under(name.Value).of, "it is set twice")
		default:
			seen[name.Value] = true
			do(name, value)
		}
	}
}

// list reads a list of names.
func (f *file) list(of string, n *yaml.Node) []string {
	if n.Kind != yaml.SequenceNode {
		f.fault(n, of, "it takes a list")
		return nil
	}
	var names []string
	for _, item := range n.Content {
		if item = resolved(item); item.Kind != yaml.ScalarNode || strings.TrimSpace(item.Value) == "" {
			f.fault(item, of, "it takes names")
			continue
		}
		names = append(names, item.Value)
	}
	return names
}

// resolved is what a node stands for, which an anchor may have named before.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
