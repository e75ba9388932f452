package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/openai-ratelimiter/ratelimiter/bench/tokens/programs/first"
)

// programs builds the programs in the directory of that name, which do no more
// than count the tokens of one sentence, and says how large they are and how long
// the first count takes them.
func (r *report) programs() error {
	dir, err := os.MkdirTemp("", "tokens")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	const path = "github.com/openai-ratelimiter/ratelimiter/bench/tokens/programs/"
	fmt.Printf("A program that uses net/http and counts one sentence; the bars are %d MB more than the stub, %d ms and %d MB of heap. Medians of %d runs.\n\n", maxGrowth, maxFirst, maxAllocated, r.count)
	fmt.Println("| counter | size MB | more than the stub MB | first use ms | allocated MB |")
	fmt.Println("|---|--:|--:|--:|--:|")
	stub := 0.0
	for _, name := range []string{"stub", "ours", "pkoukk", "tokenizer"} {
		exe := filepath.Join(dir, name)
		if out, err := exec.Command("go", "build", "-trimpath", "-o", exe, path+name).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w: %s", name, err, out)
		}
		info, err := os.Stat(exe)
		if err != nil {
			return err
		}
		size := float64(info.Size()) / 1e6
		if name == "stub" {
			stub = size
		}
		var ms, mb []float64
		for range r.count {
			out, err := exec.Command(exe).Output()
			if err != nil {
				return fmt.Errorf("running %s: %w", name, err)
			}
			var use first.Use
			if err := json.Unmarshal(out, &use); err != nil {
				return err
			}
			ms = append(ms, use.Took.Seconds()*1e3)
			mb = append(mb, float64(use.Allocated)/1e6)
		}
		fmt.Printf("| %s | %.2f | %.2f | %.3f | %.2f |\n", name, size, size-stub, median(ms), median(mb))
		if name == "ours" && (size-stub > maxGrowth || median(ms) > maxFirst || median(mb) > maxAllocated) {
			r.miss("size or first use")
		}
	}
	return nil
}
