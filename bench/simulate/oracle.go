package simulate

import (
	"net/http"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// oracle starts calls in order, each when the server has room for it: it sees
// the server's buckets, and what is on its way to them. It is the bound.
var oracle = policy{name: "oracle", start: func(w *world, _ int) http.RoundTripper {
	o, ok := w.shared.(*oracleLine)
	if !ok {
		o = &oracleLine{world: w, changed: make(chan struct{})}
		w.shared = o
	}
	return o
}}

type oracleLine struct {
	world *world

	mu      sync.Mutex
	line    []*job
	way     []sentJob
	changed chan struct{} // closed when the head has gone
	slice   float64       // used of the present slice
	sliceAt time.Time
}

// A sentJob has been sent and may not have arrived.
type sentJob struct {
	arrives time.Time
	cost    openaitest.Cost
}

func (o *oracleLine) RoundTrip(req *http.Request) (*http.Response, error) {
	j := req.Context().Value(jobKey{}).(*job)
	o.mu.Lock()
	o.line = append(o.line, j)
	for {
		wait := 50 * time.Millisecond
		if o.line[0] == j {
			if wait = o.wait(j); wait == 0 {
				break
			}
		}
		changed := o.changed
		head := o.line[0] == j
		o.mu.Unlock()
		var expired <-chan time.Time
		if head {
			expired = time.After(min(wait, 50*time.Millisecond))
		}
		select {
		case <-expired:
		case <-changed:
		case <-req.Context().Done():
			o.mu.Lock()
			o.leave(j)
			o.mu.Unlock()
			return nil, req.Context().Err()
		}
		o.mu.Lock()
	}
	o.way = append(o.way, sentJob{time.Now().Add(j.travel), j.serverCost()})
	if debit := j.output - 16; o.world.scenario.debits && debit > 0 {
		o.way = append(o.way, sentJob{time.Now().Add(j.total), openaitest.Cost{Tokens: debit}})
	}
	o.leave(j)
	o.mu.Unlock()
	return o.world.base().RoundTrip(req)
}

// serverCost is what the server will charge.
func (j *job) serverCost() openaitest.Cost {
	c := openaitest.Cost{Requests: 1, Tokens: j.charge + j.cap}
	if j.cap == 0 {
		c.Tokens += 16
	}
	return c
}

func (o *oracleLine) leave(j *job) {
	for i := range o.line {
		if o.line[i] == j {
			o.line = append(o.line[:i], o.line[i+1:]...)
			break
		}
	}
	close(o.changed)
	o.changed = make(chan struct{})
}

// wait is how long until the server has room for the job.
func (o *oracleLine) wait(j *job) time.Duration {
	now := time.Now()
	var coming openaitest.Cost
	keep := o.way[:0]
	for _, s := range o.way {
		if s.arrives.Before(now) {
			continue
		}
		keep = append(keep, s)
		coming.Requests += s.cost.Requests
		coming.Tokens += s.cost.Tokens
	}
	o.way = keep
	o.world.mu.Lock()
	coming.Requests += o.world.foreign.Requests
	coming.Tokens += o.world.foreign.Tokens
	o.world.mu.Unlock()
	cost := j.serverCost()
	longest := time.Duration(0)
	for _, b := range o.world.server.Account(model).Buckets {
		n, c := cost.Requests, coming.Requests
		if b.Limit == openaitest.TPM || b.Limit == openaitest.TPD {
			n, c = cost.Tokens, coming.Tokens
		}
		lack := b.Used + float64(n+c) - float64(b.Capacity)
		if lack > 0 {
			longest = max(longest, time.Duration(lack/b.Rate()*float64(time.Second))+time.Microsecond)
		}
	}
	if longest == 0 && o.world.scenario.slice > 0 {
		longest = o.inSlice(now, j)
	}
	return longest
}

// inSlice keeps the requests to what a slice holds, at the arrival.
func (o *oracleLine) inSlice(now time.Time, j *job) time.Duration {
	rate := float64(o.world.scenario.limits.RPM) / 60
	most := rate * o.world.scenario.slice.Seconds()
	used := max(0, o.slice-rate*now.Sub(o.sliceAt).Seconds())
	if lack := used + 1 - most; lack > 1e-9 {
		return time.Duration(lack/rate*float64(time.Second)) + time.Microsecond
	}
	o.slice, o.sliceAt = used+1, now
	return 0
}
