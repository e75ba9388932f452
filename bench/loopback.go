package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/internal/cputime"
)

// loopback measures calls over sockets of this machine, to a server that takes its time,
// with the limiter and without it.
type loopback struct {
	crowds []crowdOfCallers
	calls  int // of each caller in a turn, with each server that takes 5 ms
}

// A crowdOfCallers makes calls to a server that takes so long for each.
type crowdOfCallers struct {
	callers int
	takes   time.Duration
}

var fullLoopback = loopback{
	crowds: []crowdOfCallers{{1, 5 * time.Millisecond}, {16, 5 * time.Millisecond}, {256, 50 * time.Millisecond}},
	calls:  400,
}

// rows measures each crowd over HTTP/1.1 and HTTP/2, in count turns.
func (x loopback) rows(count int) ([]row, error) {
	var out []row
	for _, http2 := range []bool{false, true} {
		for _, crowd := range x.crowds {
			rows, err := crowd.rows(http2, count, max(1, int(time.Duration(x.calls)*5*time.Millisecond/crowd.takes)))
			if err != nil {
				return nil, err
			}
			out = append(out, rows...)
		}
	}
	return out, nil
}

func (c crowdOfCallers) rows(http2 bool, count, calls int) ([]row, error) {
	limits := ratelimiter.Limits{RPM: plenty, TPM: plenty}
	body := chatBody(1_000, false)
	server, base := serve(newUpstream(limits, body), c.takes, http2)
	defer server.Close()
	defer base.CloseIdleConnections()
	sides := [2]struct {
		call  func() error
		times []time.Duration
		cpu   []float64
	}{
		{call: post(base, "chat/completions", body)},
		{call: post(newLimiter(limits).Transport(base), "chat/completions", body)},
	}
	for turn := range count + 1 { // the first connects, and loads the vocabulary
		for i := range sides {
			s := &sides[i]
			start := cputime.Process()
			times, err := c.turn(s.call, calls)
			if err != nil {
				return nil, err
			}
			if turn > 0 {
				s.times = append(s.times, times...)
				s.cpu = append(s.cpu, (cputime.Process()-start).Seconds()/float64(len(times)))
			}
		}
	}

	protocol := "HTTP/1.1"
	if http2 {
		protocol = "HTTP/2"
	}
	what := fmt.Sprintf("%s, %%d at a time, a server that takes %v: ", protocol, c.takes)
	bare, limited := &sides[0], &sides[1]
	out := make([]row, 0, 3)
	for _, q := range []struct {
		name string
		part float64
		most float64
	}{{"median", 0.5, 1.02}, {"99th percentile", 0.99, 1.05}} {
		a, b := quantile(bare.times, q.part), quantile(limited.times, q.part)
		out = append(out, row{what: what + q.name, n: c.callers, figure: millis(b), ratio: b / a, bar: atMost(q.most, b/a, " ×")})
	}
	a, b := middle(bare.cpu), middle(limited.cpu)
	return append(out, row{what: what + "the processor's time, more", n: c.callers,
		figure: micros(b - a), ratio: b / a, bar: atMost(15, 1e6*(b-a), " µs")}), nil
}

// turn lets each caller make its calls, one after the other, and returns how long each took.
func (c crowdOfCallers) turn(call func() error, calls int) ([]time.Duration, error) {
	times, errs := make([]time.Duration, c.callers*calls), make([]error, c.callers)
	var callers sync.WaitGroup
	for i := range c.callers {
		callers.Go(func() {
			for k := range calls {
				start := time.Now()
				if errs[i] = call(); errs[i] != nil {
					return
				}
				times[i*calls+k] = time.Since(start)
			}
		})
	}
	callers.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return times, nil
}

// serve returns a server that responds as u does, after the time it takes, and a transport
// to it for whatever host.
func serve(u *upstream, takes time.Duration, http2 bool) (*httptest.Server, *http.Transport) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, err := u.RoundTrip(r)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		time.Sleep(takes)
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
		_, _ = io.Copy(w, resp.Body)
	}))
	server.EnableHTTP2 = http2
	server.StartTLS()
	t := server.Client().Transport.(*http.Transport).Clone()
	t.TLSClientConfig.ServerName = "example.com" // of httptest's certificate
	t.MaxIdleConnsPerHost = 1_000
	t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	return server, t
}

// quantile is in seconds.
func quantile(times []time.Duration, part float64) float64 {
	slices.Sort(times)
	return times[int(part*float64(len(times)-1))].Seconds()
}

func millis(s float64) string { return fmt.Sprintf("%.2f ms", 1e3*s) }
