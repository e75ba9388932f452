// Bench measures what the limiter adds to a request, beside the same request
// without it, and prints the ratios as a table.
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
)

func main() {
	testing.Init()
	count := flag.Int("count", 6, "how often each pair is measured")
	turn := flag.String("time", "300ms", "how long each measurement takes")
	flag.Parse()
	if err := flag.Set("test.benchtime", *turn); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}

	fmt.Printf("%s %s/%s, %d CPUs, medians of %d\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), *count)
	fmt.Println("| what | beside | ns | ns beside | ratio | B | B beside | allocs | allocs beside |")
	fmt.Println("|---|---|--:|--:|--:|--:|--:|--:|--:|")
	for _, p := range pairs() {
		if err := p.with(); err != nil { // the first loads the vocabulary
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		var with, without []testing.BenchmarkResult
		for range *count {
			without = append(without, testing.Benchmark(loop(p.without)))
			with = append(with, testing.Benchmark(loop(p.with)))
		}
		a, b := median(with), median(without)
		fmt.Printf("| %s | %s | %.0f | %.0f | %s | %.0f | %.0f | %.0f | %.0f |\n",
			p.what, p.beside, a.ns, b.ns, ratio(a.ns/b.ns), a.bytes, b.bytes, a.allocs, b.allocs)
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
	middle := func(f func(testing.BenchmarkResult) float64) float64 {
		values := make([]float64, len(results))
		for i, r := range results {
			values[i] = f(r)
		}
		slices.Sort(values)
		return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
	}
	return figures{
		ns:     middle(func(r testing.BenchmarkResult) float64 { return float64(r.T) / float64(r.N) }),
		bytes:  middle(func(r testing.BenchmarkResult) float64 { return float64(r.AllocedBytesPerOp()) }),
		allocs: middle(func(r testing.BenchmarkResult) float64 { return float64(r.AllocsPerOp()) }),
	}
}

func ratio(r float64) string {
	if r < 100 {
		return fmt.Sprintf("%.2f", r)
	}
	return fmt.Sprintf("%.0f", r)
}
