// Bench measures what the limiter adds to a request, beside the same request
// without it, and prints the ratios as a table; then what does not show beside one
// request: what it adds to calls over sockets, how many calls a process can admit, whether
// a call costs more after many responses, and what a long line costs.
//
// Pairs are measured in turns, so that both halves see the same machine, and
// each figure is the median of its turns.
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

func main() {
	testing.Init()
	count := flag.Int("count", 6, "how often each pair is measured")
	turn := flag.String("time", "300ms", "how long each measurement takes")
	only := flag.String("only", "", "pairs, loopback, throng, growth or lines; all if empty")
	flag.Parse()
	if err := flag.Set("test.benchtime", *turn); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}

	fmt.Printf("%s %s/%s, %d CPUs, medians of %d\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), *count)
	for _, part := range []struct {
		name  string
		print func(count int) error
	}{
		{"pairs", printPairs},
		{"loopback", printRows("with the limiter", "beside the bare transport", fullLoopback.rows)},
		{"throng", printRows("how many", "", fullThrong.rows)},
		{"growth", printRows("the processor's time", "beside the first", fullGrowth.rows)},
		{"lines", printRows("the processor's time, or memory", "beside the first", fullLines.rows)},
	} {
		if *only != "" && *only != part.name {
			continue
		}
		fmt.Println()
		if err := part.print(*count); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
}

// slowStart is longer than a model's first calls are paced for. What a call costs is measured
// after that.
const slowStart = 11 * time.Second

func printPairs(count int) error {
	all, err := pairs()
	if err != nil {
		return err
	}
	fmt.Println("| what | beside | ns | ns beside | ratio | B | B beside | allocs | allocs beside | bar |")
	fmt.Println("|---|---|--:|--:|--:|--:|--:|--:|--:|---|")
	for _, p := range all {
		if err := p.with(); err != nil { // the first loads the vocabulary
			return err
		}
	}
	time.Sleep(slowStart)
	plain := 0.0 // what the limiter adds to the call before, which streams nothing
	for _, p := range all {
		var with, without []testing.BenchmarkResult
		for range count {
			without = append(without, testing.Benchmark(loop(p.without)))
			with = append(with, testing.Benchmark(loop(p.with)))
		}
		a, b := median(with), median(without)
		fmt.Printf("| %s | %s | %.0f | %.0f | %s | %.0f | %.0f | %.0f | %.0f | %s |\n",
			p.what, p.beside, a.ns, b.ns, ratio(a.ns/b.ns), a.bytes, b.bytes, a.allocs, b.allocs, p.bars.of(a, b))
		if p.events {
			each := (a.ns - b.ns - plain) / output
			fmt.Printf("| of which an event | | %.0f | | | | | | | %s |\n", each, atMost(150, each, " ns"))
		}
		plain = a.ns - b.ns
	}
	return nil
}

func printRows(unit, beside string, rows func(count int) ([]row, error)) func(int) error {
	return func(count int) error {
		all, err := rows(count)
		if err != nil {
			return err
		}
		fmt.Printf("| what | %s | %s | bar |\n|---|--:|--:|---|\n", unit, beside)
		for _, r := range all {
			fmt.Println(r)
		}
		return nil
	}
}

func loop(op func() error) func(*testing.B) {
	return func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := op(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

type figures struct{ ns, bytes, allocs float64 }

func median(results []testing.BenchmarkResult) figures {
	of := func(f func(testing.BenchmarkResult) float64) float64 {
		values := make([]float64, len(results))
		for i, r := range results {
			values[i] = f(r)
		}
		return middle(values)
	}
	return figures{
		ns:     of(func(r testing.BenchmarkResult) float64 { return float64(r.T) / float64(r.N) }),
		bytes:  of(func(r testing.BenchmarkResult) float64 { return float64(r.AllocedBytesPerOp()) }),
		allocs: of(func(r testing.BenchmarkResult) float64 { return float64(r.AllocsPerOp()) }),
	}
}

// middle is the median.
func middle(values []float64) float64 {
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

func ratio(r float64) string {
	if r < 100 {
		return fmt.Sprintf("%.2f", r)
	}
	return fmt.Sprintf("%.0f", r)
}
