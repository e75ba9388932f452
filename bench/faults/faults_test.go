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
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
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
	prefix redis.Option
	teams  []*team
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, server: redistest.Run(t), prefix: redis.WithPrefix("ratelimiter:" + rand.Text() + ":")}
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

// slowReplies is a toxic that holds back one reply in a hundred. Toxiproxy's own
// toxicity is a share of the connections, of which there are too few.
type slowReplies struct{}

func init() { toxics.Register("slow_replies", new(slowReplies)) }

// Pipe implements [toxics.Toxic].
func (*slowReplies) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			if mathrand.IntN(100) == 0 {
				select {
				case <-time.After(200 * time.Millisecond):
				case <-stub.Interrupt:
					stub.Output <- c
					return
				}
			}
			stub.Output <- c
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
	{"1 % slow replies", false, func(w *world) func() { return w.toxic("slow_replies", "downstream", `{}`) }},
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
	{"SCRIPT FLUSH", false, every(20, func(w *world) { w.do("script", "flush") })},
	{"CLIENT KILL", false, every(20, func(w *world) { w.do("client", "kill", "type", "normal", "skipme", "yes") })},
	{"OOM", false, func(w *world) func() {
		w.do("config", "set", "maxmemory", "1")
		return func() { w.do("config", "set", "maxmemory", "0") }
	}},
	{"READONLY", false, func(w *world) func() {
		w.do("replicaof", "127.0.0.1", "1")
		return func() { w.do("replicaof", "no", "one") }
	}},
	{"FLUSHALL", true, every(3, func(w *world) { w.lose(func() { w.do("flushall") }) })},
	{"restart without data", true, func(w *world) func() {
		w.lose(w.server.Kill)
		return func() {
			if err := w.server.Restart(); err != nil {
				w.Error(err)
			}
		}
	}},
}

