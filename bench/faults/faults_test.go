// Package faults runs the Redis backend over a network that fails in every way
// that toxiproxy knows, and a server that fails in others, and counts: no call is
// charged twice or given back twice, nobody hangs, and all goes on by itself.
package faults

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/rs/zerolog"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

const timeout = 500 * time.Millisecond

// span is how long each fault is kept up.
func span() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("FAULTS_SPAN")); err == nil {
		return d
	}
	return time.Second
}

func TestMain(m *testing.M) {
	zerolog.SetGlobalLevel(zerolog.Disabled)
	logging.Disable()
	os.Exit(m.Run())
}

type world struct {
	*testing.T
	server *redistest.Server
	proxy  *toxiproxy.Proxy
	admin  *goredis.Client
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, server: redistest.Run(t)}
	log := zerolog.Nop()
	w.proxy = toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), log), "redis", "127.0.0.1:0", w.server.Addr)
	if err := w.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.proxy.Stop)
	w.admin = goredis.NewClient(&goredis.Options{Addr: w.server.Addr})
	t.Cleanup(func() { w.admin.Close() })
	return w
}

// toxic adds one, and returns a function that takes it away.
func (w *world) toxic(kind, stream, attributes string) func() {
	w.Helper()
	config := fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":%s}`, kind, kind, stream, attributes)
	if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(config)); err != nil {
		w.Fatal(err)
	}
	return func() {
		if err := w.proxy.Toxics.RemoveToxic(context.Background(), kind); err != nil {
			w.Error(err)
		}
	}
}

func (w *world) do(args ...any) {
	if err := w.admin.Do(context.Background(), args...).Err(); err != nil {
		w.Error(err)
	}
}

// Each fault begins and returns how it ends.
var faults = []struct {
	name string
	lose bool // data is lost: charges may be, too
	run  func(w *world) func()
}{
	{"none", false, func(*world) func() { return func() {} }},
	{"latency", false, func(w *world) func() { return w.toxic("latency", "downstream", `{"latency":50}`) }},
	{"jitter", false, func(w *world) func() { return w.toxic("latency", "downstream", `{"latency":20,"jitter":20}`) }},
	{"slow link", false, func(w *world) func() { return w.toxic("bandwidth", "downstream", `{"rate":1}`) }},
	{"sliced replies", false, func(w *world) func() {
		return w.toxic("slicer", "downstream", `{"average_size":8,"size_variation":4,"delay":100}`)
	}},
	{"cut in mid-reply", false, func(w *world) func() { return w.toxic("limit_data", "downstream", `{"bytes":700}`) }},
	{"cut in mid-request", false, func(w *world) func() { return w.toxic("limit_data", "upstream", `{"bytes":1500}`) }},
	{"reset", false, func(w *world) func() { return w.toxic("reset_peer", "downstream", `{"timeout":20}`) }},
	{"black hole", false, func(w *world) func() { return w.toxic("timeout", "downstream", `{"timeout":0}`) }},
	{"nobody listens", false, func(w *world) func() {
		w.proxy.Stop()
		return func() {
			if err := w.proxy.Start(); err != nil {
				w.Error(err)
			}
		}
	}},
	{"SCRIPT FLUSH", false, every(func(w *world) { w.do("script", "flush") })},
	{"CLIENT KILL", false, every(func(w *world) { w.do("client", "kill", "type", "normal", "skipme", "yes") })},
	{"OOM", false, func(w *world) func() {
		w.do("config", "set", "maxmemory", "1")
		return func() { w.do("config", "set", "maxmemory", "0") }
	}},
	{"READONLY", false, func(w *world) func() {
		w.do("replicaof", "127.0.0.1", "1")
		return func() { w.do("replicaof", "no", "one") }
	}},
	{"FLUSHALL", true, every(func(w *world) { w.do("flushall") })},
	{"restart without data", true, func(w *world) func() {
		w.server.Kill()
		return func() {
			if err := w.server.Restart(); err != nil {
				w.Error(err)
			}
		}
	}},
}

// losses is how often a fault that does not last is repeated.
const losses = 20

