// Tokens measures counting tokens beside github.com/pkoukk/tiktoken-go and
// github.com/tiktoken-go/tokenizer, and scanning bodies beside gjson and
// encoding/json, and prints tables and the bars that were missed.
//
// All are measured in many short turns, over and over through all texts, by the time
// that the processor spends on them where the system tells it. Each figure is that of
// the turn that was disturbed least: others can only make it worse.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/cputime"
)

// The bars.
const (
	minRatio     = 15 // × pkoukk, on ordinary text
	maxSlowdown  = 7  // × the time of English per byte, whose words are known, on hostile text
	maxGrowth    = 8  // MB of the binary
	maxFirst     = 10 // ms
	maxAllocated = 6  // MB at first use
)

func main() {
	count := flag.Int("count", 21, "how many turns each text has")
	turn := flag.Duration("time", 15*time.Millisecond, "how long each turn takes, at least")
	flag.Parse()
	fmt.Printf("%s %s/%s, %d CPUs, best of %d turns\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), *count)
	r := report{count: *count, turn: *turn}
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
	count  int
	turn   time.Duration
	missed []string
}

// A row is a text in an encoding, and what is measured with it.
type row struct {
	trio
	text
	bytes []byte
	ops   []func()
	ns    []float64 // a byte, of each op's best turn
	once  []func()  // what has a single turn
	slow  []float64 // and its ns
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
	var plain, bad []*row
	for _, t := range all {
		for _, text := range texts {
			plain = append(plain, newRow(t, text))
		}
		for _, text := range hostile() {
			bad = append(bad, newHostileRow(t, text, []byte(english[:len(text.content)])))
		}
	}
	r.measure(slices.Concat(plain, bad))

	fmt.Printf("\nOrdinary text; the bar is %d × pkoukk, without allocation.\n\n", minRatio)
	fmt.Println("| encoding | text | tokens | ours MB/s | allocs | pkoukk MB/s | ours/pkoukk | tokenizer MB/s | ours/tokenizer |")
	fmt.Println("|---|---|--:|--:|--:|--:|--:|--:|--:|")
	for _, row := range plain {
		r.ordinary(row)
	}
	fmt.Printf("\nHostile text; the bar is %d × the time of 100 kB of English per byte, without allocation. The others have one turn.\n\n", maxSlowdown)
	fmt.Println("| encoding | text | tokens | ours MB/s | allocs | × English | pkoukk MB/s | tokenizer MB/s |")
	fmt.Println("|---|---|--:|--:|--:|--:|--:|--:|")
	for _, row := range bad {
		r.hostile(row)
	}
	r.scanning()
	return nil
}

func newRow(t trio, text text) *row {
	row := &row{trio: t, text: text, bytes: []byte(text.content)}
	row.ops = []func(){
		func() { t.countOurs(row.bytes) },
		func() { t.countPkoukk(text.content) },
		func() { t.countTokenizer(text.content) },
	}
	return row
}

// newHostileRow measures English as well: the bar is a multiple of it.
func newHostileRow(t trio, text text, english []byte) *row {
	row := newRow(t, text)
	row.once = row.ops[1:]
	row.ops = []func(){row.ops[0], func() { t.countOurs(english) }}
	return row
}

// measure gives each row its turns.
func (r *report) measure(rows []*row) {
	for range r.count {
		for _, row := range rows {
			row.ns = row.times(row.ns, row.ops, r.turn)
		}
	}
	for _, row := range rows {
		row.slow = row.times(nil, row.once, 0)
	}
}

// times gives each of ops a turn of at least this time, after a call by which it
// gets its tables into the processor's caches, and returns the nanoseconds a byte,
// or the best so far.
func (row *row) times(best []float64, ops []func(), turn time.Duration) []float64 {
	ns := make([]float64, len(ops))
	for i, op := range ops {
		if turn > 0 {
			op()
		}
		start := cputime.Process()
		n, took := 0, time.Duration(0)
		// The clock takes longer than the shortest of ops: it is asked ever less often.
		for more := 1; n == 0 || took < turn; more *= 2 {
			for range more {
				op()
			}
			n += more
			took = cputime.Process() - start
		}
		ns[i] = float64(took) / float64(n) / float64(len(row.bytes))
		if best != nil {
			ns[i] = min(ns[i], best[i])
		}
	}
	return ns
}

func (r *report) ordinary(row *row) {
	tokens := row.countOurs(row.bytes)
	shown := fmt.Sprint(tokens)
	if n := row.countPkoukk(row.content); n != tokens {
		r.miss("%s, %s: pkoukk gives %d tokens, ours %d", row.trio.name, row.text.name, n, tokens)
	}
	if n := row.countTokenizer(row.content); n != tokens {
		shown += fmt.Sprintf(" (tokenizer %d)", n)
	}
	ours, pkoukk, tokenizer := row.ns[0], row.ns[1], row.ns[2]
	ratio := pkoukk / ours
	fmt.Printf("| %s | %s | %s | %.1f | %.0f | %.2f | %.1f | %.2f | %.1f |\n", row.trio.name, row.text.name, shown,
		1000/ours, r.allocs(row), 1000/pkoukk, ratio, 1000/tokenizer, tokenizer/ours)
	if ratio < minRatio {
		r.miss("%s, %s: %.1f × pkoukk", row.trio.name, row.text.name, ratio)
	}
}

func (r *report) hostile(row *row) {
	slowdown := row.ns[0] / row.ns[1]
	fmt.Printf("| %s | %s | %d | %.1f | %.0f | %.2f | %.3f | %.2f |\n", row.trio.name, row.text.name, row.countOurs(row.bytes),
		1000/row.ns[0], r.allocs(row), slowdown, 1000/row.slow[0], 1000/row.slow[1])
	if slowdown > maxSlowdown {
		r.miss("%s, %s: %.2f × English", row.trio.name, row.text.name, slowdown)
	}
}

func (r *report) allocs(row *row) float64 {
	n := testing.AllocsPerRun(10, func() { row.countOurs(row.bytes) })
	if n > 0 {
		r.miss("%s, %s: %.0f allocations", row.trio.name, row.text.name, n)
	}
	return n
}

func (r *report) miss(format string, args ...any) {
	r.missed = append(r.missed, fmt.Sprintf(format, args...))
}

func median(values []float64) float64 {
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}
