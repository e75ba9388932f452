package simulate

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDocument writes the document of a short run.
func TestDocument(t *testing.T) {
	s := scenarioNamed(t, plottedScenario)
	s.limits = scaledLimits(s.limits, 1, 10)
	s.load.workers = 15
	s.warmUp, s.change, s.duration = time.Minute, 2*time.Minute, 4*time.Minute
	s.events = []event{{s.change, setLimits(scaledLimits(s.limits, 1, 2))}}
	r := play(t, &s, func(string) bool { return true })
	dir := t.TempDir()
	d := document{results: []*result{r}, real: []*result{r}}
	if err := d.write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "SIMULATION.md"))
	if err != nil || strings.Contains(string(text), "<no value>") {
		t.Errorf("%v; the document has holes", err)
	}
	for _, p := range policies[1:] {
		if !strings.Contains(string(text), p.name) {
			t.Errorf("the document does not mention %s", p.name)
		}
	}
	files := []string{overviewFile}
	for _, c := range charts {
		files = append(files, c.file)
	}
	for _, file := range files {
		svg, err := os.ReadFile(filepath.Join(dir, "simulation", file))
		if err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
		if strings.Contains(string(svg), "NaN") {
			t.Errorf("%s has no figure somewhere", file)
		}
	}
}

func TestTable(t *testing.T) {
	x := table{header: []string{"", "share"}}
	x.add("oracle", "100 %")
	x.add("ours", "9 %")
	var b strings.Builder
	x.text(&b)
	if want := "        share\noracle  100 %\nours      9 %\n"; b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	if want := "|  | share |\n|---|--:|\n| oracle | 100 % |\n| ours | 9 % |\n"; x.markdown() != want {
		t.Errorf("got\n%s", x.markdown())
	}
}
