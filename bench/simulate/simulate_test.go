package simulate

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	full          = flag.Bool("full", false, "play every scenario at full length with every policy, some in real time, and write the document")
	docs          = flag.String("docs", "../../docs", "where -full writes its document")
	pictures      = flag.Bool("pictures", false, "play what the pictures in the documents show, and write them")
	scenarioNames = flag.String("scenario", "", "play the scenarios that match this regular expression, at full length")
	policyNames   = flag.String("policy", "", "play the policies that match this regular expression, and the oracle, at full length")
	logFile       = flag.String("log", "", "play the calls of this CSV file: "+strings.Join(columns, ", "))
	logLimits     = flag.String("limits", "rpm=600,tpm=200000", "the limits that the calls of -log have")
)

// TestSimulation plays what the flags choose.
func TestSimulation(t *testing.T) {
	if !*full && *scenarioNames == "" && *policyNames == "" {
		t.Skip("without flags TestShort is enough")
	}
	began := time.Now()
	which, who := regexp.MustCompile(*scenarioNames), regexp.MustCompile(*policyNames)
	var d document
	for i := range scenarios {
		s := &scenarios[i]
		if !which.MatchString(s.name) {
			continue
		}
		r := play(t, s, who.MatchString)
		show(r.table())
		for _, m := range r.missed() {
			t.Error(m)
		}
		if s.name != plottedScenario {
			r.forget()
		}
		d.results = append(d.results, r)
	}
	for i := range realScenarios {
		s := &realScenarios[i]
		if !which.MatchString(s.name) || !who.MatchString(realTime.name) {
			continue
		}
		r := play(t, s, func(name string) bool { return name == ours.name || name == oursOnRedis.name })
		f, err := runReal(s)
		if err != nil {
			t.Fatal(err)
		}
		r.runs = append(r.runs, &played{policy: &realTime, figures: f, comparison: f.compare(&r.runs[0].figures, s)})
		show(r.table())
		d.real = append(d.real, r)
	}
	if *full && *scenarioNames == "" && *policyNames == "" {
		for i := range batches {
			r := playBatch(t, &batches[i], 0)
			for _, m := range r.missed() {
				t.Error(m)
			}
			d.batches = append(d.batches, r)
		}
		for _, s := range sharings(1) {
			r := playShares(t, &s)
			for _, m := range r.missed() {
				t.Error(m)
			}
			d.shares = append(d.shares, r)
		}
		for _, r := range playRealShares(t, realSharings()) {
			for _, m := range r.missed() {
				t.Error(m)
			}
			d.shares = append(d.shares, r)
		}
		d.took = time.Since(began)
		if err := d.write(*docs); err != nil {
			t.Error(err)
		}
	}
}

// TestPictures writes the pictures alone.
func TestPictures(t *testing.T) {
	if !*pictures {
		t.Skip("without -pictures; -full writes them too")
	}
	s := scenarioNamed(t, plottedScenario)
	r := play(t, &s, func(name string) bool { return name == ours.name || name == retries.name })
	if err := r.pictures(*docs); err != nil {
		t.Error(err)
	}
}

// TestLog plays the calls of -log.
func TestLog(t *testing.T) {
	if *logFile == "" {
		t.Skip("no -log")
	}
	l, err := readLimits(*logLimits)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(*logFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	calls, err := readCalls(f)
	if err != nil {
		t.Fatalf("%s: %v", *logFile, err)
	}
	show(play(t, logged(calls, l), regexp.MustCompile(*policyNames).MatchString).logTable())
}

func show(t *table) {
	fmt.Println()
	t.text(os.Stdout)
}

// play lets the policies with these names, and the oracle, play a scenario, as
// many at a time as there are processors.
func play(t *testing.T, s *scenario, named func(string) bool) *result {
	r := &result{scenario: s}
	for _, p := range policies {
		if p == &oracle || named(p.name) && (p.plays == nil || p.plays(s)) {
			r.runs = append(r.runs, &played{policy: p})
		}
	}
	worlds := make([]*world, len(r.runs))
	t.Run(s.name, func(t *testing.T) {
		for i, x := range r.runs {
			t.Run(x.policy.name, func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				synctest.Test(t, func(*testing.T) { worlds[i] = run(s, x.policy) })
				x.took = time.Since(began)
			})
		}
	})
	for i, x := range r.runs {
		from, until := x.policy.judged(s)
		x.figures = worlds[i].figures(from, min(until, worlds[i].length))
		bound := worlds[0].figures(from, min(until, worlds[0].length))
		x.comparison = x.figures.compare(&bound, s)
	}
	return r
}