// every repeats what does not last so many times.
func every(times int, f func(w *world)) func(*world) func() {
	return func(w *world) func() {
		stop := make(chan struct{})
		var work sync.WaitGroup
		work.Go(func() {
			tick := time.NewTicker(span() / time.Duration(times))
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

// A team is some processes that draw from a bucket, and what they were told, in its
// units. The bucket is so large and so slow that nothing of it refills.
type team struct {
	name    string
	waits   bool // it has a scarce bucket, too, and its processes stand in line for it
	buckets []backend.Bucket
	largest int64 // is the largest ask

	charged, refunded    atomic.Int64            // what answers have said
	mayCharge, mayRefund atomic.Int64            // what nobody knows of: there was no answer
	seen                 [processes]atomic.Int64 // told, when what a process has heard last was asked
	lost                 int64                   // is the most that was lost with the data
	answers              atomic.Int64            // after the fault
}

const (
	limit     = 10_000_000
	processes = 4 // of each team
)

func newTeams() []*team {
	bucket := func(owner string) backend.Bucket {
		return backend.Bucket{Owner: owner, Name: "tpd", Dimension: backend.Tokens, Limit: limit, Period: 1_000_000 * time.Hour}
	}
	scarce := backend.Bucket{Owner: "model:scarce", Name: "rpm", Limit: 60 * 1000, Period: time.Minute, Burst: 50 * time.Millisecond}
	return []*team{
		{name: "model:ample", buckets: []backend.Bucket{bucket("model:ample")}, largest: 50},
		{name: "model:scarce", waits: true, buckets: []backend.Bucket{bucket("model:scarce"), scarce}, largest: 4 * 20},
	}
}

// told is all that was charged and given back as far as the team was told.
func (t *team) told() int64 { return t.charged.Load() + t.refunded.Load() }

// lose loses the data, and notes how much may be lost with it: what has happened
// since the process that comes first afterwards last heard of the levels, and that
// may be any of them. Besides, each process may not have been told yet what it got,
// and what it gives back of that afterwards is not taken.
func (w *world) lose(data func()) {
	since := make([]int64, len(w.teams))
	for i, t := range w.teams {
		since[i] = t.seen[0].Load()
		for j := range t.seen {
			since[i] = min(since[i], t.seen[j].Load())
		}
	}
	data()
	for i, t := range w.teams {
		t.lost += t.told() - since[i] + processes*(t.largest+t.largest/2)
	}
}

// work is one process of a team.
func (t *team) work(w *world, i int, b *redis.Backend, correct bool, after, stopped *atomic.Bool) {
	var costs []backend.Amounts
	down := false // nobody listened when it last asked
	for n := uint64(1); !stopped.Load(); n++ {
		ask := backend.Ask{Account: "account", Line: t.name, Scope: t.name, Ticket: fmt.Sprint(t.name, i), Number: n, Buckets: t.buckets}
		if t.waits {
			for range 1 + mathrand.IntN(4) {
				if len(costs) < 4 {
					costs = append(costs, backend.Amounts{1, 1 + mathrand.Int64N(20), 0})
				}
			}
		} else {
			ask.Fresh, ask.Leave = n%4 > 0, true
			costs = []backend.Amounts{{1, 1 + mathrand.Int64N(50), 0}}
		}
		ask.Costs = costs
		told := t.told()
		start := time.Now()
		a, err := b.Take(context.Background(), ask)
		punctual(w, "Take", start)
		if err != nil {
			// An ask that is not fresh was sent twice, so that the first attempt may have
			// come through where the second found nobody.
			if !refused(err) && !(unheard(err) && (ask.Fresh || down)) {
				t.mayCharge.Add(tokens(costs))
			}
			down = unheard(err)
			time.Sleep(time.Millisecond)
			continue
		}
		down = false
		t.seen[i].Store(told)
		got := tokens(costs[:a.Granted])
		t.charged.Add(got)
		costs = costs[a.Granted:]
		if a.Granted > 0 {
			if after.Load() {
				t.answers.Add(1)
			}
			t.settle(w, b, a, got, correct)
		}
		time.Sleep(min(a.Hint, 20*time.Millisecond))
	}
}

// settle gives half of it back, and sometimes corrects the bucket, and pauses those
// who wait.
func (t *team) settle(w *world, b *redis.Backend, a backend.Answer, got int64, correct bool) {
	s := backend.Settlement{Account: "account", Line: t.name, Stamp: a.Stamp, Buckets: t.buckets, Refund: backend.Amounts{backend.Tokens: got / 2}}
	if correct && mathrand.IntN(2) == 0 {
		s.Corrections = make([]backend.Correction, len(t.buckets))
		s.Corrections[0] = backend.Correction{From: a.Corrected[0], To: a.Corrected[0] + float64(mathrand.IntN(41)-20)}
	}
	if t.waits && mathrand.IntN(50) == 0 {
		s.PauseOwner, s.Pause = t.name, time.Duration(1+mathrand.IntN(20))*time.Millisecond
	}
	start := time.Now()
	err := b.Settle(context.Background(), s)
	punctual(w, "Settle", start)
	switch {
	case err == nil:
		t.refunded.Add(got / 2)
	case !refused(err) && !unheard(err):
		t.mayRefund.Add(got / 2)
	}
}

func tokens(costs []backend.Amounts) (n int64) {
	for _, c := range costs {
		n += c[backend.Tokens]
	}
	return n
}

// punctual checks that a call was ended by its timeout, and not by those of the client, which
// are a minute. What a busy machine adds is no fault.
func punctual(w *world, call string, start time.Time) {
	if took := time.Since(start); took > 30*time.Second {
		w.Errorf("a %s took %v", call, took)
	}
}

// refused reports whether Redis has answered that it changes nothing.
func refused(err error) bool {
	return errors.Is(err, redis.ErrFull) || errors.Is(err, redis.ErrReadOnly)
}

// unheard reports whether there was nobody to whom anything could be sent.
func unheard(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// suffer keeps processes busy before, during and after the fault and audits what
// they were told against what Redis has. Corrections are left out where data is
// lost: what of them is left then cannot be told.
func (w *world) suffer(fault func(*world) func(), lose bool) {
	w.teams = newTeams()
	var after, stopped atomic.Bool
	var work sync.WaitGroup
	for _, t := range w.teams {
		for i := range processes {
			c := goredis.NewClient(&goredis.Options{Addr: w.proxy.Listen, ContextTimeoutEnabled: i%2 == 0,
				ReadTimeout: time.Minute, WriteTimeout: time.Minute, PoolTimeout: time.Minute})
			w.Cleanup(func() { c.Close() })
			b := redis.New(c, w.prefix, redis.WithTimeout(timeout))
			work.Go(func() { t.work(w, i, b, !lose, &after, &stopped) })
		}
	}
	time.Sleep(span() / 5)
	end := fault(w)
	time.Sleep(span())
	end()
	after.Store(true)
	for _, t := range w.teams {
		redistest.Eventually(w, "calls are answered again", func() bool { return t.answers.Load() > 50 })
	}
	stopped.Store(true)
	work.Wait()
	for _, t := range w.teams {
		t.audit(w, lose)
	}
}

// audit compares what Redis has with what the team was told: all of that, and nothing
// else but what nobody heard of.
func (t *team) audit(w *world, lose bool) {
	b := redis.New(w.admin, w.prefix, redis.WithTimeout(10*time.Second))
	a, err := b.Look(context.Background(), backend.Ask{Account: "account", Line: t.name, Scope: t.name, Buckets: t.buckets})
	if err != nil {
		w.Fatal(err)
	}
	check := func(what string, got float64, told, unsure int64) {
		w.Logf("%s: %s %.0f, of which %d were told; unsure %d", t.name, what, got, told, unsure)
		if low, high := float64(told)-0.5, float64(told+unsure)+0.5; got < low || got > high {
			w.Errorf("%s: %s %.0f; want %d to %d", t.name, what, got, told, told+unsure)
		}
	}
	used := limit - a.Levels[0]
	if lose {
		unsure := t.mayCharge.Load() + t.mayRefund.Load() + t.lost
		check("used", used, t.charged.Load()-t.refunded.Load()-unsure, 2*unsure)
		return
	}
	check("charged", a.Charged[0], t.charged.Load(), t.mayCharge.Load())
	check("given back", a.Charged[0]+a.Corrected[0]-used, t.refunded.Load(), t.mayRefund.Load())
}
