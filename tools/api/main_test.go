package main

import (
	"slices"
	"testing"
)

const module = "testdata/module"

func TestList(t *testing.T) {
	got, err := list(module)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"module: const Limit time.Duration = 3",
		"module: embedded Info.Base sub.Base",
		"module: field Info.Names []string json:names",
		"module: field Plain.A int",
		"module: func New(ctx context.Context, o ...Option) (*Info, error)",
		"module: method (*Info) Pointer(n int) bool",
		"module: method (*Info) Promoted()",
		"module: method (Hook) Run(context.Context) sub.Base",
		"module: method (Info) Value() int",
		"module: method (Set[T any]) Get(name string) T",
		"module: type Hook interface",
		"module: type Info struct",
		"module: type Number int",
		"module: type Option sealed interface",
		"module: type Plain comparable struct",
		"module: type Same = sub.Base",
		"module: type Set[T any] map[string]T",
		"module: var Err error",
		"sub: field Base.N int",
		"sub: method (*Base) Promoted()",
		"sub: type Base comparable struct",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\ngone or new: %q", got, difference(want, got))
	}
}

func TestDifference(t *testing.T) {
	got := difference([]string{"a", "b"}, []string{"b", "c"})
	if want := []string{"- a", "+ c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A module without its file fails, and so does what is no module.
func TestNothingToCompare(t *testing.T) {
	for _, dir := range []string{module, t.TempDir()} {
		if err := run(dir, false); err == nil {
			t.Errorf("%s passes", dir)
		}
	}
}
