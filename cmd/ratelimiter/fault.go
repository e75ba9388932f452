package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A place is where a setting stands: a flag, or a line of the file. The zero place is nowhere.
type place struct {
	name string // of the flag, the variable or the file
	line int    // of the file, else 0
	of   string // what is set there
}

// under is the place of a part of what stands here.
func (p place) under(part string) place {
	if p.of != "" {
		part = p.of + ": " + part
	}
	p.of = part
	return p
}

func (p place) String() string {
	switch {
	case p.name == "":
		return ""
	case p.line > 0:
		return fmt.Sprintf("%s:%d: %s", p.name, p.line, p.of)
	case p.of != "":
		return p.name + " " + p.of
	}
	return p.name
}

// A fault is what is wrong, and where.
type fault struct {
	at   place
	text string
}

func (f fault) String() string {
	at := f.at.String()
	if at == "" {
		return f.text
	}
	return strings.TrimSuffix(at, ": ") + ": " + f.text
}

// inPlace sorts faults: those of flags, those of the file, and those of several settings.
func inPlace(a, b fault) int {
	rank := func(f fault) int {
		switch {
		case f.at.name == "":
			return 2
		case f.at.line > 0:
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.at.line, b.at.line))
}

// faulty is one error of the faults, or nil.
func faulty(faults []fault) error {
	if len(faults) == 0 {
		return nil
	}
	slices.SortStableFunc(faults, inPlace)
	var b strings.Builder
	b.WriteString("ratelimiter: the configuration is faulty:")
	for _, f := range faults {
		b.WriteString("\n" + f.String())
	}
	return errors.New(b.String())
}
