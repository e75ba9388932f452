// Tokens measures counting tokens beside github.com/pkoukk/tiktoken-go and
// github.com/tiktoken-go/tokenizer, and prints tables and the bars that were
// missed.
//
// The three are measured in turns, so that they see the same machine, by the time
// that the processor spends on them where the system tells it. Each figure is that
// of the turn that was disturbed least: others can only make it worse.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
)

// The bars.
const (
	minRatio     = 15 // × pkoukk, on ordinary text
	maxSlowdown  = 3  // × the time of English per byte, on hostile text
	maxGrowth    = 8  // MB of the binary
	maxFirst     = 10 // ms
	maxAllocated = 6  // MB at first use
)

func main() {
	count := flag.Int("count", 7, "how many turns each text has")
	turn := flag.Duration("time", 30*time.Millisecond, "how long each turn takes, at least")
	flag.Parse()
	fmt.Printf("%s %s/%s, %d CPUs, best of %d turns\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), *count)
	r := report{count: *count, turn: *turn, english: map[string]float64{}}
	if err := r.run(); err != nil {
		fmt.Fprintln(os.Stderr, "tokens:", err)
		os.Exit(1)
	}
	fmt.Println()
	for _, m := range r.missed {
		fmt.Println("Missed:", m)
	}
	if len(r.missed) == 0 {
		fmt.Println("All bars are met.")
	}
}

type report struct {
	count   int
	turn    time.Duration
	english map[string]float64 // ns a byte of 100 kB, by encoding
	missed  []string
}

func (r *report) run() error {
	if err := r.programs(); err != nil {
		return err
	}
	all, err := trios()
	if err != nil {
		return err
	}
	texts, err := ordinary(1_000, 10_000, 100_000)
	if err != nil {
		return err
	}
	fmt.Printf("\nOrdinary text; the bar is %d × pkoukk, without allocation.\n\n", minRatio)
	fmt.Println("| encoding | text | tokens | ours MB/s | allocs | pkoukk MB/s | ours/pkoukk | tokenizer MB/s | ours/tokenizer |")
	fmt.Println("|---|---|--:|--:|--:|--:|--:|--:|--:|")
	for _, t := range all {
		for _, text := range texts {
			r.ordinary(t, text)
		}
	}
	fmt.Printf("\nHostile text; the bar is %d × the time of 100 kB of English per byte, without allocation. The others have one turn.\n\n", maxSlowdown)
	fmt.Println("| encoding | text | tokens | ours MB/s | allocs | × English | pkoukk MB/s | tokenizer MB/s |")
	fmt.Println("|---|---|--:|--:|--:|--:|--:|--:|")
	for _, t := range all {
		for _, text := range hostile() {
			r.hostile(t, text)
		}
	}
	return nil
}

func (r *report) ordinary(t trio, text text) {
	b := []byte(text.content)
	ns := r.measure(len(b),
		func() { t.countOurs(b) },
		func() { t.countPkoukk(text.content) },
		func() { t.countTokenizer(text.content) })
	if text.name == "English, 100 kB" {
		r.english[t.name] = ns[0]
	}
	tokens := fmt.Sprint(t.countOurs(b))
	if n := t.countPkoukk(text.content); n != t.countOurs(b) {
		r.miss("%s, %s: pkoukk gives %d tokens, ours %s", t.name, text.name, n, tokens)
	}
	if n := t.countTokenizer(text.content); n != t.countOurs(b) {
		tokens += fmt.Sprintf(" (tokenizer %d)", n)
	}
	allocs := r.allocs(t, text.name, b)
	fmt.Printf("| %s | %s | %s | %.1f | %.0f | %.2f | %.1f | %.2f | %.1f |\n", t.name, text.name, tokens,
		1000/ns[0], allocs, 1000/ns[1], ns[1]/ns[0], 1000/ns[2], ns[2]/ns[0])
	if ns[1]/ns[0] < minRatio {
		r.miss("%s, %s: %.1f × pkoukk", t.name, text.name, ns[1]/ns[0])
	}
}

func (r *report) hostile(t trio, text text) {
	b := []byte(text.content)
	ns := r.measure(len(b), func() { t.countOurs(b) })[0]
	others := report{count: 1}
	pkoukk := others.measure(len(b), func() { t.countPkoukk(text.content) })[0]
	tokenizer := others.measure(len(b), func() { t.countTokenizer(text.content) })[0]
	slowdown := ns / r.english[t.name]
	fmt.Printf("| %s | %s | %d | %.1f | %.0f | %.2f | %.3f | %.2f |\n", t.name, text.name, t.countOurs(b),
		1000/ns, r.allocs(t, text.name, b), slowdown, 1000/pkoukk, 1000/tokenizer)
	if slowdown > maxSlowdown {
		r.miss("%s, %s: %.2f × English", t.name, text.name, slowdown)
	}
}

func (r *report) allocs(t trio, name string, text []byte) float64 {
	n := testing.AllocsPerRun(10, func() { t.countOurs(text) })
	if n > 0 {
		r.miss("%s, %s: %.0f allocations", t.name, name, n)
	}
	return n
}

func (r *report) miss(format string, args ...any) {
	r.missed = append(r.missed, fmt.Sprintf(format, args...))
}

// measure returns the nanoseconds that each of ops takes for each of size bytes.
func (r *report) measure(size int, ops ...func()) []float64 {
	best := make([]float64, len(ops))
	for turn := range r.count {
		for i, op := range ops {
			start := now()
			n, took := 0, time.Duration(0)
			for n == 0 || took < r.turn {
				op()
				n++
				took = now() - start
			}
			ns := float64(took) / float64(n) / float64(size)
			if turn == 0 || ns < best[i] {
				best[i] = ns
			}
		}
	}
	return best
}

func median(values []float64) float64 {
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}
