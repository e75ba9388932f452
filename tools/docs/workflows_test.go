package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// byHand are the targets of make that no workflow runs: they change the tree or the repository,
// print figures that somebody has to look at, or are a part of another.
var byHand = []string{
	"help", "mod", "api-write", "screenshots", "plots", "release",
	"bench", "bench-tokens", "bench-redis",
	"release-check", "fuzz-tokens",
}

// Each target of make is run by a workflow, or is one that only people run. What workflows use
// of others is pinned, and their commands are ones of the shell.
func TestWorkflows(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	run := map[string]bool{}
	paths, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var workflow struct {
			Jobs map[string]struct {
				Strategy struct{ Matrix struct{ Target []string } }
				Steps    []struct{ Uses, Run string }
			}
		}
		if err := yaml.Unmarshal(text, &workflow); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for name, job := range workflow.Jobs {
			for _, target := range job.Strategy.Matrix.Target {
				run[strings.Fields(target)[0]] = true
			}
			if len(job.Steps) == 0 {
				t.Errorf("%s: job %s has no steps", path, name)
			}
			for _, step := range job.Steps {
				if step.Uses != "" && !pinned.MatchString(step.Uses) {
					t.Errorf("%s uses %s, which can change", path, step.Uses)
				}
				if out, err := exec.Command("sh", "-n", "-c", expression.ReplaceAllString(step.Run, "x")).CombinedOutput(); err != nil {
					t.Errorf("%s: %s: %v: %s", path, step.Run, err, out)
				}
				for _, m := range made.FindAllStringSubmatch(step.Run, -1) {
					run[m[1]] = true
				}
				if strings.HasSuffix(step.Run, ".ci/run") {
					run["test"] = true
				}
			}
		}
	}
	var targets []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):.*\n(?:\t@\$\(MAKE\) --no-print-directory ([a-z -]+)\n)?`).FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, m[1])
		if run[m[1]] { // and with it what it makes; test is the first
			for _, also := range strings.Fields(m[2]) {
				run[also] = true
			}
		}
	}
	for _, target := range targets {
		switch {
		case run[target] && slices.Contains(byHand, target):
			t.Errorf("a workflow runs make %s", target)
		case !run[target] && !slices.Contains(byHand, target):
			t.Errorf("no workflow runs make %s", target)
		}
	}
	for target := range run {
		if !slices.Contains(targets, target) {
			t.Errorf("a workflow runs make %s, which is not there", target)
		}
	}
}

var (
	expression = regexp.MustCompile(`\$\{\{[^}]*\}\}`) // of GitHub
	pinned     = regexp.MustCompile(`@[0-9a-f]{40}$`)
	made       = regexp.MustCompile(`\bmake ([a-z][a-z-]*)`)
)
