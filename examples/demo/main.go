// Demo sends the same burst of calls to a stand-in for OpenAI's API, once with
// bare SDK clients and once through the limiter, and compares what came of it.
// It needs no key and no network: both stand-ins listen on this machine.
//
// It fails unless the limiter's run saw no 429, lost no call, and had its last call admitted
// within 2 % of the shortest time that the limits allow. If the machine was so busy that it may
// have taken what is missing, it says so and does not fail.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/busy"
)

const (
	// tolerance is how far behind the ideal the last admission may be.
	tolerance = 0.02
	// settling is for how long the burst itself keeps this process busy.
	settling = 3 * time.Second
)

func main() {
	short := flag.Bool("short", false, "send a small burst, and judge no times")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := demo(ctx, *short); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, short bool) error {
	// Whatever happens, it ends within a minute.
	ctx, cancel := context.WithTimeout(ctx, 55*time.Second)
	defer cancel()

	limiter, err := ratelimiter.New(
		ratelimiter.WithWarnings(nil, 0), // the table shows the longest wait
		ratelimiter.WithLimits(chatModel, ratelimiter.Limits{RPM: limits[chatModel].RPM, TPM: limits[chatModel].TPM}),
		ratelimiter.WithLimits(textModel, ratelimiter.Limits{RPM: limits[textModel].RPM, TPM: limits[textModel].TPM}),
		ratelimiter.WithLimits(imageModel, ratelimiter.Limits{RPM: limits[imageModel].RPM, IPM: limits[imageModel].IPM}))
	if err != nil {
		return err
	}
	calls := burst()
	if short { // a little more than full buckets hold
		calls = calls[:len(calls)*7/10]
	}
	bare := newRun("bare SDK clients", calls, nil)
	limited := newRun("with the limiter", calls, limiter)
	fmt.Printf("%d calls through openai-go and go-openai, all at once, to two stand-ins with the same limits:\n", len(calls))

	stop := busy.Watch(settling)
	runs := []*run{bare, limited}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, r := range runs {
		wg.Go(func() { r.send(ctx, calls) })
	}
	go func() { wg.Wait(); close(done) }()
	showProgress(runs, done)

	late := stop()
	results := report(bare, limited)
	if short {
		results[1].took = 0
	}
	note, err := verdict(results[1], late)
	if note != "" {
		fmt.Println(note)
	}
	return err
}

// verdict says what the limiter's run did not keep. It only notes that the run took too long if
// the process was kept waiting for longer than that.
func verdict(r result, late float64) (note string, err error) {
	behind := r.took.Seconds()/r.ideal.Seconds() - 1
	switch {
	case r.throttled > 0:
		return "", fmt.Errorf("the limiter let calls through that were throttled: %d", r.throttled)
	case r.lost > 0:
		return "", fmt.Errorf("the limiter's run lost calls: %d", r.lost)
	case behind <= tolerance:
		return "", nil
	case late > busy.Threshold && behind-tolerance <= late:
		return fmt.Sprintf("The machine is busy: it kept this process waiting for %.0f %% of the time.\n"+
			"So the %.1f %% behind the ideal say little about the limiter; run the demo again when less else runs.", 100*late, 100*behind), nil
	}
	return "", fmt.Errorf("the last admission came after %v, more than %.0f %% behind the ideal %v; the machine kept this process waiting for %.0f %% of the time",
		r.took, 100*tolerance, r.ideal, 100*late)
}
