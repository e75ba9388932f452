package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

func withAccount(ctx context.Context, name string) context.Context {
	return ratelimiter.ContextWithAccount(ctx, name)
}

func isBackend(err error) bool { return errors.Is(err, ratelimiter.ErrBackend) }

// patience is how long what has to end may take.
const patience = 30 * time.Second

// until waits until nothing is wrong, and returns what is wrong after all.
func until(wrong func() error) (err error) {
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(10 * time.Millisecond) {
		runtime.GC() // finds bodies that nobody has
		if err = wrong(); err == nil {
			return nil
		}
	}
	return err
}

// held is what a process holds.
type held struct{ goroutines, files int }

func leftovers() held {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close() // Go's poller stays open from the first connection on
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		files = nil // not on Linux
	}
	return held{runtime.NumGoroutine(), len(files)}
}

// check compares what is held now.
func (before held) check() error {
	return until(func() error {
		now := leftovers()
		if now.goroutines > before.goroutines || now.files > before.files {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			return fmt.Errorf("%d goroutines and %d files are left, of %d and %d before:\n%s", now.goroutines, now.files, before.goroutines, before.files, stacks)
		}
		return nil
	})
}

// settle waits until the calls have ended, and checks that nothing of them is left.
func (w *world) settle() (errs []error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	errs = append(errs, until(func() error { return w.unended(ctx) }))
	errs = append(errs, w.accounts(ctx)...)
	for _, l := range w.limiters {
		errs = append(errs, l.Shutdown(ctx))
	}
	return append(errs, w.keys())
}

// unended says which reservations are left.
func (w *world) unended(ctx context.Context) error {
	if started, settled := w.tally.started.Load(), w.tally.settled.Load(); started != settled {
		return fmt.Errorf("%d calls have started, and %d ended", started, settled)
	}
	for i, l := range w.limiters {
		for _, account := range l.Accounts() {
			state, err := l.State(withAccount(ctx, account))
			if err != nil {
				return err
			}
			for _, s := range state.Scopes {
				if s.InFlight != 0 || s.Waiting != 0 {
					return fmt.Errorf("limiter %d: %s has %d calls in flight, %d wait", i, s.Model, s.InFlight, s.Waiting)
				}
				for _, limit := range s.Limits {
					if limit.Name == "concurrent" && limit.Remaining != limit.Limit {
						return fmt.Errorf("limiter %d: %d of %d slots are free", i, limit.Remaining, limit.Limit)
					}
				}
			}
		}
	}
	return nil
}

// keys says which keys in Redis have no expiry.
func (w *world) keys() error {
	out, err := w.store.Cli("eval", `local n = 0 for _, k in ipairs(redis.call("keys", "*")) do if redis.call("ttl", k) < 0 then return k end n = n + 1 end return n`, "0")
	if err != nil {
		return err
	}
	var n int
	if _, err := fmt.Sscan(out, &n); err != nil {
		return fmt.Errorf("%s has no expiry", strings.TrimSpace(out))
	}
	if n == 0 {
		return errors.New("nothing stands in Redis: nothing was tested")
	}
	return nil
}

// accounts compares what the limiters have counted with the server's accounts: the requests
// that it has seen, and, once a response has reported it, the level of a bucket.
func (w *world) accounts(ctx context.Context) (errs []error) {
	seen := int64(0)
	for _, model := range w.models() {
		seen += w.server.Account(model).Seen
	}
	if charged, answered := w.tally.charged.Load(), w.tally.answered.Load(); charged < seen || seen < answered {
		errs = append(errs, fmt.Errorf("%d requests stay charged, of which %d had a response; the server has seen %d", charged, answered, seen))
	}
	return append(errs, w.levels(ctx))
}

func (w *world) models() (all []string) {
	for model := range limits {
		all = append(all, model)
	}
	for i := range names.Load() {
		all = append(all, fmt.Sprint("model", i+1))
	}
	return all
}

// levels compares how full the server's bucket is with how full the limiters take it to be,
// once each has made some calls of its own.
func (w *world) levels(ctx context.Context) error {
	const model = "plenty"
	for i, l := range w.limiters {
		if err := l.SetLimits(limitsOf(1)...); err != nil {
			return err
		}
		c := &caller{world: w, limiter: l}
		// Faults that were injected last may still be due.
		if err := until(func() error { return c.plain(ctx, model) }); err != nil {
			return fmt.Errorf("limiter %d: %w", i, err)
		}
		state, err := l.State(withAccount(ctx, accountOf(l)))
		if err != nil {
			return err
		}
		bucket := w.server.Account(model).Bucket(openaitest.TPM)
		for _, s := range state.Scopes {
			for _, limit := range s.Limits {
				if s.Model != model || limit.Name != "tpm" {
					continue
				}
				used := float64(limit.Limit - limit.Remaining)
				if off := math.Abs(used - bucket.Used); off > float64(limit.Limit)/100 {
					return fmt.Errorf("limiter %d: %.0f tokens are used, by the server %.0f", i, used, bucket.Used)
				}
			}
		}
	}
	return nil
}
