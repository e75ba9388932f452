package main

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/internal/cputime"
)

// perCall is what a call in line costs. perSecond is how many of them the limit admits
// where the line moves: five in a millisecond, which is as short as timers sleep, and
// half of the shortest line.
const (
	perCall   = 1_000
	perSecond = 5_000
)

// A line is callers that wait for one spent limit of one model, each in a goroutine of
// its own.
type line struct {
	limiter *ratelimiter.Limiter
	ctx     context.Context
	cancel  context.CancelFunc
	join    chan struct{} // closed to let them call Acquire
	callers sync.WaitGroup

	admitted atomic.Int64
	failed   atomic.Pointer[error]
}

// newLine starts n goroutines that are about to wait. A caller that is admitted settles
// its call and joins again.
func newLine(n int, limits ratelimiter.Limits) *line {
	l := &line{limiter: newLimiter(limits), join: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	for range n {
		l.callers.Go(func() {
			<-l.join
			for {
				r, err := l.limiter.Acquire(l.ctx, ratelimiter.Cost{Model: model, Tokens: perCall})
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						l.failed.Store(&err)
					}
					return
				}
				r.Settle(ratelimiter.Usage{TotalTokens: perCall})
				l.admitted.Add(1)
			}
		})
	}
	return l
}

// fill lets the callers join and returns when so many wait.
func (l *line) fill(waiting int) error {
	close(l.join)
	for {
		s, err := l.limiter.State(l.ctx)
		if err != nil {
			return err
		}
		if err := l.failed.Load(); err != nil {
			return *err
		}
		if len(s.Scopes) == 1 && s.Scopes[0].Waiting >= waiting {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}

// empty makes all who wait give up.
func (l *line) empty() {
	l.cancel()
	l.callers.Wait()
}

// admission returns the processor's time, in seconds, in which one caller is admitted,
// settles and joins again, while n wait.
func admission(n int, span time.Duration) (float64, error) {
	l := newLine(n, ratelimiter.Limits{TPM: 60 * perSecond * perCall, Burst: time.Millisecond})
	defer l.empty()
	if err := l.fill(n * 9 / 10); err != nil { // some are always between two turns
		return 0, err
	}
	runtime.GC() // which else would fall into some spans and not into others
	start, before := cputime.Process(), l.admitted.Load()
	time.Sleep(span)
	return (cputime.Process() - start).Seconds() / float64(l.admitted.Load()-before), nil
}

// crowd is what it costs that n wait: the processor's seconds in which they join and in
// which they give up, and the bytes each of them takes, its goroutine's own apart.
type crowd struct{ join, leave, heap, stack float64 }

func crowdOf(n int) (c crowd, err error) {
	l := newLine(n, ratelimiter.Limits{TPM: perCall}) // one in a minute
	spent, err := l.limiter.Acquire(l.ctx, ratelimiter.Cost{Model: model, Tokens: perCall})
	if err != nil {
		return c, err
	}
	spent.Settle(ratelimiter.Usage{})
	before := memory()
	start := cputime.Process()
	err = l.fill(n)
	c.join = (cputime.Process() - start).Seconds()
	during := memory()
	start = cputime.Process()
	l.empty()
	c.leave = (cputime.Process() - start).Seconds()
	c.heap = float64(during.HeapAlloc-before.HeapAlloc) / float64(n)
	c.stack = float64(during.StackInuse) / float64(n)
	return c, err
}

func memory() (m runtime.MemStats) {
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// lines is how long the lines are that are measured, and for how long.
type lines struct {
	waiting []int // in the lines that move
	span    time.Duration
	crowd   int
}

var fullLines = lines{waiting: []int{10, 10_000, 100_000}, span: time.Second, crowd: 100_000}

// rows measures each count times, in turns.
func (x lines) rows(count int) ([]row, error) {
	admissions := make([][]float64, len(x.waiting))
	var join, leave, heap, stack []float64
	for range count {
		for i, n := range x.waiting {
			s, err := admission(n, x.span)
			if err != nil {
				return nil, err
			}
			admissions[i] = append(admissions[i], s)
		}
		c, err := crowdOf(x.crowd)
		if err != nil {
			return nil, err
		}
		join, leave = append(join, c.join), append(leave, c.leave)
		heap, stack = append(heap, c.heap), append(stack, c.stack)
	}

	var out []row
	shortest := middle(admissions[0])
	for i, n := range x.waiting {
		s := middle(admissions[i])
		r := row{what: "an admission while %d wait", n: n, figure: micros(s)}
		if i > 0 {
			r.ratio = s / shortest
			r.bar = atMost([]float64{0, 1.2, 2}[i], r.ratio, " ×")
		}
		out = append(out, r)
	}
	return append(out,
		row{what: "%d join a line", n: x.crowd, figure: seconds(middle(join)), bar: atMost(0.5, middle(join), " s")},
		row{what: "%d give up", n: x.crowd, figure: seconds(middle(leave)), bar: atMost(0.5, middle(leave), " s")},
		row{what: "heap of each of %d who wait", n: x.crowd, figure: inBytes(middle(heap)), bar: atMost(1024, middle(heap), " B")},
		row{what: "stack of each of %d who wait", n: x.crowd, figure: inBytes(middle(stack)), bar: atMost(4300, middle(stack), " B")},
	), nil
}
