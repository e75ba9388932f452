package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A suite is some of a package's tests.
type suite struct {
	pkg     string
	run     string // a pattern of their names
	timeout time.Duration
}

// slow is what takes a test out of the suite that comes first.
const slow = time.Second

// measure runs those of a package's tests whose names match without a change, and returns the
// suites of those that are fast and of those that are slow. A test that fails even so is in neither.
func measure(dir, pkg, names string) (fast, rest suite, err error) {
	cmd := exec.Command("go", "test", "-short", "-vet=off", "-count=1", "-timeout=1h", "-json", "-run", names, pkg) // the machine may be busy
	cmd.Dir = dir
	out, err := cmd.Output()
	took, failed := map[string]time.Duration{}, []string(nil)
	for line := range bytes.Lines(out) { // of any length
		var e struct {
			Action, Test string
			Elapsed      float64 // s
		}
		if json.Unmarshal(line, &e) != nil || e.Test == "" || strings.Contains(e.Test, "/") {
			continue
		}
		switch e.Action {
		case "pass":
			took[e.Test] = time.Duration(e.Elapsed * float64(time.Second))
		case "fail":
			failed = append(failed, e.Test)
		}
	}
	if len(failed) > 0 {
		fmt.Printf("LEFT OUT, as they fail without a change: %s of %s\n", strings.Join(failed, ", "), pkg)
	} else if err != nil {
		const most = 4 << 10
		return fast, rest, fmt.Errorf("the tests of %s don't run: %w\n%s", pkg, err, out[max(0, len(out)-most):])
	}
	among := func(in func(time.Duration) bool) suite {
		var names []string
		total := time.Duration(0)
		for name, d := range took {
			if in(d) {
				names, total = append(names, name), total+d
			}
		}
		slices.Sort(names)
		// Changed code may be slower, and the machine busy.
		s := suite{pkg: pkg, timeout: 10*time.Second + 3*total}
		if len(names) > 0 {
			s.run = "^(" + strings.Join(names, "|") + ")$"
		}
		return s
	}
	return among(func(d time.Duration) bool { return d <= slow }), among(func(d time.Duration) bool { return d > slow }), nil
}

// kills reports whether a suite fails with the change.
func (s suite) kills(dir string, m *mutant) (bool, error) {
	if s.run == "" {
		return false, nil
	}
	work, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(work)
	changed := filepath.Join(work, filepath.Base(m.file))
	if err := os.WriteFile(changed, m.source(), 0o644); err != nil {
		return false, err
	}
	content, err := json.Marshal(map[string]map[string]string{"Replace": {m.file: changed}})
	if err != nil {
		return false, err
	}
	overlay := filepath.Join(work, "overlay.json")
	if err := os.WriteFile(overlay, content, 0o644); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout+3*time.Minute) // to build, too
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-short", "-failfast", "-vet=off", "-count=1",
		"-ldflags=-s -w", "-timeout", s.timeout.String(), "-run", s.run, s.pkg)
	cmd.Dir = dir
	// A property tries the same each time. What fails is neither written beside the tests nor
	// made small, which takes half a minute.
	cmd.Env = append(os.Environ(), "GOMEMLIMIT=2GiB", "RAPID_SEED=1", "RAPID_NOFAILFILE=true", "RAPID_SHRINKTIME=0s")
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
		return false, err
	}
	if regexp.MustCompile(`(?m)^FAIL.*\[(build|setup) failed\]$`).Match(out) {
		return false, fmt.Errorf("%s:%d: does not build:\n%s", m.file, m.line(), out)
	}
	if bytes.Contains(out, []byte("panic: test timed out")) {
		fmt.Printf("TIMED OUT after %v: ", s.timeout) // by the change, unless the machine is busy
	}
	return err != nil, nil
}

// importers returns, of each package, which of the module's packages that have tests use it,
// the nearest first, but for those that are left out.
func importers(dir string, leftOut *regexp.Regexp) (map[string][]string, error) {
	cmd := exec.Command("go", "list", "-f", `{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{join .Deps " "}}{{end}}`, "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	deps := map[string]int{}
	users := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || leftOut.MatchString(fields[0]) {
			continue
		}
		deps[fields[0]] = len(fields)
		for _, d := range fields[1:] {
			users[d] = append(users[d], fields[0])
		}
	}
	for _, u := range users {
		slices.SortFunc(u, func(a, b string) int { return deps[a] - deps[b] })
	}
	return users, nil
}
