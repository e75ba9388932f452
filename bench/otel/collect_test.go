// Package otel tests adapters/otel with OpenTelemetry's SDK and its exporter to Prometheus,
// which the library does not require.
package otel

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// collected are a reader's values by name and attributes, such as
// "requests{class=batch result=started}". Names lack what all have in common; a histogram
// has two, of its count and its sum.
type collected map[string]float64

func collect(t *testing.T, r metric.Reader) collected {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := r.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	values := collected{}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			name := strings.TrimPrefix(m.Name, "ratelimiter.")
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				values.points(name, d.DataPoints)
			case metricdata.Gauge[int64]:
				values.points(name, d.DataPoints)
			case metricdata.Histogram[float64]:
				distributions(values, name, d.DataPoints)
			case metricdata.Histogram[int64]:
				distributions(values, name, d.DataPoints)
			default:
				t.Fatalf("%s is a %T", m.Name, d)
			}
		}
	}
	return values
}

func (c collected) points(name string, points []metricdata.DataPoint[int64]) {
	for _, p := range points {
		c[name+attributes(p.Attributes)] = float64(p.Value)
	}
}

func distributions[N int64 | float64](c collected, name string, points []metricdata.HistogramDataPoint[N]) {
	for _, p := range points {
		c[name+"_count"+attributes(p.Attributes)] = float64(p.Count)
		c[name+"_sum"+attributes(p.Attributes)] = float64(p.Sum)
	}
}

// attributes are sorted, by their last names.
func attributes(set attribute.Set) string {
	var all []string
	for _, a := range set.ToSlice() {
		name := string(a.Key)
		all = append(all, name[strings.LastIndexByte(name, '.')+1:]+"="+a.Value.String())
	}
	slices.Sort(all)
	return "{" + strings.Join(all, " ") + "}"
}

// want compares the values of some metrics.
func (c collected) want(t *testing.T, names string, want collected) {
	t.Helper()
	for _, name := range strings.Fields(names) {
		found := false
		for key, got := range c {
			if key[:strings.IndexByte(key, '{')] != name {
				continue
			}
			found = true
			if w, ok := want[key]; !ok || got != w {
				t.Errorf("%s is %v, want %v", key, got, wanted(w, ok))
			}
		}
		if !found {
			t.Errorf("there is no %s", name)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if _, ok := c[key]; !ok {
			t.Errorf("%s is missing", key)
		}
	}
}

func wanted(w float64, ok bool) string {
	if !ok {
		return "nothing"
	}
	return fmt.Sprint(w)
}

// drain reads a response to its end.
func drain(t *testing.T, resp *http.Response) {
	t.Helper()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	resp.Body.Close()
}
