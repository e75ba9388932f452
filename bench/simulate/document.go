package simulate

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"text/template"
	"time"
)

//go:embed document.md.tmpl
var documentText string

// rulesText is what the program without, beside this package, has written.
//
//go:embed rules.md
var rulesText string

// A document is what docs/SIMULATION.md is made of.
type document struct {
	results []*result
	batches []*batchResult
	shares  []*sharingResult
	real    []*result
	took    time.Duration
}

// write writes the document and its plots into a directory.
func (d *document) write(dir string) error {
	for _, r := range d.results {
		if r.scenario.name == plottedScenario {
			if err := r.pictures(dir); err != nil {
				return err
			}
		}
	}
	return execute(documentText, d, filepath.Join(dir, "SIMULATION.md"))
}

// execute writes what a template makes of the data into a file.
func execute(text string, data any, file string) error {
	t, err := template.New("").Parse(text)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.Execute(f, data); err != nil {
		return err
	}
	return f.Close()
}

// pictures writes the plots of the document in a directory, and the picture of the README.
func (r *result) pictures(dir string) error {
	dir = filepath.Join(dir, "simulation")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(r.plots(dir, "the limit was halved"), r.overview(dir))
}

// plottedScenario is the one that the plots show.
const plottedScenario = "limit halved"

// Machine says where and how long.
func (d *document) Machine() string {
	return fmt.Sprintf("%s %s/%s, %d CPUs, %d minutes", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), int(d.took.Minutes()+0.5))
}

// Rules are those of the calibration, and what they are for.
func (*document) Rules() string { return rulesText }

// Scenarios are the names of those that were played in virtual time.
func (d *document) Scenarios() (names []string) {
	for _, r := range d.results {
		names = append(names, r.scenario.name)
	}
	return names
}

// RedisFor, RetriesFor and RedisRateFor are how long these are judged.
func (*document) RedisFor() string     { return minutes(oursOnRedis.brief) }
func (*document) RetriesFor() string   { return minutes(retries.brief) }
func (*document) RedisRateFor() string { return minutes(redisRate.brief) }

func minutes(d time.Duration) string {
	if d == time.Minute {
		return "a minute"
	}
	return fmt.Sprintf("%.0f minutes", d.Minutes())
}
