package simulate

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// oracle starts calls in order, each when the server has room for it: it sees
// the server's buckets, what is on its way to them, and what others are about to
// spend. It is the bound.
var oracle = policy{name: "oracle", new: func(w *world) fleet {
	o := &seer{world: w, subwindows: newSubwindowView(w.scenario)}
	return alone(func(int) http.RoundTripper { return o })
}}

// A seer is the one queue of the oracle.
type seer struct {
	world *world

	mu         sync.Mutex
	line       []*turn
	way        []onItsWay
	subwindows *subwindowView
}

// A turn is a place in the oracle's queue.
type turn struct {
	first chan struct{} // closed when it has come to the head
}

// onItsWay is what the server will be charged at a time to come.
type onItsWay struct {
	at   time.Duration
	cost openaitest.Cost
}

// glance is how often the oracle looks at what may change of itself: limits,
// and what comes back.
const glance = 50 * time.Millisecond

// RoundTrip implements http.RoundTripper.
func (o *seer) RoundTrip(req *http.Request) (*http.Response, error) {
	j, ctx := o.world.jobAt(indexOf(req)), req.Context()
	for _, b := range o.world.server.Account(model).Buckets {
		if of(j.serverCost(), b.Limit) > b.Capacity {
			return nil, &ratelimiter.Error{Reason: ratelimiter.ErrTooLarge}
		}
	}
	t := &turn{first: make(chan struct{})}
	o.mu.Lock()
	if o.line = append(o.line, t); len(o.line) == 1 {
		close(t.first)
	}
	o.mu.Unlock()
	defer o.leave(t)
	select {
	case <-t.first:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		o.mu.Lock()
		wait := o.wait(j)
		if wait == 0 {
			o.send(j)
		}
		o.mu.Unlock()
		if wait == 0 {
			break
		}
		if d, ok := ctx.Deadline(); ok && time.Until(d) < wait {
			return nil, context.DeadlineExceeded // nobody has to wait behind it
		}
		if !sleep(ctx, min(wait, glance)) {
			return nil, ctx.Err()
		}
	}
	o.leave(t)
	return o.world.base().RoundTrip(req)
}

// leave takes a turn out of the line, if it still stands there.
func (o *seer) leave(t *turn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.line {
		if o.line[i] != t {
			continue
		}
		o.line = append(o.line[:i], o.line[i+1:]...)
		if i == 0 && len(o.line) > 0 {
			close(o.line[0].first)
		}
		return
	}
}

// send notes what a call that starts now will charge. o.mu must be held.
func (o *seer) send(j *job) {
	now := o.world.now()
	o.way = append(o.way, onItsWay{now + j.travel, j.serverCost()})
	if o.world.scenario.debits {
		if debit := j.charge + j.output - j.serverCost().Tokens; debit > 0 {
			o.way = append(o.way, onItsWay{now + j.total, openaitest.Cost{Tokens: debit}})
		}
	}
	o.subwindows.add(now+j.travel, j.serverCost())
}

// wait is how long until the server has room for the job. o.mu must be held.
func (o *seer) wait(j *job) time.Duration {
	w, now := o.world, o.world.now()
	w.mu.Lock()
	coming := w.announced
	w.mu.Unlock()
	still := o.way[:0]
	for _, s := range o.way {
		if s.at >= now {
			still = append(still, s)
			coming.Requests += s.cost.Requests
			coming.Tokens += s.cost.Tokens
		}
	}
	o.way = still
	cost, longest := j.serverCost(), time.Duration(0)
	for _, b := range w.server.Account(model).Buckets {
		lack := b.Used + float64(of(cost, b.Limit)+of(coming, b.Limit)) - float64(b.Capacity)
		if lack > 0 {
			longest = max(longest, time.Duration(lack/b.Rate()*float64(time.Second))+time.Microsecond)
		}
	}
	if longest == 0 && !o.subwindows.fits(now+j.travel, cost) {
		longest = 5 * time.Millisecond
	}
	return longest
}

// of is what a limit counts of a cost.
func of(c openaitest.Cost, l openaitest.Limit) int64 {
	if l == openaitest.TPM || l == openaitest.TPD {
		return c.Tokens
	}
	return c.Requests
}
