// Without measures what each rule of the calibration is for: it plays scenarios on a
// copy of the module from which one rule at a time is taken out, and writes down
// which bars are missed then. The table becomes a part of docs/SIMULATION.md.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	all := flag.Bool("all", false, "play all scenarios without each rule, not only those that it is for")
	only := flag.String("rule", "", "a regular expression")
	out := flag.String("o", "simulate/rules.md", "where the table is written")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, regexp.MustCompile(*only), *all, *out); err != nil {
		fmt.Fprintln(os.Stderr, "without:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only *regexp.Regexp, all bool, out string) error {
	root, err := os.MkdirTemp("", "without")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	if err := copyModule("..", root); err != nil {
		return err
	}
	for _, r := range rules { // before an hour is spent
		restore, err := r.remove(root)
		if err == nil {
			err = restore()
		}
		if err != nil {
			return err
		}
	}
	var table strings.Builder
	table.WriteString("| rule | what is missed without it |\n|---|---|\n")
	for _, r := range rules {
		if !only.MatchString(r.name) {
			continue
		}
		restore, err := r.remove(root)
		if err != nil {
			return err
		}
		scenarios := r.scenarios
		if all {
			scenarios = anything
		}
		bars, err := missed(ctx, root, scenarios, r.batches)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if test, ok := tests[r.name]; ok && fails(ctx, root, test[0], test[1]) {
			bars = append(bars, "the test "+test[1])
		}
		line := fmt.Sprintf("| %s | %s |\n", r.name, shown(bars))
		fmt.Print(line)
		if err := restore(); err != nil {
			return err
		}
		table.WriteString(line)
	}
	return os.WriteFile(out, []byte(table.String()), 0o644)
}

// copyModule copies the sources of all modules.
func copyModule(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o644)
	})
}

var missLine = regexp.MustCompile(`(?m)^\s+\w+_test\.go:\d+: (.*), ours: (.*)$`)

// missed plays the scenarios and batches and returns the bars that ours misses.
func missed(ctx context.Context, root, scenarios, batches string) ([]string, error) {
	var output bytes.Buffer
	run, args := "^TestSimulation$", []string{"-policy", "^ours$", "-scenario", scenarios}
	if batches != "" {
		run, args = "^TestBatches$", []string{"-batch", batches, "-seeds", "3"}
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-timeout", "60m", "-run", run, ".", "-args"}, args...)...)
	cmd.Dir = filepath.Join(root, "bench", "simulate")
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	if bytes.Contains(output.Bytes(), []byte("panic: ")) {
		return nil, errors.Join(err, errors.New(output.String())) // or too slow
	}
	var bars []string
	for _, m := range missLine.FindAllStringSubmatch(output.String(), -1) {
		bars = append(bars, m[1]+": "+m[2])
	}
	if err != nil && len(bars) == 0 {
		return nil, errors.Join(err, errors.New(output.String()))
	}
	return bars, nil
}

// fails reports whether a test does.
func fails(ctx context.Context, root, dir, test string) bool {
	cmd := exec.CommandContext(ctx, "go", "test", "-count=5", "-run", "^"+test+"$", ".")
	cmd.Dir = filepath.Join(root, dir)
	return cmd.Run() != nil
}

// shown is a cell of the table. What the bar was is said elsewhere.
func shown(bars []string) string {
	if len(bars) == 0 {
		return "none"
	}
	for i, b := range bars {
		bars[i], _, _ = strings.Cut(b, "; the bar is")
	}
	return strings.Join(bars, "; ")
}
