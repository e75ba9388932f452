package simulate

import (
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// aimd paces requests in each process and feels its way: the pace grows by a
// hundredth of the process's share of the limit every second, and is halved by a
// 429, at most once a second. It begins at half of the share.
var aimd = policy{name: "AIMD on 429s", new: func(w *world) fleet {
	return alone(func(int) http.RoundTripper {
		share := rate.Limit(max(1, float64(w.scenario.limits.RPM)/60/float64(w.scenario.processes)))
		return &aimdTransport{base: w.base(), step: share / 100, pace: rate.NewLimiter(share/2, 1)}
	})
}}

type aimdTransport struct {
	base http.RoundTripper
	step rate.Limit // each second
	pace *rate.Limiter

	mu     sync.Mutex
	grown  time.Time
	halved time.Time
}

// RoundTrip implements http.RoundTripper.
func (t *aimdTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.pace.Wait(req.Context()); err != nil {
		return nil, err
	}
	resp, err := t.base.RoundTrip(req)
	if err == nil {
		t.learn(time.Now(), resp.StatusCode == http.StatusTooManyRequests)
	}
	return resp, err
}

func (t *aimdTransport) learn(now time.Time, refused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pace := t.pace.Limit()
	switch {
	case refused && now.Sub(t.halved) >= time.Second:
		t.pace.SetLimit(max(pace/2, t.step))
		t.halved, t.grown = now, now
	case !refused && now.Sub(t.grown) >= time.Second:
		t.pace.SetLimit(pace + t.step)
		t.grown = now
	}
}
