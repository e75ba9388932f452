package simulate

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// attempts is how often openai-go sends a call before it gives up.
const attempts = 3

// send makes a call as openai-go v3 does: up to three attempts, as long apart as
// the server asks for, or else a back-off. What the limiter rejects is final, as
// with its adapter.
func send(ctx context.Context, transport http.RoundTripper, host string, j *job) outcome {
	body := j.body()
	last := failed
	for attempt := range attempts {
		if attempt > 0 && ctx.Err() != nil {
			return late
		}
		var h http.Header
		resp, err := transport.RoundTrip(j.request(ctx, host, body, attempt))
		var hopeless *ratelimiter.Error
		switch {
		case errors.As(err, &hopeless) && hopeless.Waited == 0:
			return refused
		case hopeless != nil || ctx.Err() != nil:
			return late
		case err == nil:
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			switch {
			case resp.StatusCode != http.StatusTooManyRequests && err == nil:
				return answered
			case ctx.Err() != nil:
				return late
			}
			h, last = resp.Header, givenUp
		}
		if attempt == attempts-1 {
			break
		}
		delay, ok := retryDelay(h, attempt)
		if !ok {
			break
		}
		if !sleep(ctx, delay) {
			return late
		}
	}
	return last
}

// retryDelay is how long openai-go v3 waits after an attempt, and whether it
// makes another.
func retryDelay(h http.Header, attempt int) (time.Duration, bool) {
	const longest = 2 * time.Minute
	for _, header := range []struct {
		name string
		unit time.Duration
	}{{"Retry-After-Ms", time.Millisecond}, {"Retry-After", time.Second}} {
		n, err := strconv.ParseFloat(h.Get(header.name), 64)
		if err != nil || n < 0 {
			continue
		}
		d := time.Duration(n * float64(header.unit))
		return d, d <= longest
	}
	d := 500 * time.Millisecond << attempt
	return d - time.Duration(rand.Int64N(int64(d/4))), true
}

// sleep reports whether ctx lasted that long.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
