package otel

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var needPromtool = flag.Bool("promtool", false, "fail where promtool is missing, instead of leaving out what needs it")

func promtool(t *testing.T, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		if *needPromtool {
			t.Fatal(err)
		}
		t.Skip("promtool is missing (Debian: apt-get install prometheus)")
	}
	if out, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// The alerts fire when they should, and not before: as Prometheus itself evaluates them.
func TestAlertsFire(t *testing.T) {
	promtool(t, "test", "rules", "testdata/alerts_test.yaml")
}

// Prometheus takes each query of the dashboard, with what Grafana puts into it.
func TestDashboardQueries(t *testing.T) {
	text, err := os.ReadFile("../../docs/observability/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	values := strings.NewReplacer("$__rate_interval", "5m", "$model", ".*", "$shadow", "")
	var rules []map[string]string
	for _, p := range d.Panels {
		for i, target := range p.Targets {
			rules = append(rules, map[string]string{
				"record": fmt.Sprintf("panel%d:target%d", p.ID, i),
				"expr":   values.Replace(target.Expr),
			})
		}
	}
	if len(rules) < 10 {
		t.Fatalf("%d queries", len(rules))
	}
	file, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", path)
}
