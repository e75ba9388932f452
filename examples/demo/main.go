// Demo sends the same burst of calls to a stand-in for OpenAI's API, once with
// bare SDK clients and once through the limiter, and compares what came of it.
// It needs no key and no network: both stand-ins listen on this machine.
//
// It fails unless the limiter's run saw no 429, lost no call, and had its last
// call admitted within 2 % of the shortest time that the limits allow.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// tolerance is how far behind the ideal the last admission may be.
const tolerance = 0.02

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := demo(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context) error {
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
	bare := newRun("bare SDK clients", calls, nil)
	limited := newRun("with the limiter", calls, limiter)
	fmt.Printf("%d calls through openai-go and go-openai, all at once, to two stand-ins with the same limits:\n", len(calls))

	runs := []*run{bare, limited}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, r := range runs {
		wg.Go(func() { r.send(ctx, calls) })
	}
	go func() { wg.Wait(); close(done) }()
	showProgress(runs, done)

	results := report(bare, limited)
	return verdict(results[1])
}

// verdict says what the limiter's run did not keep.
func verdict(r result) error {
	switch {
	case r.throttled > 0:
		return fmt.Errorf("the limiter let %d calls through that were throttled", r.throttled)
	case r.lost > 0:
		return fmt.Errorf("the limiter's run lost %d calls", r.lost)
	case r.took.Seconds() > r.ideal.Seconds()*(1+tolerance):
		return fmt.Errorf("the last admission came after %v, more than %.0f %% behind the ideal %v", r.took, 100*tolerance, r.ideal)
	}
	return nil
}
