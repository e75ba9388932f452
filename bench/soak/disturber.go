package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"syscall"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A disturber makes things go wrong, several times a second.
type disturber struct {
	*world
	random *rand.Rand
}

func (d *disturber) run(ctx context.Context) error {
	var errs []error
	for i := 0; ; i++ {
		select {
		case <-time.After(time.Duration(20+d.random.IntN(200)) * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(errs...)
		}
		switch d.random.IntN(8) {
		case 0: // all at once have other limits
			factor := 0.5 + d.random.Float64()
			for _, l := range d.limiters {
				errs = append(errs, l.SetLimits(limitsOf(factor)...))
			}
		case 1: // Redis stands still
			errs = append(errs, d.store.Signal(syscall.SIGSTOP))
			time.Sleep(time.Duration(d.random.IntN(300)) * time.Millisecond)
			errs = append(errs, d.store.Signal(syscall.SIGCONT))
		case 2: // it loses its connections
			_, err := d.store.Cli("client", "kill", "type", "normal")
			errs = append(errs, err)
		case 3: // the connections to the server break
			d.sites[d.random.IntN(len(d.sites))].CloseClientConnections()
		case 4:
			l := d.limiters[d.random.IntN(len(d.limiters))]
			accounts := l.Accounts()
			if len(accounts) > 0 {
				_, err := l.State(withAccount(ctx, accounts[d.random.IntN(len(accounts))]))
				if ctx.Err() == nil && !isBackend(err) {
					errs = append(errs, err)
				}
			}
		case 5:
			runtime.GC()
		default: // the server fails, throttles, or breaks off
			d.server.Inject(1+d.random.IntN(5), []openaitest.Answer{
				{Status: 500}, {Status: 503}, {Status: 400}, {Status: 429, RetryAfter: 20 * time.Millisecond}, {Cut: true, After: 3},
				{NoUsage: true}, {Status: 429, InStream: true}, {OutputTokens: 4, Deltas: 2},
			}[d.random.IntN(8)])
		}
	}
}
