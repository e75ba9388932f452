package simulate

import (
	"flag"
	"regexp"
	"testing"
	"testing/synctest"
)

var (
	batchNames   = flag.String("batch", "", "play the batches that match this regular expression, with all their seeds")
	batchesSeeds = flag.Int("seeds", 0, "how many seeds of -batch are played, if not all")
)

// TestBatches plays the batches that the flags choose.
func TestBatches(t *testing.T) {
	if *batchNames == "" {
		t.Skip("without -batch, TestShortBatch is enough")
	}
	which := regexp.MustCompile(*batchNames)
	table := &table{header: batchHeader}
	for i := range batches {
		if b := &batches[i]; which.MatchString(b.name) {
			r := playBatch(t, b, *batchesSeeds)
			table.add(r.row()...)
			for _, m := range r.missed() {
				t.Error(m)
			}
		}
	}
	show(table)
}

// TestShortBatch plays one seed of a few batches.
func TestShortBatch(t *testing.T) {
	for i := range batches {
		switch b := &batches[i]; b.name {
		case "unused kept", "subwindows of 1 s", "500 RPM and 300k TPM", "one process in memory":
			for _, m := range playBatch(t, b, 1).missed() {
				t.Error(m)
			}
		}
	}
}

// playBatch plays seeds of a batch, or all where they are 0, as many at a time as there
// are processors.
func playBatch(t *testing.T, b *batch, seeds int) *batchResult {
	if seeds == 0 {
		seeds = b.bar.seeds
	}
	r := &batchResult{batch: b, ours: make([]batchFigures, seeds), oracle: make([]batchFigures, seeds)}
	t.Run(b.name, func(t *testing.T) {
		for i := range seeds {
			for p, into := range map[*policy]*batchFigures{&ours: &r.ours[i], &oracle: &r.oracle[i]} {
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(*testing.T) { *into = b.run(p, uint64(i+1)) })
				})
			}
		}
	})
	return r
}
