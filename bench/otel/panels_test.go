package otel

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"go.yaml.in/yaml/v3"
)

// A dashboard is what a test needs of one.
type dashboard struct {
	UID        string
	Templating struct{ List []variable }
	Panels     []panel
}

type variable struct {
	Name, Type, Definition string
	Query                  any // a text, or an object
}

type panel struct {
	ID          int
	Type, Title string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Datasource  struct{ UID string }
	Targets     []target
}

type target struct {
	Expr, LegendFormat string
	Datasource         struct{ UID string }
}

// selector is a metric with its labels' matchers, if any; label a name in those, in a
// grouping or in a legend.
var (
	selector  = regexp.MustCompile(`\b(ratelimiter_\w+)(?:\{([^}]*)\})?`)
	label     = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	groupings = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
	legends   = regexp.MustCompile(`\{\{ ?(?:\$labels\.)?(\w+) ?\}\}`)
	ranges    = regexp.MustCompile(`\[([^\]]+)\]`)
)

// exported are the series that a scrape has, with their labels. Those that Prometheus adds
// itself are of all.
func exported(families map[string]*dto.MetricFamily) map[string]map[string]bool {
	series := map[string]map[string]bool{}
	for name, family := range families {
		labels := map[string]bool{"instance": true, "job": true}
		if !strings.HasPrefix(name, "ratelimiter_backend_") {
			labels["ratelimiter_shadow"] = true // of limiters in shadow: TestShadow
		}
		for _, m := range family.Metric {
			for _, l := range m.Label {
				labels[l.GetName()] = true
			}
		}
		if family.GetType() != dto.MetricType_HISTOGRAM {
			series[name] = labels
			continue
		}
		series[name+"_sum"], series[name+"_count"] = labels, labels
		series[name+"_bucket"] = maps.Clone(labels)
		series[name+"_bucket"]["le"] = true
	}
	return series
}

// check holds a query to the series that there are, and returns those that it asks for.
func check(t *testing.T, series map[string]map[string]bool, expr, text string) (asked []string) {
	t.Helper()
	known := map[string]bool{}
	isLabel := map[string]bool{}
	for _, labels := range series {
		for l := range labels {
			isLabel[l] = true
		}
	}
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		if isLabel[m[1]] && series[m[1]] == nil {
			continue
		}
		labels := series[m[1]]
		if labels == nil {
			t.Errorf("no metric %s for %s", m[1], expr)
			continue
		}
		asked = append(asked, m[1])
		maps.Copy(known, labels)
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if !labels[l[1]] {
				t.Errorf("%s has no label %s for %s", m[1], l[1], expr)
			}
		}
	}
	for _, g := range groupings.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(g[1], ",") {
			if !known[strings.TrimSpace(l)] {
				t.Errorf("no label %s for %s", l, expr)
			}
		}
	}
	for _, l := range legends.FindAllStringSubmatch(text, -1) {
		if !known[l[1]] || !strings.Contains(expr, l[1]) && !strings.HasPrefix(expr, "ratelimiter_") {
			t.Errorf("no label %s in %q for %s", l[1], text, expr)
		}
	}
	if strings.Count(expr, "(") != strings.Count(expr, ")") {
		t.Errorf("%s is not closed", expr)
	}
	return asked
}

// The dashboard asks for what a scrape has, all of it, from the data source that its user
// picks, and either of limiters in force or of those in shadow.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../../docs/observability/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID != "openai-ratelimiter" {
		t.Errorf("uid %q", d.UID)
	}
	series := exported(scrape(t))
	if v := d.Templating.List; len(v) != 3 || v[0].Name != "datasource" || v[0].Type != "datasource" || v[1].Name != "model" || v[2].Name != "shadow" {
		t.Errorf("variables %+v", v)
	} else if m := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(v[1].Definition); m == nil || !series[m[1]][m[2]] {
		t.Errorf("models are %s", v[1].Definition)
	} else if v[2].Query != "in force : ^$,in shadow : true" { // what series have no label, and what they have
		t.Errorf("limiters are %v", v[2].Query)
	}
	shown, ids := map[string]bool{}, map[int]bool{}
	for i, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels are %d", p.ID)
		}
		ids[p.ID] = true
		for _, q := range d.Panels[:i] {
			if a, b := p.GridPos, q.GridPos; a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%q lies over %q", p.Title, q.Title)
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource.UID != "${datasource}" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%q: %+v", p.Title, p)
		}
		for _, q := range p.Targets {
			if q.Datasource.UID != "${datasource}" {
				t.Errorf("%q asks %q", p.Title, q.Datasource.UID)
			}
			for _, r := range ranges.FindAllStringSubmatch(q.Expr, -1) {
				if r[1] != "$__rate_interval" {
					t.Errorf("%q: %s has a range of its own", p.Title, q.Expr)
				}
			}
			for _, name := range check(t, series, q.Expr, q.LegendFormat) {
				shown[family(name)] = true
			}
			for _, m := range selector.FindAllStringSubmatch(q.Expr, -1) {
				if labels := series[m[1]]; labels["ratelimiter_shadow"] && !strings.Contains(m[2], `ratelimiter_shadow=~"$shadow"`) {
					t.Errorf("%q: %s mixes what is with what would have been", p.Title, m[0])
				}
			}
		}
	}
	for name := range series {
		if strings.HasPrefix(name, "ratelimiter_") && !shown[family(name)] {
			t.Errorf("no panel shows %s", family(name))
		}
	}
}

// family is the metric that a series belongs to.
func family(series string) string {
	return regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(series, "")
}

// ofShadow are the alerts whose figures mean the same of a limiter in shadow.
var ofShadow = []string{"RatelimiterQuotaExhausted", "RatelimiterBackendDown", "RatelimiterBackendSlow", "RatelimiterEstimatesOff"}

// Each alert asks for what a scrape has, and says what to do. Nobody is alarmed by waits and
// rejections that are none, since the limiter is in shadow.
func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("../../docs/observability/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/OBSERVABILITY.md")
	if err != nil {
		t.Fatal(err)
	}
	series := exported(scrape(t))
	names := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if names[r.Alert] || r.Alert == "" {
				t.Errorf("%q comes twice", r.Alert)
			}
			names[r.Alert] = true
			if len(check(t, series, r.Expr, r.Annotations["summary"])) == 0 {
				t.Errorf("%s watches nothing", r.Alert)
			}
			for _, m := range selector.FindAllStringSubmatch(r.Expr, -1) {
				if series[m[1]] != nil && strings.Contains(m[2], `ratelimiter_shadow=""`) == slices.Contains(ofShadow, r.Alert) {
					t.Errorf("%s: %s of limiters in shadow", r.Alert, m[0])
				}
			}
			if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) || len(r.Annotations["action"]) < 40 {
				t.Errorf("%s: %v, %v", r.Alert, r.Labels, r.Annotations)
			}
			if !strings.Contains(string(doc), r.Alert) {
				t.Errorf("docs/OBSERVABILITY.md does not name %s", r.Alert)
			}
		}
	}
	if len(names) == 0 {
		t.Error("no alerts")
	}
}
