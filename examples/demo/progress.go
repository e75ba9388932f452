package main

import (
	"fmt"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"
)

// showProgress shows how far the runs are until done is closed: live on a
// terminal, else a plain line now and then.
func showProgress(runs []*run, done <-chan struct{}) {
	if term.IsTerminal(int(os.Stdout.Fd())) {
		showBars(runs, done)
		return
	}
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, r := range runs {
				fmt.Println(r.line())
			}
		case <-done:
			return
		}
	}
}

func showBars(runs []*run, done <-chan struct{}) {
	w := progress.NewWriter()
	w.SetOutputWriter(os.Stdout)
	w.SetAutoStop(false)
	w.SetUpdateFrequency(100 * time.Millisecond)
	w.SetStyle(progress.StyleBlocks)
	w.SetTrackerPosition(progress.PositionRight)
	w.Style().Visibility = progress.StyleVisibility{Tracker: true}
	trackers := make([]*progress.Tracker, len(runs))
	for i, r := range runs {
		trackers[i] = &progress.Tracker{Message: r.line(), Total: int64(r.total)}
		w.AppendTracker(trackers[i])
	}
	rendered := make(chan struct{})
	go func() { w.Render(); close(rendered) }()
	update := func() {
		for i, r := range runs {
			trackers[i].UpdateMessage(r.line())
			trackers[i].SetValue(r.answered.Load() + r.lost.Load())
		}
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			update()
		case <-done:
			update()
			w.Stop()
			<-rendered
			return
		}
	}
}

// line says how far a run is.
func (r *run) line() string {
	return fmt.Sprintf("%s: %3d answered, %3d lost, %3d 429s", r.name, r.answered.Load(), r.lost.Load(), r.throttled())
}
