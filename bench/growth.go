package main

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/internal/cputime"
)

// growth compares what a call costs a limiter that has seen few responses with what it
// costs one that has seen many.
type growth struct {
	few, many int
	calls     int           // of a turn
	settle    time.Duration // after which the limiters no longer start slowly
}

var fullGrowth = growth{few: 10, many: 1_000_000, calls: 4_000, settle: 7 * time.Second}

// rows measures both in turns, count of each.
func (g growth) rows(count int) ([]row, error) {
	// The server's buckets hold all of the calls, and refill slowly enough that each
	// response reports new figures.
	body := chatBody(100, false)
	limit := int64(max(g.many, 100_000)) * 6 / 5
	limits := ratelimiter.Limits{RPM: limit}
	limits.TPM = limit * newUpstream(limits, body).cost
	fresh := func(responses int) (func() error, error) {
		call := post(newLimiter(limits).Transport(newUpstream(limits, body)), "chat/completions", body)
		return call, times(responses, call)
	}

	young := make([]func() error, count)
	for i := range young {
		var err error
		if young[i], err = fresh(g.few); err != nil {
			return nil, err
		}
	}
	settled := time.Now().Add(g.settle)
	old, err := fresh(g.many)
	if err != nil {
		return nil, err
	}
	time.Sleep(time.Until(settled))

	var few, many []float64
	for _, call := range young {
		if few, err = g.turn(few, call); err != nil {
			return nil, err
		}
		if many, err = g.turn(many, old); err != nil {
			return nil, err
		}
	}
	a, b := middle(few), middle(many)
	return []row{
		{what: "a call after %d responses", n: g.few, figure: micros(a)},
		{what: "a call after %d responses", n: g.many, figure: micros(b), ratio: b / a, bar: atMost(1.1, b/a, " ×")},
	}, nil
}

// turn appends the processor's time of a call, in seconds.
func (g growth) turn(to []float64, call func() error) ([]float64, error) {
	start := cputime.Process()
	err := times(g.calls, call)
	return append(to, (cputime.Process()-start).Seconds()/float64(g.calls)), err
}

func times(n int, call func() error) error {
	for range n {
		if err := call(); err != nil {
			return err
		}
	}
	return nil
}
