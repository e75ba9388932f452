package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

const (
	// callers run at once on each limiter.
	callers = 6
	// periods are what a run is divided into: the first warms up, the second is compared
	// with the last.
	periods = 10
)

// limits are those of the models that stay. The first is short of requests, the second of
// slots.
var limits = map[string]ratelimiter.Limits{
	"short":  {RPM: 3_000, TPM: 3_000_000},
	"slots":  {RPM: 600_000, TPM: 60_000_000, Concurrent: 3},
	"plenty": {RPM: 600_000, TPM: 60_000_000},
}

// A world is the server, what speaks to it, and what has been seen.
type world struct {
	server   *openaitest.Server
	sites    []*httptest.Server // of HTTP/1.1 and HTTP/2
	store    *redistest.Server
	clients  []*goredis.Client
	limiters []*limiter
	tally    tally
	begun    time.Time
}

// A limiter is one under test, and how its calls reach the server.
type limiter struct {
	*ratelimiter.Limiter
	client *http.Client
	url    string
}

// run soaks for that long. The error says all that is wrong.
func run(duration time.Duration, seed uint64) (string, error) {
	before := leftovers()
	w, err := newWorld()
	if err != nil {
		return "", err
	}
	var report strings.Builder
	usage, err := w.soak(&report, duration, seed)
	errs := []error{err, usage.check(duration)}
	errs = append(errs, w.settle()...)
	w.close()
	errs = append(errs, before.check())
	fmt.Fprintln(&report, w.tally.String())
	return report.String(), errors.Join(errs...)
}

func newWorld() (*world, error) {
	w := &world{server: openaitest.New(
		openaitest.WithLimits("short", openaitest.Limits{RPM: 3_000, TPM: 3_000_000}),
		openaitest.WithLimits("slots", openaitest.Limits{RPM: 600_000, TPM: 60_000_000}),
		openaitest.WithLimits("plenty", openaitest.Limits{RPM: 600_000, TPM: 60_000_000}),
		openaitest.WithLimits("", openaitest.Limits{RPM: 6_000, TPM: 600_000}),
		openaitest.WithRefunds(true))}
	var err error
	if w.store, err = redistest.Start(); err != nil {
		return nil, err
	}
	plain, secure := httptest.NewUnstartedServer(w.server), httptest.NewUnstartedServer(w.server)
	w.sites = []*httptest.Server{plain, secure}
	for _, site := range w.sites {
		site.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that break
	}
	plain.Start()
	secure.EnableHTTP2 = true
	secure.StartTLS()
	shared := memory.New()
	for i := range 4 {
		var backend ratelimiter.Option
		if i < 2 {
			backend = ratelimiter.WithBackend(shared)
		} else {
			c := goredis.NewClient(&goredis.Options{Addr: w.store.Addr})
			w.clients = append(w.clients, c)
			backend = ratelimiter.WithBackend(redis.New(c))
		}
		l, err := w.newLimiter(backend, w.sites[i%2])
		if err != nil {
			return nil, err
		}
		w.limiters = append(w.limiters, l)
	}
	return w, nil
}

func (w *world) newLimiter(backend ratelimiter.Option, site *httptest.Server) (*limiter, error) {
	options := []ratelimiter.Option{backend, ratelimiter.WithMaxWait(2 * time.Second), ratelimiter.WithMaxPause(200 * time.Millisecond),
		ratelimiter.WithWarnings(nil, 0), ratelimiter.WithTrace(w.tally.trace()),
		ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {Weight: 3}, "batch": {}})}
	l, err := ratelimiter.New(append(options, limitsOf(1)...)...)
	if err != nil {
		return nil, err
	}
	base := site.Client().Transport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = callers
	return &limiter{l, l.Client(base), site.URL}, nil
}

// limitsOf are the options of the limits, times a factor.
func limitsOf(factor float64) (options []ratelimiter.Option) {
	for model, l := range limits {
		l.RPM = int64(float64(l.RPM) * factor)
		options = append(options, ratelimiter.WithLimits(model, l))
	}
	return options
}

// soak runs the callers and what disturbs them.
func (w *world) soak(report *strings.Builder, duration time.Duration, seed uint64) (u usage, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	w.begun = time.Now()
	var all sync.WaitGroup
	for i, l := range w.limiters {
		for j := range callers {
			c := &caller{world: w, limiter: l, random: rand.New(rand.NewPCG(seed, uint64(i*callers+j)))}
			all.Go(func() { c.run(ctx) })
		}
	}
	d := &disturber{world: w, random: rand.New(rand.NewPCG(seed, 1<<32))}
	var faults error
	all.Go(func() { faults = d.run(ctx) })
	for i := range periods {
		time.Sleep(time.Until(w.begun.Add(duration * time.Duration(i+1) / periods)))
		fmt.Fprintf(report, "%d0 %%: %s\n", i+1, u.take(&w.tally))
	}
	cancel()
	all.Wait()
	return u, faults
}

// close ends what the world has started.
func (w *world) close() {
	for _, l := range w.limiters {
		l.client.CloseIdleConnections()
	}
	for _, c := range w.clients {
		_ = c.Close() // an error means that it is closed
	}
	for _, s := range w.sites {
		s.CloseClientConnections()
		s.Close()
	}
	w.store.Close()
	runtime.GC()
}