// every repeats what does not last.
func every(f func(w *world)) func(*world) func() {
	return func(w *world) func() {
		stop := make(chan struct{})
		var work sync.WaitGroup
		work.Go(func() {
			tick := time.NewTicker(span() / losses)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					f(w)
				case <-stop:
					return
				}
			}
		})
		return func() { close(stop); work.Wait() }
	}
}

func TestFaults(t *testing.T) {
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) { newWorld(t).suffer(fault.run, fault.lose) })
	}
}

// The bucket is so large and so slow that what is used of it is what was charged
// in all.
const limit = 10_000_000

func buckets() []backend.Bucket {
	return []backend.Bucket{{Owner: "model:m", Name: "tpd", Dimension: backend.Tokens, Limit: limit, Period: 10_000 * time.Hour}}
}

// suffer keeps processes busy before, during and after the fault and audits what
// they were told against what Redis has.
func (w *world) suffer(fault func(*world) func(), lose bool) {
	prefix := redis.WithPrefix("ratelimiter:" + rand.Text() + ":")
	var told, doubtful, answers atomic.Int64 // units; calls after the fault
	var after atomic.Bool
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for i := range 8 {
		c := goredis.NewClient(&goredis.Options{Addr: w.proxy.Listen, ContextTimeoutEnabled: i%2 == 0,
			ReadTimeout: time.Minute, WriteTimeout: time.Minute, PoolTimeout: time.Minute})
		w.Cleanup(func() { c.Close() })
		b := redis.New(c, prefix, redis.WithTimeout(timeout))
		work.Go(func() {
			for n := uint64(1); ctx.Err() == nil; n++ {
				cost := 1 + mathrand.Int64N(50)
				ask := backend.Ask{Account: "account", Line: "model:m", Scope: "model:m", Ticket: fmt.Sprint("process", i),
					Number: n, Fresh: n%2 == 0, Leave: true, Buckets: buckets(), Costs: []backend.Amounts{{backend.Tokens: cost}}}
				start := time.Now()
				a, err := b.Take(ctx, ask)
				if took := time.Since(start); took > timeout+5*time.Second {
					w.Errorf("a Take took %v", took)
				}
				if err != nil {
					if !errors.Is(err, redis.ErrFull) && !errors.Is(err, redis.ErrReadOnly) {
						doubtful.Add(cost) // nobody knows whether it was charged
					}
					time.Sleep(time.Millisecond)
					continue
				}
				if a.Granted == 0 {
					continue
				}
				if after.Load() {
					answers.Add(1)
				}
				told.Add(cost)
				start = time.Now()
				err = b.Settle(ctx, backend.Settlement{Account: "account", Line: "model:m", Stamp: a.Stamp,
					Buckets: buckets(), Refund: backend.Amounts{backend.Tokens: cost / 2}})
				if took := time.Since(start); took > timeout+5*time.Second {
					w.Errorf("a Settle took %v", took)
				}
				switch {
				case err == nil:
					told.Add(-(cost / 2))
				case !errors.Is(err, redis.ErrFull) && !errors.Is(err, redis.ErrReadOnly):
					doubtful.Add(cost / 2) // nobody knows whether it was given back
				}
			}
		})
	}
	time.Sleep(span() / 5)
	end := fault(w)
	time.Sleep(span())
	end()
	after.Store(true)
	redistest.Eventually(w, "calls are answered again", func() bool { return answers.Load() > 100 })
	stop()
	work.Wait()

	b := redis.New(w.admin, prefix, redis.WithTimeout(10*time.Second))
	a, err := b.Look(context.Background(), backend.Ask{Account: "account", Line: "model:m", Scope: "model:m", Buckets: buckets()})
	if err != nil {
		w.Fatal(err)
	}
	used := int64(limit - a.Levels[0] + 0.5)
	w.Logf("told %d, doubtful %d, charged %d", told.Load(), doubtful.Load(), used)
	// Everything that was told is charged, but for a settlement that was applied
	// and not heard of; nothing else is, but what nobody heard of.
	unsure := doubtful.Load()
	if lose {
		unsure += losses * 8 * 2 * 50 // what each process did since it saw the levels last
	}
	low, high := told.Load()-unsure, told.Load()+unsure
	if used < low || used > high {
		w.Errorf("%d are charged; want %d to %d", used, low, high)
	}
}
