package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"golang.org/x/term"
)

// The live table shows what happened in a window that ends a little in the
// past: the API logs a call when it is done with it.
const (
	window = 5 * time.Second
	past   = 500 * time.Millisecond
)

// A watch shows the fleet while it works: a table in place on a terminal, else
// one now and then.
type watch struct {
	fleet fleet
	api   *standIn
	lines int // of the table on the terminal
}

// until returns early with an error if the context is done, or a process ends
// that has not been killed.
func (w *watch) until(ctx context.Context, end time.Time) error {
	live := term.IsTerminal(int(os.Stdout.Fd()))
	every := 5 * time.Second
	if live {
		every = 250 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	over := time.After(time.Until(end))
	for {
		select {
		case <-tick.C:
			w.show(live)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-over:
			return nil
		}
		for i, m := range w.fleet {
			if i != killed && closed(m.done) {
				return fmt.Errorf("process %d has ended: %w", i+1, m.err)
			}
		}
	}
}

func (w *watch) show(live bool) {
	now := time.Now()
	_, throttled := w.api.counts(span{to: now})
	lately := span{now.Add(-past - window), now.Add(-past)}
	admitted, _ := w.api.counts(lately)
	total := 0
	for _, n := range admitted {
		total += n
	}
	t := newTable("process", "answered", "429s", "waiting", "share now")
	for i, m := range w.fleet {
		r := m.last.Load()
		waiting := any(r.Waiting)
		if closed(m.done) {
			waiting = "killed"
		}
		t.AppendRow(table.Row{i + 1, r.Answered, throttled[m.key], waiting, percent(float64(admitted[m.key]) / float64(max(1, total)))})
	}
	t.AppendFooter(table.Row{"", "", "", "budget used", percent(w.api.used(lately))})
	text := t.Render()
	if live && w.lines > 0 {
		fmt.Printf("\033[%dA", w.lines)
	}
	fmt.Println(text)
	w.lines = strings.Count(text, "\n") + 1
}

func newTable(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format = table.FormatOptions{}
	t.AppendHeader(header)
	return t
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }
